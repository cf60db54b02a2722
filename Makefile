# make demo    set up, and watch a model learn from a few labelled pixels
# make ops     compile mmcv's ops, once; a few networks and losses need them
# make test    set up, ops too, and check everything: lint, types, tests
# make faults  kill runs everywhere, go on with them, and compare
# make docs    build the documentation, strictly, into build/site
# Set-up happens once; PYTHON=... chooses the Python 3.11 or 3.12 it uses.

BIN := .venv/bin
# Tests run side by side, each on one core.
WORKERS ?= 2
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: help setup ops checkers demo test test-slow faults docs lint format clean

help:
	@sed -n 's/^# //p' Makefile

setup:
	@bash tools/setup_env.sh

ops:
	@bash tools/setup_env.sh ops

checkers:
	@bash tools/setup_env.sh tests

demo: setup
	PYTHON=$(BIN)/python bash dist_train.sh experiments/quickstart/quickstart.py 1

test: ops lint
	$(PYTEST) -n $(WORKERS) --dist loadfile \
	    --no-loadscope-reorder

# Long ones, and further cases of others.
test-slow: ops checkers
	$(PYTEST) -m slow

faults: checkers
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults --out docs/faults.md

# Writes what follows from code anew, then builds the site. DOCS_ENV=DIR builds
# it in a small environment of its own, which is made where there is none.
DOCS_ENV ?= .venv
docs: checkers
	$(BIN)/python tools/config_tables.py
	$(BIN)/python tools/docs/pages.py
	@[ -x $(DOCS_ENV)/bin/python ] || $(BIN)/python -m venv $(DOCS_ENV)
	$(DOCS_ENV)/bin/python -m pip install -qq \
	    -c requirements/constraints.txt -r requirements/docs.txt
	NO_MKDOCS_2_WARNING=1 $(DOCS_ENV)/bin/python -m mkdocs build --strict -q \
	    -f tools/docs/mkdocs.yml

lint: checkers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: checkers
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# What tools leave behind; experiments and the environment stay.
clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache \
	    .hypothesis .dist_test
	find segal tests tools -name __pycache__ -prune -exec rm -rf {} +
