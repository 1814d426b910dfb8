# Two commands for a newcomer: `make demo` and `make test`. Both set up .venv first. TORCH_INDEX=URL
# takes torch from a package index of its own, such as that of its builds without CUDA.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   := demo.hashret
# A file of tests stays in one process, which keeps what its fixtures trained.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.PHONY: demo test test-all lowest torture lint docs clean

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "python: expected 3.11 or newer, got $$($(PYTHON) --version 2>&1); set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@test -z "$(TORCH_INDEX)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt --index-url "$(TORCH_INDEX)" torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/hashret demo --to $(DEMO)

# What is quick enough to be run at every change, on at most four processes.
test: $(VENV)/.installed
	$(BIN)/python -m pytest -m "not long" $(PARALLEL)

# All of it: also the short forms of the torture harnesses, and catalogs on a PostgreSQL server.
test-all: $(VENV)/.installed
	$(BIN)/python -m pytest $(PARALLEL)

# Indexes and asks a small collection with the lowest versions that pyproject.toml allows.
lowest:
	$(PYTHON) tests/lowest.py

# The long form of every promise's harness (SECURITY.md); the short ones are in `make test-all`.
torture: $(VENV)/.installed
	$(BIN)/python -m tests.torture

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site, in site/; a link that leads nowhere is an error.
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

clean:
	rm -rf $(VENV) $(DEMO) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
