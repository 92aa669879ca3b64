# `make help` lists the commands. They make .venv from requirements.lock when there is none.
SHELL := /bin/bash
PYTHON ?= python3
BASE ?= main
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help repro test check format review promote publish next compact sql adopt lock licences sbom audit

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "error: Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is %d.%d. Name another: make PYTHON=python3.11 ..." % v)'
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --require-hashes --requirement requirements.lock
	@touch $@

data/library:
	python -m sample

repro: .venv/ready | data/library ## run what changed, then show the metrics, the verdict and what to try next
	dvc repro
	@python -m serving.summary

test: .venv/ready ## run the tests
	pytest

check: .venv/ready ## lint and check the types, changing nothing
	ruff check .
	ruff format --check .
	mypy

format: .venv/ready ## mend what can be mended by itself
	ruff check --fix .
	ruff format .

review: .venv/ready ## print the Markdown that a pull request needs: make review BASE=main
	@python -m serving.review --base="$(BASE)"

promote: .venv/ready ## tag the model as the one in production: make promote [REASON="..."]
	@python -m serving.promote --reason="$$REASON"

publish: .venv/ready ## copy a promoted export to where it is served from: make publish TO=az://models [VERSION=7]
	@python -m serving.publish --to="$$TO" $(if $(VERSION),--version="$$VERSION")

next: .venv/ready ## open the next cycle from the promoted model
	@python -m serving.next_cycle

compact: .venv/ready ## in this cycle, pack shards that are not full anew
	@python -m serving.compact

sql: .venv/ready ## query every table with DuckDB: make sql [QUERY="select ..."]
	@python -m curation.sql --query="$$QUERY"

adopt: .venv/ready ## put your own pictures in place of the sample: make adopt LIBRARY=folder [BENCHMARKS=folder] [UNLABELLED=folder]
	@python -m curation.adopt --library="$$LIBRARY" --benchmarks="$$BENCHMARKS" --unlabelled="$$UNLABELLED"

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
