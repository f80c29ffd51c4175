# Two commands do everything: `make audit` and `make test`. The rest is parts of them.

SHELL := /bin/bash
PY := .venv/bin/python
UV := .tools/bin/uv
LAB := $(PY) -m lab
LAB_OPTIONS = --platform lab/platform.yaml --kubeconfig $$($(LAB) kubeconfig)
RUN := runs/$(shell date -u +%Y%m%dT%H%M%SZ)

.DEFAULT_GOAL := help
.PHONY: help audit test table lint types replay lab-up lab-down falsify lock format clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

audit: .venv/ready lab-up ## boot the lab if there is none, audit it, write the report
	@.venv/bin/conformance audit --profile audit --allow-canaries $(LAB_OPTIONS) \
	    --run-folder $(RUN) || test $$? -ne 64
	@$(PY) -m lab.gaps $(RUN)/reports/run.json

test: .venv/ready ## the suite proves itself; needs neither root nor a cluster
	.venv/bin/pytest -n 3 -q

table: .venv/ready ## write the coverage table into the README
	@$(PY) -m tests.tables

lint: .venv/ready ## style, types, and what is generated is up to date
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/ready ## mypy, strict
	.venv/bin/mypy

replay: .venv/ready ## the report of a recorded run of the lab, without a lab
	@.venv/bin/conformance audit --replay docs/example-run.tar.xz --platform lab/platform.yaml \
	    --run-folder $(RUN) || test $$? -ne 64

lab-up: .venv/ready ## boot the lab, or what is missing of it
	@$(LAB) up

lab-down: .venv/ready ## end the lab and leave the machine as it was
	@$(LAB) down

falsify: .venv/ready lab-up ## break, audit, mend and deny every control; write docs/kill-table.md
	$(PY) -m tests.falsify --write

format: .venv/ready ## format and sort
	.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lock: .tools/ready ## pin the newest versions that pyproject.toml allows
	$(UV) pip compile -q pyproject.toml --group dev --universal --generate-hashes --no-header \
	    --upgrade -o requirements.lock

clean: ## remove what make made, but no runs
	rm -rf .venv .tools node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis

.tools/ready:
	@echo "setup: uv, which installs the rest"
	@python3 -m venv .tools || { \
	    echo "setup: python3 has no venv module; installing it"; \
	    apt-get update -qq && apt-get install -yqq python3-venv && python3 -m venv .tools; }
	@.tools/bin/pip install -q --disable-pip-version-check uv==0.9.5
	@touch $@

.venv/ready: .tools/ready requirements.lock pyproject.toml
	@echo "setup: the suite and its libraries into .venv"
	@test -x $(PY) || $(UV) venv -q --python 3.11 .venv
	@$(UV) pip sync -q --require-hashes requirements.lock
	@$(UV) pip install -q --no-deps --no-build-isolation -e .
	@if command -v npm >/dev/null; then echo "setup: Allure"; npm ci --silent; \
	    else echo "setup: no npm, so no allure.html; everything else works"; fi
	@touch $@
