# Two commands do everything on a fresh machine that has Python 3.11 or later and make:
#
#   make run     the daemon's main job on embedded defaults, against simulated upstreams
#   make test    linters, type checks and all tests, against real servers
#
# `make help` lists the rest. Everything is installed into .venv, at the versions and hashes of the
# lock files; a stamp file in .venv remembers each step, and a lock that is newer undoes its stamp.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
COMPILED := consumer/normalisation/xml_compiled
IMAGE ?= backorder-consumer
PYTHON_IMAGE ?= docker.io/library/python:3.13-slim
CONTAINER_TOOL ?= docker
ARGS ?=
# Most tests wait for something: three at a time keep two cores busy. Each worker has a broker of
# its own.
IN_PARALLEL ?= --numprocesses 3 --dist worksteal

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
.PHONY: help run test reliability fuzz audit bench soak compiled setup lint format lock image \
	image-test clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# The shell gives way to the program (exec), so that Ctrl-C reaches it and its exit status is ours.
run: $(VENV)/.project ## run the demo until Ctrl-C; ARGS="--for 30s" ends it by itself
	@sh deploy/prepare.sh broker optional
	@exec $(BIN)/backorder-consumer demo $(ARGS)

# The tests hold the compiled reader of messages against the one in Python.
test: compiled lint ## lint, check types and layers, run all tests; ARGS="-k webhook" for some of them
	@sh deploy/prepare.sh broker required
	@exec $(BIN)/python -m pytest $(IN_PARALLEL) $(ARGS)

reliability: $(VENV)/.dev $(VENV)/.project ## the fault tests at full length, about an hour; ARGS="-k power"
	@sh deploy/prepare.sh broker required
	@BACKORDER_TESTS=long exec $(BIN)/python -m pytest --timeout 3600 $(or $(ARGS),tests/faults)

fuzz: $(VENV)/.fuzz ## breed hostile input until Ctrl-C; ARGS="messages -max_total_time=600"
	@exec $(BIN)/python tests/fuzz/coverage_guided.py $(or $(ARGS),messages)

audit: $(VENV)/.dev ## look for known vulnerabilities in what the program needs (asks a service)
	@exec $(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements.lock

bench: compiled $(VENV)/.bench ## measure everything against its peers; ARGS="speed --only queues" for a part
	@sh deploy/prepare.sh broker installed
	@exec $(BIN)/python -m benchmarks $(or $(ARGS),all)

soak: compiled $(VENV)/.dev ## load and faults for 10 minutes: does anything grow? ARGS="--for 60s"
	@sh deploy/prepare.sh broker installed
	@exec $(BIN)/python -m benchmarks soak $(ARGS)

lint: setup ## linters, formatting, types, import layers
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

# Where the project was installed without it, that is done again.
compiled: export BACKORDER_COMPILED = required
compiled: $(VENV)/.created ## compile what can be compiled, or say why that fails
	@$(BIN)/python -c 'import $(subst /,.,$(COMPILED))' 2>/dev/null || rm -f $(VENV)/.project
	@$(MAKE) --no-print-directory --silent $(VENV)/.project
	@$(BIN)/python -c 'import $(subst /,.,$(COMPILED))'

setup: $(VENV)/.dev $(VENV)/.project ## install all that development needs into .venv

format: setup ## rewrite the code the way the linters want it
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format

# --- the virtual environment -------------------------------------------------------------------

$(VENV)/.created:
	@sh deploy/prepare.sh venv "$(PYTHON)" $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created requirements.lock requirements-build.lock
	@echo "installing what the program needs into $(VENV)"
	@$(PIP) install --require-hashes -r requirements.lock -r requirements-build.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "installing what development needs into $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.fuzz: $(VENV)/.project requirements-fuzz.lock
	@$(PIP) install --require-hashes -r requirements-fuzz.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.dev $(VENV)/.project requirements-bench.lock
	@$(PIP) install --require-hashes -r requirements-bench.lock
	@touch $@

# What is built says why it goes without the compiled reader, but pip shows that to nobody.
$(VENV)/.project: $(VENV)/.runtime pyproject.toml consumer/__init__.py deploy/hatch_build.py \
		$(COMPILED:=.pyx)
	@sh deploy/prepare.sh compiler $${BACKORDER_COMPILED:-optional} $(BIN)/python
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import $(subst /,.,$(COMPILED))' 2>/dev/null || \
		echo "messages are read in Python, which is slower and no different; 'make compiled' changes that"
	@touch $@

# --- lock files --------------------------------------------------------------------------------

# Five files, one set of versions: what development needs is resolved first and binds the others.
# The files name no package index: each machine uses the one that its pip is configured with.
COMPILE = $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --annotation-style line --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: setup ## resolve the lock files again; UPGRADE=1 takes the newest versions
	$(COMPILE) --group dev --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --constraints requirements-dev.lock --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraints requirements-dev.lock --output-file requirements-build.lock \
		--group pyproject.toml:build
	$(COMPILE) --constraints requirements-dev.lock --output-file requirements-fuzz.lock \
		--group pyproject.toml:fuzz
	$(COMPILE) --constraints requirements-dev.lock --output-file requirements-bench.lock \
		--group pyproject.toml:bench

# --- the container image -----------------------------------------------------------------------

image: ## build the container image; CONTAINER_TOOL=docker, podman or buildah
	$(CONTAINER_TOOL) build $(if $(filter-out docker,$(CONTAINER_TOOL)),--format docker) \
		--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) \
		--build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' consumer/__init__.py)" \
		--build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
		--tag $(IMAGE) --file Dockerfile .

image-test: ## build the image without a container engine and run the daemon from it (root, Debian)
	@sh deploy/image-test.sh

clean: ## remove everything that was made here, .venv and var included
	rm -f $(COMPILED).*.so
	rm -rf $(VENV) var dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
