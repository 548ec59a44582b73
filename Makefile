# `make demo` and `make test` need Python 3.11 or later, a C++ compiler and make; they install everything else in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
venv := .venv
bin := $(venv)/bin
demo := $(venv)/.demo
installed := $(venv)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow install lint docs bench gallery

demo: $(demo)
	$(bin)/python -m elman.cli demo

test: $(installed)
	$(bin)/python -m pytest -m "not slow" -n 2 --timeout 300

test-slow: $(installed)
	$(bin)/python -m pytest -m slow -n 2 --dist loadfile --timeout 1200

install: $(installed)

lint: $(installed)
	$(bin)/clang-format --dry-run -Werror $(shell find native -type f)
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports

docs: $(installed)
	$(bin)/sphinx-build -W --keep-going -b html docs build/docs

bench: $(installed) $(venv)/.bench
	for file in $(wildcard benchmarks/bench_*.py); do $(bin)/python $$file || exit 1; done
	$(bin)/python benchmarks/summary.py

gallery: $(installed)
	for file in $(filter-out gallery/receipt.py,$(wildcard gallery/*.py)); do $(bin)/python $$file || exit 1; done

# Each of the next three installs elman, editable, with more extras. Editing Python needs no new install. A change to
# native/ does: it compiles only the files that depend on it, because all builds share build/native.
sources := pyproject.toml CMakeLists.txt $(shell find native -type f)
build := --no-build-isolation --config-settings=build-dir=build/native
pip := $(bin)/python -m pip install --constraint constraints.txt

$(demo): $(venv)/.torch $(sources) | $(venv)/.build-tools
	$(pip) $(build) --editable '.[train,plot]'
	touch $@

$(installed): $(venv)/.torch $(sources) | $(venv)/.build-tools
	$(pip) $(build) --editable '.[dev]'
	touch $@

$(venv)/.bench: pyproject.toml | $(installed)
	$(pip) $(build) --editable '.[dev,bench]'
	touch $@

# PyTorch comes first and stays held: left free, another package could pull in a different build of it. The kernels
# compile at the same time; the installs above then find them in build/native.
$(venv)/.torch: constraints.txt | $(venv)/.build-tools
	@echo "Installing PyTorch (about 200 MB) while the kernels compile: once, two to three minutes on two cores."
	@mkdir -p build
	$(bin)/python -m pip wheel $(build) --no-deps --wheel-dir build/wheels . >build/compile.log 2>&1 & \
	$(pip) torch; status=$$?; wait; exit $$status
	touch $@

$(venv)/.build-tools: | $(bin)/python
	$(pip) scikit-build-core nanobind $(foreach tool,cmake ninja,$(if $(shell command -v $(tool)),,$(tool)))
	touch $@

$(bin)/python:
	$(PYTHON) -m venv $(venv)
