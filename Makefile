# Every target works from a fresh clone with Go, make, git and root; `make help` lists them.

SHELL       := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
MODULE  := github.com/bpfmap-io/bpfmap-operator
CHART   := charts/bpfmap-operator

# One static binary without cgo. VCS stamping would only break builds outside a clean clone; make release has one, and stamps.
export CGO_ENABLED := 0
export GOFLAGS     := $(GOFLAGS) -buildvcs=false
DATE    ?= $(shell TZ=UTC0 git show --no-patch --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X $(MODULE)/internal/cli.version=$(VERSION) -X $(MODULE)/internal/cli.commit=$(REVISION) -X $(MODULE)/internal/cli.date=$(DATE)

# Tests and the demo find etcd and kube-apiserver in KUBEBUILDER_ASSETS, kubectl and helm there or in
# PATH. A folder that is set from outside is used as it is; what is missing is built into the cache.
CACHE := $(shell hack/controlplane/build.sh --print-dir)
export KUBEBUILDER_ASSETS := $(or $(KUBEBUILDER_ASSETS),$(CACHE))
export PATH := $(CACHE):$(PATH)

# What `make generate` writes and `make verify` compares.
GENERATED := api config/crd/bases config/jsonschema config/rbac/controller_role.yaml config/rbac/agent_role.yaml \
	$(CHART)/files $(CHART)/README.md docs/api.md docs/concepts.md docs/kernels.md docs/man docs/reference/cli.md internal/bpf/zz_generated.maptype.go

TEST_TIMEOUT  ?= 20m
TEST_FLAGS    ?= -count=1
TEST_PACKAGES ?= ./...
# The tests of test-e2e that run, as a regular expression.
E2E           ?= .
# What make test-kernels runs: kernels of hack/kernels, packages of hack/kernels/suite.go (empty: all) and tests, as a
# regular expression (empty: all). SLOW=1 adds packages that take minutes each, UPDATE=1 writes docs/kernels/*.json instead
# of comparing them.
KERNELS       ?= 5.10 6.1 6.12 newest
PACKAGE       ?=
RUN           ?=
UPDATE        ?=
SLOW          ?=
# How long make soak plays on each of its backends. SEED=n HISTORIES=1 plays one history again.
SOAK_TIME     ?= 30m
# Packages whose tests need neither root, nor the kernel, nor the API server.
UNIT_PACKAGES ?= ./api/... ./hack/... ./internal/bpfobject/... ./internal/cdecl/... ./internal/compile/... ./internal/contents/... ./internal/fetch/... ./internal/liveness/... \
	./internal/manifest/... ./internal/mapdef/... ./internal/maptype/... ./internal/metrics/... ./internal/nativehex/... \
	./internal/ownership/... ./internal/plan/... ./internal/revision/... ./internal/rollout/... ./internal/schema/... ./internal/sighting/... \
	./internal/source/... ./internal/status/... ./internal/uapi/...
# Packages whose tests make test-s390x runs, because the byte order can matter to them, besides those with a line of
# their own there.
S390X_PACKAGES ?= ./internal/bpfobject ./internal/cdecl ./internal/expression ./internal/lpm ./internal/nativehex \
	./internal/ownership ./internal/plan ./internal/revision ./internal/schema ./internal/series ./internal/sighting ./internal/source ./internal/status
S390X_HISTORIES ?= 100
# Packages that are safe for concurrent use, and the histories of faults that the engine plays under the
# race detector on each of its backends.
RACE_PACKAGES ?= ./internal/bpf/... ./internal/cli/interrupt ./internal/cli/plugin/live ./internal/cli/terminal ./internal/compile ./internal/contents ./internal/controller/agent \
	./internal/controller/cluster ./internal/controller/process ./internal/engine ./internal/fairqueue ./internal/fetch ./internal/metrics ./internal/nodelock \
	./internal/ownership ./internal/pinstore ./internal/quota
RACE_HISTORIES ?= 30
# The clusters of make scale; go run ./hack/scale -help lists the phases and more flags.
NODES  ?= 50 200
MAPS   ?= 50
PHASES ?=
SCALE_FLAGS ?=
# How long make fuzz spends on each Fuzz function, and where it looks for them.
FUZZTIME     ?= 10s
FUZZ_FOLDERS ?= internal
BENCH_PACKAGES ?= ./...
BENCH_FLAGS    ?= -benchmem -count=1

# Tools that don't build beside golangci-lint: cosign has some hundred modules, actionlint wants another YAML.
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
COSIGN     := github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
# Folders that are named by the version, so that another one is built.
ACTIONLINT_DIR := bin/tools/actionlint-$(lastword $(subst @, ,$(ACTIONLINT)))
COSIGN_DIR     := bin/tools/cosign-$(lastword $(subst @, ,$(COSIGN)))

##@ Use

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z0-9-]*:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/bpfmap, one static binary.
	$(GO) build -ldflags "$(LDFLAGS)" -o bin/bpfmap ./cmd/bpfmap

.PHONY: krew
krew: ## Pack the kubectl plugin into dist, with its manifest for krew.
	set -e; for arch in amd64 arm64; do \
		GOARCH=$$arch $(GO) build -ldflags "$(LDFLAGS)" -o bin/kubectl-bpfmap-linux-$$arch ./cmd/bpfmap; done
	$(GO) -C hack/release run ./cmd/krew $(VERSION) $(CURDIR)/dist $(CURDIR)/LICENSE \
		$(foreach arch,amd64 arm64,linux/$(arch)=$(CURDIR)/bin/kubectl-bpfmap-linux-$(arch))

# Which commit is released decides what it is, and nothing else may: VERSION has to be said, not taken from git describe. KEY
# is a private key in PEM (RELEASE_KEY_PASSWORD for one of cosign's), BUILDER who builds, for the provenance; with TAGGED=1 the
# commit must have the version's tag. REGISTRY is another place than the project's own to push to.
KEY      ?=
BUILDER  ?=
TAGGED   ?=
REGISTRY ?=
RELEASE := $(GO) -C hack/release run .
.PHONY: release
release: release-version ## Make the release $VERSION into dist/$VERSION, signed with $KEY; nothing is pushed.
	hack/controlplane/build.sh kubectl >/dev/null
	$(RELEASE) build -repository $(CURDIR) -out $(CURDIR)/dist -version '$(VERSION)' $(if $(KEY),-key '$(abspath $(KEY))') \
		$(if $(BUILDER),-builder '$(BUILDER)') $(if $(TAGGED),-tagged)

.PHONY: release-push
release-push: release-version ## Push image and chart of dist/$VERSION, with their signatures.
	$(RELEASE) push -out $(CURDIR)/dist -version '$(VERSION)' $(if $(REGISTRY),-registry '$(REGISTRY)')

.PHONY: release-version
release-version:
	@if [[ '$(origin VERSION)' == file ]]; then echo 'make $(MAKECMDGOALS): VERSION must be given, as vX.Y.Z' >&2; exit 1; fi

.PHONY: release-check
release-check: ## Make a release twice, in two folders, and compare every file (nightly); COLD=1 compiles all anew for the second.
	hack/controlplane/build.sh kubectl >/dev/null
	$(RELEASE) check -repository $(CURDIR) -version '$(if $(filter file,$(origin VERSION)),v0.0.0-check,$(VERSION))' $(if $(COLD),-cold)

.PHONY: demo
demo: require-root build ## Show the whole loop on this machine: kubectl apply to the kernel and back.
	hack/controlplane/build.sh etcd kube-apiserver kubectl >/dev/null
	$(GO) build -o bin/controlplane ./hack/demo/controlplane
	hack/demo/run.sh

.PHONY: cluster
cluster: require-root build ## Bring up a cluster of three nodes on this machine (root; cold some 15 min).
	hack/cluster/up.sh

.PHONY: cluster-down
cluster-down: require-root ## Remove the cluster, and what a killed one left.
	hack/cluster/down.sh

##@ Test

.PHONY: test
test: require-root test-tools controlplane build ## Run all tests, on this machine's kernel and a real API server (root).
	$(GO) vet ./...
	$(GO) test $(TEST_FLAGS) -timeout $(TEST_TIMEOUT) $(TEST_PACKAGES)
	$(GO) -C hack/release test $(TEST_FLAGS) -timeout $(TEST_TIMEOUT) ./...

# bpftool looks at what we made; test/loaders compiles programs and a loader as users do; test/field and test/loop run
# xdp-filter; test/alerts has a
# Prometheus scrape and alert.
.PHONY: test-tools
test-tools: require-root
	hack/packages.sh bpftool:bpftool clang:clang gcc:gcc pkg-config:pkg-config /usr/include/stdio.h:libc6-dev /usr/include/bpf/libbpf.h:libbpf-dev prometheus:prometheus xdp-filter:xdp-tools systemd-analyze:systemd \
		ip:iproute2 ping:iputils-ping curl:curl setpriv:util-linux

.PHONY: test-unit
test-unit: ## Run the tests that need neither root nor kernel nor API server, but clang.
	hack/packages.sh clang:clang /usr/include/stdio.h:libc6-dev
	$(GO) test $(UNIT_PACKAGES)

# The race detector needs cgo.
.PHONY: test-race
test-race: require-root controlplane ## Run the tests of packages that are safe for concurrent use under the race detector (root).
	hack/packages.sh gcc:gcc clang:clang /usr/include/string.h:libc6-dev
	CGO_ENABLED=1 HISTORIES=$(RACE_HISTORIES) $(GO) test -race $(TEST_FLAGS) -timeout $(TEST_TIMEOUT) $(RACE_PACKAGES)

# Tests compare the tables of map types, flags, commands and attributes with internal/uapi/newest.txt; these
# compare with the newest package as it is now, which fails once a kernel brings something new.
UAPI_TESTS := -run Newest ./internal/uapi ./internal/maptype ./internal/bpf ./internal/bpf/sys
.PHONY: test-uapi
test-uapi: ## Compare our tables with the newest kernel's header (Debian's linux-libc-dev of $UAPI_SUITE).
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; hack/uapi/fetch.sh "$$dir"; \
		UAPI_HEADER="$$dir/bpf.h" $(GO) test -count=1 $(UAPI_TESTS)

.PHONY: test-cosign
test-cosign: $(COSIGN_DIR)/cosign ## Have cosign itself, built by Go, verify a release (nightly).
	PATH="$(CURDIR)/$(<D):$$PATH" KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh kubectl)" \
		$(GO) -C hack/release test $(TEST_FLAGS) -tags cosign -run '^TestCosign$$' .

.PHONY: test-rust
test-rust: require-root ## Compile and run the documentation's Rust (nightly: root, to install Debian's compiler).
	hack/packages.sh rustc:rustc gcc:gcc /usr/include/stdio.h:libc6-dev
	RUST=1 $(GO) test -count=1 -run TestWithRust ./test/docs

.PHONY: fuzz
fuzz: ## Fuzz the readers of what users and other programs write, $FUZZTIME for each function.
	GO=$(GO) hack/fuzz.sh $(FUZZTIME) $(FUZZ_FOLDERS)

.PHONY: test-e2e
test-e2e: require-root build ## Run the tests that need a cluster, in $CLUSTER_DIR or one of their own (root).
	hack/controlplane/build.sh kube-apiserver etcd kubelet kube-controller-manager kube-scheduler kubectl helm >/dev/null
	hack/packages.sh curl:curl
	$(GO) test -tags e2e $(TEST_FLAGS) -run '$(E2E)' -v -timeout 40m ./test/e2e

.PHONY: test-kernels
test-kernels: ## Run the tests that touch the kernel on each of $KERNELS, in virtual machines; PACKAGE and RUN pick some.
	hack/controlplane/build.sh helm >/dev/null
	$(GO) build -o bin/kernels ./hack/kernels
	GO=$(GO) bin/kernels test -kernels '$(KERNELS)' -packages '$(PACKAGE)' -run '$(RUN)' $(if $(SLOW),-slow) $(if $(UPDATE),-update)

.PHONY: test-arm64
test-arm64: ## Run test-kernels' system calls and command line on an emulated arm64 machine (nightly).
	$(MAKE) test-kernels KERNELS=arm64

# QEMU's user mode runs a program of another architecture on this kernel, but has no bpf(2): the names that are left out
# of btfschema need it, and of the engine only the histories on its backend in memory run. Those of compile measure how
# much memory the process takes, which is the emulator's. GOFLAGS also reaches the go run of a test. Vet has looked at the
# code before.
S390X_TEST = GOARCH=s390x GOFLAGS="$$GOFLAGS -exec=qemu-s390x-static" $(GO) test -vet=off $(TEST_FLAGS) -timeout $(TEST_TIMEOUT)
.PHONY: test-s390x
test-s390x: ## Run the tests that need no kernel as on s390x, which is big endian, by QEMU's user mode (root, to install it).
	hack/packages.sh qemu-s390x-static:qemu-user-static clang:clang gcc:gcc /usr/include/stdio.h:libc6-dev /usr/include/bpf/libbpf.h:libbpf-dev
	$(S390X_TEST) $(S390X_PACKAGES)
	$(S390X_TEST) -skip '^(TestBounds|TestMemoryOfManyEntries)$$' ./internal/compile
	$(S390X_TEST) -skip 'Kernel|^TestKindsOfBTF$$|^TestForeignLPMKeys$$' ./internal/btfschema
	HISTORIES=$(S390X_HISTORIES) $(S390X_TEST) -run '^TestModelOnMemory$$' ./internal/engine

.PHONY: soak
soak: require-root ## Play histories of faults for $SOAK_TIME on each backend, from $SEED on (root, nightly).
	SOAK_TIME=$(SOAK_TIME) $(GO) test -count=1 -v -run 'TestModelOn' -timeout 0 ./internal/engine

.PHONY: scale
scale: controlplane ## Measure clusters of $NODES simulated nodes with $MAPS maps; $PHASES picks phases.
	$(GO) run ./hack/scale -nodes '$(NODES)' -maps $(MAPS) -phases '$(PHASES)' $(SCALE_FLAGS)

.PHONY: bench
bench: require-root ## Run the benchmarks: internal/bpf against its peers, then go test -bench (root).
	$(GO) run ./bench
	$(GO) test -run '^$$' -bench . $(BENCH_FLAGS) -timeout 60m $(BENCH_PACKAGES)

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver, kubectl and helm into the user's cache, if absent.
	hack/controlplane/build.sh >/dev/null

##@ Develop

.PHONY: uapi
uapi: ## Write internal/uapi/newest.txt from the newest kernel's header (Debian's linux-libc-dev of $UAPI_SUITE).
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; hack/uapi/fetch.sh "$$dir"; \
		$(GO) run ./hack/uapi -header "$$dir/bpf.h" -kernel "$$(cat "$$dir/kernel")" -origin "$$(cat "$$dir/origin")" >"$$dir/newest.txt"; \
		mv "$$dir/newest.txt" internal/uapi/newest.txt

.PHONY: generate
generate: bin/tools/controller-gen ## Write map types, deepcopy, CRDs, RBAC, API docs, the command line's reference, the chart's copies and its table of values.
	$(GO) run ./hack/typegen .
	bin/tools/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	bin/tools/controller-gen crd:generateEmbeddedObjectMeta=false paths=./api/... output:crd:dir=config/crd/bases
	$(GO) run ./hack/crdgen api/v1alpha1 config/crd/bases config/jsonschema
	bin/tools/controller-gen rbac:roleName=bpfmap-controller,fileName=controller_role.yaml \
		paths=./internal/controller/cluster/... output:rbac:dir=config/rbac
	bin/tools/controller-gen rbac:roleName=bpfmap-agent,fileName=agent_role.yaml \
		paths=./internal/controller/agent/... output:rbac:dir=config/rbac
	$(GO) run ./hack/apidoc config/crd/bases >docs/api.md
	mkdir -p docs/reference docs/man
	$(GO) run ./hack/clidoc docs/reference/cli.md docs/man
	$(GO) run ./hack/kernels render
	mkdir -p $(CHART)/files/crds $(CHART)/files/rbac $(CHART)/files/monitoring
	cp config/crd/bases/*.yaml $(CHART)/files/crds/
	cp config/rbac/controller_role.yaml config/rbac/agent_role.yaml $(CHART)/files/rbac/
	cp config/monitoring/prometheus_rule.yaml config/monitoring/dashboard.json $(CHART)/files/monitoring/
	$(GO) run ./hack/chartdoc $(CHART)/values.yaml $(CHART)/README.md

.PHONY: verify
verify: generate ## Fail if generated files, formatting or go.mod are not up to date.
	@changed=$$(git status --porcelain -- $(GENERATED)); \
	if [[ -n "$$changed" ]]; then \
		git --no-pager diff -- $(GENERATED); \
		printf 'generated files are not up to date, run `make generate` and commit:\n%s\n' "$$changed" >&2; \
		exit 1; \
	fi
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [[ -n "$$unformatted" ]]; then printf 'not formatted by gofmt:\n%s\n' "$$unformatted" >&2; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) -C hack/release mod tidy -diff
	@for script in $$(git ls-files '*.sh' .ci/run); do bash -n "$$script"; done

.PHONY: lint
lint: bin/tools/golangci-lint $(ACTIONLINT_DIR)/actionlint ## Run the linters, the direction of imports among them.
	$(ACTIONLINT_DIR)/actionlint -no-color .github/workflows/*.yaml
	bin/tools/golangci-lint run ./...
	bin/tools/golangci-lint run --build-tags e2e ./test/e2e/...
	cd hack/release && $(CURDIR)/bin/tools/golangci-lint run --config $(CURDIR)/.golangci.yml --build-tags cosign ./...

.PHONY: docs
docs: ## Build the documentation as a site, into bin/site, with strict links (root, to install mkdocs).
	hack/packages.sh mkdocs:mkdocs /usr/share/doc/mkdocs-material:mkdocs-material /usr/lib/python3/dist-packages/pymdownx:python3-pymdownx
	mkdocs build --quiet --clean --strict

.PHONY: clean
clean: ## Remove bin/. The cache of the control plane stays.
	rm -rf bin

# Tools are built from their own module, so that they do not choose the operator's dependencies.
bin/tools/controller-gen: hack/tools/go.mod
	$(GO) -C hack/tools build -o $(CURDIR)/$@ sigs.k8s.io/controller-tools/cmd/controller-gen

bin/tools/golangci-lint: hack/tools/go.mod
	$(GO) -C hack/tools build -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(ACTIONLINT_DIR)/actionlint:
	GOBIN=$(CURDIR)/$(@D) $(GO) install $(ACTIONLINT)

$(COSIGN_DIR)/cosign:
	GOBIN=$(CURDIR)/$(@D) $(GO) install $(COSIGN)

.PHONY: require-root
require-root:
	@if [[ $$(id -u) != 0 ]]; then \
		echo 'make $(or $(MAKECMDGOALS),this): needs root, it creates eBPF maps and mounts bpffs (try sudo -E make $(MAKECMDGOALS))' >&2; \
		exit 1; \
	fi
