"""Commands that messages print, as a shell would hand them over."""

from __future__ import annotations

import shlex


def run_python(command: str) -> str:
    """Run a `python -c …` here, since a process would import every library again; return its code.

    tests/cli/test_advice.py runs such commands by a shell.
    """
    program, option, code = shlex.split(command)
    assert (program, option) == ("python", "-c")
    exec(code, {"__name__": "__main__"})
    return code
