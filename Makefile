# `make demo` and `make test` do everything on a machine with Python 3.11, a C++ compiler and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
venv := .venv
bin := $(venv)/bin
installed := $(venv)/.installed

.PHONY: demo test test-slow install lint docs bench gallery

demo: $(installed)
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

# Editing Python needs no new install; a change to the build does. PyTorch comes first and stays held:
# left free, another package could draw in a different build of it.
$(installed): $(venv)/.torch pyproject.toml CMakeLists.txt $(shell find native -type f)
	$(bin)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $@

# What the kernels are measured against.
$(venv)/.bench: pyproject.toml | $(installed)
	$(bin)/python -m pip install --constraint constraints.txt --editable '.[dev,bench]'
	touch $@

$(venv)/.torch: constraints.txt | $(bin)/python
	$(bin)/python -m pip install --constraint constraints.txt torch
	touch $@

$(bin)/python:
	$(PYTHON) -m venv $(venv)
