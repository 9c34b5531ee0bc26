# Targets of one runtime's folder. Its Makefile sets, before the include:
#
#   RUNTIME   the runtime's ID
#   VERSIONS  its versions, the newest last
#   DEPS      name of the dependency file; without it there is no such example
#
# The examples are the files helloget, hellowithdata and hellowithdeps of
# examples/, in any case and with any extension, each with the function that
# contract/contract.yaml names, or `handler`. They are deployed once for every
# version: get-<id>, post-<id> and get-<id>-deps, where <id> is RUNTIME for the
# newest version and RUNTIME-<version without dots> for the others.

ROOT    := $(realpath $(dir $(lastword $(MAKEFILE_LIST)))/..)
FOLDER  := $(patsubst $(ROOT)/%,%,$(CURDIR))
RTBUILD ?= $(or $(wildcard $(ROOT)/bin/rtbuild),rtbuild)

KUBECTL  ?= kubectl
KUBELESS ?= kubeless

.PHONY: build push deploy test undeploy
.DEFAULT_GOAL := build

build:
	$(RTBUILD) -C $(ROOT) build $(FOLDER)

push:
	$(RTBUILD) -C $(ROOT) build --push $(FOLDER)

HANDLER ?= $(or $(shell sed -n 's/^handler: *//p' contract/contract.yaml 2>/dev/null),handler)

# $(call deploy,name,version,example)
example = $(firstword $(shell ls examples | grep -iE '^$(1)([.]|$$)'))
deploy  = $(KUBELESS) function deploy $(1) --runtime $(RUNTIME)$(2) \
	--handler $(basename $(call example,$(3))).$(HANDLER) --from-file examples/$(call example,$(3))

# $(call verify,function,arguments of the call,pattern): a rolled out function
# can take a moment until its service reaches it.
define verify
	$(KUBECTL) rollout status --timeout=300s deployment/$(1)
	for try in 1 2 3 4 5; do \
		$(KUBELESS) function call $(1) $(2) | grep -E '$(3)' && exit 0; sleep 1; \
	done; exit 1
endef

# $(call examples,id,version)
define examples
.PHONY: get-$(1) get-$(1)-verify post-$(1) post-$(1)-verify get-$(1)-deps get-$(1)-deps-verify undeploy-$(1)

get-$(1):
	$$(call deploy,$$@,$(2),helloget)

get-$(1)-verify:
	$$(call verify,get-$(1),,hello world)

post-$(1):
	$$(call deploy,$$@,$(2),hellowithdata)

post-$(1)-verify:
	$$(call verify,post-$(1),--data '{"it-s": "alive"}',it-s.*alive)

get-$(1)-deps:
	$$(call deploy,$$@,$(2),hellowithdeps) --dependencies examples/$$(DEPS)

get-$(1)-deps-verify:
	$$(call verify,get-$(1)-deps,,hello world)

undeploy-$(1):
	$$(KUBELESS) function delete get-$(1)
	$$(KUBELESS) function delete post-$(1)
	$(if $(DEPS),$$(KUBELESS) function delete get-$(1)-deps)

deploy: get-$(1) post-$(1) $(if $(DEPS),get-$(1)-deps)
test: get-$(1)-verify post-$(1)-verify $(if $(DEPS),get-$(1)-deps-verify)
undeploy: undeploy-$(1)
endef

NEWEST := $(lastword $(VERSIONS))
$(eval $(call examples,$(RUNTIME),$(NEWEST)))
$(foreach v,$(filter-out $(NEWEST),$(VERSIONS)),$(eval $(call examples,$(RUNTIME)-$(subst .,,$(v)),$(v))))
