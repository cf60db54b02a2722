# make demo    set up, and watch a model learn from a few labelled pixels
# make test    set up, and check everything: lint, types, tests
# make faults  kill runs everywhere, go on with them, and compare
# Set-up happens once; PYTHON=... chooses the Python 3.11 or 3.12 it uses.

BIN := .venv/bin
# Tests run side by side, each on one core.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: help setup demo test test-slow faults lint format clean

help:
	@sed -n 's/^# //p' Makefile

setup:
	@bash tools/setup_env.sh

demo: setup
	PYTHON=$(BIN)/python bash dist_train.sh experiments/quickstart/quickstart.py 1

test: lint
	$(PYTEST) -n $(WORKERS)

# Long ones, and further cases of others.
test-slow: setup
	$(PYTEST) -m slow

faults: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults --out docs/faults.md

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# What tools leave behind; experiments and the environment stay.
clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache \
	    .hypothesis .dist_test
	find segal tests tools -name __pycache__ -prune -exec rm -rf {} +
