# Everything runs on the Node 24 that npm installs into node_modules, whatever Node started it.
SHELL := /bin/sh
NODE := node_modules/.bin/node
# Tools with a `#!/usr/bin/env node` line must find that Node first.
WITH_NODE := PATH="$(CURDIR)/node_modules/.bin:$$PATH"
MILLRACE := ./millrace
# The Node that runs the tests; what they start runs on NODE.
TEST_NODE ?= $(NODE)

.PHONY: help install demo up down status test test-faults test-failovers test-notebooks console pictures site lint check bench bench-http bench-console build clean

help:
	@echo "make demo              the whole story on real servers; Ctrl-C ends it (EXIT=1: ends by itself)"
	@echo "make demo EMBEDDED=1   the same in one process, without Java and Docker"
	@echo "make up | down | status   the local stack: Kafka, Valkey, schema registry, ClickHouse"
	@echo "make console           builds the pages that millrace api and millrace dev serve below /console/"
	@echo "make pictures          a picture of every page of a running API, light, dark, wide and narrow (URL= KEY=)"
	@echo "make test              every test"
	@echo "make test-faults       processes and servers killed, frozen, cut off and emptied, for longer (SEED= MINUTES= ONLY= PAUSES=1)"
	@echo "make test-failovers    the flights at full speed while primaries of a Redis Cluster, then of Sentinels fail over (MINUTES= EVERY= ONLY=)"
	@echo "make test-notebooks    executes notebooks/ beside running streams; installs their Python packages first (UPDATE=1: keeps what they show)"
	@echo "make site              builds the documents into data/site (SITE_BASE=/path/ for a host's path)"
	@echo "make lint              format, lint, types"
	@echo "make check             format, lint, types, then every test"
	@echo "make bench             rates, latencies and CPU on this machine, as JSON"
	@echo "make bench-http        the HTTP API beside a bare Fastify route, as JSON"
	@echo "make bench-console     a page left open at 5,000 events a second: its memory and its longest tasks (MINUTES= RATE=)"
	@echo "make build             compiles the package into dist/; npm pack makes it a file"
	@echo "make clean             stops the local stack and removes what was installed and built here"

# Not npm ci: it wants every platform's binary in the lock file, and a registry that keeps only some platforms
# writes a lock file without the others. npm install takes the locked versions all the same.
install:
	@node .ci/installed.mjs || npm install --no-fund --no-audit --loglevel=error

# The pages that the HTTP API serves below /console/, built from console/.
console: install
	@$(NODE) node_modules/vite/bin/vite.js build console --logLevel warn

pictures: install
	@$(NODE) console/pictures.ts $(if $(URL),--url $(URL)) $(if $(KEY),--key $(KEY)) $(ARGS)

demo: console
	@$(MILLRACE) demo $(if $(EMBEDDED),--embedded) $(if $(EXIT),--exit) $(ARGS)

up: install
	@$(MILLRACE) up

down: install
	@$(MILLRACE) down

status: install
	@$(MILLRACE) status

test: install
	@$(WITH_NODE) $(TEST_NODE) node_modules/vitest/vitest.mjs run --reporter=default --reporter=./tests/reporter.ts $(ARGS)

test-failovers: install
	@$(WITH_NODE) $(NODE) tests/faults/failovers.ts $(if $(MINUTES),--minutes $(MINUTES)) $(if $(EVERY),--every $(EVERY)) $(if $(ONLY),--only '$(ONLY)') $(ARGS)

# The long form; the short one is a test. Prints a table of faults and what came of each.
test-faults: install
	@$(WITH_NODE) $(NODE) tests/faults/faults.ts $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(ONLY),--only '$(ONLY)') $(if $(PAUSES),--pauses) $(ARGS)

# Apart from `test`: what the notebooks need of Python is 700 MB, and takes more than a minute to install.
test-notebooks: install
	@UPDATE=$(UPDATE) $(NODE) tests/notebooks/notebooks.ts

# The documents as pages: static files, for any web server.
site: install
	@$(WITH_NODE) $(NODE) node_modules/vitepress/bin/vitepress.js build docs

lint: install
	@$(WITH_NODE) biome ci --diagnostic-level=error .
	@$(WITH_NODE) tsc --noEmit
	@$(WITH_NODE) tsc --noEmit -p console

check: lint
	@$(MAKE) --no-print-directory test

bench: install
	@$(NODE) tests/benchmarks/bench.ts $(ARGS)

bench-http: install
	@$(NODE) tests/benchmarks/http.ts $(ARGS)

bench-console: console
	@$(NODE) tests/benchmarks/console.ts $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE)) $(ARGS)

build: install
	@$(WITH_NODE) $(NODE) .ci/build.mjs

clean:
	@if [ -x $(NODE) ]; then $(MILLRACE) down || true; fi
	rm -rf node_modules data dist
