# Start with `make run`. Everything else is listed by `make`.

BOT := .venv/bin/supportbot
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup run chat test lint train evaluate bench clean

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## Install everything, make the database, train the model; does only what is missing
	@deploy/setup

run: ## Set up, then serve the demo on http://localhost:5005
	@SUPPORTBOT_DEMO=$${SUPPORTBOT_DEMO:-1} deploy/setup
	@SUPPORTBOT_DEMO=$${SUPPORTBOT_DEMO:-1} $(BOT) run

chat: ## Set up, then chat with JoltSMS in the terminal as Ava
	@SUPPORTBOT_DEMO=$${SUPPORTBOT_DEMO:-1} deploy/setup
	@SUPPORTBOT_DEMO=$${SUPPORTBOT_DEMO:-1} $(BOT) chat --brand joltsms --as ava@jolt.example

test: ## Set up, then run all tests; ARGS="-k refund" chooses
	@deploy/setup --tests
	@$(PY) -m pytest --numprocesses auto --dist worksteal $(ARGS)

lint: ## Check style and types
	@deploy/setup --packages
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

train: ## Train the dialogue model, needed or not
	@deploy/setup --packages
	@$(BOT) train

evaluate: ## Measure how well messages are understood
	@deploy/setup
	@$(BOT) evaluate $(ARGS)

bench: ## Measure speed and memory, and stock Rasa beside it
	@deploy/setup
	@$(BOT) bench --stock $(ARGS)

clean: ## Remove what set-up made: the environment, the models, and the demo's database and logs
	@rm -rf .venv models var reports build supportbot.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
