# Headstart: `make help` says what each target does.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PRESET ?= quick
HEAD ?=
DEVICE ?=
PRECISION ?=
DATA ?=
DEMOS ?=
NAME ?=
PIP_ARGS ?=
LEROBOT_PYTHON ?=
LEROBOT_LAYOUT ?= lerobot-v3
VENV := .venv
RUN := $(VENV)/bin/python
# Two processes on two cores beat two threads in each.
export OMP_NUM_THREADS ?= 1
export RAY_USAGE_STATS_ENABLED := 0
# Hundreds of processes start here: each would compile every source anew where compiled bytecode is not kept.
export PYTHONDONTWRITEBYTECODE :=

help: ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make train-decoupled [PRESET=quick|tiny|few|tasks|hundreds|cpu|paper] [DATA=path or job URL] [DEMOS=demonstrations.hdf5] [NAME=run]"
	@echo "                       [HEAD=dp_mlp|dp_c|dp_t|dp_t_film] [DEVICE=auto|cpu|cuda|cuda:1|mps] [PRECISION=auto|bf16|fp32]"
	@echo "  PIP_ARGS is handed to every pip install, for example an index that has CPU builds of torch."

setup: $(VENV)/.ready ## Install everything into .venv (idempotent)

$(VENV)/.ready: pyproject.toml constraints.txt $(wildcard packages/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "make sets up Python 3.11, which everything is tested in, but PYTHON is '$(PYTHON)': $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Try: make setup PYTHON=/path/to/python3.11. For the services alone in 3.12 or 3.13:" >&2; \
	  echo "  python -m pip install -c constraints.txt '.[services]' ./packages/headstart-client" >&2; exit 2; }
	@echo "==> virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)
	@echo "==> packages, at the versions in constraints.txt (4.1 GB on disk, a few minutes)"
	$(RUN) -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[services,trainer,hub,simulation,environments,dev]' -e packages/headstart-client
	@echo "==> robosuite, and gym-aloha and openpi-client (tests'), without their dependencies: they would pull numpy below 2"
	@echo "    or bring FFmpeg once more"
	$(RUN) -m pip install -q --disable-pip-version-check $(PIP_ARGS) --no-deps -c constraints.txt robosuite gym-aloha openpi-client
	@touch $@
	@echo "==> done"

check: setup ## Lint, types, import rules; changes nothing
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m docs.update --check

fix: setup ## Apply what the linters can fix
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

test: setup ## Run the test suite, the recipe in tiny form included
	$(RUN) -m pytest -m "not browser and not cluster and not compose and not lerobot and not heads and not gpu and not install" -n 2 --dist loadfile --no-loadscope-reorder --durations 25 $(ARGS)

test-heads: setup ## Train every head with every conditioning until it fits its windows
	$(RUN) -m pytest tests/trainer/test_overfitting.py $(ARGS)

test-gpu: setup ## Train, resume, compile, export and measure on a GPU; says so in one line where there is none
	@$(RUN) -m tests.gpu $(ARGS)

mutants: setup ## Change the code in one place at a time, and see that the tests notice (ARGS='--only TEXT')
	$(RUN) -m tests.mutants $(ARGS)

test-browser: setup ## Drive the page in a headless Chromium, which has to be installed
	@$(RUN) -m tests.browser.chromium
	$(RUN) -m pytest -m browser -n 2 --dist loadfile tests/browser $(ARGS)

test-cluster: setup ## Run a service on several machines, which are namespaces of Linux, and lose them
	unshare --user --map-root-user --net --mount $(RUN) -m pytest -m cluster tests/test_machines.py $(ARGS)

test-compose: setup ## Build the images and run them on a real Docker engine
	$(RUN) -m pytest -m compose --timeout 1800 $(ARGS)

test-openapi: setup ## Call every operation of the REST API in more than 3,000 right and wrong ways
	SCHEMATHESIS_EXAMPLES=60 $(RUN) -m pytest tests/services/api/test_openapi.py --timeout 3600 -rP $(ARGS)

test-lerobot: setup ## Open exports, datasets and policies, in the real lerobot of LEROBOT_PYTHON, a Python that has it
	LEROBOT_PYTHON='$(LEROBOT_PYTHON)' LEROBOT_LAYOUT='$(LEROBOT_LAYOUT)' $(RUN) -m pytest -m lerobot tests/services/export tests/lerobot_plugin $(ARGS)

test-install: setup ## Install the client package into clean Pythons 3.10 and 3.13, the services into 3.12 and 3.13, and use them there
	$(RUN) -m pytest -m install tests/client_package/test_clean_environments.py tests/services/test_other_pythons.py $(ARGS)

bench: setup ## Print the figures of the benchmarks that take minutes, one JSON object each
	@for name in $$(cd benchmarks && ls *.py */__main__.py | sed -nE 's:^([a-z]\w*)(\.py|/__main__\.py)$$:\1:p' | grep -vxE "peers|cameras|closed_loop|keep_outs"); do \
	  echo "==> $$name"; $(RUN) -m benchmarks.$$name || exit 1; done

train-decoupled: setup ## Make trajectories, pretrain, adapt, roll out, report (PRESET, HEAD, DEVICE, PRECISION, DATA, DEMOS, NAME)
	$(RUN) -m trainer train --preset $(PRESET) $(if $(HEAD),--head '$(HEAD)') $(if $(DEVICE),--device '$(DEVICE)') $(if $(PRECISION),--precision '$(PRECISION)') $(if $(DATA),--data '$(DATA)') $(if $(DEMOS),--demos '$(DEMOS)') $(if $(NAME),--name '$(NAME)')

up: ## Start the service and the trainer in containers
	docker compose up --build --detach

down: ## Stop the containers; their data stays in its volumes
	docker compose down

docs: setup ## Fill the generated tables of the documentation
	$(RUN) -m docs.update

lock: setup ## Write constraints.txt from what .venv holds now
	@{ echo "# Every package that \`make setup\` installs, at the version it was tested with. Written by \`make lock\`."; \
	  $(RUN) -m pip freeze --exclude-editable | grep -v '^#' | sed 's/+cpu$$//' | sort -f; } > constraints.new && mv constraints.new constraints.txt

clean: ## Remove caches; keeps .venv, data and runs
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: help setup check fix test test-heads test-gpu mutants test-browser test-cluster test-compose test-openapi test-lerobot test-install bench train-decoupled up down docs lock clean
