# `make demo` and `make test` do everything on a fresh Debian 12; the rest is for developers.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
DATA ?= rendered
LIMIT ?= 900
KEEP ?=
BENCH_DATA ?=
WEB_SOURCES := $(shell find clients/web -path '*/node_modules' -prune -o -path '*/dist' -prune -o -type f -print)

.PHONY: help deps web stubs demo serve test lint soak bench wheel clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

deps: .venv/installed clients/web/dist/index.html ## what everything else needs: system libraries, .venv, the web bundle

.venv/installed: pyproject.toml clients/python/pyproject.toml constraints.txt tools/system_libraries.sh
	tools/system_libraries.sh
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    -c constraints.txt -e clients/python -e '.[dev]'
	touch $@

web: clients/web/dist/index.html ## the viewer's production bundle

clients/web/dist/index.html: .venv/installed $(WEB_SOURCES)
	$(BIN)/python tools/build_web.py

stubs: .venv/installed ## generate the Python stubs from proto/
	$(BIN)/python tools/generate_stubs.py

demo: deps ## stream a recording (DATA=path, default: the rendered room) through a real server
	$(BIN)/mapcast demo $(DATA) --limit $(LIMIT) --out out $(if $(KEEP),--keep)

serve: deps ## a server on this machine
	$(BIN)/mapcast serve

test: deps lint ## all tests: two files at a time, then those that need the machine for themselves
	tools/system_libraries.sh test
	$(BIN)/python tools/build_web.py --check
	$(BIN)/python -m pytest -m 'not alone' -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m alone tests/device tests/e2e

lint: deps ## format, style, types, import direction, stubs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate_stubs.py --check

soak: deps ## what takes longer than CI has
	$(BIN)/python -m pytest tests/soak

bench: deps ## the figures against their peers (needs MAPCAST_DATA or BENCH_DATA); JSON in bench/
	tools/system_libraries.sh bench
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	mkdir -p bench
	for name in tsdf pipeline latency live viewer record correct recover refine align gpu; do \
	    $(BIN)/mapcast bench $$name $(if $(BENCH_DATA),--data $(BENCH_DATA)) --json bench/$$name.json || exit 1; done

wheel: deps ## both distributions, in dist/
	$(BIN)/python -m build --wheel --outdir dist clients/python
	$(BIN)/python -m build --wheel --outdir dist .

clean: ## what can be made again
	rm -rf .venv dist out bench clients/web/dist clients/web/node_modules
