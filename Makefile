# Two commands: `make demo` renders the example crystal, `make test` runs the tests. Each sets up what it needs, and no
# more, in a folder of its own; PYTHON names the interpreter to build it with.
PYTHON ?= python3
BIN := .venv/bin
DEMO_BIN := .venv-demo/bin
DEMO := demo
SOURCES := pyproject.toml setup.py setup.cfg $(wildcard c_src/*)
# Levels of processors below one with AVX-512 (kernels/compiling/processor.py).
LESSER := $(shell grep -qs -m1 avx512vl /proc/cpuinfo && echo x86-64-v2 x86-64-v3)
# Many tests wait for processes of their own: one more worker than processors.
ifndef PYTEST_XDIST_AUTO_NUM_WORKERS
export PYTEST_XDIST_AUTO_NUM_WORKERS := $(shell $(PYTHON) -c 'import os; print(1 + (os.cpu_count() or 1))')
endif
.PHONY: demo docs wheels check test test-gpu test-cuda-packages lint clean

define environment
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "nanobragg needs Python 3.10 or later: make PYTHON=...")'
	$(PYTHON) -m venv $(1) || { echo "no venv in $(PYTHON): install its venv package (Debian: python3-venv)"; exit 1; }
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2)
	touch $(1)/ready
endef

.venv/ready: $(SOURCES)
	$(call environment,.venv,-e ".[test]")

.venv-demo/ready: $(SOURCES) $(shell find kernels engine cli -name "*.py" -o -name "*.js")
	$(call environment,.venv-demo,--no-compile ".[view]")
	.venv-demo/bin/python -m pip uninstall --quiet --yes setuptools pip  # 30 MB that the demo does not need

.venv-docs/ready: pyproject.toml
	$(call environment,.venv-docs,"mkdocs-material>=9.5")

demo: .venv-demo/ready
	mkdir -p $(DEMO)
	cd $(DEMO) && ../$(DEMO_BIN)/nanoBragg --structure ../examples/1a8o.pdb --detector "Eiger2 4M" -distance 180 -energy 12400 \
	    -N 16 -oversample 1 -misset 12 34 56 -osc 1 -phisteps 10 -mosaic 0.4 -mosaic_domains 25 \
	    -polar 0.98 -fluence 3e28 -water 0.13 -seed 1 --fix all --output image.h5 --only-output
	cd $(DEMO) && ../$(DEMO_BIN)/nb-view image.h5 -o picture.png --width 1100 && ../$(DEMO_BIN)/nb-view image.h5 --html page.html
	@echo "PDB entry 1A8O on an Eiger2 4M:"
	@echo "  $(CURDIR)/$(DEMO)/picture.png   the picture to look at"
	@echo "  $(CURDIR)/$(DEMO)/page.html     the same in a browser: zoom, contrast, indices under the cursor"
	@echo "  $(CURDIR)/$(DEMO)/image.h5      counts with photon noise (NXmx), which DIALS opens"

# The documentation as a site in site/, built without a warning.
docs: .venv-docs/ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict

# A wheel, installed without a compiler on two Pythons.
wheels: .venv/ready
	./.ci/wheels $(BIN)/python

# All parts run, whatever the others find: the tests; the kernels of the CPU once more in the code for processors with
# 256-bit registers and without fused multiply-adds, where this one has more; those of a GPU on the CPU.
test: .venv/ready
	failed=0; \
	$(BIN)/python -m pytest -n auto -q || failed=1; \
	for level in $(LESSER); do NANOBRAGG_CPU=$$level $(BIN)/python -m pytest -n auto -q tests/test_fast.py || failed=1; done; \
	NANOBRAGG_CUDA=on-cpu $(BIN)/python -m pytest -n auto -q tests/gpu || failed=1; \
	exit $$failed

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The quick part, in under a minute: while one works.
check: lint
	$(BIN)/python -m pytest -n auto -q -m "not slow"

test-gpu: .venv/ready
	NANOBRAGG_REQUIRE=cref,gpu $(BIN)/python -m pytest -q tests/gpu

# Kernels of a GPU compiled with the oldest and the newest packages of both CUDAs that the extras allow.
test-cuda-packages:
	./.ci/cuda $(PYTHON)

clean:
	rm -rf .venv .venv-demo .venv-docs build dist site $(DEMO) nanobragg/_cref*.so *.egg-info
