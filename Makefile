# Every target sets up what it needs in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-compile
# Installing takes minutes; a dot every other second, until this shell has ended.
ALIVE := (while sleep 2 && kill -0 $$$$ 2>/dev/null; do printf .; done) &
TESTS ?= tests
WORKERS ?= 4
# The tests start hundreds of interpreters, which would otherwise compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help docs demo test check format reference soak mutants bench serve clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with 'make PYTHON=python3.12 …'." >&2; exit 1; }
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "Installing deriva-ml and what the example needs …"
	@$(ALIVE) $(PIP) --editable '.[demo]'; status=$$?; echo; exit $$status
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing deriva-ml and the development tools …"
	@$(ALIVE) $(PIP) --editable '.[dev]'; status=$$?; echo; exit $$status
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## run a real experiment, from raw images to a traced prediction
	@$(BIN)/python examples/demo.py --folder demo

test: $(VENV)/.dev  ## run the test suite
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not soak" $(TESTS)

check: $(VENV)/.dev  ## lint, types and import floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev  ## format the code and mend what the linter can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

reference: $(VENV)/.dev  ## make the pages of reference that tell commands, schema and dependencies
	@$(BIN)/python -m deriva_ml.cli.reference > docs/reference/.commands.md
	@mv docs/reference/.commands.md docs/reference/commands.md
	@$(BIN)/deriva-ml validate-schema --write
	@$(BIN)/python docs/dependencies.py

soak: $(VENV)/.dev  ## long matrices: kills, fuzz, concurrency, scale
	@$(BIN)/python -m pytest -q -m soak --timeout 3600 tests
	@FRESH_INTERPRETERS=1 $(BIN)/python -m pytest -q -m "not soak" tests/cli tests/house/test_docs.py

mutants: $(VENV)/.dev  ## change the pure rules step by step, and list what no test notices
	@$(PIP) 'mutmut>=3.8'
	@$(BIN)/python -m tests.mutants $(ONLY)

bench: $(VENV)/.dev  ## measure the main costs, and write them to docs/explanation/performance.md
	@$(BIN)/python -m benchmarks.run $(GROUPS)

docs: $(VENV)/.dev  ## make the documentation as a site in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "The documentation is in site/index.html."

serve: $(VENV)/.demo  ## serve the demo's deployment on this machine
	@$(BIN)/deriva-ml serve demo/lab

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache mutants
