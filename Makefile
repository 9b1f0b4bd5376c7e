# Every target installs what it needs into .venv, from nothing but Python 3.11 or newer and make.
# PYTHON=python3.13 picks the interpreter for a new .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := deploy/locks
INSTALL := $(BIN)/uv pip install --python $(BIN)/python --no-build-isolation

.PHONY: demo test chaos soak fuzz check check-lock audit lock format docs clean

# On a terminal the demo is a job of its own (set -m), so that Ctrl-C ends it in order and not make.
# make demo INPUT=my.jsonl replays your own file; DEMO takes any other flag of `textstream demo`.
demo: $(VENV)/.service
	@[ ! -t 0 ] || set -m; $(BIN)/textstream demo $(if $(INPUT),"$(INPUT)") $(DEMO)

# make test TESTS="tests/unit -k codec" runs some of them. By default two processes share the files, each with a Kafka of its own:
# most tests wait, for a broker or a group. PARALLEL=0 runs one after the other.
PARALLEL := 2
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(PARALLEL) --dist loadfile $(TESTS)

# An hour at 70 % of what a worker can do: make soak SOAK="--seconds 600 --guarantee exactly_once" does it otherwise.
soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak $(SOAK)

# A million generated records through decode → enrich: make fuzz FUZZ="--records 20000 --seed 1" takes fewer, and the same again.
fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.fuzz $(FUZZ)

# Workers and brokers of a real Kafka killed, stopped and restarted, then a count: deploy/DELIVERY.md. About half an hour;
# make chaos SHORT=1 under a minute. CHAOS takes any flag of `python -m tests.chaos` (--seed, --guarantee, --resume).
chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos $(if $(SHORT),--short) $(CHAOS)

check: $(VENV)/.dev check-lock
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m textstream.docs --check
	$(BIN)/python -m deploy.grafana.generate --check

# Known vulnerabilities of what the image installs. Needs the advisories' own service; strict: what it cannot tell of is a failure.
audit: $(VENV)/.build
	$(BIN)/uv tool run pip-audit --strict --require-hashes --disable-pip -r $(LOCKS)/service.txt

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The generated pages: settings, metrics, the event's JSON Schema, Grafana's dashboards.
docs: $(VENV)/.dev
	$(BIN)/python -m textstream.docs
	$(BIN)/python -m deploy.grafana.generate

# The locks hold versions and hashes, no addresses. What is locked stays locked: make lock UPGRADE=--upgrade moves it.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE)
LOCKED := $(LOCKS)

lock: $(VENV)/.build
	$(COMPILE) pyproject.toml --extra export --extra otel --group test --group lint --group dashboards --group build -o $(LOCKED)/dev.txt
	$(COMPILE) pyproject.toml -c $(LOCKED)/dev.txt -o $(LOCKED)/service.txt
	$(COMPILE) pyproject.toml --extra gpu -c $(LOCKED)/dev.txt -o $(LOCKED)/gpu.txt
	$(COMPILE) --group build -c $(LOCKED)/dev.txt -o $(LOCKED)/build.txt

check-lock: $(VENV)/.build
	@rm -rf .cache/locks && mkdir -p .cache && cp -Rp $(LOCKS) .cache/locks
	@$(MAKE) --silent lock LOCKED=.cache/locks UPGRADE=
	@diff -r $(LOCKS) .cache/locks || { echo "pyproject.toml and $(LOCKS) disagree: run make lock"; exit 1; }

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist

# What is installed, as stamps: the installer, the service, everything for tests and training.
$(VENV)/.build: $(LOCKS)/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "textstream needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/build.txt
	@touch $@

$(VENV)/.service: $(VENV)/.build $(LOCKS)/service.txt pyproject.toml stream/native_build.py stream/textstream/_native.pyx
	$(INSTALL) --require-hashes -r $(LOCKS)/service.txt
	$(INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.service $(LOCKS)/dev.txt
	$(INSTALL) --require-hashes -r $(LOCKS)/dev.txt
	@touch $@
