# make demo   build rtbuild, release the whole tree into the embedded registry
# make test   every test, on real engines, registries and an API server
# make unit   the unit tests alone, of rtbuild, the proxy and the workers: about
#             minutes, no root, no network once modules are there
# make lint   what reads the sources without running them
#
# demo and test install the Debian packages that they need, and say so before.

GO    ?= go
PYTHON ?= python3
NODE  ?= node
BIN   := bin/rtbuild

.DEFAULT_GOAL := build
.PHONY: build demo test unit lint notices print-notices reference goreleaser release-check release-snapshot renovate-check bench bench-runtimes soak fuzz clean

# Two programs that lie side by side, as in releases: the launcher, which starts
# quickly, and the whole of rtbuild. Without cgo, as releases are built: a start takes a
# millisecond less.
build:
	@CGO_ENABLED=0 $(GO) build -o $(BIN)-full ./cmd/rtbuild
	@CGO_ENABLED=0 $(GO) build -o $(BIN) ./cmd/rtbuild-launcher

# Its stdout is the ConfigMap alone.
demo: build
	@hack/demo.sh

# make deploy test deploys the examples of all runtimes and calls them, on Docker
# unless FUNCTION says otherwise (hack/runtime.mk); make undeploy ends them. All
# images are built by one run, as a tree has one run at a time.
FOLDERS := $(patsubst %/Makefile,%,$(wildcard stable/*/Makefile incubator/*/Makefile))
.PHONY: deploy undeploy images $(FOLDERS:%=deploy-%) $(FOLDERS:%=undeploy-%)
deploy: $(FOLDERS:%=deploy-%)
undeploy: $(FOLDERS:%=undeploy-%)
images: build
	$(if $(filter no,$(BUILD))$(findstring kube,$(FUNCTION)),,$(BIN) build)
$(FOLDERS:%=deploy-%): deploy-%: images
	$(MAKE) --no-print-directory -C $* BUILD=no deploy $(filter test,$(MAKECMDGOALS))
$(FOLDERS:%=undeploy-%): undeploy-%: build
	$(MAKE) --no-print-directory -C $* undeploy

ifneq ($(filter deploy,$(MAKECMDGOALS)),)
test: deploy
	@:
else
test:
	hack/test.sh
endif

unit:
	$(GO) test $(RACE) ./...
	$(GO) -C proxy test $(RACE) ./...
	TEST_LOOPS=0 $(GO) -C proxy test $(RACE) .
	$(GO) -C stable/go test $(RACE) ./pkg/...
	$(PYTHON) -B -m unittest discover -q -s stable/python -p 'test_*.py'
	$(NODE) --test stable/nodejs

lint:
	hack/lint.sh

# Licences of what the binaries hold.
NOTICES := $(GO) run ./hack/notices ./cmd/rtbuild proxy

notices:
	$(NOTICES) >THIRD_PARTY_NOTICES.new
	mv THIRD_PARTY_NOTICES.new THIRD_PARTY_NOTICES

print-notices:
	@$(NOTICES)

# Pages of the commands: docs/reference.
reference:
	$(GO) run ./hack/reference

# Releases of rtbuild itself. The first use compiles goreleaser, which takes minutes.
GORELEASER ?= $(GO) run github.com/goreleaser/goreleaser/v2@v2.13.0
GORELEASER_ARGS ?= check
goreleaser:
	$(GORELEASER) $(GORELEASER_ARGS)

release-check: goreleaser

# What a release of the last commit would have, in dist/, each looked at.
release-snapshot:
	GORELEASER="$(GORELEASER)" hack/snapshot.sh

# Whether Renovate takes renovate.json and finds what it is to keep up to date.
renovate-check:
	hack/renovate.sh

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./pkg/... ./internal/edge/registry
	bench/run.sh

# Images must be built. ARGS="--runtimes python,nodejs:24 --clients 32" for less.
bench-runtimes:
	$(GO) run ./bench/runtimes $(ARGS)

# Tokens through the proxy and every language that is installed, for SOAKTIME.
SOAKTIME ?= 10m
soak:
	$(MAKE) -C proxy soak SOAKTIME=$(SOAKTIME)

# Each fuzz test for FUZZTIME and, where root can start an engine, IMAGES random
# images taken apart.
IMAGES ?= 1000
FUZZTIME ?= 60s
fuzz:
	hack/fuzz.sh $(FUZZTIME)
	[ "$$(id -u)" -ne 0 ] || RTBUILD_E2E_CASES=$(IMAGES) $(GO) test -count=1 -tags e2e -timeout 8h ./test/differential

clean:
	rm -rf bin .rtbuild .cache
