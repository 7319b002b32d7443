# What a person types; `make` alone lists it. Everything happens in .venv, nothing else on the machine changes.
#
# On a machine without an NVIDIA GPU, spare yourself gigabytes of CUDA that PyPI's torch brings along:
#   make test PIP_ARGS="--extra-index-url URL"   with the URL of PyTorch's CPU wheels (pytorch.org, "Get Started")
#   make test TORCH=0                            without torch: tests of networks and training skip and say so

PYTHON ?= python3
VENV ?= .venv
TORCH ?= 1
PIP_ARGS ?=
MINUTES ?= 5
SEED ?= 0

SHELL := bash
comma := ,
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
BUILD_INPUTS := pyproject.toml setup.py package.xml CMakeLists.txt $(wildcard cmake/* msg/*)
SHARED_FILES := $(shell find launch config models -type f 2>/dev/null)

# A sourced ROS distribution, or a program started inside another environment of ROS wheels, must not mix with .venv.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH PYTHONHOME
unexport ROS_DISTRO RMW_IMPLEMENTATION _ROS_WHEELS_BOOTSTRAP_COMPLETE

ALONE := tests/ros/common/test_shared_memory.py tests/cli/test_doctor.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint soak bench train clean

help:  ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: setup  ## real nodes on a scene, report with pictures in out/demo; VIDEO=file, IMAGES=folder or BAG=bag: on yours
	@$(BIN)/cmt-seg demo $(if $(VIDEO),--video "$(VIDEO)") $(if $(IMAGES),--images "$(IMAGES)") $(if $(BAG),--bag "$(BAG)") --out out/demo

test: setup $(VENV)/.test $(VENV)/.quantize $(if $(filter-out 0,$(TORCH)),$(VENV)/.train)  ## every test; ARGS="-k tracker" goes to pytest
	@# Two files at a time, but for those that look at the shared memory of the whole machine.
	@$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),$(BIN)/python -m pytest -n 2 --dist loadfile $(ALONE:%=--ignore=%) && $(BIN)/python -m pytest $(ALONE))

lint: setup $(VENV)/.lint  ## format, style, types, import direction, docs/reference.md
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python docs/make_reference.py --check

soak: setup $(VENV)/.test  ## malformed messages, kills, damaged files; MINUTES=5, SEED=0: how long, which random numbers
	@PYTHONPATH=tests $(BIN)/python -m soak --minutes $(MINUTES) --seed $(SEED) $(ARGS)

bench: setup $(VENV)/.bench $(if $(filter-out 0,$(TORCH)),$(VENV)/.train)  ## every benchmark: a table each, JSON in out/bench
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

train: setup $(VENV)/.train  ## what training needs, then its help
	@$(BIN)/cmt-seg train --help

setup: $(VENV)/.shared  ## .venv with ROS 2, OpenVINO, this package and its messages

clean:  ## remove .venv and everything built
	rm -rf $(VENV) build install log out *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each step leaves a stamp, so that a second run has nothing to do.

$(VENV)/.created:
	@echo "[1/3] virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  || { echo "$(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing): Python 3.10 to 3.13 is needed. Say which: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian, Ubuntu: python3-venv)."; exit 1; }
	@test -f "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" \
	  || { echo "$(PYTHON) has no C headers: install them (Debian, Ubuntu: python3-dev)."; exit 1; }
	@for compiler in "$${CC:-cc}" "$${CXX:-c++}"; do command -v $$compiler >/dev/null \
	  || { echo "No compiler $$compiler: a C and a C++ compiler are needed for the messages (Debian, Ubuntu: build-essential)."; exit 1; }; done
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(BUILD_INPUTS)
	@echo "[2/3] ROS 2, OpenVINO, this package and its messages (one to three minutes)"
	@$(PIP) install $(PIP_ARGS) -e ".[ros,demo]"
	@touch $@

# pip has copied these folders; a changed file needs no build.
$(VENV)/.shared: $(VENV)/.installed $(SHARED_FILES)
	@echo "[3/3] launch, config and models in $(VENV)/share/cmt_seg_ros"
	@cp -r launch config models $(VENV)/share/cmt_seg_ros/
	@touch $@

# The package is there already: this adds the requirements of one extra. `test` adds those of colcon, too.
$(VENV)/.test $(VENV)/.train $(VENV)/.quantize $(VENV)/.lint $(VENV)/.bench: $(VENV)/.%: $(VENV)/.installed
	@echo "[+] requirements of the extra '$*'"
	@$(PIP) install $(PIP_ARGS) "cmt_seg_ros[$*$(if $(filter test,$*),$(comma)build)]"
	@# Without their requirements: trackeval asks for newer packages than its metrics need, and both for opencv-python,
	@# which would lie in the same folder as opencv-python-headless and break it. What they import is in the extras.
	@$(if $(filter test bench,$*),$(PIP) install $(PIP_ARGS) --no-deps trackeval==1.3.0 $(if $(filter bench,$*),trackers==2.6.1))
	@touch $@
