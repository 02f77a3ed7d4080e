# Every target makes its own environment first (.venv, pinned versions); nothing else is needed.
.DEFAULT_GOAL := help
python := .venv/bin/python
# One thread a process unless a stage of the run decides otherwise: small matrices lose by more.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= $(OMP_NUM_THREADS)
export MKL_NUM_THREADS ?= $(OMP_NUM_THREADS)

# Shapes of arrays are checked at run time in the tests. The modules that check what users hand over are left out, their own errors
# are under test; tests/multiscale and tests/fem name the rest of their rooms.
pytest := $(python) -m pytest --jaxtyping-packages=atomistic,multiscale.sampling.relaxed_states,multiscale.thermal.sampling,beartype.beartype
# Two processes, a file each at a time: what a module's fixtures train is trained once.
side_by_side := -n 2 --dist loadfile

.PHONY: help environment demo test lint test-all bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | while read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done
	@echo '  make bench-NAME one benchmark: $(filter-out run,$(patsubst benchmarks/%.py,%,$(wildcard benchmarks/*.py)))'

environment:
	@sh tools/install.sh

demo: environment ## atoms to a deformed bracket: runs/demo/report.html
	.venv/bin/atomlaw run examples/silicon_bracket.toml

lint: environment ## style, import rules, types
	$(python) -m ruff check .
	$(python) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(python) -m mypy

test: lint ## lint, then the quick tests with coverage
	$(pytest) $(side_by_side) -m "not slow" --cov --cov-report=term

test-all: lint ## every test
	$(pytest) $(side_by_side) --cov --cov-report=term

bench: environment ## all benchmarks; updates benchmarks/results.json
	$(python) benchmarks/run.py

bench-%: environment
	$(python) benchmarks/run.py $*

clean: ## remove the environment, runs and caches
	rm -rf .venv runs build *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find atomistic multiscale fem tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
