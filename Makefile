# Plumbing only; each target's work is a script below scripts/. `make` alone lists them.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-local run demo test check bench machine lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## put the program at .venv/bin/bascule, from locks with hashes
	@PYTHON="$(PYTHON)" scripts/setup

setup-dev: ## the same, with what tests and checks need
	@PYTHON="$(PYTHON)" scripts/setup dev

setup-local: ## the same, with the engine for a small model on this machine
	@PYTHON="$(PYTHON)" scripts/setup local

run: setup ## start the gateway and talk to the main agent; makes a home if there is none
	@scripts/run

demo: setup ## watch a model work and then turn, on a real gateway; ARGS="--policy DIR" for your own policy
	@scripts/demo $(ARGS)

# Three at once on two cores: what starts boxes and gateways waits for them much of its time.
test: setup-dev ## the tests; ARGS="tests/shell -k glob" picks some
	@.venv/bin/python -m pytest -q -n 3 --dist loadfile $(ARGS)

check: setup-dev ## format, lint, types, import law, house rules, tests
	@scripts/check

bench: setup-dev ## measure, print a table and write build/bench.json
	@.venv/bin/python -m bench $(ARGS)

machine: setup-dev ## try the installation on a whole Debian machine under qemu; as root; ARGS="--accel tcg" emulates it
	@scripts/machine $(ARGS)

lock: setup-dev ## resolve every dependency anew, none younger than a week
	@scripts/lock

clean: ## remove everything that was made here
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
