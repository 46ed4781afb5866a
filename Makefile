# Everything here works on a fresh machine with Python 3.11+ and make; no Docker, no root, no step by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
# What is compiled is kept, whatever the shell says: suite and demo start hundreds of programs, and each would compile all of ours.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test check lint prove bench lock

help:  ## what one can do here
	@grep -hE '^[a-z.]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@echo "Making the environment in $(VENV) (once, about a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Fascia needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv: $(VENV)/.ready  ## make the environment

demo: $(VENV)/.ready  ## the hospital in a box: start everything, play the story (ONCE=1: check it and stop)
	@$(BIN)/fascia demo $(if $(ONCE),--once)

lint: $(VENV)/.ready  ## ruff, mypy strict, import rules, the compose file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.temporal.yml

test: $(VENV)/.ready  ## all behaviour, on the real stack
	@$(BIN)/python -m stack prepare
	@$(BIN)/python -m pytest -m "not prove" -n 3 --dist loadscope --no-loadscope-reorder

check: lint test  ## the whole gate

prove: $(VENV)/.ready  ## the exhaustive loops: every kill point, long fuzz, load; results into docs/
	@$(BIN)/python -m pytest -m prove --timeout=3600

bench: $(VENV)/.ready  ## measure, and write docs/benchmarks.md
	@$(BIN)/python -m bench

lock: $(VENV)/.ready  ## write the dependency locks anew
	uv pip compile --universal --python-version 3.11 --prerelease if-necessary-or-explicit --generate-hashes \
	  --no-emit-index-url --no-header --extra local --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --prerelease if-necessary-or-explicit --generate-hashes \
	  --no-emit-index-url --no-header -c requirements/dev.txt pyproject.toml -o requirements/runtime.txt
