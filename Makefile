# `make` lists the commands. They make .venv from requirements.lock when there is none.
SHELL := /bin/bash
PYTHON ?= python3
BASE ?= main
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL ?= 2
# What a person gives is text: make would take its dollars for variables, and would run what $(shell ...) says. So each
# variable of the command line is exported as it was typed, and recipes read variables in the shell, with a doubled dollar.
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))
export PYTHON BASE

# Git's merge drivers for what DVC tracks and for what a run writes (.gitattributes), set up in every clone.
DRIVER := .venv/bin/python -m remote.merge
$(shell { git config merge.folder.driver '$(DRIVER) %O %A %B %P' && \
  git config merge.written.driver '$(DRIVER) --written %P'; } 2>/dev/null)

.PHONY: help repro review push pull promote desk report plots next base publish compact adopt known intake sql remote-check verify gc
.PHONY: gateway forget harvest usage demo
.PHONY: test test-fast coverage check format lock licences sbom audit

help:
	@awk -F ':.*## ' '/^#@ / {print substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

.venv/ready: requirements.lock
	@"$$PYTHON" -c 'import os, sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "error: Python 3.11, 3.12 or 3.13 is needed, %s is %d.%d. Name another: make PYTHON=python3.11 ..." % (os.environ["PYTHON"], *v))'
	"$$PYTHON" -m venv .venv
	python -m pip install --quiet --require-hashes --requirement requirements.lock
	@touch $@

data/library:
	@python -m sample

tests/npm/node_modules/ready: tests/npm/package-lock.json
	@if type npm >/dev/null 2>&1; then npm --prefix tests/npm ci --loglevel=error && touch $@; \
	else echo "npm is not installed: the tests that need Azurite are skipped" >&2; fi

#@ Every day:
repro: .venv/ready | data/library ## run what changed; then metrics, verdict and what to do next
	@python -m intake.dates
	@python -m runtime.repro
	@python -m review.summary
	@[[ -z "$$MLFLOW_TRACKING_URI" ]] || python -m review.mlflow_server

review: .venv/ready ## print what a pull request needs, draw the worst pictures [BASE=main]
	@python -m review.pull_request --base="$$BASE"

push: .venv/ready ## send what the workspace needs to the DVC remote [COMMITS="model-006 main"]
	@python -m remote.push --commits="$$COMMITS"

pull: .venv/ready ## fetch what the workspace needs, checking every byte [COMMITS="..."]
	@python -m remote.pull --commits="$$COMMITS"

promote: .venv/ready ## tag the model as the one in production [REASON="..."]
	@python -m release.promote --reason="$$REASON"

#@ Models and pictures:
desk: .venv/ready ## decide about pictures in the browser; then make intake [PORT=8765] [PERSON=ana]
	@python -m curation.desk --port="$${PORT:-8765}" --host="$$HOST" --site="$$SITE" --person="$$PERSON" \
	    --invite="$$INVITE" $${DAYS:+--days="$$DAYS"} --withdraw="$$WITHDRAW" --proxy="$$PROXY" --user-header="$$USER_HEADER" \
	    --team="$$TEAM" $${SHARE:+--share="$$SHARE"} $${REPEATS:+--repeats="$$REPEATS"} \
	    $${BLIND:+--blind="$$BLIND"}

report: .venv/ready ## write build/report.html for people who run no commands (make plots: the plots)
	@python -m review.page

plots: .venv/ready # of dvc.yaml, to build/plots.html [AGAINST=main]
	@python -m review.plots --against="$$AGAINST"

next: .venv/ready ## the promoted model becomes the base (make compact: and shards are full again)
	@python -m release.next_cycle

base: .venv/ready ## roll back: an older promoted model becomes the base, VERSION=6
	@python -m release.change_base --version="$$VERSION"

publish: .venv/ready ## copy a promoted model to where it is served, TO=az://models [VERSION=7]
	@python -m release.publish --to="$$TO" $${VERSION:+--version="$$VERSION"}

compact: .venv/ready # let this cycle pack shards that are not full into full ones
	@python -m release.compact

adopt: .venv/ready ## use your photos, LIBRARY=... [BENCHMARKS=...] [UNLABELLED=...] [SETTINGS=keep]
	@python -m intake.adopt --library="$$LIBRARY" --benchmarks="$$BENCHMARKS" --unlabelled="$$UNLABELLED" \
	    --settings="$$SETTINGS"

known: .venv/ready ## say whether pictures are here already, and where, FILES="photo.jpg folder"
	@python -m intake.known --files="$$FILES"

intake: .venv/ready # move unlabelled pictures to where people decided that they belong
	@python -m intake.accepted

sql: .venv/ready ## query every table with DuckDB [QUERY="select ..."]
	@python -m review.sql --query="$$QUERY"

#@ In production:
gateway: .venv/ready ## answer photos over HTTP and log each one [PORT=8080] [HOST=192.168.1.5]
	@python -m serving --port="$$PORT" --host="$$HOST"

forget: .venv/ready ## leave nothing of an answer and its photo, TRANSACTION=...
	@python -m serving.forget --transaction="$$TRANSACTION"

harvest: .venv/ready ## fetch answers that people should judge [FROM=az://logs] [DAYS=7] [NUMBER=200]
	@python -m intake.harvest --from="$$FROM" --days="$${DAYS:-7}" --number="$${NUMBER:-200}"

usage: .venv/ready ## write what people ask, and get [FROM=az://logs] [TO=build/usage] [DAYS=91]
	@python -m serving.usage --from="$$FROM" --to="$${TO:-build/usage}" --days="$${DAYS:-91}"

demo: .venv/ready ## all of this on made-up visitors, in a few minutes; after make repro
	@python -m serving.demo

#@ The DVC remote:
remote-check: .venv/ready ## say what is wrong with the remote, before a run is paid for
	@python -m remote.check

verify: .venv/ready ## name what is damaged or missing, there or here [COMMITS="..."] [SAMPLE=0.1]
	@python -m remote.verify --commits="$$COMMITS" --sample="$${SAMPLE:-1}"

gc: .venv/ready ## list or delete what nothing needs [DELETE=1] [DAYS=30] [SHARED="cache remote"]
	@python -m remote.gc --days="$${DAYS:-30}" --shared="$$SHARED" $${DELETE:+--delete}

#@ The code:
test: .venv/ready tests/npm/node_modules/ready ## run all tests
	pytest

test-fast: .venv/ready ## run the tests that need no network, server, browser or pipeline
	pytest -m "not slow"

coverage: .venv/ready tests/npm/node_modules/ready # of all tests; prints files of which they reach less than 90 %
	COVERAGE_CORE=$$(python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")') pytest --cov --cov-report=
	@coverage report | awk 'NR == 1 || /^TOTAL/ || /%$$/ && $$NF + 0 < 90'

check: .venv/ready ## lint and check the types, changing nothing (make format: repair what can be)
	ruff check .
	ruff format --check .
	mypy
	shellcheck .ci/run
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	zizmor --quiet --offline --persona=pedantic .github/workflows

format: .venv/ready # repairs what can be repaired automatically
	ruff check --fix .
	ruff format .

#@   make coverage, lock, licences, sbom, audit: coverage, locks, licences, bill of materials, holes
lock: .venv/ready
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev --extra cluster --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --python-platform x86_64-manylinux_2_28 --python-version 3.12 --generate-hashes --no-emit-index-url --no-header --extra gpu --extra cluster --constraint requirements.lock --output-file requirements-gpu.lock pyproject.toml
	uv pip compile --quiet --python-platform x86_64-manylinux_2_28 --python-version 3.12 --generate-hashes --no-emit-index-url --no-header --constraint requirements.lock --output-file requirements-gateway.lock deploy/gateway.in

licences: .venv/ready # to docs/licences.csv
	@python -m deploy.sbom --licences > licences.partial && mv licences.partial docs/licences.csv

sbom: .venv/ready # of both locks, CycloneDX, to sbom.cdx.json
	@python -m deploy.sbom > sbom.partial && mv sbom.partial sbom.cdx.json

audit: .venv/ready # asks the advisory database, which takes the network
	uv tool run pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock
	uv tool run pip-audit --strict --disable-pip --require-hashes --requirement requirements-gpu.lock
