# make run: install into .venv, then the main job. make test: the same, then lint and tests.
# PYTHON=python3.12 make run picks another interpreter, 3.10 or newer.

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

.PHONY: run image llm test paper bench clean

run: $(INSTALLED)
	$(VENV)/bin/python main_binary.py --dataset bank --diabetes n

image: $(IMAGE)

llm: $(LLM)

test: $(INSTALLED) $(IMAGE) $(LLM)
	$(VENV)/bin/python -m ruff check .
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest

# Every data set that is here, under both protocols: SEEDS=0-19 JOBS=4 DATA=folder make paper
SEEDS ?= 0-4
JOBS ?= 2
paper: $(INSTALLED)
	for protocol in paper strict; do \
		$(VENV)/bin/python compare.py --datasets available --methods all --protocol $$protocol \
			--seeds $(SEEDS) --jobs $(JOBS) $(if $(DATA),--data-dir $(DATA)) \
			--out results/compare-$$protocol || exit $$?; \
	done

# This engine beside pyDVL, dattri and captum, then the whole Bank experiment: about 12 minutes.
bench: $(BENCH)
	$(VENV)/bin/python benchmarks/engine.py $(BENCH_OPTIONS)
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

$(BENCH): requirements-bench.txt $(INSTALLED)
	@$(PIP) --no-deps -r requirements-bench.txt
	@touch $@

$(LLM): requirements-llm.txt $(INSTALLED)
	@$(PIP) -r requirements.txt -r requirements-llm.txt
	@touch $@

clean:
	rm -rf $(VENV)
