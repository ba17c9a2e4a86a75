# The few commands of the project. `make setup` is quick when nothing has changed; the others call it first.
#
#   make demo                 the sample clip, rendered with the embedded model; a second time nothing is rendered anew
#   make test ARGS="-k pose"  tests, a process a core and one more, since many wait for others; ARGS goes to pytest;
#                             property tests draw the same examples each time, python -m benchmarks.property_search others
#   make test-all             those tests as well that take minutes each: a live `serve`, a Ray cluster, remote tracking
#   make check                lint, format, types
#   make accept-ops           accept changed ops whose output cannot have changed (else raise their version)
#   make clean                what tools leave behind; the store and your renders stay (rotoscope gc)

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
CORES  := $(shell getconf _NPROCESSORS_ONLN)
WORKERS ?= $(shell expr $(CORES) + 1)
LIVE   := tests/tasks/test_write_live.py tests/flows/test_serve_live.py tests/flows/test_sweeps_ray.py tests/tasks/test_tracking_remote.py
PINS   := pyproject.toml constraints.txt
PIP    := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt
STAMP  := $(VENV)/.installed-$(shell cat $(PINS) 2>/dev/null | cksum | tr ' ' '-')

# What pip fetches is told as it comes, with size and speed; `step` says what for.
step = @printf '\n== %s\n' "$(1)"

.PHONY: setup browser demo test test-live test-all check accept-ops clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

# torch goes first: whatever build of it is there already (CUDA, CPU) is kept, and the others resolve around it.
# rtmlib goes last and alone: it asks for two more builds of OpenCV, which would overwrite the headless one's files.
$(STAMP): $(PINS)
	@echo "Setting up $(VENV), once: some hundred packages, 8 GB on disk with the CUDA build of torch that Linux gets; minutes."
	$(call step,1 of 4: the environment ($(VENV)))
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@date +%s > $(VENV)/.began
	$(call step,2 of 4: torch and torchvision; the largest part. A build that is there already is kept.)
	@$(PIP) torch torchvision
	$(call step,3 of 4: all other packages and those that check and test)
	@$(PIP) -e ".[dev]"
	$(call step,4 of 4: rtmlib; alone because it asks for further builds of OpenCV)
	@$(PIP) --no-deps rtmlib
	@rm -f $(VENV)/.installed-*
	@touch $@
	@printf '\nSet up in %d s; %s in $(VENV). make test runs the tests, make demo renders the sample clip.\n' \
	  $$(( $$(date +%s) - $$(cat $(VENV)/.began) )) "$$(du -sh $(VENV) | cut -f1)"

# The comparison's page is tested in a real browser. Where none is there and may not be installed, those tests say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || test -n "$$CHROMIUM" || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	    && echo "installing Chromium, which tests the pages" && apt-get update -qq \
	    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || echo "no Chromium: the tests of pages are skipped (apt-get install chromium, or name one by CHROMIUM=path)"

demo: setup
	@printf '\nRendering the sample clip, two seconds of a dancer, with the embedded model.\n\n'
	@$(BIN)/rotoscope dance tracking.timeout=60 $(ARGS)
	@printf '\nThat movie is yours: open it (rotoscope open), and the contact sheet beside it. Next, a clip of your own:\n\n'
	@printf '  rotoscope dance clip=my.mp4 \\\n    prompt="%s"\n\n' \
	  "a girl with short blonde hair and light skin in a red top and a blue skirt, green background, dancing"
	@printf '  %-24s %s\n' "rotoscope gallery" "all that you made on one page" \
	  "rotoscope why last" "what a render was made of, and why" "rotoscope dance --help" "every setting"
	@echo
	@echo "First, once a shell, for rotoscope by its name: source $(BIN)/activate"

# One thread each: the networks of the tests are small, and threads that wait for one another cost more than they give.
test: setup browser
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# One after another and alone: they start servers and clusters of their own, and a busy machine would end them by the clock.
test-live: setup
	ROTOSCOPE_TEST_LIVE=1 ROTOSCOPE_TEST_RAY=1 ROTOSCOPE_TEST_REMOTE=1 OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} \
	  $(BIN)/python -m pytest $(LIVE)

test-all: test test-live

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers $(CORES)

accept-ops: setup
	$(BIN)/python -m reel.code_hash

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis outputs multirun
	find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
