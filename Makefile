# What can be run here; make alone prints this list from the ## comments.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
HAVE_GO := command -v go >/dev/null || { echo "Go is not installed, and KikuAI needs 1.26 or newer: see https://go.dev/doc/install" >&2; exit 1; }

.PHONY: help
help: ## print this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9%-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: dev
dev: ## the whole product on this machine, no account anywhere: open the page it prints
	@$(HAVE_GO)
	@go build -trimpath -o bin/kikuai ./cmd/kikuai && exec bin/kikuai dev

.PHONY: build
build: ## the binary, into bin/
	@$(HAVE_GO)
	go build -trimpath -o bin/kikuai ./cmd/kikuai

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

.PHONY: fuzz
fuzz: ## every fuzz target, one after the other (FUZZTIME=5m each, PKG)
	@.ci/fuzz

.PHONY: bench
bench: ## speed against bare handlers, as ratios; writes deploy/bench/
	@.ci/prepare servers
	@go run ./deploy/bench

.PHONY: bench-money
bench-money: ## the money part of it alone: holds against bare EVALSHA, the ledger against bare COPY
	@.ci/prepare servers
	@go run ./deploy/bench -only money

.PHONY: bench-cache
bench-cache: ## the cache alone: each level against sync.Map, GET, singleflight
	@.ci/prepare servers
	@go run ./deploy/bench -only cache

.PHONY: bench-limits
bench-limits: ## the limits alone: decisions and bytes of a key against redis_rate and a plain sorted set
	@.ci/prepare servers
	@go run ./deploy/bench -only limits

.PHONY: schema
schema: ## rewrite internal/postgres/schema.sql after a change of the migrations
	@$(HAVE_GO)
	@go test -count=1 ./internal/postgres -run '^TestSchema$$' -update

.PHONY: fmt
fmt: ## format the Go code
	@find . -name '*.go' -not -path '*/node_modules/*' -print0 | xargs -0 gofmt -w

.PHONY: lint
lint: ## vet and golangci-lint (built on first use)
	@$(HAVE_GO)
	go vet -tags prove ./...
	go run $(GOLANGCI) run ./...

.PHONY: clean
clean: ## remove what was built here; the data of make dev stays
	rm -rf bin
