# `make help` lists the commands. They make .venv from requirements.lock when there is none.
SHELL := /bin/bash
PYTHON ?= python3
BASE ?= main
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL ?= 2
# Text that a person gives: make would take its dollars for variables.
override REASON := $(value REASON)
override QUERY := $(value QUERY)
override BASE := $(value BASE)
export REASON QUERY BASE

# Git's merge drivers for what DVC tracks and for what a run writes (.gitattributes), set up in every clone.
DRIVER := .venv/bin/python -m remote.merge
$(shell git config merge.folder.driver '$(DRIVER) %O %A %B %P' && git config merge.written.driver '$(DRIVER) --written %P')

.PHONY: help repro test check format remote-check push pull verify gc review report promote publish next compact sql adopt lock licences sbom audit

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "error: Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is %d.%d. Name another: make PYTHON=python3.11 ..." % v)'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --require-hashes --requirement requirements.lock
	@touch $@

data/library:
	python -m sample

repro: .venv/ready | data/library ## run what changed, then show the metrics, the verdict and what to try next
	@python -m runtime.repro
	@python -m review.summary

tests/npm/node_modules/ready: tests/npm/package-lock.json
	@if type npm >/dev/null 2>&1; then npm --prefix tests/npm ci --loglevel=error && touch $@; \
	else echo "npm is not here: the tests that need Azurite are skipped" >&2; fi

test: .venv/ready tests/npm/node_modules/ready ## run the tests
	pytest

check: .venv/ready ## lint and check the types, changing nothing
	ruff check .
	ruff format --check .
	mypy
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	zizmor --quiet --offline --persona=pedantic .github/workflows

format: .venv/ready ## mend what can be mended by itself
	ruff check --fix .
	ruff format .

remote-check: .venv/ready ## say in words what is wrong with the DVC remote, before a run is paid for
	@python -m remote.check

push: .venv/ready ## bring all that is needed to the DVC remote, or say what it lacks: make push [COMMITS="model-006 main"]
	@python -m remote.push --commits="$$COMMITS"

pull: .venv/ready ## fetch and check out all that is needed, digesting what comes: make pull [COMMITS="..."]
	@python -m remote.pull --commits="$$COMMITS"

verify: .venv/ready ## read cache and remote again and name what is damaged or missing: make verify [COMMITS="..."] [SAMPLE=0.1]
	@python -m remote.verify --commits="$$COMMITS" --sample="$${SAMPLE:-1}"

gc: .venv/ready ## say what no branch, tag or experiment needs, or delete it here and on the remote: make gc [DELETE=1] [DAYS=30]
	@python -m remote.gc --days="$${DAYS:-30}" $(if $(DELETE),--delete)

review: .venv/ready ## print the Markdown that a pull request needs, draw the worst pictures: make review BASE=main
	@python -m review.pull_request --base="$$BASE"

report: .venv/ready ## write one page for people who run no commands: build/report.html
	@python -m review.page

promote: .venv/ready ## tag the model as the one in production: make promote [REASON="..."]
	@python -m release.promote --reason="$$REASON"

publish: .venv/ready ## copy a promoted export to where it is served from: make publish TO=az://models [VERSION=7]
	@python -m release.publish --to="$$TO" $(if $(VERSION),--version="$$VERSION")

next: .venv/ready ## open the next cycle from the promoted model
	@python -m release.next_cycle

compact: .venv/ready ## in this cycle, pack shards that are not full anew
	@python -m release.compact

sql: .venv/ready ## query every table with DuckDB: make sql [QUERY="select ..."]
	@python -m review.sql --query="$$QUERY"

adopt: .venv/ready ## put your own pictures in place of the sample: make adopt LIBRARY=folder [BENCHMARKS=folder] [UNLABELLED=folder]
	@python -m intake.adopt --library="$$LIBRARY" --benchmarks="$$BENCHMARKS" --unlabelled="$$UNLABELLED"

lock: .venv/ready ## pin every version anew, for machines without and with a GPU
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev --extra cluster --output-file requirements.lock pyproject.toml
	uv pip compile --quiet --python-platform x86_64-manylinux_2_28 --python-version 3.12 --generate-hashes --no-emit-index-url --no-header --extra gpu --extra cluster --constraint requirements.lock --output-file requirements-gpu.lock pyproject.toml

licences: .venv/ready ## list the licence of every locked package in docs/licences.csv
	@python -m deploy.sbom --licences > licences.partial && mv licences.partial docs/licences.csv

sbom: .venv/ready ## write the bill of materials of both locks (CycloneDX): sbom.cdx.json
	@python -m deploy.sbom > sbom.partial && mv sbom.partial sbom.cdx.json

audit: .venv/ready ## ask the advisory database about every locked version; takes the network
	uv tool run pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock
	uv tool run pip-audit --strict --disable-pip --require-hashes --requirement requirements-gpu.lock
