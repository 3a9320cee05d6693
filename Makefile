# `make` lists what there is to do. Each target does the set-up it needs, in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# A folder of wheels beside the checkout is used if there is one, for example with torch's build for processors only.
export PIP_FIND_LINKS := $(strip $(PIP_FIND_LINKS) $(abspath $(wildcard ../shared/wheels)))
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# DeepSpeed compiles nothing when it is installed: what it needs of its own kernels here is nothing.
export DS_BUILD_OPS := 0

# A stamp is named after what was installed, so a change of it installs again and nothing else does.
WANTED  := $(shell cat pyproject.toml constraints/versions.txt | sha256sum | cut -c1-16)
TRAINER := $(VENV)/.trainer-$(WANTED)
DEV     := $(VENV)/.dev-$(WANTED)
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints/versions.txt

.DEFAULT_GOAL := help
.PHONY: help setup quickstart demo demo-down transcript lint test test-e2e test-parity test-resume test-strategies test-rights test-install test-all bench-trainer bench-strategies bench-operator crd docs docs-links clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed ($(PYTHON) is not that). Say which one to take: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(TRAINER): | $(VENV)/bin/pip
	@echo "Setting up $(VENV): PyTorch and the trainer. The first time this takes about 3 minutes and 1.4 GB (6 GB with PyTorch's CUDA build)."
	@$(INSTALL) pip
	@$(INSTALL) --editable '.[trainer]'
	@rm -f $(VENV)/.trainer-* && touch $@

$(DEV): $(TRAINER)
	@echo "Setting up $(VENV): tools for tests. The first time this takes about half a minute."
	@$(INSTALL) --editable '.[trainer,deepspeed,qlora,operator]' --group dev --group docs
	@rm -f $(VENV)/.dev-* && touch $@

setup: $(DEV) ## install everything into .venv (the other targets do it by themselves)

quickstart: $(TRAINER) ## fine-tune a small chat model with two processes, then talk to it (about 8 minutes)
	@$(BIN)/python examples/quickstart/quickstart.py

demo: $(DEV) ## a cluster of two nodes, the operator, one job on both nodes, its result (about 20 minutes the first time)
	@PYTHONPATH=tests:. $(BIN)/python examples/cluster/demo.py

demo-down: $(DEV) ## take the cluster away again, with all that was started for it
	@PYTHONPATH=tests:. $(BIN)/python -m cluster down

transcript: $(DEV) ## record docs/transcript.md on the demo's cluster: kubectl finetune from submit to chat (about 8 minutes)
	@PYTHONPATH=tests:. $(BIN)/python examples/cluster/transcript.py

lint: $(DEV) ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Tests start many processes; more threads than that only get into each other's way.
test test-e2e test-parity test-resume test-strategies test-rights test-install test-all: export OMP_NUM_THREADS := 1

test: lint ## lint and tests, without the suites below
	$(BIN)/pytest -m 'not parity and not resume and not strategies and not rights and not install'

test-e2e: $(DEV) ## only the tests on the real two-node cluster
	$(BIN)/pytest -m 'e2e and not install'

test-parity: $(DEV) ## the same loss on 1, 2 and 4 ranks
	$(BIN)/pytest -m parity

test-resume: $(DEV) ## the same bits after kills and stops
	$(BIN)/pytest -m resume

test-strategies: $(DEV) ## every strategy: loss, kills, ranks, presets (about an hour)
	$(BIN)/pytest -m 'strategies and not e2e' --durations=0 -rA

test-rights: $(DEV) ## the operator without each of its rights in turn
	$(BIN)/pytest -m rights --durations=0 -rA

test-install: $(DEV) ## upgrade, uninstall and install again on the two-node cluster while jobs run (about 4 minutes)
	$(BIN)/pytest -m install --durations=0 -rA

test-all: lint ## lint and all tests but test-strategies, test-rights and test-install
	$(BIN)/pytest -m 'not strategies and not rights and not install' --durations=25

bench-trainer: $(TRAINER) ## speed and memory against a plain PyTorch loop (about 20 minutes)
	@$(BIN)/python -m bench.trainer

bench-strategies: $(DEV) ## speed, memory and checkpoints of each strategy against its library alone (about 40 minutes)
	@$(BIN)/python -m bench.strategies

bench-operator: $(DEV) ## latency, API writes, CPU and memory of the operator against bare Jobs (about 15 minutes)
	@PYTHONPATH=tests:. $(BIN)/python -m bench.operator

crd: $(TRAINER) ## write crds/, the chart's copy and docs/fields.md again from the API's models
	$(BIN)/python -m finetune_api.crd

# -W: a broken reference, or a page that is in no table of contents, is an error.
SPHINX := $(BIN)/sphinx-build -W --keep-going --quiet

docs: $(DEV) ## the documentation as a site, in dist/docs
	$(SPHINX) --builder html docs dist/docs
	@echo "dist/docs/index.html"

docs-links: $(DEV) ## see that the links to other sites lead somewhere (needs the internet)
	$(SPHINX) --builder linkcheck docs dist/docs-links

clean: ## remove .venv, runs/ and caches
	rm -rf $(VENV) runs dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
