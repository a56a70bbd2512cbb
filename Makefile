# PYTHON makes the virtual environment: 3.11, 3.12 or 3.13.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPMENT := $(VENV)/.development
# uv, where there is one, installs in a quarter of pip's time (189 s to 826 s on two busy cores); both keep to constraints.txt. An old pip knows no groups.
INSTALL = $(if $(shell command -v uv 2>/dev/null),uv pip install --python $(BIN)/python,$(BIN)/python -m pip install --upgrade 'pip>=25.1' --quiet && $(BIN)/python -m pip install)
# How many processes share the tests.
JOBS ?= 2
PYTEST = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
# Where a demonstration is kept.
DEMO ?= runs/demo
# How many pretended searches, and how many whole runs, `make soak` kills at random until they are done.
SOAK ?= 200
SOAK_RUNS ?= 6

.PHONY: help venv test long soak lint types docs demo wheel wheels benchmarks studies clean
.DELETE_ON_ERROR:

help: ## List what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

venv: $(INSTALLED) ## Create .venv and install into it what searches need

# An old pip knows no dependency groups (--group came with 25.1). torch and torchvision go in with one call, so that
# they fit each other.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "binarynas needs Python 3.11 to 3.13; $(PYTHON) is " + sys.version.split()[0] + ". Name another: make venv PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing torch, Ray and what else a search needs; with pip this takes some minutes."
	$(INSTALL) --constraint constraints.txt --editable .
	$(BIN)/python -m search.cli.install_check
	@touch $@

# What tests, style and types need; a search does not.
$(DEVELOPMENT): $(INSTALLED)
	@echo "Installing what tests and checks need."
	$(INSTALL) --constraint constraints.txt --editable . --group dev
	@touch $@

test: $(DEVELOPMENT) ## Run the tests but for the long ones (FAST=1 leaves out the slow ones, too)
	$(PYTEST) -m "not long$(if $(FAST), and not slow)"

long: $(DEVELOPMENT) ## Run the long tests: workers, nodes and runs that are killed, under Ray
	$(PYTEST) -m long

soak: $(DEVELOPMENT) ## Kill runs at random until they are done, for an hour or so
	SOAK=$(SOAK) SOAK_RUNS=$(SOAK_RUNS) $(BIN)/python -m pytest tests/faults -k 'soak or until_it_is_done' --timeout 3600

lint: $(DEVELOPMENT) ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPMENT) ## Check types
	$(BIN)/pyright

# Every page is made again: what a docstring says is no file that Sphinx watches. Nothing may be loaded from a network.
docs: $(VENV)/.docs ## Build the site of docs/ and the docstrings into build/docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env docs build/docs
	@! grep -rnoE --include='*.html' --include='*.css' '(src=|<link[^>]* href=|url\(|@import )["( ]*https?:[^" ]*' build/docs
	@echo "The site is in build/docs; begin with build/docs/index.html."

$(VENV)/.docs: $(INSTALLED)
	$(INSTALL) --constraint constraints.txt --group docs
	@touch $@

demo: venv ## Search a small space on the digits data set; again to carry on
	@if [ -e $(DEMO) ]; then $(BIN)/binarynas resume $(DEMO); else $(BIN)/binarynas search nasbnn-digits --out $(DEMO); fi
	@if $(BIN)/python -c 'import ziglang' 2>/dev/null; then $(BIN)/binarynas export $(DEMO) --out $(DEMO)/network.html; fi
	@$(BIN)/binarynas report $(DEMO)
	@echo "The run is in $(DEMO)."

# What a former build left in build/lib would go into the wheel, too.
wheel: ## Build the package into dist/
	rm -rf build/lib
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

# The engine is compiled for other systems by the package ziglang; each library is checked against its wheel's tag.
wheels: $(DEVELOPMENT) ## Build wheels with a built engine for five systems, of the package and of a runtime alone, into dist/
	$(BIN)/python wheels/make.py --out dist

benchmarks: venv ## Measure (but for plateau.py and small_data.py, which take runs and a data set)
	@set -e; for file in $(filter-out %/plateau.py %/small_data.py,$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python $$file; done

# Runs that are done are not done again, and one that was stopped goes on.
studies: venv ## Try the papers' claims and write docs/studies.md (ONLY="NAME ...", SEEDS=n, MINUTES=n)
	$(BIN)/python studies/run.py$(if $(ONLY), --only $(ONLY))$(if $(SEEDS), --seeds $(SEEDS))$(if $(MINUTES), --minutes $(MINUTES))

clean: ## Remove caches and build files; .venv and runs stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -path ./runs -prune -o -type d -name __pycache__ -exec rm -rf {} +
