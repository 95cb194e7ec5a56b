# Everything runs in the project's own environment, .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Hundreds of processes start in the suite: what Python compiles is kept.
unexport PYTHONDONTWRITEBYTECODE
STAMP := $(VENV)/.installed

.PHONY: demo test check sample bench bench-remote bench-slack bench-pages bench-acks slack-faults soak screens-slack slack-schema migration pdbs faults images questions score locks tables frames cover fuzz package clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $(STAMP)

$(VENV)/.dev: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	touch $(VENV)/.dev

$(VENV)/.fuzz: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	touch $(VENV)/.fuzz

demo: $(STAMP)  ## the whole path from a link to a verdict, on this machine alone
	$(BIN)/pileup demo

check: $(VENV)/.dev  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Tests wait for servers, processes and clocks: a third one works meanwhile.
test: check  ## the quick suite
	$(BIN)/pytest -n 3 --dist worksteal -m "not slow"

locks: $(VENV)/.dev  ## every lock story on every build, right or wrong
	$(BIN)/python -m tests.lock_table

frames: $(VENV)/.dev  ## stack frames right and wrong at every instruction of compiled code: x64, ARM64, x86
	$(BIN)/python -m tests.unwind_table
	$(BIN)/python -m tests.unwinding.x86

tables: $(VENV)/.dev  ## what is said of every family of bugchecks, of twenty ways to be wrong, of public minidumps
	$(BIN)/python -m tests.test_family_table
	$(BIN)/python -m tests.test_wrong
	$(BIN)/python -m tests.minidump_table

cover: $(VENV)/.dev  ## line coverage of the three packages
	$(BIN)/pytest -n 2 -m "not slow" --cov --cov-report=term-missing:skip-covered

sample: $(VENV)/.dev  ## rebuild the demo's sample dump and its symbol table, byte for byte
	$(BIN)/python -m tests.forge.sample
	$(BIN)/python -m tests.symbols.sample_store

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench

FUZZ_SECONDS ?= 600
fuzz: $(VENV)/.fuzz  ## each parser under a coverage-guided fuzzer: FUZZ_SECONDS each, or TARGET=pdb alone; then planted faults
	$(BIN)/python -m tests.hostile.fuzz $(TARGET) --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tests.hostile.planted $(TARGET)

pdbs: $(VENV)/.dev  ## every PDB at hand: what its index costs, and whether LLVM's tools read the same
	$(BIN)/python -m tests.symbols

faults: $(VENV)/.dev  ## what becomes of an analysis when its symbol server fails, fault by fault
	$(BIN)/python -m tests.symbol_faults

bench-remote: $(VENV)/.dev  ## large dumps from the disk, over HTTP, and through a proxy that adds 50 ms a request
	$(BIN)/python -m tests.bench.remote

bench-slack: $(VENV)/.dev  ## from a link posted to the verdict in its thread; a hundred links at once
	$(BIN)/python -m tests.bench.slack

soak: $(VENV)/.dev  ## a thousand dumps, events twice, sockets cut, 429s, the process killed: each answered once (half an hour)
	$(BIN)/python -m tests.soak

screens-slack: $(VENV)/.dev  ## what people see in Slack, as pictures in build/screens: to be looked at
	$(BIN)/python -m tests.slack_screens

bench-acks: $(VENV)/.dev  ## from event to ack, from button to effect, under a hundred jobs; beside an app that only acknowledges
	$(BIN)/python -m tests.bench.acks

slack-faults: $(VENV)/.dev  ## everything that Slack can do to a bot, in both transports: what the person sees
	$(BIN)/python -m tests.slack_faults

slack-schema: $(VENV)/.dev  ## make the schema of Slack's blocks and views again, from Slack's own types
	$(BIN)/python -m tests.slack_types

bench-pages: $(VENV)/.dev  ## the pages over a history of 100,000 crashes, on SQLite and on PostgreSQL, beside a plain LIKE
	$(BIN)/python -m tests.bench.pages

.PHONY: pages
pages: $(VENV)/.dev  ## every page in Chromium, wide and narrow, light and dark, on paper, by keyboard; pictures in build/screens
	$(BIN)/python -m tests.look

throughput: $(VENV)/.dev  ## dumps a minute on SQLite and on PostgreSQL, with workers on hosts of their own; what a fleet would do
	$(BIN)/python -m tests.bench.throughput

fleet-faults: $(VENV)/.dev  ## a fleet on PostgreSQL while processes die, cables are pulled, disks fill, clocks jump (half an hour; root)
	$(BIN)/python -m tests.fleet.table

migration: $(VENV)/.dev  ## 100,000 crashes from SQLite to PostgreSQL and back, compared byte for byte
	$(BIN)/python -m tests.bench.migration

images: $(VENV)/.dev  ## stacks of small dumps without and with a source of image files
	$(BIN)/python -m tests.image_sources

questions: $(VENV)/.dev  ## forty questions in the words people use: answered right, or refused honestly
	$(BIN)/python -m tests.bot.forty_questions

score: $(VENV)/.dev  ## agreement with WinDbg on public crashes, beside a baseline
	$(BIN)/python -m tests.score

duplicates: $(VENV)/.dev  ## how well history tells one bug from another, on drawn crashes, beside two baselines
	$(BIN)/python -m tests.corpus

package: $(VENV)/.dev  ## the wheel, built through the sdist, and the demo run from it in a clean environment
	rm -rf dist build/clean
	$(BIN)/python -m build --outdir dist > /dev/null
	$(PYTHON) -m venv build/clean
	build/clean/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	cd build && env -i PATH=/usr/bin:/bin HOME=$$PWD/clean clean/bin/pileup demo

clean:
	rm -rf $(VENV) dist build
