# `make run` and `make test` need nothing but Python 3.11 to 3.13 and make; each sets up what is missing.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
PYTHON := $(VENV)/bin/python
KA := $(VENV)/bin/ka
MODEL := $(VENV)/share/knowledge-assistant/model
DATA ?= data
PORT ?= 8080
PYTEST := $(PYTHON) -m pytest
OPS := .venv-ops
# in this order: what a quiet fleet shows comes before what breaks it
FLEET := site verbs sandbox metrics dashboards alerts ports faults_database faults_services
DEPLOY := deploy deploy_interrupted drain
RESTORE := backup restore
RESTORE_SLOW := plan backup_clock_qemu backup_troubles
FLEET_SLOW := pages metrics_site logs delivery alerts_slow runbooks faults_slow balancer restarts access secrets rotate destroy limits_qemu alerts_clock_qemu \
  scale deploy_refused deploy_lost deploy_secrets promotion patch refresh alerts_deploy

.PHONY: help run setup setup-dev setup-ops test test-fast test-browser test-ansible monitoring-test nix-test image image-fast image-test lab lab-down \
  lab-test fleet-test fleet-slow fleet-soak fleet-watch fleet-losing deploy-test restore-test disaster-test closure deploy rollback verify promote lint format lock clean

help: ## This list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' Makefile | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

run: setup ## Start the assistant; PORT and DATA may be given
	@exec $(KA) serve --data $(DATA) --port $(PORT)

setup: $(VENV)/.ready ## Make .venv and the embedding model

setup-dev: $(VENV)/.ready-dev ## The same with the tools for tests and lint

$(VENV)/.ready: requirements.lock pyproject.toml tools/setup.sh $(wildcard app/embedding/*)
	@tools/setup.sh $(VENV) $(MODEL)

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	@tools/setup.sh --dev $(VENV) $(MODEL)

setup-ops: $(OPS)/.ready ## Make .venv-ops: Ansible and its linter

$(OPS)/.ready: requirements-ops.lock tools/ops.sh tools/python.sh
	@tools/ops.sh $(OPS)

test: setup-dev ## All tests: unit, integration and, where Chromium is or can be installed, browser
	@tools/chromium.sh
	@tools/promtool.sh
	$(PYTEST)

test-fast: setup-dev ## Only the tests that need no server
	$(PYTEST) tests/unit

test-browser: setup-dev ## Only the tests in a real browser
	@tools/chromium.sh
	$(PYTEST) tests/browser

test-ansible: setup-dev setup-ops ## Only the tests of the playbooks' checks; they reach no host
	@tools/promtool.sh
	$(PYTEST) tests/ansible

monitoring-test: setup-dev ## Alerts on paper: complete, firing when they should, about what is measured
	@tools/promtool.sh
	$(PYTEST) tests/unit/test_monitoring.py tests/unit/test_dashboards.py tests/integration/test_consoles.py

nix-test: ## Build the closure, then run, switch, break and mend it on a bare Debian 13 root (root)
	@tests/nix/run.sh

image: ## Bake the machine image through QEMU, into build/image (root); OPTIONS=--stand-in where GitHub is out of reach
	@tools/image.sh build --source qemu $(OPTIONS)

image-fast: ## The same through a container: minutes instead
	@tools/image.sh build --source null $(OPTIONS)

image-test: setup-dev ## Bake the image, look at it, boot it in containers and in QEMU (root)
	@tests/image/run.sh $(or $(OPTIONS),--stand-in)

lab: ## Boot the image as a fleet on this machine (root); HOSTS may be given; then: tools/lab --help
	@tools/lab prepare && tools/lab up --hosts $(or $(HOSTS),full)

lab-down: ## Clear the lab away; data disks stay
	@tools/lab down

lab-test: setup-dev ## Hosts of a lab, broken on purpose (root, an image); those in QEMU take minutes
	@tools/lab prepare
	$(PYTEST) tests/fleet/test_lab*.py $(OPTIONS)

fleet-test: setup-dev setup-ops ## A serving fleet in the lab, then its faults under load (root, an image); MORE names more of tests/fleet
	@tools/lab prepare
	$(PYTEST) $(patsubst %,tests/fleet/test_%.py,$(FLEET) $(MORE)) $(OPTIONS)

deploy-test: setup-dev setup-ops ## Releases, good and bad, deployed under load (root, an image made with --stand-in)
	@tools/lab prepare
	$(PYTEST) $(patsubst %,tests/fleet/test_%.py,$(DEPLOY)) $(OPTIONS)

restore-test: setup-dev setup-ops ## Backups made, read, harmed; what was lost restored; a drill (root, an image); MORE='$$(RESTORE_SLOW)' for all
	@tools/lab prepare
	KA_FLEET_BACKUPS=1 $(PYTEST) $(patsubst %,tests/fleet/test_%.py,$(RESTORE) $(MORE)) $(OPTIONS)

disaster-test: setup-dev setup-ops ## All lost but the repository, and one command (root, an image; an hour at most)
	@tools/lab prepare
	KA_FLEET_BACKUPS=1 $(PYTEST) tests/fleet/test_disaster.py $(OPTIONS)

fleet-slow: setup-dev setup-ops ## All else that is tested on a fleet (root, an image made with --stand-in; two hours)
	@tools/lab prepare
	$(PYTEST) $(patsubst %,tests/fleet/test_%.py,$(FLEET_SLOW)) $(OPTIONS)

fleet-soak: setup-dev setup-ops ## Faults of the fleet again and again, and their table (root, hours)
	@tools/lab prepare
	$(PYTHON) -m tests.fleet.soak $(OPTIONS)

fleet-watch: setup-dev setup-ops ## What watching costs, and whether a quiet fleet is quiet (root, half an hour)
	@tools/lab prepare
	$(PYTHON) -m tests.fleet.watching $(OPTIONS)

fleet-losing: setup-dev setup-ops ## Databases lost again and again: what is missing, how long it takes, what backups cost (root, hours)
	@tools/lab prepare
	KA_FLEET_BACKUPS=1 $(PYTHON) -m tests.fleet.losing $(OPTIONS)

closure: ## Build the closure, sign it, keep it in build/release; OPTIONS=--stand-in where GitHub is out of reach
	@tools/release.sh $(OPTIONS)

# the fleet's verbs; INVENTORY is looked for in the folder ansible
PLAY = cd ansible && PATH="$(CURDIR)/$(OPS)/bin:$$PATH" ansible-playbook -i $(or $(INVENTORY),$(error Say which fleet: INVENTORY=inventories/NAME))
RELEASE := ../build/release/variables.json

deploy: setup-ops ## The release in build/release on every host; INVENTORY=inventories/NAME
	@$(PLAY) playbooks/deploy.yml -e @$(RELEASE) $(OPTIONS)

rollback: setup-ops ## The release before it again; INVENTORY=inventories/NAME
	@$(PLAY) playbooks/rollback.yml $(OPTIONS)

verify: setup-ops ## Whether all is right, known questions too; reads only; INVENTORY=inventories/NAME
	@$(PLAY) playbooks/verify.yml $(OPTIONS)

promote: setup-ops ## Record that the release in build/release has passed there; INVENTORY=inventories/NAME
	@$(PLAY) playbooks/promote.yml -e @$(RELEASE) $(OPTIONS)

lint: setup-dev setup-ops ## Style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	cd ansible && PATH="$(CURDIR)/$(OPS)/bin:$$PATH" ansible-lint --offline --profile production
	@tools/lint-infrastructure.sh

format: setup-dev ## Put the code into shape
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock: setup-dev ## Renew both locks; UV_FLAGS=--upgrade takes newer versions
	@tools/lock.sh

clean: ## Remove everything made here, but not the data
	@for lab in build/lab/*/lab.json; do [ ! -e "$$lab" ] || { echo "A lab is up: tools/lab down first"; exit 1; }; done
	rm -rf $(VENV) $(OPS) build .mypy_cache .pytest_cache .ruff_cache .hypothesis
