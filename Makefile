# rig: see README.md. Every target works as root and, through sudo, as a user.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
GO   ?= go
ARGS ?=

# sudo runs what needs root; go itself stays with the user and the user's cache.
ifneq ($(shell id -u),0)
SUDO := sudo -E
ROOT := -exec "$(SUDO)"
endif
TESTHOST := $(strip $(SUDO) $(CURDIR)/bin/testhost)
# What the tests build once: roots, mirrors, the test host.
export RIG_CACHE ?= /var/cache/rig
# The packages that have tests of their own for a host with systemd.
HOSTED := ./internal/testhost ./internal/docs/hosted ./nspawn/... ./netsetup/...

.DEFAULT_GOAL := help

HELP := awk -F ':.*\#\# ' '/^[a-z-]+:.*\#\# /{printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
help: ## explain the targets
	@$(HELP)

# The programs. Each tells by make NAME ARGS=-h what else it can.
PROGRAMS := host gw rhfs web pas lab
$(PROGRAMS): %: bin/%
	@$(SUDO) bin/$@ $(ARGS)

host: ## make this host ready for the lab; make host ARGS=-check tells what it lacks
gw: ## boot, provision and check the machine gw; make gw ARGS=-h tells what else it can
rhfs: ## the same for rhfs0, which wants gw
web: ## the same for web, which wants gw
pas: ## the same for a contestant's machine, which wants gw and rhfs0; ARGS=-vm boots a virtual one, too
lab: ## all of them as one graph, side by side

test: needs lint test-here test-host ## run every test, here and in a test host with systemd

# The examples' mirror is made first: it serves the other tests as well.
test-here: ## run the tests on this machine
	$(GO) test -race $(ROOT) -run '^$$' ./examples/gw
	$(GO) test -race -timeout 20m $(ROOT) ./...

# The test host may have an older C library than this machine, hence no cgo, and
# so no race detector, in it. What dies or is damaged at every step is so in namespaces of
# its own, where it makes no difference who the host is.
test-host: bin/testhost ## run the tests that want systemd, machined and networkd
	$(TESTHOST) build
	$(TESTHOST) start
	CGO_ENABLED=0 $(GO) test -timeout 20m -skip 'AtEveryStep|DamagedInTheMiddle' -exec "$(TESTHOST) exec" $(HOSTED); \
		status=$$?; $(TESTHOST) stop; exit $$status

# -p 1, and time: without the processor's help the host is emulated.
VM := $(TESTHOST) -vm -suite $(or $(SUITE),trixie)
test-vm: bin/testhost ## the same in a virtual machine with Debian's own kernel, alone on cgroup v2, SUITE=bookworm or trixie: minutes with KVM, an hour without
	@$(GO) run ./internal/cmd/needs -vm
	$(VM) build
	RIG_VM=1 $(GO) test -count 1 -timeout 30m $(ROOT) -run 'TestVirtual$$' ./internal/testhost
	$(VM) start
	CGO_ENABLED=0 $(GO) test -p 1 -timeout 120m -exec "$(VM) exec" $(HOSTED); \
		status=$$?; $(VM) stop; exit $$status

test-lab: ## boot a virtual machine over the network, beside the lab: takes minutes
	@$(GO) run ./internal/cmd/needs -vm
	RIG_LAB=all $(GO) test -timeout 30m $(ROOT) -v ./examples/pas

test-suites: needs bin/testhost ## test with machines and mirrors of every Debian suite and with all add-ons: takes half an hour
	RIG_SUITES=all $(GO) test -timeout 60m $(ROOT) ./archboot/... ./nspawn
	$(TESTHOST) build
	CGO_ENABLED=0 RIG_SUITES=all $(GO) test -timeout 60m -run Conformance -exec "$(TESTHOST) exec" ./nspawn

# Where Arch's own packages and Debian's package archlinux-keyring have the keys.
KEYS ?= $(firstword $(wildcard /usr/share/pacman/keyrings/archlinux.gpg /usr/share/keyrings/archlinux.gpg))
ARCH_TESTS := ^Test(BootstrapSuite|SameTreeEveryWay|Verify|InstallUpgradeRemove|NewestPacmanAsHost)$$
test-arch: needs ## test with a real Arch mirror: MIRROR=https://… [KEYS=archlinux.gpg] FINGERPRINT=of the tarball's signer
	@test -n "$(MIRROR)" -a -n "$(FINGERPRINT)" || { echo "usage: make test-arch MIRROR=URL FINGERPRINT=40 digits [KEYS=FILE]"; exit 2; }
	@test -r "$(KEYS)" || { echo "no keys: install archlinux-keyring, or give KEYS=FILE"; exit 2; }
	RIG_ARCH_MIRROR="$(MIRROR)" RIG_ARCH_KEYS="$(abspath $(KEYS))" RIG_ARCH_FINGERPRINT="$(FINGERPRINT)" \
		$(GO) test -count 1 -timeout 60m $(ROOT) -v -run '$(ARCH_TESTS)' ./archboot

lint: ## gofmt, go vet, staticcheck; also without cgo, for arm64
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -d .) && test -z "$$unformatted" || { echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	CGO_ENABLED=0 GOARCH=arm64 $(GO) vet ./...
	$(GO) tool staticcheck ./...

supply: ## what we build on: go.mod tidy and verified, the same programs from an empty build cache, no known vulnerability; VULNDB=URL of a copy of the database
	$(GO) mod tidy -diff
	$(GO) mod verify
	RIG_REBUILD=1 $(GO) test -count 1 -run 'TestSamePrograms|TestDependencies|TestLicences' ./internal/docs
	GOBIN="$(CURDIR)/bin" $(GO) install golang.org/x/vuln/cmd/govulncheck@v1.9.0
	@bin/govulncheck $(if $(VULNDB),-db "$(VULNDB)") ./... || { status=$$?; test $$status = 3 || \
		echo "all else is as it should be. Where the database is not in reach, give a copy of it: make supply VULNDB=file:///DIRECTORY"; exit $$status; } >&2

TORTURE := Kill|Crash|Torture|Soak|Escape|Death|Conformance/.*/Escapes
torture: needs bin/testhost ## kill, soak and escape tests, all of them, here and in a test host; writes what they counted to doc/bench: takes an hour
	@$(TESTHOST) build
	@{ RIG_TORTURE=1 $(GO) test -timeout 90m $(ROOT) -v -run '$(TORTURE)' ./...; \
	   RIG_TORTURE=1 CGO_ENABLED=0 $(GO) test -timeout 60m -v -run Torture -exec "$(TESTHOST) exec" ./nspawn; } | \
		grep --line-buffered -E 'tally: |^(FAIL|panic)|^ *--- FAIL' | $(GO) run ./internal/cmd/benchtable doc/bench

BENCH = $(GO) test -run '^$$' -timeout 60m -bench
# What takes seconds a round has a number of rounds, so that it has a median.
ROUNDS := -benchtime 5x
bench: bin/testhost ## measure beside the tools one would use instead; prints ratios and writes doc/bench
	@$(GO) run ./internal/cmd/needs -bench
	@$(TESTHOST) build && $(TESTHOST) start
	@{ CGO_ENABLED=0 $(BENCH) 'Exec|Start|Pipe' -exec "$(TESTHOST) exec" ./nspawn; $(TESTHOST) stop; \
	   $(BENCH) 'LXC|Podman|Many' $(ROOT) ./nspawn; \
	   $(BENCH) . -p 1 $(ROOT) ./netsetup ./archboot/archtest ./stage; \
	   $(BENCH) . $(ROUNDS) -p 1 $(ROOT) ./snapshot ./archboot ./stage/internal/real ./examples/gw; \
	   $(BENCH) Lab -benchtime 1x $(ROOT) ./examples/lab; } | \
	   grep --line-buffered -E '^(ratio|figure|slope|FAIL|---|panic)' | $(GO) run ./internal/cmd/benchtable doc/bench

fresh: ## clone HEAD into a bare Debian 12 and a bare Debian 13 and run README's two commands there
	@$(GO) run ./internal/cmd/needs -fresh
	@for suite in bookworm trixie; do \
		$(SUDO) bash internal/fresh/fresh.sh $$suite 'make gw' 'make test' || exit 1; done

scale: needs ## start 1, 10, 50 and 100 contestants' machines and plot time and memory of each; 100 want sysctl fs.inotify.max_user_instances=1024
	RIG_SCALE="$(or $(MACHINES),1 10 50 100)" $(GO) test -count 1 -timeout 60m $(ROOT) -v -run 'TestScale$$' ./examples/lab | \
		grep --line-buffered -E '^(figure|---|FAIL|panic| )' | $(GO) run ./internal/cmd/benchtable doc/bench

# The go command takes it for a failure when time is up in the middle of an input,
# go.dev/issue/75804.
fuzz: ## each fuzzer for FUZZTIME (10s)
	@for f in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for n in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$f); do \
			out=$$($(GO) test -run '^$$' -fuzz "^$$n\$$" -fuzztime $(or $(FUZZTIME),10s) -fuzzminimizetime 10x ./$$(dirname $$f) 2>&1) || \
				{ grep -q '^ *context deadline exceeded$$' <<<"$$out" && ! grep -q 'Failing input' <<<"$$out"; } || \
				{ echo "$$out"; exit 1; }; \
			printf '%-24s %-32s %s\n' $$n $$(dirname $$f) "$$(sed -n 's/^fuzz: elapsed: [^,]*, //p' <<<"$$out" | tail -n 1)"; \
		done; done

figures: ## how long files and functions are, how many names are exported and documented
	@$(GO) run ./internal/cmd/figures .

needs: ## install the system packages that the tests need
	@$(GO) run ./internal/cmd/needs 

$(PROGRAMS:%=bin/%) bin/clean: bin/%: FORCE
	@$(GO) build -trimpath -o $@ ./examples/$*

bin/testhost: FORCE
	@CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./internal/testhost/cmd/testhost

clean: bin/clean ## remove the lab that the programs made, and look again
	@$(SUDO) bin/clean -yes $(ARGS)

distclean: clean ## remove also what the tests keep in $(RIG_CACHE), and bin
	@if [ -x bin/testhost ]; then $(TESTHOST) clean; fi
	$(SUDO) rm -rf "$(RIG_CACHE)"
	rm -rf bin

# What is no target and what is no variable is answered with those that are, before
# anything is made. So are a program's flags where make takes them for its own: make
# gw -keep is make -k -e -p gw, and make gw -plan make -p -l an gw.
TARGETS := help $(PROGRAMS) test test-here test-host test-suites test-lab test-vm test-arch lint supply torture bench fuzz scale fresh figures needs clean distclean
VARIABLES := ARGS SUITE MIRROR KEYS FINGERPRINT MACHINES FUZZTIME VULNDB GO% CGO_% RIG_% SHELL
HINT := what a program is to do goes into ARGS, as in make gw ARGS=-keep
$(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $v))),$(if \
	$(filter $(VARIABLES),$v),,$(error no variable $v among these: $(VARIABLES); $(HINT)))))
$(foreach t,$(filter-out $(TARGETS) bin/testhost bin/clean $(PROGRAMS:%=bin/%),$(MAKECMDGOALS)),\
	$(error no target $t among these: $(TARGETS); $(HINT)))
OPTIONS := $(filter-out --%,$(firstword -$(MAKEFLAGS)))
$(if $(filter $(PROGRAMS),$(MAKECMDGOALS)),$(if $(findstring p,$(OPTIONS))$(findstring q,$(OPTIONS)),$(error $(HINT))))

FORCE:
.PHONY: FORCE $(TARGETS)
