# Build, test and run CodeFoundry. `make` alone prints the targets. Variables: CC, BUILD, MUTANTS=1, SAN=1; SESSION,
# SERVICE, CMD and the like are for people.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules

PACKAGES := gcc make pkg-config libcurl4-openssl-dev libcjson-dev libwebsockets-dev libwebsockets-evlib-uv \
            libsqlite3-dev uuid-dev libfyaml-dev libuv1-dev libmd4c-dev libmd4c-html0-dev libcmocka-dev \
            libmicrohttpd-dev libssl-dev libarchive-dev libacl1-dev ca-certificates busybox-static tzdata
TEST_PACKAGES := clang python3 zsh fish podman podman-compose netavark aardvark-dns
LIBS := libcurl libcjson libwebsockets sqlite3 uuid libfyaml libuv md4c-html libmicrohttpd libcrypto

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build$(if $(MUTANTS),/mutants)$(if $(SAN),/asan)$(if $(filter clang,$(CC)),/clang)
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

RUN = $(BUILD)/codefoundry
CLI = $(if $(wildcard $(RUN)),$(RUN),$(error $(RUN) is not there yet: `make up` makes and starts everything, `make build` only builds))

# What a person sets reaches the program as one argument, byte for byte: make expands nothing in it, the shell sees it
# quoted. So SESSION='x; rm -rf /' is an odd name and nothing more, and CMD='echo $HOME' means the session's HOME.
define raw
override $(1) := $$(value $(1))
export $(1)
endef
$(foreach v,SESSION SERVICE CMD N SINCE MINUTES,$(eval $(call raw,$(v))))
# In recipes: the session asked for, which most verbs need, and `test` where that is the usual one.
NAME = $${SESSION:+"$$SESSION"}
TEST = "$${SESSION:-test}"
OF = $${SERVICE:+"$$SERVICE"}
LOGS = $(CLI) session logs $(if $(FOLLOW),-f) $${N:+-n "$$N"} $${SINCE:+--since "$$SINCE"} -- $(TEST)
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)

FLOORS := core jobs compose sessions testsuite testsuite/telegram deploy gateway bot cli
SRC  := $(filter-out %_test.c,$(wildcard $(addsuffix /*.c,$(FLOORS))))
UNIT := $(wildcard $(addsuffix /*_test.c,$(FLOORS) tests))
OBJ  := $(SRC:%.c=$(BUILD)/obj/%.o)
LIBOBJ := $(filter-out $(BUILD)/obj/cli/main.o,$(OBJ))
UNITBIN := $(UNIT:%.c=$(BUILD)/test/%)

CPPFLAGS = -I. -D_GNU_SOURCE $(if $(MUTANTS),-DMUTANTS)
CFLAGS = -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
         -Wmissing-prototypes -Wno-missing-field-initializers -Werror -fstack-protector-strong -fno-common \
         $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -O1)
comma := ,
LDFLAGS = -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SAN),-fsanitize=address$(comma)undefined)
# libarchive is linked statically: its tar reader is 0.2 MB of the program, the library with all it depends on 40 MB of the image.
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lpthread -l:libarchive.a -lacl

.SECONDARY:
.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

##@ Run
.PHONY: up down chat status health doctor info version jobs
up: deps $(if $(filter process,$(or $(ENGINE),$(shell sed -n "s/^\(export \)\?ENGINE=[\"']\?\([a-z]*\).*/\2/p" .env.test 2>/dev/null))),,docker) ## Install what is missing, build, start everything, say how to talk to it
	@$(MAKE) --no-print-directory build
	@$(RUN) up

down: ## Stop everything (sessions live on)
	@$(CLI) down

chat: ## Talk to the bot in this terminal
	@$(CLI) chat

status: ## What runs where
	@$(CLI) status

health: ## Ask every part for its health
	@$(CLI) health

doctor: ## Whether this machine can run sessions, with advice
	@$(CLI) doctor

info: ## What this installation is: version, folders, engine, limits
	@$(CLI) info

version: ## The version
	@$(CLI) version

jobs: ## List the newest jobs (N=20)
	@$(CLI) job list $${N:+-n "$$N"}

##@ The session `test` (or SESSION=name)
.PHONY: start-test stop-test restart-test shell exec logs logs-gateway logs-bot logs-telegram logs-test-runner test-telegram history
start-test: ## Start it and wait until it is healthy
	@$(CLI) session start -- $(TEST)

stop-test: ## Stop and remove it, with a receipt
	@$(CLI) session stop -- $(TEST)

restart-test: ## Restart it, or one SERVICE, and wait until it is healthy
	@$(CLI) session restart -- $(TEST) $(OF)

shell: ## A shell in its test-runner, or in SERVICE
	@$(CLI) session attach -- $(TEST) $(OF)

exec: ## Run a command in it (CMD="ls -l | head" [SERVICE=gateway])
	@: "$${CMD:?say what to run: make exec CMD=\"ls -l\"}"
	@$(CLI) session exec $(TEST) $(OF) -- sh -c "$$CMD"

logs: ## Its last log lines ([SERVICE=gateway] N=50 SINCE=10m FOLLOW=1)
	@$(LOGS) $(OF)

logs-gateway: ## Those of its gateway
	@$(LOGS) gateway

logs-bot: ## Those of its bot
	@$(LOGS) telegram-bot

logs-telegram: ## Those of its Telegram server
	@$(LOGS) telegram

logs-test-runner: ## Those of its test-runner
	@$(LOGS) test-runner

test-telegram: build ## The nine scenarios in a throw-away session, or in SESSION=test
	@$(RUN) test run $${SESSION:+--session "$$SESSION"}

history: ## Earlier test runs
	@$(CLI) test history

##@ Any session
.PHONY: start-session dev stop-session restart-session list-sessions show-session wait-session attach-session extend-session pin-session unpin-session stats top auto-cleanup
start-session: ## Start one, or resume a stopped one (SESSION=demo; without: a name is made)
	@$(CLI) session start -- $(NAME)

dev: ## Start or resume your own, dev-<user>
	@$(CLI) session start --dev

stop-session: ## Stop and remove one (SESSION=demo)
	@$(CLI) session stop -- $(NAME)

restart-session: ## Restart one (SESSION=demo [SERVICE=gateway])
	@$(CLI) session restart -- $(NAME) $(OF)

list-sessions: ## List them
	@$(CLI) session list

show-session: ## Services and addresses of one (SESSION=demo)
	@$(CLI) session show -- $(NAME)

wait-session: ## Wait until one is healthy (SESSION=demo)
	@$(CLI) session wait -- $(NAME)

attach-session: ## A shell in one (SESSION=demo [SERVICE=gateway])
	@$(CLI) session attach -- $(NAME) $(OF)

extend-session: ## Let one live longer (SESSION=demo MINUTES=60)
	@$(CLI) session extend $${MINUTES:+--minutes "$$MINUTES"} -- $(NAME)

pin-session: ## Let one live until it is unpinned or stopped (SESSION=demo)
	@$(CLI) session pin -- $(NAME)

unpin-session: ## Let it expire again (SESSION=demo)
	@$(CLI) session unpin -- $(NAME)

stats: ## CPU, memory and processes of each service ([SESSION=demo])
	@$(CLI) session stats -- $(NAME)

top: ## The same, again every two seconds
	@$(CLI) session top -- $(NAME)

auto-cleanup: ## Remove expired sessions and what was cut off
	@$(CLI) session reap

##@ Build
.PHONY: deps test-deps docker compose-v2 build image rebuild clean clean-all
deps: ## Install the packages it is built with (Debian; root or sudo)
	@dpkg -s $(PACKAGES) >/dev/null 2>&1 || { echo "installing packages…"; \
	 $(SUDO) apt-get update -q && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -qy --no-install-recommends $(PACKAGES); }

test-deps: deps docker compose-v2
	@dpkg -s $(TEST_PACKAGES) >/dev/null 2>&1 || { echo "installing packages for the tests…"; \
	 DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -qy --no-install-recommends $(TEST_PACKAGES); }

# In a container that may not raise its limits Debian's init script gives up (ulimit), and dockerd is started without it.
# Asked again at once while it starts: `docker info` itself takes its time to say no.
docker: ## Install Docker and docker-compose where they are missing (Debian), start Docker when it does not answer
	@missing="$$(command -v dockerd >/dev/null || echo docker.io) $$(command -v docker-compose >/dev/null || echo docker-compose)"; \
	 [ "$$missing" = " " ] || { echo "installing $$missing…"; \
	 $(SUDO) apt-get update -q && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -qy $$missing; }
	@timeout 10 docker info >/dev/null 2>&1 || { echo "starting Docker…"; \
	 if [ -d /run/systemd/system ]; then $(SUDO) systemctl start docker; else $(SUDO) service docker start || \
	 $(SUDO) start-stop-daemon --start --background --exec "$$(command -v dockerd)" --output /var/log/docker.log; fi; \
	 timeout 60 bash -c 'until timeout 10 docker info >/dev/null 2>&1; do :; done' || \
	 { tail -n 3 /var/log/docker.log 2>/dev/null; echo "Docker does not answer; see /var/log/docker.log or journalctl -u docker, or take ENGINE=process" >&2; exit 1; }; }

# Debian 12 has docker-compose 1.29 only. Debian 13's packages run there as plugins of its docker, so both generations are
# tested side by side. The archive is the one this machine has its own packages from, its signature is checked as ever.
COMPOSE_V2 := $(CURDIR)/build/compose-v2
COMPOSE_V2_APT = -o Dir::Etc::sourcelist=$(COMPOSE_V2)/apt/sources.list -o Dir::Etc::sourceparts=- \
                 -o Dir::State=$(COMPOSE_V2)/apt/state -o Dir::Cache=$(COMPOSE_V2)/apt/cache -o APT::Sandbox::User=
export CODEFOUNDRY_TEST_COMPOSE_V2 := $(COMPOSE_V2)
compose-v2: $(COMPOSE_V2)/cli-plugins/docker-compose
$(COMPOSE_V2)/cli-plugins/docker-compose:
	@echo "  fetch $(@:$(CURDIR)/%=%)"; rm -rf $(COMPOSE_V2); mkdir -p $(COMPOSE_V2)/apt/state/lists $(COMPOSE_V2)/apt/cache/archives $(COMPOSE_V2)/cli-plugins
	@. /etc/os-release; keys=/usr/share/keyrings/debian-archive-keyring.gpg; \
	 site=$$(apt-get indextargets --format '$$(SITE)' 'Created-By: Packages' "Release: $$VERSION_CODENAME" 'Component: main' | head -n 1); \
	 [ -n "$$site" ] || { echo "no source of $$VERSION_CODENAME in this machine's apt sources" >&2; exit 1; }; \
	 echo "deb [signed-by=$$keys] $$site trixie main" > $(COMPOSE_V2)/apt/sources.list
	@apt-get $(COMPOSE_V2_APT) update -q >$(COMPOSE_V2)/apt/log 2>&1 && cd $(COMPOSE_V2)/apt && \
	 apt-get $(COMPOSE_V2_APT) download -q docker-compose/trixie docker-buildx/trixie >>log 2>&1 || { cat $(COMPOSE_V2)/apt/log >&2; exit 1; }
	@cd $(COMPOSE_V2)/apt && for deb in *.deb; do dpkg -x "$$deb" root; done
	@find $(COMPOSE_V2)/apt/root -path '*/cli-plugins/docker-*' -type f -exec cp -t $(COMPOSE_V2)/cli-plugins {} + && rm -rf $(COMPOSE_V2)/apt
	@DOCKER_CONFIG=$(COMPOSE_V2) docker compose version

build: $(BUILD)/codefoundry ## Build build/codefoundry

image: build ## Make the container image and give it to the engine
	@$(CLI) image build

rebuild: ## Build all of it anew
	@$(MAKE) --no-print-directory clean
	@$(MAKE) --no-print-directory build

clean: ## Remove what was built
	@rm -rf build

clean-all: ## Remove sessions, control plane, image, state and what was built; asks first, unless YES=1
	@$(CLI) clean $(if $(filter 1 yes,$(YES)),--yes)
	@$(MAKE) --no-print-directory clean

$(BUILD)/codefoundry: $(OBJ)
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Only what holds the version is compiled again when it changes.
$(BUILD)/obj/core/version.o clang-core/version.c: CPPFLAGS += -DCODEFOUNDRY_VERSION='"$(VERSION)"'
$(BUILD)/obj/core/version.o: $(BUILD)/version
$(BUILD)/version: FORCE
	@mkdir -p $(@D); echo "$(VERSION)" | cmp -s - $@ || echo "$(VERSION)" > $@
.PHONY: FORCE

$(BUILD)/libcodefoundry.a: $(LIBOBJ)
	@rm -f $@
	@ar rcs $@ $^

# One unit test links the whole library: what it does not use stays out.
$(BUILD)/test/%: $(BUILD)/obj/%.o $(BUILD)/libcodefoundry.a
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(BUILD)/libcodefoundry.a $(PKG_LIBS) -lcmocka

# They drive the program itself.
$(addprefix $(BUILD)/test/,cli/session_io_test cli/completion_test compose/image_roles_test tests/make_test sessions/session_podman_test): $(BUILD)/codefoundry

# Files that are put into the program by EMBED().
$(BUILD)/obj/testsuite/telegram/page.o: $(wildcard testsuite/telegram/*.html)
$(BUILD)/obj/testsuite/builtin.o: $(wildcard testsuite/scenarios/*.yml)
$(BUILD)/obj/compose/project.o: compose/docker-compose.test.yml
$(BUILD)/obj/cli/cmd_completion.o: $(wildcard cli/completion/*)
$(BUILD)/obj/gateway/templates.o: $(wildcard gateway/templates/*/*)

##@ Test
.PHONY: test unit mutants clang
SUM := $(BUILD)/test/tests/tap_sum
# Two at a time, those that take minutes first: most of their time they wait for the engine.
LONG := $(filter $(BUILD)/test/sessions/%,$(UNITBIN))
test: test-deps ## Everything: unit and system tests, the nine scenarios, the planted defects, clang's opinion
	@$(MAKE) --no-print-directory -j2 build $(SUM) $(UNITBIN) $(BUILD)/test/tests/mutants $(BUILD)/test/tests/peer $(CRASH)
	@$(MAKE) --no-print-directory -j2 MUTANTS=1 build
	@state=$$(mktemp -d); trap 'rm -rf "$$state"' EXIT; export STATE_DIR=$$state ENGINE=process; \
	 $(SUM) -j 2 $(LONG) $(filter-out $(LONG),$(UNITBIN)) -- make -s clang -- $(RUN) --env /dev/null test run --format tap \
	 -- $(RUN) --env /dev/null test run --format tap --file tests/system \
	 -- env ENGINE=compose COMPOSE_PROVIDER=docker-compose $(RUN) --env /dev/null test run --format tap \
	 -- env ENGINE=compose COMPOSE_PROVIDER=docker-compose-v2 DOCKER_CONFIG=$(COMPOSE_V2) $(RUN) --env /dev/null test run --format tap \
	 -- env ENGINE=compose $(BUILD)/test/cli/session_io_test \
	 -- $(RUN) --env /dev/null test run --format tap --file tests/system-compose \
	 -- $(CRASH) --engine process --every 13 -- $(CRASH) --engine compose --op restart --at launch --fault "kill -9" --every 3 \
	 -- $(BUILD)/test/tests/mutants build/mutants/codefoundry tests/mutants.yml

unit: $(if $(TESTS),$(TESTS:%=$(BUILD)/test/%_test),$(UNITBIN)) ## Only the unit tests (TESTS="core/str jobs/job" for some)
	@fail=0; for t in $(if $(TESTS),$(TESTS:%=$(BUILD)/test/%_test),$(UNITBIN)); do "$$t" || { echo "FAILED: $$t"; fail=1; }; done; exit $$fail

mutants: $(BUILD)/test/tests/mutants ## Every planted defect must be caught by its scenario
	@$(MAKE) --no-print-directory MUTANTS=1 build
	@$< build/mutants/codefoundry tests/mutants.yml

.PHONY: test-podman
test-podman: test-deps build $(BUILD)/test/cli/session_io_test $(BUILD)/test/sessions/session_podman_test ## The nine, and a terminal, on Podman (some minutes)
	@CODEFOUNDRY_TEST_PODMAN_STACK=1 $(BUILD)/test/sessions/session_podman_test

# Every operation on a session hurt at every step by every fault, in a network and with a dockerd of its own. It takes an hour;
# `make test` runs a part of it.
.PHONY: crash-matrix
CRASH := $(BUILD)/crash/crash_matrix
CRASHOBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/crash/*.c))
crash-matrix: test-deps $(CRASH) $(BUILD)/test/sessions/session_storm_test ## Hurt every operation at every step by every fault; writes build/crash-matrix.md
	@fail=0; $(CRASH) --engine process --below --table build/crash-process.md || fail=1; \
	 $(CRASH) --engine compose --table build/crash-compose.md || fail=1; \
	 $(CRASH) --engine compose --provider docker-compose-v2 --every 5 --table build/crash-compose-v2.md || fail=1; \
	 CF_TEST_STORM=200 $(BUILD)/test/sessions/session_storm_test || fail=1; \
	 cat build/crash-process.md build/crash-compose.md build/crash-compose-v2.md > build/crash-matrix.md; cat build/crash-matrix.md; exit $$fail

$(CRASH): $(CRASHOBJ) $(BUILD)/libcodefoundry.a
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka

.PHONY: image-verify
image-verify: $(BUILD)/test/compose/image_roles_test ## Run every role in the image for real: rights, health, size, end
	@$<

CLANG_CHECK := $(SRC:%=clang-%)
.PHONY: $(CLANG_CHECK)
clang: ## Compile every file with clang, whose warnings are errors too (writes TAP)
	@if $(MAKE) --no-print-directory -k -j2 CC=clang $(CLANG_CHECK) >&2; then echo "ok 1 - clang accepts every file"; else echo "not ok 1 - clang accepts every file"; fi; echo "1..1"

$(CLANG_CHECK): clang-%:
	@clang $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -fsyntax-only $*

TIDY_CHECK := $(SRC:%=tidy-%)
.PHONY: tidy $(TIDY_CHECK)
tidy: ## What clang-tidy finds (package clang-tidy); .clang-tidy says what it looks for
	@$(MAKE) --no-print-directory -k -j2 $(TIDY_CHECK)

$(TIDY_CHECK): tidy-%:
	@clang-tidy --quiet $* -- $(CPPFLAGS) $(PKG_CFLAGS) -std=gnu17 -DCODEFOUNDRY_VERSION='""' 2>/dev/null

.PHONY: lint format
lint: clang tidy ## What clang and clang-tidy have to say

format: ## Format the C sources
	@git ls-files '*.c' '*.h' | xargs clang-format -i

##@ Bench
# The peers of bot and gateway come from npm into a folder that is gone afterwards. Only ratios mean anything on another machine.
# "containers" and "scan" are asked for by name, because they take minutes.
.PHONY: bench
BENCHES ?= bot gateway work
BENCH := $(BUILD)/bench/bench
BENCHOBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bench/*.c))
define BENCH_PEERS
{ command -v npm >/dev/null || { $(SUDO) apt-get update -q && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -qy --no-install-recommends nodejs npm; }; } && \
npm install --no-audit --no-fund --silent --prefix "$$peers" telegraf@4 ws@8 >/dev/null || exit 1
endef
bench: build $(BENCH) $(BUILD)/bench/echo ## Side by side with peers, as ratios (BENCHES="bot gateway work warm containers", BENCH_AT_ONCE=10 containers at once)
	@peers=$$(mktemp -d); trap 'rm -rf "$$peers"' EXIT; trap 'exit 1' INT TERM; \
	 $(if $(filter bot gateway,$(BENCHES)),$(BENCH_PEERS);) \
	 timeout 1200 $(BENCH) $(RUN) $(BUILD)/bench/echo bench "$$peers/node_modules" $(BENCHES)

$(BENCH): $(BENCHOBJ) $(BUILD)/libcodefoundry.a
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/bench/echo: $(BUILD)/obj/bench/echo/main.o
	@mkdir -p $(@D)
	@echo "  link  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $<

-include $(OBJ:.o=.d) $(BENCHOBJ:.o=.d) $(CRASHOBJ:.o=.d) $(UNIT:%.c=$(BUILD)/obj/%.d)
