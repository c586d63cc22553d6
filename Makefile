# `make` lists the targets. Everything is installed into .venv; nothing outside it is touched,
# but for the Debian packages of `make test` and `make bench`, and those only as root.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help up test lint fix docs bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

up: ## Install Headgate into .venv and run it here (ARGS="--port 5001": options of `headgate up`)
	@PYTHON="$(PYTHON)" scripts/install.sh
	@exec $(BIN)/headgate up $(ARGS)

test: ## Install what the tests need and run them all (GROUP=attacks: one folder of tests)
	@scripts/install_test_tools.sh test
	@PYTHON="$(PYTHON)" scripts/install.sh dev
	@$(if $(GROUP),,$(MAKE) --no-print-directory lint)
	@exec $(BIN)/python -m pytest $(if $(GROUP),tests/$(GROUP)) $(ARGS)

lint: ## Check style, types, import boundaries and that the reference pages are current
	@PYTHON="$(PYTHON)" scripts/install.sh dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/make_docs.py --check

fix: ## Format, and mend what can be mended
	@PYTHON="$(PYTHON)" scripts/install.sh dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: ## Write the reference pages: docs/settings.md, docs/cli.md, docs/headgate.toml
	@PYTHON="$(PYTHON)" scripts/install.sh dev
	$(BIN)/python scripts/make_docs.py

bench: ## Measure Headgate beside MLflow as it comes, and print a table
	@scripts/install_test_tools.sh bench
	@PYTHON="$(PYTHON)" scripts/install.sh dev
	@exec $(BIN)/python -m bench $(ARGS)
