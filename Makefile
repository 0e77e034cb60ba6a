# One command each; everything is set up on the way. `make` alone lists them.
#
# PYTHON=python3.12 make test   uses another Python (3.11, 3.12 or 3.13) and a .venv of its own.

SHELL := /bin/sh
.DEFAULT_GOAL := help

ifeq ($(origin PYTHON),undefined)
PYTHON := python3
VENV := .venv
else
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif

BIN := $(VENV)/bin
# Without it each of the many processes would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
CODE := conveyor_site runners runs belts products tests $(wildcard bench) manage.py
# Tests run side by side; a file's tests stay together.
TEST_JOBS ?= 2
# No test is retried, except those of browsers and processes: see tests/reruns.py.
PYTEST := $(BIN)/python -m pytest -q -n $(TEST_JOBS) --dist loadfile

.PHONY: help run demo check test test-sqlite test-postgres lint bench clean system-packages

help:
	@echo "make run     a site with three example products on http://127.0.0.1:8000 (PORT=9000 make run: on port 9000)"
	@echo "make demo    one merge through three products, in the terminal"
	@echo "make check   lint, and the tests that start no processes, on SQLite: the inner loop"
	@echo "make test    lint, and all tests on SQLite and on PostgreSQL"
	@echo "make lint    ruff, mypy, import-linter, missing migrations"
	@echo "make bench   how fast, beside references measured in the same run"
	@echo "make clean   remove environments and caches (the data in .conveyor stays)"

run: $(VENV)/.runtime
	@command -v git >/dev/null || { echo "make run needs git: install it and try again." >&2; exit 1; }
	@exec $(BIN)/python manage.py demo_site $(if $(PORT),--port $(PORT))

demo: $(VENV)/.runtime
	@command -v git >/dev/null || { echo "make demo needs git: install it and try again." >&2; exit 1; }
	@exec $(BIN)/python manage.py demo

check: lint
	$(PYTEST) -m "not processes"

test: lint test-sqlite test-postgres

test-sqlite: $(VENV)/.dev | system-packages
	$(PYTEST)

test-postgres: $(VENV)/.dev | system-packages
	$(PYTEST) --postgres

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	@data=$$(mktemp -d); \
	CONVEYOR_DATA_DIR=$$data $(BIN)/python manage.py makemigrations --check --dry-run; \
	code=$$?; rm -rf "$$data"; exit $$code

bench: $(VENV)/.dev
	$(BIN)/python -m bench

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

system-packages:
	@.ci/system-packages

# A stamp stands for an environment that agrees with the file it was made from.
$(VENV)/bin/python:
	@.ci/environment "$(PYTHON)" "$(VENV)"

$(VENV)/.runtime: requirements.txt | $(VENV)/bin/python
	@echo "Installing dependencies into $(VENV) (about half a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(VENV)/.runtime $@
