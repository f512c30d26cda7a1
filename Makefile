# `make demo` and `make test` do all the set-up that they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
FILE ?=
BYTECODE ?= yes
PYTEST ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Where it is set, every command that a test starts would compile all libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test long versions slow style check format hooks docs bench clean

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/priorhood demo --out demo

# The everyday tests: six cases of a test that has more, nothing that is long. CASES=all, as CI asks, is all of both.
# Of a FILE, all that is not slow.
CASES := 6
FEW := $(if $(filter all,$(CASES)),-m "not slow",--cases $(CASES))
test: $(VENV)/.installed
	$(BIN)/python -m pytest $(if $(FILE),$(FILE) -m "not slow",-n auto $(FEW)) $(PYTEST)

# What `make test` leaves out: other cases, statistics, samplers and servers that take seconds each.
long: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto -m "not slow" --beyond $(CASES) $(PYTEST)

# What another version of Python or its libraries can change, for make PYTHON=python3.13 VENV=.venv-13 versions:
# tables, files, pictures, threads and PyMC, and one case of a test that has several; not the mathematics, the rules
# of formulas and numbers, nor what commands say.
OF_VERSIONS := $(patsubst %,tests/unit/%,data/sources diagnostics engines evaluation fitting plot posterior \
  prediction reporting suffstats) tests/files tests/docs tests/agreement \
  $(patsubst %,tests/cli/test_%.py,cli newcomer processes fork plot report)
versions: $(VENV)/.installed
	$(BIN)/python -m pytest -n auto -m "not slow and not long and not once" --cases 1 $(OF_VERSIONS) $(PYTEST)

slow: $(VENV)/.installed
	$(BIN)/python -m pytest $(if $(FILE),$(FILE),-n auto) -m slow $(PYTEST)

# What needs no more than ruff, which is there in seconds.
style: $(BIN)/ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check: style $(VENV)/.installed
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/ruff
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: $(VENV)/.installed
	$(BIN)/pre-commit install

# The reference from the docstrings, and the pages; warnings are errors.
docs: $(VENV)/.installed
	rm -rf docs/generated
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

bench: $(VENV)/.installed
	$(BIN)/python -m bench

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "priorhood needs Python 3.11 or newer; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(BIN)/ruff: constraints.txt | $(BIN)/python
	$(PIP) ruff
	touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --no-compile -e ".[dev]"
	@# Bytecode by all processors at once, without the libraries' own tests: without it, every command compiles what
	@# it imports wherever PYTHONDONTWRITEBYTECODE is set. BYTECODE= leaves it to the first import.
	$(if $(BYTECODE),$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib src || true)
	touch $@

clean:
	rm -rf $(VENV) demo build docs/generated .pytest_cache .mypy_cache .ruff_cache
