# `make demo` and `make test` do all the set-up that they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST ?=

# Where it is set, every command that a test starts would compile all libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test slow check format bench clean

demo: $(VENV)/.installed
	$(BIN)/priorhood demo --out demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n 3 --dist loadfile $(PYTEST)

slow: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed
	$(BIN)/python -m bench

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "priorhood needs Python 3.11 or newer; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	@# Bytecode is made when a module is first imported, which most never are: half a minute less.
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -e ".[dev]" -c constraints.txt
	touch $@

clean:
	rm -rf $(VENV) demo build .pytest_cache .mypy_cache .ruff_cache
