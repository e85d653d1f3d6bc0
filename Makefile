# Everything a user or CI calls. `make study` and `make test` need nothing but
# Python 3.11 or later and make: each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Whole files go to two processes, the longest first (tests/conftest.py).
PYTEST = $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile \
  --no-loadscope-reorder --durations=10 $(PYTEST_FLAGS)
EXTRAS := beam,dicom,export,imagenet-lite,keras-cv,ray,transformers

.PHONY: help install extras study test test-fast test-all lint docs bench clean

help:
	@echo "make study      draw data, pretrain the donor, run the study, print the report's path"
	@echo "make test       lint, types and the tests; skips those of extras that are missing"
	@echo "make test-fast  the tests that take seconds"
	@echo "make test-all   every test, of all extras too: for every night"
	@echo "make docs       the pages of the documentation, in build/docs"
	@echo "make bench      the benchmarks behind the README's table"
	@echo "make install    only create $(VENV)"
	@echo "make extras     create it with all extras and what the tests need"

install: $(VENV)/.installed

study: $(VENV)/.installed
	@$(BIN)/transfusion-study --study=demo

extras: $(VENV)/.installed-extras

test: lint
	@$(PYTEST) -m "not exhaustive"

test-fast: $(VENV)/.installed-dev
	@$(PYTEST) -m "not slow and not exhaustive"

test-all: $(VENV)/.installed-extras lint
	@$(PYTEST) --all-extras

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(VENV)/.installed-docs
	@$(BIN)/mkdocs build --quiet --strict
	@echo build/docs/index.html

bench: $(VENV)/.installed
	@$(BIN)/python -m transfusion_tf_experiments.benchmarks

clean:
	rm -rf $(VENV) $(VENV)-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage

$(VENV)/.installed: setup.cfg constraints.txt
	@echo "Installing into $(VENV) (about 3 GB, a few minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "transfusion_tf needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python cannot make virtual environments here: apt-get install python3-venv"; exit 1; }
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	@$(PIP) --editable '.[docs]'
	@touch $@

$(VENV)/.installed-extras: $(VENV)/.installed-dev
	@$(PIP) --editable '.[dev,$(EXTRAS)]'
	@touch $@
