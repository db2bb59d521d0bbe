# `make demo` and `make test` need Python, make and the package index, nothing else. PYTHON chooses the interpreter.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 9000
FUZZ_SECONDS ?= 600
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary
# make test REQUIRE=browser: a skipped browser test is a failed one; REQUIRE=test: any skipped test is.
# The tests of what calls the C part directly.
IN_C := framing masking messaging speedups streaming utf8validator
PYTEST := $(BIN)/python -m pytest $(REQUIRE:%=--require=%)
# Where pyenv is, the interpreters that it has installed are found too.
PYENV := $(shell command -v pyenv >/dev/null 2>&1 && printf ':%s' "$$(pyenv root)"/versions/*/bin)

.PHONY: help demo test test-all lint types modules unit conformance matrix attack browser soak sanitize fuzz bench docs dist clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

demo: $(VENV)/base  ## a chat in the browser, on http://127.0.0.1:9000/
	@$(BIN)/python -m ws4py serve --host $(HOST) --port $(PORT)

test: lint types modules  ## everything, on one Python; REQUIRE=browser fails where no browser test can run
	$(PYTEST) --cov --cov-report=term

test-all: $(VENV)/tox  ## the tests on every Python, and on PyPy
	PATH="$$PATH$(PYENV)" $(BIN)/tox run

lint: $(VENV)/test  ## ruff: rules and format; bandit: what may not be secure
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --configfile pyproject.toml --quiet --recursive ws4py

types: $(VENV)/test  ## mypy, strict: the package, and programs as users write them
	$(BIN)/mypy
	$(PYTEST) -q test/test_typing.py

modules: $(VENV)/test  ## each module of the core: all branches run by its own test file
	cd test && ../$(BIN)/python module_coverage.py

unit: $(VENV)/test  ## the tests without other programs
	$(PYTEST) -k 'not (attack or browser or conformance or interop or matrix or soak)'

conformance: $(VENV)/test  ## Autobahn's cases; writes the table of the documentation
	cd test && ../$(BIN)/python -m conformance --write ../docs/conformance_table.rst

matrix: $(VENV)/test  ## every server with every client; writes the table of the documentation
	cd test && ../$(BIN)/python -m matrix --write ../docs/matrix_table.rst

attack: $(VENV)/test  ## every attack on every server and client, in its full size; writes the tables of the documentation
	cd test && ../$(BIN)/python -m attack --write ../docs/attacks_table.rst

browser: $(VENV)/test  ## the demo and the chat on CherryPy, in headless Chromium and Firefox
	$(PYTEST) -k browser --require=browser

soak: $(VENV)/test  ## 2,000 clients in one manager; a minute of vanishing clients for each server
	$(PYTEST) -v -k soak --require=soak
	cd test && ../$(BIN)/python -m soak --seconds 60

sanitize: $(VENV)/test  ## the C part under ASan and UBSan, with the tests that call it
	CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all' $(BIN)/python setup.py --quiet build --force \
		--build-temp build/sanitized/temp --build-lib build/sanitized/lib
	cd test && LD_PRELOAD="$$($(CC) -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
		PYTHONPATH=../build/sanitized/lib ../$(BIN)/python -m pytest -q $(IN_C:%=test_%.py)

fuzz: $(VENV)/fuzz  ## each fuzz target for FUZZ_SECONDS (600), two at a time; also fails on a branch it has not reached
	cd test && ../$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS)

bench: $(VENV)/test  ## ws4py beside other libraries under the same load; BENCH='--quick' is a short form
	$(BIN)/python bench $(BENCH)

docs: $(VENV)/docs  ## the documentation, in docs/_build
	$(BIN)/sphinx-build -W --keep-going --quiet docs docs/_build

dist: $(VENV)/dist  ## sdist and wheel, checked, in dist/
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

clean:  ## remove what was made
	rm -rf $(VENV) bench/.environments bench/results .tox .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist docs/_build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# One file for each set of packages in the virtual environment, as old as its installation. The pip that comes with
# Python 3.9 gets lost among the requirements of the tests, hence a new one.
$(VENV)/base: pyproject.toml setup.py ws4py/_speedups.c
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --editable .
	@touch $@

$(VENV)/test $(VENV)/docs: $(VENV)/%: $(VENV)/base
	$(PIP) --editable '.[$*]'
	@touch $@

# Without a wheel of atheris for this Python it is hypothesis that makes up the inputs.
$(VENV)/fuzz: $(VENV)/test
	$(PIP) --only-binary atheris --editable '.[fuzz]' || echo 'atheris cannot be installed here'
	@touch $@

$(VENV)/tox: $(VENV)/base
	$(PIP) 'tox>=4.21'
	@touch $@

$(VENV)/dist: $(VENV)/base
	$(PIP) build 'twine>=6.1'
	@touch $@
