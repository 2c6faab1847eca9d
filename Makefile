# make demo    everything on this machine: provider, playground and proxy
# make test    every test; installs Redis, Chromium, Node.js, Glewlwyd from the distribution when it may
# make check   format, lint, types, architecture, generated files
# make format  rewrite the sources in the house's format
# make generate  rewrite the files that are made from the settings
# make .env    secrets for compose.yml
# make bench   everything measured beside nginx; ROUNDS=1 SECONDS=2 ONLY=get,auth for a quick look
# PYTHON=python3.12 chooses the interpreter, TESTS="tests/rules -k gate" what pytest runs.

PYTHON ?= python3
TESTS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PROVIDERS := tests/providers/node_modules/.package-lock.json
CANAILLE := .venv-canaille
SOURCES := proxy tests bench

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench format generate clean

help:
	@sed -n 's/^# //p' Makefile

demo: $(VENV)/installed
	@exec $(BIN)/auth-proxy demo

test: $(VENV)/installed-dev $(PROVIDERS) $(CANAILLE)/installed
	@scripts/need redis-server chromium glewlwyd curl git
	@$(BIN)/python -m pytest $(TESTS)

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/mypy --no-error-summary
	$(BIN)/python -m pytest --quiet tests/test_architecture.py
	$(BIN)/auth-proxy generate --check

bench: $(VENV)/installed-bench
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null || scripts/need nginx-light
	@scripts/need wrk redis-server
	@$(BIN)/python -m compileall -q proxy  # as in an installation: starts are measured as well
	@exec $(BIN)/python -m bench $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only $(ONLY))

format: $(VENV)/installed-dev
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix-only $(SOURCES)

generate: $(VENV)/installed
	$(BIN)/auth-proxy generate

clean:
	rm -rf $(VENV) $(CANAILLE) tests/providers/node_modules build dist *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .cache

.env:
	@scripts/new-env

# The files named "installed" record that pip finished; a changed pyproject.toml asks for more.
$(VENV)/installed: pyproject.toml scripts/venv
	@scripts/venv $(VENV) $(PYTHON)
	@echo "Installing auth-proxy into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml scripts/venv
	@scripts/venv $(VENV) $(PYTHON)
	@echo "Installing auth-proxy and its test tools into $(VENV)"
	@$(PIP) install --editable '.[dev]'
	@touch $(VENV)/installed $@

$(VENV)/installed-bench: pyproject.toml scripts/venv
	@scripts/venv $(VENV) $(PYTHON)
	@echo "Installing auth-proxy and what its bench needs into $(VENV)"
	@$(PIP) install --editable '.[bench]'
	@touch $(VENV)/installed $@

$(PROVIDERS): tests/providers/package.json tests/providers/package-lock.json
	@scripts/need node npm
	@echo "Installing the OpenID providers for the tests"
	@cd tests/providers && npm ci --silent --no-audit --no-fund
	@touch $@

# Of its own, since the versions that Canaille needs are not ours.
$(CANAILLE)/installed: tests/providers/canaille.txt scripts/venv
	@scripts/venv $(CANAILLE) $(PYTHON)
	@echo "Installing Canaille for the tests into $(CANAILLE)"
	@$(CANAILLE)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps \
		--requirement tests/providers/canaille.txt
	@touch $@
