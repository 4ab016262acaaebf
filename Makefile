.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each environment is rebuilt when what it installs changes.
STAMP := $(VENV)/.installed

.PHONY: help setup run train demo test test-slow test-browser lint types bench docs wheel clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP)-%: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$*]"
	@touch $@

setup: $(STAMP)-dev ## Make the virtual environment with everything for development

run: $(STAMP)-offline ## Print, write and draw the graph of a text, found by the bundled model
	$(BIN)/docre extract --file recipes/unseen_text.txt --json outputs/graph.json --picture outputs/graph.svg

train: $(STAMP)-offline ## Train a small model on the sample corpus, score it, print the graph of a new text
	$(BIN)/docre train jerex_sample
	$(BIN)/docre extract --model outputs/jerex_sample --file recipes/unseen_text.txt

demo: $(STAMP)-demo ## Serve the demo page of the bundled model, or make demo MODEL=outputs/jerex_sample
	$(BIN)/python spaces/demo/app.py $(MODEL)

test: $(STAMP)-test ## Run the tests, except for the slow ones
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile -m "not slow and not browser"

test-slow: $(STAMP)-test ## Run the tests that take longer
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile -m slow

test-browser: $(STAMP)-e2e ## Run the tests of the demo page in Chromium
	$(BIN)/python -m pytest -q -m browser

lint: $(STAMP)-dev ## Check style, format, the arrows between rooms, and the dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/deptry .

types: $(STAMP)-dev ## Check types
	$(BIN)/mypy

bench: $(STAMP)-offline ## Measure speed and memory against the bare encoder, in ten minutes or less
	$(BIN)/python benchmarks/floor.py --documents 5 --repetitions 2
	$(BIN)/python benchmarks/speed.py --encoders minilm --documents 8 --training_documents 2 --lengths 500 --repetitions 2
	$(BIN)/python benchmarks/end_to_end.py --texts 30
	$(BIN)/python benchmarks/batches.py --documents 20 --repetitions 2

docs: $(STAMP)-docs ## Build the documentation into build/docs; warnings are errors
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs build/docs

wheel: $(STAMP)-dev ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## Remove the virtual environment and what builds leave behind
	rm -rf $(VENV) dist build outputs .mypy_cache .ruff_cache .pytest_cache .hypothesis
