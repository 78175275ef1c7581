# What there is to do; "make" alone lists it. Needed: Go. Nothing is installed
# into the system: tools go to a cache of their own.

VERSION      := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOLS        := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hayate/tools
LINT_VERSION := v2.15.0
LINT         := $(TOOLS)/golangci-lint-$(LINT_VERSION)-$(shell go env GOVERSION 2>/dev/null)
SHARED       ?= ../shared
FUZZTIME     ?= 30s
# Everything but the end-to-end tests, which start servers and the real binary.
UNIT          = $(shell go list ./... | grep -v /tests/) ./tests/architecture
include functions/flags.mk
# What a function may weigh, in bytes: 20 MB of 1 048 576.
MAX_FUNCTION  := 20971520
# What "make run" hands on: PORT=9101, DATA=some/folder, ONCE=1.
DEMO          = $(if $(PORT),--listen 127.0.0.1:$(PORT)) $(if $(DATA),--data $(DATA)) $(if $(filter 1,$(ONCE)),--once)

# need says in one line which tool is missing, and what gives it.
need = command -v $(1) >/dev/null 2>&1 || { echo "make $@: $(1) is missing: $(2)" >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help build functions deploy-plan run test check fmt-check vet lint race e2e fuzz bench bench-units bench-matching bench-workflows cover docs clean go

help: ## list the targets
	@echo "make TARGET, where TARGET is one of"; echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  %-16s %s\n", $$1, $$2 }'

go:
	@$(call need,go,install Go $(shell sed -n 's/^go //p' go.mod) or later)

build: | go ## build bin/hayate, one static binary
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o bin/hayate ./functions/hayate
	@echo "bin/hayate $(VERSION)"

functions: | go ## build bin/functions, the Lambda functions, for this machine (GOARCH= for another)
	@for f in ingest router runner workflow api desk; do \
		CGO_ENABLED=0 GOOS=linux $(if $(GOARCH),GOARCH=$(GOARCH)) go build $(FUNCTION_FLAGS) -o bin/functions/$$f/bootstrap ./functions/$$f && \
		size=$$(stat -c %s bin/functions/$$f/bootstrap) && printf 'bin/functions/%-10s %5.1f MB\n' $$f $$(awk "BEGIN { print $$size / 1000000 }") || exit 1; \
		[ $$size -le $(MAX_FUNCTION) ] || { echo "more than $(MAX_FUNCTION) bytes"; exit 1; }; \
	done

deploy-plan: | go ## say what template.yaml would create, and what a million events would cost
	@go run ./functions/hayate lambda plan

run: build ## build, start with sample packs, send sample events, tell the story (PORT=, DATA=, ONCE=1)
	@bin/hayate demo $(DEMO)

test: | go ## run the unit tests and the conformance tests
	@go test $(UNIT)

check: fmt-check vet lint race ## what a change must pass: format, vet, lint, import rules, generated files, tests under the race detector

fmt-check: | go
	@f=$$(gofmt -l .); [ -z "$$f" ] || { echo "gofmt would change:"; echo "$$f"; exit 1; }

vet: | go
	@go vet ./...

lint: $(LINT) ## run the linters of .golangci.yml
	@$(LINT) run --allow-parallel-runners ./...

$(LINT): | go
	@echo "building golangci-lint $(LINT_VERSION) into $(TOOLS)"
	@mkdir -p $(TOOLS)/build && GOBIN=$(TOOLS)/build CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv $(TOOLS)/build/golangci-lint $@

race: | go ## run the unit tests under the race detector
	@$(call need,cc,the race detector needs a C compiler)
	@CGO_ENABLED=1 go test -race $(UNIT)

e2e: build ## run the end-to-end tests: the real binary, real servers (what is absent is skipped)
	@go test ./tests/...

fuzz: | go ## run every fuzzer for a while (FUZZTIME=30s)
	@FUZZ_STRICT=1 .ci/fuzz $(FUZZTIME)

bench: | go ## measure the way of an event, and write docs/reference/benchmarks.md
	@HAYATE_BENCH=1 go test ./tests/bench -run TestBenchmark -count 1 -v -timeout 30m -write

bench-units: | go ## run the benchmarks of all packages
	@go test -run '^$$' -bench . -benchmem $(UNIT)

bench-matching: | go ## measure matching on the generated corpora of $(SHARED)/bench/matching
	@[ -d $(SHARED)/bench/matching ] || { echo "make $@: no $(SHARED)/bench/matching; name its parent with SHARED=" >&2; exit 1; }
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && (cd $(SHARED)/bench/matching && go run ./gen -out "$$dir") && \
		HAYATE_BENCH_MATCHING="$$dir" go test -run TestMatchingBenchmark -count 1 -v ./rules

bench-workflows: | go ## measure workflows, beside the peers of $(SHARED)/bench/durable, and write docs/reference/benchmarks.md
	@peers=; [ ! -d $(SHARED)/bench/durable ] || peers=$$(tests/bench/peers.sh prepare $(SHARED)/bench/durable); \
		HAYATE_BENCH=1 HAYATE_BENCH_PEERS=$$peers go test ./tests/bench -run TestWorkflows -count 1 -v -timeout 60m -write; \
		status=$$?; [ -z "$$peers" ] || tests/bench/peers.sh stop; exit $$status

cover: | go ## measure what the unit tests reach
	@go test -coverprofile cover.out -coverpkg ./... $(UNIT) >/dev/null && go tool cover -func cover.out | tail -n 1

docs: | go ## write the generated pages of docs/reference again
	@go test ./tests/docs -run Reference -update

clean: ## remove what was built
	@rm -rf bin cover.out tests/mongo/target
