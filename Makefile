# make help lists what can be done here.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# Without symbols and debug information; panics still name functions and lines.
LDFLAGS  := -s -w -X main.release=$(VERSION)
# The race detector needs a C compiler.
RACE     ?= $(shell test "$$(go env CGO_ENABLED)" = 1 && command -v "$$(go env CC)" >/dev/null && echo -race)
FUZZTIME ?= 10s
LONG     ?= 10m
SOAK     ?= 60m
BENCH    ?= .
PKG      ?= ./...

CACHE    := $(CURDIR)/.cache
LINT_VERSION := v2.15.0
LINT     := $(CACHE)/bin/golangci-lint-$(LINT_VERSION)
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da
BENCHSTAT := $(CACHE)/bin/benchstat-$(BENCHSTAT_VERSION)
SBOM_VERSION := v1.9.0
SBOM     := $(CACHE)/bin/cyclonedx-gomod-$(SBOM_VERSION)

.PHONY: help run build test test-long test-clients test-franz test-franz-cluster test-deploy torture bench bench-baseline bench-peer bench-growth soak lint fuzz demo docs vulncheck release clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## start a broker on 127.0.0.1:9092, its data in ./data; Ctrl-C stops it
	bin/brokerd --data-dir data

build: ## bin/brokerd and bin/logctl
	go build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

test: ## unit, crash and integration tests, and the seeds of the fuzz tests (PKG=./log/... for one package)
	go test $(RACE) -timeout 10m $(PKG)

test-clients: build ## other projects' clients against our broker; installs them into .cache (several minutes, once)
	test/clients/run-ours
	KILL_EVERY=8 scripts/with-cluster examples/streams/run

test-franz: build ## franz-go's own integration tests against our broker
	scripts/with-broker test/franz/run

test-franz-cluster: build ## the same against three brokers, half a million records; then again while brokers are killed
	REPLICAS=3 RECORDS=500000 scripts/with-cluster test/franz/run
	REPLICAS=3 RECORDS=500000 KILL_EVERY=20 scripts/with-cluster test/franz/run

test-deploy: ## what deploy/ holds, with the tools of Prometheus, Kubernetes, compose and systemd
	cd deploy/check && go test -timeout 10m ./...

test-long: ## faults injected into a cluster at random for LONG=10m each of 3 seeds
	for i in 1 2 3; do METAMORPHIC=$(LONG) go test $(RACE) -count=1 -timeout 2h -v ./test/faults; done

torture: ## whatever can be done to three processes, their network and disks, one after the other; a table, a quarter of an hour
	TORTURE=1 go test -count=1 -timeout 60m -v -run '^TestTorture' ./test/faults

# With BENCH or PKG these benchmarks run once; without, those of the inner parts run six times and are compared.
bench: $(BENCHSTAT) ## benchmarks of the inner parts beside the stored ones (5 minutes), or any others (PKG=./record BENCH=Validate)
ifneq ($(origin BENCH)$(origin PKG),filefile)
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)
else
	scripts/bench compare $(BENCHSTAT)
endif

bench-baseline: ## stores this machine's figures in test/bench/baseline.txt
	scripts/bench store

$(BENCHSTAT):
	@mkdir -p $(CACHE)/bin
	GOBIN=$(CACHE)/bin go install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
	mv $(CACHE)/bin/benchstat $@

bench-peer: build ## beside Apache Kafka, row by row in turn, a table (a quarter of an hour); needs java and mvn, which fetches Kafka into .cache
	go run ./test/peer $(PEER)

soak: build ## everything at once on three nodes for SOAK=60m: nothing may be lost, and memory, descriptors, goroutines, disk and latency stay flat; docs/figures/soak.svg
	go run ./test/soak -for $(SOAK) -csv docs/figures/soak.csv
	cd test/chart && go run . -in ../../docs/figures/soak.csv -out ../../docs/figures/soak.svg -x minutes -across 2 \
	  'anonymous memory, MiB=anonymous memory, MiB' 'goroutines=goroutines' 'descriptors=descriptors' 'disk, MiB=disk, MiB' \
	  'one record acknowledged, p99, ms=p99, ms' 'processor time of all nodes, of a core=of a core'

bench-growth: build ## what a GB costs with more partitions, producers, consumers and replicas (six minutes), and docs/figures/growth.svg
	go run ./test/growth -csv docs/figures/growth.csv
	cd test/chart && go run . -in ../../docs/figures/growth.csv -out ../../docs/figures/growth.svg -x value -log -across 2 \
	  'CPU-s/GB written, by partitions=broker CPU-s/GB@axis:partitions' 'CPU-s/GB written, by KiB a batch=broker CPU-s/GB@axis:batch, KiB' \
	  'CPU-s/GB written, by producers=broker CPU-s/GB@axis:producers' 'CPU-s/GB read, by consumers=broker CPU-s/GB@axis:consumers' \
	  'CPU-s/GB written, by replicas=broker CPU-s/GB@axis:replicas' 'memory of a node, MiB, by partitions=memory of a node, MiB@axis:partitions'

lint: $(LINT) ## static checks, and the direction of imports; builds its tool on the first run (2 minutes)
	$(LINT) run

$(LINT):
	@mkdir -p $(CACHE)/bin
	GOBIN=$(CACHE)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(CACHE)/bin/golangci-lint $@

fuzz: ## every fuzz test in turn, for FUZZTIME=10s each
	scripts/fuzz $(FUZZTIME) $(PKG)

demo: build ## a lively stream of orders and what a consumer group makes of it, about 20 s
	go run ./examples/revenue -brokerd bin/brokerd

docs: ## write the generated pages anew: docs/configuration.md, docs/apis.md and more
	UPDATE_DOCS=1 go test -count=1 -run '^TestDocsAreCurrent' ./...

vulncheck: ## known vulnerabilities of what is imported; needs the network (vuln.go.dev)
	scripts/vulncheck

release: $(SBOM) ## archives for Linux and macOS with sums and bills of materials, in dist/
	scripts/release $(VERSION) $(SBOM)

$(SBOM):
	@mkdir -p $(CACHE)/bin
	GOBIN=$(CACHE)/bin go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION)
	mv $(CACHE)/bin/cyclonedx-gomod $@

clean: ## remove what was built; data/ stays
	rm -rf bin dist .cache
