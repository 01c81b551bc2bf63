# Two commands do all the set-up on a machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
.DEFAULT_GOAL := help
SLIM := .venv-slim
FULL := .venv

.PHONY: help demo test lint types fast model clean

help:
	@echo "make demo    run the main job offline on the shipped sample; prints the report's path"
	@echo "make test    everything CI runs: lint, types, all tests"
	@echo "make fast    the quick tests only"
	@echo "make model   rebuild models/default from the labels (hours on two cores without bf16)"
	@echo "make clean   remove environments and outputs"

# The demo needs no torch: a slim environment of its own.
$(SLIM)/.ready: pyproject.toml
	$(PYTHON) -m venv $(SLIM)
	$(SLIM)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# torch first and pinned: a later resolve would otherwise bring its newest build, with gigabytes of GPU libraries.
$(FULL)/.ready: pyproject.toml
	$(PYTHON) -m venv $(FULL)
	$(FULL)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(FULL)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[train,dev]'
	@touch $@

demo: $(SLIM)/.ready
	$(SLIM)/bin/bondlore demo

lint: $(FULL)/.ready
	$(FULL)/bin/ruff check .
	$(FULL)/bin/ruff format --check .

types: $(FULL)/.ready
	$(FULL)/bin/mypy

fast: $(FULL)/.ready
	$(FULL)/bin/python -m pytest -m "not slow"

test: lint types
	$(FULL)/bin/python -m pytest

model: $(FULL)/.ready
	PATH="$(CURDIR)/$(FULL)/bin:$$PATH" scripts/build_model.sh

clean:
	rm -rf $(SLIM) $(FULL) bondlore-demo build dist
