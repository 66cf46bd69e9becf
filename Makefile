# The verbs for people who work on edge-agent. Each makes what it needs first, in .venv; `make clean` takes it away.
VENV  := .venv
BIN   := $(VENV)/bin
ARGS  ?=
PYTHON ?=

# The pins hold for the packages that build ours, too; newer pip reads the second name for those.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo install check test bench soak interop new-driver pages words picture clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## Say what there is to make
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: $(VENV)/.demo ## Show the whole journey: make demo ARGS="--for 30s --json"
	@$(BIN)/edge-agent demo $(ARGS)

install: $(VENV)/.dev ## Install for working on it, editable, entry points as in pyproject.toml now

check: $(VENV)/.dev ## Lint, format, types and the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadgroup tests/house

# Three at once on two cores: tests wait more than they work.
test: needs $(VENV)/.dev ## Run the whole suite, after installing what it needs (as root)
	$(BIN)/pytest -n 3 --dist loadgroup $(ARGS)

.PHONY: needs
needs:
	@scripts/needs.sh

bench: $(VENV)/.dev ## Measure the figures of docs/performance.md, 15 min; ARGS=--write writes them there
	$(BIN)/python -m benchmarks.tables $(ARGS)

soak: needs $(VENV)/.dev ## Run the scenarios of failure in their long forms too (hours), and write docs/reliability.md
	$(BIN)/pip install -q atheris || echo "atheris does not install here: nothing is fuzzed" >&2
	EDGE_AGENT_EXPLORE=1 EDGE_AGENT_RELIABILITY=docs/reliability.md $(BIN)/pytest -m soak -n 2 --dist loadgroup tests/faults tests/fuzz $(ARGS)

package: $(VENV)/.dev ## Make bundles and packages in dist/; ARGS="bookworm-arm64" for one of them
	@scripts/package.sh $(ARGS)

package-test: needs $(VENV)/.dev ## Install, upgrade and roll back for real, 10 min, as root
	@command -v lintian debootstrap >/dev/null || apt-get install -q -y --no-install-recommends debootstrap lintian
	$(BIN)/pytest -m package tests/install $(ARGS)

interop: $(VENV)/.dev ## Run the journey over RabbitMQ, ejabberd, NATS and mosquitto, and a real Home Assistant (10 min)
	@scripts/needs.sh interop
	@scripts/hass.sh $(VENV)-hass
	EDGE_AGENT_HASS="$$PWD/$(VENV)-hass/bin/python" $(BIN)/pytest -m interop tests/interop $(ARGS)

new-driver: $(VENV)/.dev ## Begin a driver: make new-driver NAME=foo
	@$(BIN)/python scripts/new_driver.py "$(NAME)"
	@$(BIN)/pip install -q --no-deps -e .  # what it needs is there: only the entry point is new
	@touch $(VENV)/.dev $(VENV)/.demo
	@$(MAKE) --no-print-directory pages PAGES='drivers/$(NAME)/vectors.toml'
	@echo "now: $(BIN)/pytest tests/drivers -k $(NAME), and docs/driver.md"

PAGES ?= drivers/*/vectors.toml drivers/*/*/vectors.toml
pages: $(VENV)/.dev ## Write the generated parts of the drivers' pages, docs/devices.md, docs/reference.md and docs/api
	@for driver in $(PAGES); do \
		folder=$${driver%/*}; \
		$(BIN)/edge-agent drivers page "$${folder##*/}" > "$$folder/page.new" || exit 1; \
		mv "$$folder/page.new" "$$folder/README.md"; \
	done
	@$(BIN)/edge-agent drivers table > docs/devices.new && mv docs/devices.new docs/devices.md
	@$(BIN)/python scripts/reference.py > docs/reference.new && mv docs/reference.new docs/reference.md
	@$(BIN)/python -m edge_agent.console.openapi > docs/api/openapi.new && mv docs/api/openapi.new docs/api/openapi.json

words: $(VENV)/.dev ## Bring the translations in step with the code, and say what is not translated
	@$(BIN)/python -m scripts.words

picture: $(VENV)/.dev ## Record docs/demo.svg and docs/pictures from real demos
	$(BIN)/python scripts/picture.py docs/demo.svg
	EDGE_AGENT_PICTURES=$(CURDIR)/docs/pictures $(BIN)/pytest -q tests/console/test_console_pictures.py

clean: ## Take away .venv and all caches
	rm -rf $(VENV) $(VENV)-hass .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/peers/node_modules

# Entry points are written when the package is installed, even editable: so again when pyproject.toml changes.
$(VENV)/.demo: pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" scripts/venv.sh $(VENV) >&2
	@echo "installing edge-agent and what its demo needs in $(VENV)" >&2
	@$(BIN)/pip install -q -e '.[console,demo]' >&2
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" scripts/venv.sh $(VENV) >&2
	@echo "installing edge-agent and its tools in $(VENV)" >&2
	@$(BIN)/pip install -q -e '.[ble-encryption,console,contract,demo,dev]' >&2
	@touch $@ $(VENV)/.demo
