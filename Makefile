# Two commands: `make demo` captures the sample photo, `make test` proves the project. Both build .venv by themselves.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
OPENCV := opencv-python-headless==4.11.0.86

.PHONY: demo test test-slow lint bench clean apk

demo: $(VENV)/.demo
	$(BIN)/emoca-tf capture sample:astronaut -o out/astronaut  # the embedded encoder; --fit would refine it
	@echo "Look at out/astronaut/overlay.png"

test: $(VENV)/.dev lint
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# mediapipe brings an OpenCV that needs libGL; the headless build of the same version replaces it in place.
define install
$(BIN)/python -m pip install --quiet -e ".[$(1)]" -c constraints.txt
$(BIN)/python -m pip install --quiet --force-reinstall --no-deps $(OPENCV)
touch $@
endef

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(call install,fit)

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(call install,dev)
	touch $(VENV)/.demo

# The Android app: networks of the embedded weights (or of MODEL=...) into its assets, proved on a JVM, then a signed,
# checked APK.
# Needs a JDK 17 and x86-64 Linux; what the APK is stands in android_demo/build/report.json afterwards.
MODEL ?=
apk: $(VENV)/.dev
	PYTHON=$(BIN)/python android_demo/tools/export_bundle $(MODEL)
	$(BIN)/python android_demo/tools/prove_bundle.py
	PYTHON=$(BIN)/python android_demo/tools/build_offline.sh

clean:
	rm -rf $(VENV) out runs android_demo/build android_demo/engine/build .pytest_cache .mypy_cache .ruff_cache
