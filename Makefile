# Two commands matter: `make demo` tries it without an account, `make test` passes all tests. Both set up first.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.set-up
MENU_TOOLS = tests/apps_script/node_modules
MENU_STAMP = $(MENU_TOOLS)/.set-up
EMULATOR = .venv-bigquery
DAGSTER = .venv-dagster

.PHONY: setup setup-bigquery setup-dagster demo up test test-bigquery-real check format docs templates pictures bench wheel clean

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# uv takes seconds where pip takes minutes; pip knows settings of this machine that uv may not.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv && \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]' || \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The tests of the Sheet's menu need node; where it or its packages cannot be had, they are skipped and say so.
$(MENU_STAMP): tests/apps_script/package-lock.json
	@if ! command -v npm >/dev/null; then echo "npm is not installed: the tests of the Sheet's menu are skipped"; \
	elif (cd tests/apps_script && npm ci --silent); then touch $@; \
	else echo "npm could not get its packages: the tests of the Sheet's menu are skipped"; fi

setup: $(STAMP)  ## a virtual environment with everything

$(EMULATOR)/.set-up: tests/bigquery-emulator.txt
	@$(PYTHON) tools/setup_bigquery.py $(EMULATOR)

setup-bigquery: $(EMULATOR)/.set-up  ## the BigQuery emulator for the tests, where there is a Python 3.13

# Dagster is as large as all the rest, so that its tests have an environment of their own; uv fills it within seconds.
$(DAGSTER)/.set-up: pyproject.toml | $(STAMP)
	@if $(BIN)/uv venv --quiet --clear --python $(BIN)/python $(DAGSTER) && \
	$(BIN)/uv pip install --quiet --python $(DAGSTER)/bin/python --editable '.[dagster]' dagster-dg-cli dagster-webserver; \
	then touch $@; else echo "Dagster cannot be installed here: its tests are skipped"; fi

setup-dagster: $(DAGSTER)/.set-up  ## Dagster, for its tests and its picture

demo: setup  ## import from a simulated TikTok into DuckDB, twice
	$(BIN)/owox-tiktok demo

up: setup  ## the whole product on this machine: a Sheet with its menu, in the browser
	$(BIN)/owox-tiktok local up

# Tests wait for servers more than they compute: twice as many workers as processors.
WORKERS = $(shell python3 -c "import os; print(2 * (os.cpu_count() or 1))" 2>/dev/null || echo auto)

test: setup setup-bigquery setup-dagster $(MENU_STAMP)  ## all tests
	$(BIN)/python -m pytest -n $(WORKERS)

# PROJECT=my-project, where it costs some cents; PROJECT=emulator runs the same without Google.
test-bigquery-real: setup setup-bigquery  ## the promises of a destination in a throw-away dataset of a real project
	@test -n "$(PROJECT)" || { echo "Name a project: make test-bigquery-real PROJECT=my-project"; exit 1; }
	BIGQUERY_PROJECT=$(PROJECT) $(BIN)/python -m pytest tests/real_bigquery.py -n 0 -s $(if $(ONLY),-k "$(ONLY)")

check: setup  ## lint, types, import floors, docs in step
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/make_objects_doc.py --check
	$(BIN)/python tools/make_commands_doc.py --check
	$(BIN)/python tools/make_blocks.py --check
	$(BIN)/python tools/make_notebook.py --check
	$(BIN)/python tools/make_templates.py --check
	$(BIN)/python tools/check_docs.py
	$(BIN)/shellcheck cloud_function/deploy.sh .ci/run
	$(BIN)/hadolint docker/Dockerfile

format: setup  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## write what the documents take from the program
	$(BIN)/python tools/make_objects_doc.py
	$(BIN)/python tools/make_commands_doc.py
	$(BIN)/python tools/make_blocks.py
	$(BIN)/python tools/play_documents.py
	$(BIN)/python tools/make_notebook.py

templates: setup  ## rebuild the template Sheets
	$(BIN)/python tools/make_templates.py

# Chromium, and the fonts that make the pictures look the same everywhere: fonts-liberation, fonts-noto-color-emoji.
pictures: setup setup-bigquery setup-dagster $(MENU_STAMP)  ## refresh docs/pictures from real runs; PICTURES="demo sheet" names some
	$(BIN)/python -m tools.make_pictures $(PICTURES)

bench: setup  ## measure; prints each figure with its bound
	$(BIN)/python -m benchmarks

wheel: setup  ## build what pip installs, into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

clean:
	rm -rf $(VENV) $(MENU_TOOLS) $(EMULATOR) $(DAGSTER) build dist *.egg-info owox_tiktok.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo
