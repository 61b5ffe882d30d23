# Needs Python 3.11 and make, nothing else: the first target run makes .venv from requirements.lock.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: demo test lint lock clean help install

BIN := .venv/bin
TYPED := tff_affect data_prep experiments benchmarks
UV := $(or $(shell command -v uv),.tools/bin/uv)

help:  ## Show these targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: install  ## Run the embedded SYNTHETIC demonstration and write its report
	$(BIN)/tff-affect demo

test: install  ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install  ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)

install:  ## Make .venv agree with the lock (at once if it does)
	@.ci/python .ci/bootstrap.py

lock: $(UV)  ## Compile requirements.lock again from requirements.in
	$(UV) pip compile requirements.in --override overrides.txt --generate-hashes --no-emit-index-url \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_31 -o requirements.lock

.tools/bin/uv:
	@.ci/python -m venv .tools
	@.tools/bin/python -m pip install --quiet uv

clean:  ## Remove what was built and cached, and .venv
	rm -rf .venv .tools build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
