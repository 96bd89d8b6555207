# Two commands on a fresh machine (Python 3.11+, Node 20+, git, make): `make demo` and `make test`.

VENV := .venv
BIN := $(VENV)/bin
PEERS := tests/e2e/peers
CHARTS := lsp_tap/report/charts
PYTHON ?= python3
PYTHONS ?= python3.12 python3.13 python3.14
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/$(PEERS)/node_modules/.bin:$(PATH)

.PHONY: help setup demo test check lint plugin charts live bench soak versions audit format clean

help:
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

# Programs that tests look at our output with, or record, as command:package of Debian.
SYSTEM := chromium:chromium nvim:neovim fc-list:fontconfig jq:jq

setup: .setup/python .setup/plugin .setup/charts .setup/peers .setup/consumers .setup/system .setup/basedpyright-1.31.7 ## install everything the other targets need

.setup/python: pyproject.toml
	@mkdir -p .setup
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

.setup/plugin: plugin/package-lock.json
	@mkdir -p .setup
	cd plugin && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.setup/charts: $(CHARTS)/package-lock.json
	@mkdir -p .setup
	cd $(CHARTS) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.setup/peers: $(PEERS)/package-lock.json
	@mkdir -p .setup
	# Not `npm ci`: it wants the other platforms' binaries in the lock file, which not every registry mirror has.
	cd $(PEERS) && npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

# The other tools that read our exports, apart from our own environment.
.setup/consumers: tests/export/consumers/requirements.txt tests/export/consumers/package-lock.json
	@mkdir -p .setup
	test -x $@/bin/python || $(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet --requirement tests/export/consumers/requirements.txt
	cd tests/export/consumers && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# An older version, for replays that must differ.
.setup/basedpyright-1.31.7: .setup/python
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $@ basedpyright==1.31.7
	@touch $@

.setup/system: Makefile
	@mkdir -p .setup
	@missing=; \
	for pair in $(SYSTEM); do command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair#*:}"; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    $$missing fonts-dejavu-core >/dev/null; \
	else echo "the tests need these programs (names of Debian's packages):$$missing"; exit 1; fi
	@touch $@

demo: .setup/python .setup/peers ## the whole chain on a small broken project
	$(BIN)/lsp-tap demo

test: setup lint plugin charts ## every check: lint, types, unit, property, golden, plugin, end to end
	$(BIN)/pytest -n 2 -m 'not soak'

check: setup lint plugin charts ## the inner loop: no real OpenCode, no real servers
	$(BIN)/pytest -n 2 -m 'not live and not soak'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --no-warn-unreachable lsp_tap
	$(BIN)/mypy --platform darwin --no-warn-unreachable lsp_tap
	$(BIN)/mypy --python-version 3.14 lsp_tap
	$(BIN)/lint-imports

plugin: setup ## type-check, build and test the plugin
	cd plugin && npm run --silent check && npm test --silent

charts: setup ## type-check the report's charts, and that the committed script is what they build
	cd $(CHARTS) && npm run --silent check

live: setup ## only the tests with the real OpenCode and real servers
	$(BIN)/pytest -n 2 -m live

bench: setup ## what the tap costs, against its peers
	$(BIN)/python -m tests.bench.relay
	$(BIN)/python -m tests.bench.writing
	$(BIN)/python -m tests.bench.inspect
	$(BIN)/python -m tests.bench.disk
	$(BIN)/python -m tests.bench.dataset

soak: setup ## long runs
	$(BIN)/pytest -m soak --timeout=0 -rP

versions: setup ## the quick tests with each Python that is installed, and with the lowest versions of what we depend on
	@for python in $(PYTHONS); do \
	  command -v $$python >/dev/null || { echo "$$python is not installed: not run"; continue; }; \
	  test -x .setup/$$python/bin/python || $$python -m venv .setup/$$python; \
	  .setup/$$python/bin/python -m pip install --quiet --upgrade --editable '.[dev]' && \
	  PATH="$(CURDIR)/.setup/$$python/bin:$$PATH" .setup/$$python/bin/python -m pytest -q -n 2 -m 'not live and not soak' || exit 1; \
	done
	test -x .setup/lowest/bin/python || $(PYTHON) -m venv .setup/lowest
	.setup/lowest/bin/python -m pip install --quiet uv
	.setup/lowest/bin/uv pip install --quiet --python .setup/lowest/bin/python --resolution lowest-direct --editable '.[dev]'
	PATH="$(CURDIR)/.setup/lowest/bin:$$PATH" .setup/lowest/bin/python -m pytest -q -n 2 -m 'not live and not soak'

audit: setup ## known vulnerabilities in what we depend on (asks the registries)
	$(BIN)/python -m pip freeze --exclude-editable > .setup/frozen
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement .setup/frozen # what cannot be looked up is no success
	cd plugin && npm audit
	cd $(CHARTS) && npm audit
	cd $(PEERS) && npm audit

format: setup
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .setup plugin/node_modules $(CHARTS)/node_modules $(PEERS)/node_modules tests/export/consumers/node_modules
