# The two commands of the README are `make run` and `make test`. Needs Python 3.11 or newer, and nothing else.
PYTHON ?= python3
BIN := .venv/bin
TRAIN := .venv-train/bin

.PHONY: help run run-train test test-long test-slow test-train test-faults test-postgresql lint format screenshots lock sbom
help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/run ## the portal on http://127.0.0.1:8000, the local engine on http://127.0.0.1:8100
	@exec $(BIN)/python manage.py up

run-train: .venv-train/run ## the same, and the engine really trains: KONTEXT_MODEL_DIR and MODEL_DIRS, or the tiny model
	@test -n "$$KONTEXT_MODEL_DIR$$MODEL_DIRS" || export KONTEXT_MODEL_DIR=finetune_portal/engine/trainers/tiny/model; \
		exec $(TRAIN)/python manage.py up

WORKERS ?= 3
PART ?= tests
test: .venv/dev ## the suite or PART of it, in WORKERS processes: all but what takes long
	@$(BIN)/python -m pytest -m "not long and not slow" --numprocesses $(WORKERS) $(PART)

test-long: .venv/dev ## the walks and kills that make test leaves to CI, or those in PART
	@$(BIN)/python -m pytest -m "long and not slow" --numprocesses $(WORKERS) $(PART)

test-train: .venv-train/dev ## the real trainer, on the CPU, with the tiny model
	@$(TRAIN)/python -m pytest tests/train

test-slow: .venv/dev ## the tests that are too slow for make test, and the random ones with more examples; test-faults has its own
	@$(BIN)/python -m pytest -m "slow or hypothesis" --hypothesis-profile many --ignore tests/faults \
		--numprocesses $(WORKERS)

test-faults: .venv/dev ## kill and harm it everywhere (about 2,500 runs at two providers, 40 to 60 minutes), and print the table
	@$(BIN)/python -m pytest -m "slow or not slow" tests/faults

test-postgresql: .venv/dev ## the suite, or PART of it, on a PostgreSQL of its own (Debian's package postgresql)
	@LC_ALL=C.UTF-8 pg_virtualenv -t -o fsync=off -o max_connections=300 sh -c 'DATABASE_URL=postgres://$$PGUSER:$$PGPASSWORD@$$PGHOST:$$PGPORT/postgres \
		$(BIN)/python -m pytest -m "not slow" --numprocesses $(WORKERS) $(PART)'

# Biome has a wheel for Linux on x86-64 only; on other platforms CI alone checks JavaScript and CSS.
biome = if test -x $(BIN)/biome; then $(BIN)/biome $(1) --error-on-warnings; else echo "No Biome for this platform: JavaScript and CSS are not checked."; fi

lint: .venv/dev ## style, unsafe patterns, types, templates, JavaScript, CSS, migrations, deployment checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml finetune_portal
	@git ls-files 'templates/*.html' | xargs $(BIN)/djade --check --target-version 5.2
	@$(call biome,check)
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file finetune_portal/engine/mypy.ini finetune_portal/engine
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@PORTAL_URL=https://portal.example.com $(BIN)/python manage.py check --deploy --fail-level WARNING

format: .venv/dev ## put Python, templates, JavaScript and CSS into the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@git ls-files 'templates/*.html' | xargs $(BIN)/djade --target-version 5.2
	@$(call biome,check --write)

screenshots: .venv/dev ## docs/screenshots anew, from a running portal of their own
	@$(BIN)/python -m tests.screenshots

# What comes with a build of torch (CUDA's packages, Triton) differs by machine, and torch itself names its versions.
compile = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--no-emit-package pip $(UPGRADE)
lock: .venv/dev ## requirements*.txt from requirements*.in; UPGRADE=--upgrade takes the newest, UPGRADE="-P django" of one
	@$(compile) --generate-hashes requirements.in --output-file requirements.txt
	@$(compile) --generate-hashes requirements-dev.in --output-file requirements-dev.txt
	@$(compile) --annotation-style line requirements-train.in --output-file requirements-train.txt
	@sed -i.old -E '/^(cuda|nvidia|triton)-?[a-z0-9-]*==/d' requirements-train.txt && rm requirements-train.txt.old

sbom: .venv/dev ## what is inside, for scanners: sbom.json, in CycloneDX
	@$(BIN)/python -m tests.sbom > sbom.json

# An environment is whole if its Python runs, is new enough, and finds its own pip: not after an update of the
# system's Python, a failed `python -m venv`, or a move to another machine. Then it is made anew.
is_new_enough = import sys; sys.exit(sys.version_info < (3, 11))
is_whole = $(1)/bin/python -c 'import pip; $(is_new_enough)' 2>/dev/null
anew = $(shell $(call is_whole,$(1)) || echo FORCE)

define environment
	@$(call is_whole,$(1)) || { \
		command -v $(PYTHON) >/dev/null || { \
			echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name one: PYTHON=python3.12 make run"; exit 1; }; \
		$(PYTHON) -c '$(is_new_enough)' || { $(PYTHON) manage.py; exit 1; }; \
		if test -e $(1) || test -L $(1); then echo "$(1) is not whole: it is made anew."; rm -rf $(1); fi; \
		$(PYTHON) -m venv $(1) || { \
			rm -rf $(1); echo "$(PYTHON) could not make $(1): its output says why. Then start again."; exit 1; }; \
	}
endef

.SECONDEXPANSION:
.PHONY: FORCE

# pip takes no file whose hash is not in the lock, and stops at a package that is not in it.
install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
locked = --require-hashes -r

.venv/run: requirements.txt $$(call anew,.venv)
	$(call environment,.venv)
	@echo "Installing what the portal needs (once) …"
	@$(call install,.venv) $(locked) requirements.txt
	@touch $@

.venv/dev: requirements.txt requirements-dev.txt $$(call anew,.venv)
	$(call environment,.venv)
	@echo "Installing what the tests need (once) …"
	@$(call install,.venv) $(locked) requirements-dev.txt
	@touch .venv/run $@

.venv-train/run: requirements.txt requirements-train.txt $$(call anew,.venv-train)
	$(call environment,.venv-train)
	@echo "Installing what training needs (once) …"
	@$(call install,.venv-train) $(locked) requirements.txt
	@$(call install,.venv-train) -r requirements-train.txt
	@touch $@

.venv-train/dev: .venv-train/run requirements-dev.txt
	@echo "Installing what the tests need (once) …"
	@$(call install,.venv-train) $(locked) requirements-dev.txt
	@touch $@
