# Hub Ledger: every routine job, by name. `make help` lists them.
#
# Nothing here names a package registry or a path of one machine: pip and uv use
# whatever the person running make has configured.

PYTHON ?= python3
PORT   ?= 8080
DATA   ?= demo-data
KILLS  ?= 200
SECONDS_EACH ?= 20

# Whatever is set where this runs: a command that compiles all that it loads, each time, takes a
# third more of its time to start.
export PYTHONDONTWRITEBYTECODE :=

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo erasure test browser hsm kill strace tamper fuzz bench lint serve wheel lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install everything that is pinned in requirements.lock

# Redone only when the lock or a project definition changes.
$(STAMP): requirements.lock pyproject.toml verifier/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Hub Ledger needs Python 3.11 or newer, and '$(PYTHON)' is not that." >&2; \
	  echo "Name another one with: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  name=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	  echo "This Python cannot make virtual environments." >&2; \
	  echo "On Debian and Ubuntu the missing package is $$name. Install it with:" >&2; \
	  echo "    sudo apt-get install $$name" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --no-build-isolation -e ./verifier -e .
	@touch $@

demo: setup ## Record a simulated year over HTTP, verify it, tamper with a copy
	$(BIN)/python -m demo

erasure: setup ## Record, share and erase a person, certify it, and look for what is left
	$(BIN)/python -m demo.erasure

# Three at a time also on two processors: many tests wait for another process. A module's tests stay
# together, so that what it makes for all of them is made once.
test: lint browser hsm ## Lint, types, import rules and the whole test suite
	$(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder

# The tests look at pages in it; nothing else needs it.
browser: ## Make sure that Chromium is there, which the tests use
	@for name in chromium chromium-browser google-chrome; do \
	  command -v $$name >/dev/null 2>&1 && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; \
	else \
	  echo "The tests look at pages in Chromium, and it is not on PATH." >&2; \
	  echo "On Debian and Ubuntu install it with: sudo apt-get install chromium" >&2; exit 1; \
	fi

# The tests keep a wrapping key in it; nothing else needs it.
hsm: ## Make sure that SoftHSM is there, which the tests use
	@command -v softhsm2-util >/dev/null 2>&1 && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends softhsm2; \
	else \
	  echo "The tests keep a wrapping key in SoftHSM, and it is not there." >&2; \
	  echo "On Debian and Ubuntu install it with: sudo apt-get install softhsm2" >&2; exit 1; \
	fi

kill: setup ## Kill a service under load 200 times, and count what was lost or doubled
	$(BIN)/python -m tests.faults.kill --kills $(KILLS)

strace: setup ## Fail the writer's system calls one by one (needs strace, and leave to trace)
	@command -v strace >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends strace; \
	  else \
	    echo "strace is not on PATH. On Debian and Ubuntu: sudo apt-get install strace" >&2; exit 1; \
	  fi; }
	$(BIN)/python -m tests.faults.strace

# Seven minutes of processor time: five on two free processors, less with more.
tamper: setup ## Attack a ledger in every way known; print what was caught and located
	$(BIN)/python -m tests.tamper

fuzz: setup ## Feed every parser hostile bytes, SECONDS_EACH= seconds each (Linux on x86-64)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS_EACH)

# Durable and signed as in production; some twenty minutes on two processors.
bench: setup ## Measure everything; print one table, write bench.json
	$(BIN)/python -m bench --json bench.json --markdown bench.md

lint: setup ## Style, formatting, types and import rules only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

serve: setup ## Serve on 127.0.0.1:8080 from ./demo-data (PORT= and DATA= change that)
	@test -f $(DATA)/ledger.toml || $(BIN)/hub-ledger init --data $(DATA)
	$(BIN)/hub-ledger serve --data $(DATA) --host 127.0.0.1 --port $(PORT)

wheel: setup ## Build the verifier as one file for auditors, in dist/, and print its SHA-256
	$(BIN)/python -m build --wheel --no-isolation --outdir dist verifier
	@sha256sum dist/ledger_verifier-*.whl

# Resolve both locks again from pyproject.toml: names, versions and hashes only.
# Versions stay as they are where they can: `make lock UPGRADE=--upgrade` takes newer ones.
# The last line refuses a lock that carries an address or a path.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
        --no-annotate --no-emit-package ledger-verifier pyproject.toml $(UPGRADE)

lock: setup ## Resolve requirements.lock and requirements-runtime.lock again
	$(LOCK) --group dev -o requirements.lock
	$(LOCK) -o requirements-runtime.lock
	@! grep -nE '://|^-|^ *file:|^/' requirements.lock requirements-runtime.lock

clean: ## Remove what make made, except .venv and data directories
	rm -rf build dist verifier/build verifier/dist .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
