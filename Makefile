# Every target is one script in scripts/, run with the tools in .venv.
#   make test ARGS="-n0 -k span"       hands arguments to the script
#   make demo PYTHON=python3.13        picks the interpreter that .venv is made with

PACKAGES := $(wildcard packages/*/pyproject.toml)
PAGES := requirements/node.txt web/package-lock.json web/index.html web/vite.config.ts \
	$(shell find web/src web/public -type f ! -name openapi.d.ts)
PYTHON ?=
ARGS ?=
export PYTHON

RUN = PATH="$(CURDIR)/.venv/bin:$$PATH" scripts

.PHONY: help demo serve test check bench dist pages screenshots lock format clean
.NOTPARALLEL:

help: ## List the targets
	@scripts/help

demo: .venv/run.stamp .venv/pages.stamp ## Record an example agent's run where `make serve` shows it, and print it as a tree
	@$(RUN)/demo $(ARGS)

serve: .venv/run.stamp .venv/pages.stamp ## Keep a server running; print a link to its pages and two variables for its clients
	@$(RUN)/serve $(ARGS)

test: .venv/dev.stamp .venv/pages-dev.stamp .venv/browser.stamp ## Run every test
	@$(RUN)/test $(ARGS)

check: .venv/dev.stamp .venv/pages-dev.stamp ## Format, lint, types, locks, architecture, docs: every failure, not only the first
	@$(RUN)/check $(ARGS)

bench: .venv/dev.stamp ## Measure every figure the documentation claims
	@$(RUN)/bench $(ARGS)

dist: .venv/run.stamp .venv/pages.stamp ## Build wheels, source distributions, requirements and constraints into dist/
	@$(RUN)/dist $(ARGS)

pages: .venv/run.stamp ## Build the pages in the browser into the server package
	@$(RUN)/pages build

screenshots: .venv/dev.stamp .venv/pages-dev.stamp .venv/browser.stamp ## Make the pictures that README and docs show, from example data
	@$(RUN)/screenshots $(ARGS)

lock: .venv/dev.stamp ## Rewrite requirements/*.txt from requirements/*.in and the packages
	@$(RUN)/lock $(ARGS)

format: .venv/dev.stamp .venv/pages-dev.stamp ## Rewrite the code the way `make check` wants it
	@$(RUN)/format $(ARGS)

clean: ## Remove .venv and every cache
	@scripts/clean

# What is installed follows the locks and the packages' own lists of what they need. The
# development set contains the running set, so installing it satisfies both stamps.
.venv/run.stamp: requirements/run.txt $(PACKAGES)
	@scripts/install run

.venv/dev.stamp: requirements/dev.txt $(PACKAGES)
	@scripts/install dev

# The pages, and what checking and testing them needs besides. Where Node cannot be had, building
# them says so and leaves no stamp: the server works without its pages.
.venv/pages.stamp: $(PAGES)
	@scripts/pages build

.venv/pages-dev.stamp: $(PAGES)
	@scripts/pages dev

.venv/browser.stamp:
	@scripts/browser
