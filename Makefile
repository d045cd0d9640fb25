# What can be run here; make alone prints this list from the ## comments.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
HAVE_GO := command -v go >/dev/null || { echo "Go is not installed, and KikuAI needs 1.26 or newer: see https://go.dev/doc/install" >&2; exit 1; }

.PHONY: help
help: ## print this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9%-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: dev
dev: ## the whole product on this machine, no account anywhere: open the page it prints
	@$(HAVE_GO)
	@.ci/webapp
	@[ -x bin/kikuai ] || echo "The first build takes some minutes." >&2
	@go build -trimpath -o bin/kikuai ./cmd/kikuai && exec bin/kikuai dev

.PHONY: build
build: ## the binary, into bin/, as it is shipped: optimised by the profile of a busy server
	@$(HAVE_GO)
	@.ci/webapp
	go build -trimpath -pgo=deploy/bench/serve.pgo -ldflags "-X main.release=$$(git describe --tags --always --dirty 2>/dev/null || echo development)" -o bin/kikuai ./cmd/kikuai

.PHONY: test
test: ## everything, as in CI: installs what is missing, real servers, race detector (PKG=./billing/... RUN=TestHold narrow it)
	@.ci/test

.PHONY: quick
quick: ## tests without the race detector and without installing anything (PKG, RUN)
	@$(HAVE_GO)
	@.ci/with-postgres go test $(if $(RUN),-run '$(RUN)') $(or $(PKG),./...)

.PHONY: e2e
e2e: ## the end-to-end tests (TestE2E…)
	@.ci/named TestE2E

e2e-%: ## one of them by name: make e2e-browser runs TestE2EBrowser…
	@.ci/named TestE2E '$*'

.PHONY: prove
prove: ## the long proofs: kill -9 loops, overdraft, order (TestProve…)
	@.ci/named TestProve

prove-%: ## one of them by name: make prove-inbox, make prove-money
	@.ci/named TestProve '$*'

.PHONY: prove-mutations
prove-mutations: ## seeded bugs, each of which its test must see (PKG=handlers, BUG=words of it, SLICE=2/5 of them)
	@PROVE_PACKAGE='$(PKG)' PROVE_BUG='$(BUG)' PROVE_SLICE='$(SLICE)' .ci/named TestProve mutations

.PHONY: fuzz
fuzz: ## every fuzz target, one after the other (FUZZTIME=5m each, PKG)
	@.ci/fuzz

.PHONY: bench
bench: ## speed against bare handlers, as ratios; writes deploy/bench/
	@.ci/prepare servers
	@go run ./deploy/bench

.PHONY: profile
profile: ## rewrite deploy/bench/serve.pgo, the profile that make build optimises by
	@.ci/prepare servers
	@mkdir -p bin/profiles && go run ./deploy/bench -only serving -profiles bin/profiles -out ''
	@go tool pprof -proto bin/profiles/*.pprof >deploy/bench/serve.pgo 2>/dev/null

.PHONY: bench-allocations
bench-allocations: ## what serve allocates for a request, and which functions do
	@.ci/prepare servers
	@go run ./deploy/bench -only allocations

.PHONY: bench-money
bench-money: ## the money part of it alone: holds against bare EVALSHA, the ledger against bare COPY
	@.ci/prepare servers
	@go run ./deploy/bench -only money

.PHONY: bench-streams
bench-streams: ## streams alone: first token beside the direct call, memory of two thousand
	@.ci/prepare servers
	@go run ./deploy/bench -only streams

.PHONY: bench-cache
bench-cache: ## the cache alone: each level against sync.Map, GET, singleflight
	@.ci/prepare servers
	@go run ./deploy/bench -only cache

.PHONY: bench-limits
bench-limits: ## the limits alone: decisions and bytes of a key against redis_rate and a plain sorted set
	@.ci/prepare servers
	@go run ./deploy/bench -only limits

.PHONY: bench-usage
bench-usage: ## what the account API takes for an account with a million calls (some minutes)
	@.ci/prepare servers
	@go run ./deploy/bench -only usage

.PHONY: bench-gateways
bench-gateways: ## paid completions beside Bifrost, in one run with the bare handler; builds it first (some minutes)
	@.ci/prepare servers
	@go run ./deploy/bench -only gateways

.PHONY: loadtest
loadtest: ## load on a whole site behind nginx, by k6; writes deploy/loadtest/RESULTS.md (SCENARIO=spike,api SCALE=0.5 DURATION=30s)
	@.ci/prepare front
	@k6=$$(.ci/k6) && go run ./deploy/loadtest -k6 "$$k6" $(if $(SCENARIO),-scenario '$(SCENARIO)') $(if $(SCALE),-scale '$(SCALE)') $(if $(DURATION),-duration '$(DURATION)')

.PHONY: schema
schema: ## rewrite internal/postgres/schema.sql after a change of the migrations
	@$(HAVE_GO)
	@go test -count=1 ./internal/postgres -run '^TestSchema$$' -update

.PHONY: catalogue
catalogue: ## rewrite internal/llm/catalogue.yaml with the prices of today (DATE=2026-11-21)
	@.ci/npm deploy/catalogue && cd deploy/catalogue && node build.mjs $(if $(DATE),--date '$(DATE)')

.PHONY: licences
licences: ## rewrite deploy/THIRD-PARTY.md: whose work is shipped, and under which licences
	@$(HAVE_GO)
	@.ci/npm webapp/ui deploy/catalogue
	@go run ./deploy/supply licences > deploy/THIRD-PARTY.new && mv deploy/THIRD-PARTY.new deploy/THIRD-PARTY.md

.PHONY: sbom
sbom: ## the bill of materials, CycloneDX, into bin/
	@$(HAVE_GO)
	@.ci/npm webapp/ui deploy/catalogue
	@mkdir -p bin && go run ./deploy/supply sbom > bin/kikuai.cdx.json && echo bin/kikuai.cdx.json

.PHONY: reproducible
reproducible: ## build the newest commit twice, at different places, and compare byte by byte
	@$(HAVE_GO)
	@.ci/reproducible

.PHONY: verify
verify: ## every Go module here is what go.sum says
	@$(HAVE_GO)
	go mod verify
	cd deploy/tools && go mod verify

.PHONY: vulnerabilities
vulnerabilities: ## ask the Go project's database about the code that is reached (needs the network)
	@$(HAVE_GO)
	go run $(GOVULNCHECK) ./...

.PHONY: dashboards
dashboards: ## rewrite Grafana's dashboards from their code, and draw them with a busy site's numbers into bin/dashboards/
	@$(HAVE_GO)
	@go test -count=1 ./deploy/grafana -run '^TestFiles$$' -update
	@KIKUAI_SHOTS='$(CURDIR)/bin/dashboards' .ci/named TestProve dashboards

.PHONY: fmt
fmt: ## format the Go code
	@find . -name '*.go' -not -path '*/node_modules/*' -print0 | xargs -0 gofmt -w

.PHONY: lint
lint: ## vet and golangci-lint (built on first use)
	@$(HAVE_GO)
	go vet -tags prove ./...
	go run $(GOLANGCI) run ./...
	cd deploy/tools && go vet -tags prove ./... && go run $(GOLANGCI) run --config ../../.golangci.yml ./...

.PHONY: clean
clean: ## remove what was built here; the data of make dev stays
	rm -rf bin
