# Needs Python >= 3.11 with venv, and git. Every target sets up what it needs; a second run is instant.
PY := .venv/bin/python
HOMEPORT := $(PY) -m homeport
STARTERS := smollm2-135m qwen2.5-coder-0.5b multilingual-e5-small whisper-base kokoro-82m homeport-moderation
.PHONY: help setup serve train lint fix types test train-test soak bench docs check
.DEFAULT_GOAL := help

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile
.venv/.run: requirements/run.txt scripts/environment
	@scripts/environment .venv requirements/run.txt && touch $@
.venv/.dev: requirements/dev.txt scripts/environment
	@scripts/environment .venv requirements/dev.txt && touch .venv/.run $@
.venv-clients/.clients: requirements/clients.txt scripts/environment
	@scripts/environment .venv-clients requirements/clients.txt && touch $@
.venv/.train: requirements/train.txt | .venv/.run
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $< && touch $@
# Where npm is missing or fails, the kernels inside the wheel are used.
.venv/.kernels: src/homeport/models/kernels.py | .venv/.run
	@if command -v npm >/dev/null && $(HOMEPORT) kernels install; then touch $@; else echo "Using the wheel's kernels."; fi
setup: .venv/.dev .venv-clients/.clients .venv/.kernels ## Both environments, the kernels, the weights that tests use
	@HOMEPORT_OPTIMIZE=off $(HOMEPORT) pull $(STARTERS)
serve: .venv/.run .venv/.kernels ## Serve the API on 127.0.0.1:8080, fetching the starter models first
	@exec $(HOMEPORT) serve
train: .venv/.train ## Add what `homeport finetune` needs
lint: .venv/.dev ## Style, formatting, the arrows between rooms
	@.venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/lint-imports --no-logo
fix: .venv/.dev ## Correct what can be corrected by itself
	@.venv/bin/ruff check --fix; .venv/bin/ruff format
types: .venv/.dev ## mypy --strict
	@.venv/bin/mypy
test: setup ## All tests, the holds among them scaled down
	@$(PY) -m pytest -m "not training"
train-test: setup .venv/.train ## The tests of fine-tuning, some minutes
	@$(PY) -m pytest -m training
soak: setup ## The holds at full length; the result goes to docs/soak.md
	@scripts/soak
bench: setup ## Measure against the peers, in one run; the table goes to bench/LOG.md
	@$(PY) -m bench && for kind in embeddings transcription speech moderation images; do $(PY) -m bench.$$kind --log || exit; done
docs: setup ## Write the pages made from code and from what tests saw
	@$(PY) -m homeport.documentation && $(PY) -m pytest tests/system/test_compatibility.py tests/system/test_readme.py --write-pages
check: lint types ## All that must hold before a commit
	@$(PY) -m homeport.documentation --check && $(MAKE) --no-print-directory test
