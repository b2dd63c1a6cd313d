# make demo   sets everything up, then demonstrations -> dataset -> diffusion policy -> evaluation -> report
# make test   sets everything up, then the tests
# make help   the rest

PYTHON ?= python3
VENV ?= .venv
OUT ?= demo_output
ROBOT ?= panda
MINUTES ?= 60
CLOCK_SPEED ?= 1
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SETTINGS := pyproject.toml constraints.txt
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check format build check-lerobot bench bench-lerobot study soak clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; name one with: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.installed-run: $(SETTINGS) | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[train,sim]'
	@touch $@

$(VENV)/.installed-dev: $(SETTINGS) | $(BIN)/python
	$(PIP) install --quiet --constraint constraints.txt --editable '.[train,sim,vision,console,ros,dev]'
	@touch $@ $(VENV)/.installed-run

demo: $(VENV)/.installed-run  ## demonstrations, dataset, policies, evaluation, report (3 to 8 minutes on 2 cores, after set-up)
	$(BIN)/robot-stack demo --out $(OUT)

test: $(VENV)/.installed-dev  ## the tests (under 15 minutes on 2 cores)
	$(ONE_THREAD) $(BIN)/python -m pytest -q

test-slow: $(VENV)/.installed-dev  ## the tests that take minutes each
	$(ONE_THREAD) $(BIN)/python -m pytest -q -m slow

check: $(VENV)/.installed-dev  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(VENV)/.installed-dev  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check-lerobot: $(VENV)/.installed-dev  ## LeRobot 0.4.4 and robot_stack read each other's datasets (builds .venv-lerobot)
	PYTHON=$(PYTHON) bash scripts/make_lerobot_env.sh .venv-lerobot
	$(ONE_THREAD) $(BIN)/python scripts/check_lerobot/main.py --lerobot-env .venv-lerobot

bench: $(VENV)/.installed-dev  ## the benchmarks of docs/results.md that need no other environment
	$(ONE_THREAD) $(BIN)/python benchmarks/startup.py
	$(ONE_THREAD) $(BIN)/python benchmarks/training_loop.py
	$(ONE_THREAD) $(BIN)/python benchmarks/fleet.py
	$(ONE_THREAD) $(BIN)/python benchmarks/inference_latency.py
	$(ONE_THREAD) $(BIN)/python benchmarks/metaworld_steps.py
	$(ONE_THREAD) $(BIN)/python benchmarks/ros_images.py

bench-lerobot: $(VENV)/.installed-dev  ## the benchmarks beside LeRobot 0.4.4 (builds .venv-lerobot)
	PYTHON=$(PYTHON) bash scripts/make_lerobot_env.sh .venv-lerobot
	$(ONE_THREAD) $(BIN)/python benchmarks/dataset_windows.py
	$(ONE_THREAD) $(BIN)/python benchmarks/dataset_io.py
	$(ONE_THREAD) $(BIN)/python benchmarks/inference_latency.py --lerobot-python .venv-lerobot/bin/python

study: $(VENV)/.installed-dev  ## eight Meta-World tasks, three seeds (about an hour on 2 cores)
	$(ONE_THREAD) $(BIN)/python benchmarks/metaworld_study.py --out study

soak: $(VENV)/.installed-dev  ## an hour of episodes over ROS 2, memory and losses watched: make soak POLICY=runs/.../policy ROBOT=panda
	$(ONE_THREAD) $(BIN)/python benchmarks/deployment_soak.py --policy $(POLICY) --robot $(ROBOT) --minutes $(MINUTES) --clock-speed $(CLOCK_SPEED)

build: $(VENV)/.installed-dev  ## wheel and sdist, each installed into a fresh environment and tried
	$(BIN)/python scripts/build_and_try.py --ros

clean:  ## remove what the targets above made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
