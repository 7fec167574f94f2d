PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTHON_FILES := src tests examples benchmarks docs
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: demo test setup format lint types tests coverage docs site verify-catalogue clean

demo: $(VENV)/.installed  ## Train a small IS-Net on drawn scenes and show that it has learnt.
	rm -rf demo
	$(BIN)/dichoseg demo --out demo

test: lint types tests docs  ## All that CI runs.

setup: $(VENV)/.installed  ## Make the virtual environment.

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[test,docs]"
	touch $@

format: setup
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/ruff check --fix $(PYTHON_FILES)

lint: setup
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

tests: setup
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

coverage: setup  ## The tests with coverage by line and branch, of all processes that they start.
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage html --quiet

docs: setup
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict

site: setup  ## Pack the documentation for reading offline: dist/dichoseg-docs.zip.
	mkdir -p dist
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --no-directory-urls --site-dir dist/docs
	cd dist && rm -f dichoseg-docs.zip && $(abspath $(BIN))/python -m zipfile -c dichoseg-docs.zip docs/* && rm -r docs

verify-catalogue: setup  ## Download each published file from each address, and try it: NAMES="u2net u2netp", or all.
	$(BIN)/python -m tests.verify_catalogue $(NAMES)

clean:
	rm -rf $(VENV) site demo dist htmlcov .coverage*
