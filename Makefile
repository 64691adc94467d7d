# Everything runs in .venv, which is made on the first call and again when pyproject.toml or constraints.txt change.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
EXTRAS ?= course
ARGS ?=

RUN := .venv/bin/python -m
READY := .venv/.ready

# A fixed backend in the reader's shell would change what the notebooks' figure cells print.
unexport MPLBACKEND

.PHONY: help train test course lint format

help: ## Show this list
	@echo 'make TARGET [ARGS="..."] [PYTHON=python3.12]'
	@sed -n 's/^\([a-z]*\):.*## /  \1	/p' Makefile
	@echo 'ARGS goes to the command, for example: make train ARGS="--preset cpu-minute"; make test ARGS="-k tales".'
	@echo 'No GPU on Linux? A far smaller download: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make train'
	@echo 'A GPU that needs another torch than constraints.txt names: make train CONSTRAINTS=/dev/null, or a file of your own.'

train: $(READY) ## Train the default GPT for this machine, into runs/default
	$(RUN) minigpt train --out runs/default $(ARGS)

test: $(READY) ## Test the package and run every notebook
	$(RUN) pytest --nbval $(ARGS)

course: $(READY) ## Open the course in JupyterLab
	$(RUN) jupyterlab --notebook-dir=notebooks $(ARGS)

lint: $(READY) ## Check style and format, changing nothing
	$(RUN) ruff check
	$(RUN) ruff format --check

format: $(READY) ## Put style and format right
	$(RUN) ruff check --fix
	$(RUN) ruff format

# A half-made or broken .venv is made anew; a whole one is brought up to date.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || \
	  { echo "minigpt needs Python 3.10 or newer, and there is no '$(PYTHON)': install it (on Debian or Ubuntu:" \
	  "sudo apt install python3-venv), or name yours, as in: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "minigpt needs Python 3.10 or newer, and '$(PYTHON)' is" \
	  "$$($(PYTHON) --version 2>&1): install a newer one and name it, as in: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "'$(PYTHON)' cannot make a virtual environment, because its venv module is missing: install it (on Debian" \
	  "or Ubuntu: sudo apt install python3-venv), then call make again" >&2; exit 1; }
	@$(RUN) pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(RUN) pip install --quiet --editable '.[$(EXTRAS)]' --constraint $(CONSTRAINTS)
	@touch $@
