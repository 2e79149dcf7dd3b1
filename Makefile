# Two commands: `make demo` renders the example crystal, `make test` runs the tests. Both set up what they need
# in .venv; PYTHON names the interpreter to build it with.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
SOURCES := pyproject.toml setup.py setup.cfg $(wildcard c_src/*)

.PHONY: demo test test-gpu clean

.venv/ready: $(SOURCES)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "nanobragg needs Python 3.10 or later: make PYTHON=...")'
	$(PYTHON) -m venv .venv || { echo "no venv in $(PYTHON): install its venv package (Debian: python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test,pictures]"
	touch .venv/ready

demo: .venv/ready
	mkdir -p $(DEMO)
	cd $(DEMO) && ../$(BIN)/nanoBragg -mat ../examples/1a8o.mat -hkl ../examples/1a8o.hkl \
	    -lambda 1 -distance 160 -pixel 0.2 -detpixels 720 -N 10 -nointerpolate -oversample 1 \
	    -phi 12 -osc 1 -phisteps 10 -mosaic 0.6 -mosaic_domains 25 -fluence 4e28 -water 1.2 -seed 1
	$(BIN)/python examples/picture.py $(DEMO)/noiseimage.img $(DEMO)/picture.png
	@echo "PDB entry 1A8O, rendered:"
	@echo "  $(CURDIR)/$(DEMO)/picture.png       the picture to look at"
	@echo "  $(CURDIR)/$(DEMO)/noiseimage.img    counts with photon noise (SMV)"
	@echo "  $(CURDIR)/$(DEMO)/intimage.img      scaled counts (SMV)"
	@echo "  $(CURDIR)/$(DEMO)/floatimage.bin    photons per pixel (720 x 720 binary32)"

test: .venv/ready
	$(BIN)/python -m pytest -n auto -q
	NUMBA_ENABLE_CUDASIM=1 NANOBRAGG_CUDA_THREADS=8 $(BIN)/python -m pytest -n auto -q tests/gpu

test-gpu: .venv/ready
	NANOBRAGG_REQUIRE=cref,gpu $(BIN)/python -m pytest -q tests/gpu

clean:
	rm -rf .venv build dist $(DEMO) nanobragg/_cref*.so *.egg-info
