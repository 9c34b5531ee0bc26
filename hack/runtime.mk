# Targets of one runtime's folder. Its Makefile sets, before the include:
#
#   RUNTIME   the runtime's ID
#   DEPS      name of the dependency file; without it there is no such example
#
# build, push       the runtime's images; build-3.13, build-init-3.13 and so on one
# verify            the contract suite
# deploy            the examples, with every version; a second time updates them
# test              calls them; make deploy test does one after the other
# undeploy          ends them, also where some are missing
# get-<id>, post-<id>, get-<id>-deps, the same with -verify, undeploy-<id>
#
# <id> is the runtime's for the newest version, and <id>-<version without dots>
# for the others. The examples are the files helloget, hellowithdata and
# hellowithdeps of examples/, in any case and with any extension, each with the
# function that contract/contract.yaml names, or `handler`.
#
#   FUNCTION      "rtbuild function" (Docker), "rtbuild function --target
#                 kubernetes", or kubeless
#   NAMESPACE     of the functions
#   DEPLOY_FLAGS  more flags of deploy, as --env PIP_INDEX_URL=...
#   BUILD         no: deploy on Docker takes the images as they are

ROOT    := $(realpath $(dir $(lastword $(MAKEFILE_LIST)))/..)
FOLDER  := $(patsubst $(ROOT)/%,%,$(CURDIR))
RTBUILD ?= $(ROOT)/bin/rtbuild
ifeq ($(RTBUILD),$(ROOT)/bin/rtbuild)
ifeq ($(wildcard $(RTBUILD)),)
$(info $(shell $(MAKE) -s -C $(ROOT) build 2>&1))
endif
endif
export RTBUILD_DIRECTORY ?= $(ROOT)

FUNCTION  ?= $(RTBUILD) function
NAMESPACE ?=
BUILD     ?=
KUBECTL   ?= kubectl
KUBELESS  := $(filter kubeless,$(notdir $(firstword $(FUNCTION))))
function  := $(FUNCTION) $(if $(KUBELESS),$(if $(filter function,$(FUNCTION)),,function))
in        := $(if $(NAMESPACE),--namespace $(NAMESPACE))
# What deploy builds first: the images that Docker has are those built here.
built     := $(if $(filter no,$(BUILD))$(KUBELESS)$(findstring kubernetes,$(FUNCTION)),,build)

# What is done side by side prints one thing after the other.
MAKEFLAGS += --output-sync=target

# Each image as 3.13=kubeless/python:3.13 or init-3.13=kubeless/python-init:3.13.
IMAGES := $(shell $(RTBUILD) -C $(ROOT) list $(RUNTIME) | awk '$$1 == "$(RUNTIME)" { print ($$3 == "runtime" ? "" : "init-") $$2 "=" $$NF }' | sort -Vu)
VERSIONS := $(foreach i,$(filter-out init-%,$(IMAGES)),$(firstword $(subst =, ,$(i))))
$(if $(VERSIONS),,$(error $(RTBUILD) list $(RUNTIME) names no version))

.PHONY: build push verify deploy test undeploy
.DEFAULT_GOAL := build

build:
	$(RTBUILD) build $(RUNTIME)

push:
	$(RTBUILD) build --push $(RUNTIME)

verify:
	$(RTBUILD) verify $(RUNTIME)

# $(call one,target,image)
define one
.PHONY: build-$(1) push-$(1)
build-$(1):
	$$(RTBUILD) build $(2)
push-$(1):
	$$(RTBUILD) build --push $(2)
endef
$(foreach i,$(IMAGES),$(eval $(call one,$(firstword $(subst =, ,$(i))),$(lastword $(subst =, ,$(i))))))

HANDLER ?= $(or $(shell sed -n 's/^handler: *//p' contract/contract.yaml 2>/dev/null),handler)

# $(call example,name) is its file, $(call describe,version,name) its flags.
example  = $(firstword $(shell ls examples | grep -iE '^$(1)([.]|$$)'))
describe = --runtime $(RUNTIME)$(1) --handler $(basename $(call example,$(2))).$(HANDLER) --from-file examples/$(call example,$(2)) \
	$(if $(filter hellowithdeps,$(2)),--dependencies examples/$(DEPS)) $(in) $(DEPLOY_FLAGS)

# $(call deploy,function,version,example): kubeless' deploy refuses what is there.
ifdef KUBELESS
define deploy
	if $(function) describe $(1) $(in) >/dev/null 2>&1; \
	then $(function) update $(1) $(call describe,$(2),$(3)); \
	else $(function) deploy $(1) $(call describe,$(2),$(3)); fi
endef
else
deploy = $(function) deploy $(1) $(call describe,$(2),$(3))
endif

# $(call verify,function,arguments of the call,pattern). On a cluster the objects
# come when the controller has seen the function, a failed installation shows its
# log, and a Service can take a moment until it reaches a Pod.
ifdef KUBELESS
define verify
	for try in $$(seq 60); do $(KUBECTL) $(in) get deployment/$(1) >/dev/null 2>&1 && break; sleep 1; done
	for try in $$(seq 100); do \
		$(KUBECTL) $(in) rollout status --timeout=3s deployment/$(1) 2>/dev/null && break; \
		if $(KUBECTL) $(in) get pods -l function=$(1) | grep -E 'Init:(Error|CrashLoopBackOff)'; \
		then $(KUBECTL) $(in) logs -l function=$(1) --all-containers --prefix --tail=40; exit 1; fi; \
	done
	for try in 1 2 3 4 5; do \
		$(function) call $(1) $(2) $(in) | grep -E '$(3)' && exit 0; sleep 1; \
	done; exit 1
endef
else
verify = $(function) call $(1) $(2) $(in) | grep -E '$(3)'
endif

# Whether both are asked for: then a function is called when it is deployed.
together := $(and $(filter deploy,$(MAKECMDGOALS)),$(filter test,$(MAKECMDGOALS)))

# $(call target,function,version,example,arguments of the call,pattern)
define target
.PHONY: $(1) $(1)-verify
$(1): $(if $(filter deploy,$(MAKECMDGOALS)),$(built))
	$$(call deploy,$(1),$(2),$(3))
$(1)-verify: $(if $(together),$(1))
	$$(call verify,$(1),$(4),$(5))
deploy: $(1)
test: $(1)-verify
endef

# $(call targets,id,version)
define targets
$(call target,get-$(1),$(2),helloget,,hello world)
$(call target,post-$(1),$(2),hellowithdata,--data '{"it-s": "alive"}',it-s.*alive)
$(if $(DEPS),$(call target,get-$(1)-deps,$(2),hellowithdeps,,hello world))
.PHONY: undeploy-$(1)
undeploy-$(1):
	@for name in get-$(1) post-$(1) $(if $(DEPS),get-$(1)-deps); do \
		! $$(function) describe $$$$name $$(in) >/dev/null 2>&1 || $$(function) delete $$$$name $$(in) || exit 1; \
	done
undeploy: undeploy-$(1)
endef

# Names of Kubernetes have no underscores.
ID     := $(subst _,-,$(RUNTIME))
NEWEST := $(lastword $(VERSIONS))
$(eval $(call targets,$(ID),$(NEWEST)))
$(foreach v,$(filter-out $(NEWEST),$(VERSIONS)),$(eval $(call targets,$(ID)-$(subst .,,$(v)),$(v))))
