# Everything a user or CI calls. `make study` and `make test` need nothing but
# Python 3.11 or later and make: each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help install study test test-fast lint bench clean

help:
	@echo "make study      draw data, pretrain the donor, run the study, print the report's path"
	@echo "make test       lint, types and every test"
	@echo "make test-fast  the tests that take seconds"
	@echo "make bench      the benchmarks behind the README's table"
	@echo "make install    only create $(VENV)"

install: $(VENV)/.installed

study: $(VENV)/.installed
	@$(BIN)/transfusion-study --study=demo

test: lint
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

test-fast: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile -m "not slow"

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.installed
	@$(BIN)/python -m transfusion_tf_experiments.benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.installed: setup.cfg constraints.txt
	@echo "Installing into $(VENV) (about 3 GB, a few minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "transfusion_tf needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python cannot make virtual environments here: apt-get install python3-venv"; exit 1; }
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) --editable '.[dev,keras-cv,dicom,beam,transformers]'
	@touch $@
