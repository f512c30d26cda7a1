"""`python -m priorhood`: the command, for when it is not on the path."""

from priorhood.cli import main

if __name__ == "__main__":
    main()
