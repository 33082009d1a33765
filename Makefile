# rig: see README.md. Every target works as root or, through sudo, as a user.

GO    ?= go
SUDO  := $(if $(filter 0,$(shell id -u)),,sudo)
# The default of the tests; a packager may point it elsewhere.
export RIG_CACHE ?= /var/cache/rig

.DEFAULT_GOAL := help

help: ## explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

gw: bin/gw ## boot, provision and check the gw machine; ARGS='-h' tells what else it can
	$(SUDO) bin/gw $(ARGS)

bin/gw: FORCE
	@$(GO) build -trimpath -o $@ ./examples/gw

clean: ## remove the lab that `make gw` made, and what was built here
	@if [ -x bin/gw ]; then $(SUDO) bin/gw -clean; fi
	rm -rf bin

FORCE:
.PHONY: FORCE help gw clean
