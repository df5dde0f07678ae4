# Every target is a line that works by hand too; `make help` shows both.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# One build configuration for programs, tests and benchmarks. Without ALSA's headers
# conga plays through PulseAudio and PipeWire only, without a C compiler there is no race detector.
compiler = $(shell command -v $$(go env CC))
alsa     = $(shell [ "$$(go env GOOS)" != linux ] || pkg-config --exists alsa 2>/dev/null && echo yes)
flags    = $(if $(and $(compiler),$(alsa)),,-tags=nospeaker)
race     = $(if $(compiler),-race,)
# Without what only a debugger reads, the program is a third smaller; its stack traces are the same.
strip    = -ldflags='-s -w'
export CGO_ENABLED = $(if $(compiler),1,0)

FUZZTIME ?= 20s
NODES ?= 200
FAILURES ?= 1000
SEED ?= 1
KINDS ?=
LONGEST ?= 60s
SPIN ?= 0
SOAK ?= 1h
CHUNKS ?=
FOR ?= 60s
STARTS ?= 5
TIMES ?= 10
SLACK ?= 4s
CHAIN ?= 100
CASES ?= all
ALL ?=
LONG ?=
JSON ?= bin/bench.json

.PHONY: help conga chaos servers soak together demo build test lint systems bench bench-check bench-keep bench-parts fuzz gen man install speaker sound-test page-test shell-test convert-test

help:
	@echo 'make demo     hear it: a server and three listeners        go run ./cmd/conga demo'
	@echo 'make build    bin/conga, bin/conga-chaos, bin/conga-bench  go build -o bin/ ./cmd/...'
	@echo 'make test     all that CI runs: lint, tests, sound         go test -race ./...'
	@echo 'make lint     form and suspicious code                     go vet ./...'
	@echo '  ALL=1         more linters; they take minutes to build    go run …/golangci-lint/v2/cmd/golangci-lint@v2.6.2 run'
	@echo 'make systems  does it build for Windows, macOS, FreeBSD?    GOOS=windows CGO_ENABLED=0 go build ./cmd/conga'
	@echo 'make chaos    kill, freeze, restart: who hears it?         bin/conga-chaos --nodes 200'
	@echo '  KINDS=outages SPIN=2: long silence, busy machine         bin/conga-chaos --kinds outages --spin 2'
	@echo 'make servers  two servers, a log on NATS: kill, cut off     bin/conga-chaos servers --times 10 --slack 4s'
	@echo 'make soak     an hour: does anything grow?                  go test -run Soak -v -timeout 0 ./cmd/conga-chaos -soak.for 1h'
	@echo '  CHUNKS=10000000: two weeks of music as fast as it goes    … -soak.chunks 10000000'
	@echo 'make together how far apart are the loudspeakers?            go test -run Together -v -together 60s ./cmd/conga/e2e'
	@echo '  CASES=row,three,chain,change,splice,restart,evening,snapcast,coarse SPIN="0 2" STARTS=5 FOR=60s CHAIN=100'
	@echo 'make bench    latency, CPU, memory, beside simple programs  bin/conga-bench --json bin/bench.json'
	@echo '  LONG=1 JSON=FILE: half an hour more, where the figures go'
	@echo 'make bench-check  measure again: what got worse?           bin/conga-bench check bin/bench.json'
	@echo 'make bench-keep   and keep the figures, and the plots      bin/conga-bench plot FILE'
	@echo 'make bench-parts  single functions                         go test -run "^$$" -bench . -benchmem ./...'
	@echo 'make fuzz     every parser, FUZZTIME=20s each              go test -fuzz FuzzReadFrame ./transport'
	@echo 'make install  conga, its pages, completions and units     PREFIX=/usr/local DESTDIR='
	@echo 'make man      manual pages, in bin/man                     bin/conga help man bin/man'
	@echo 'make pictures the pictures of the README                   CONGA_TEST_README=FOLDER go test -run TestPictures ./cmd/conga/e2e'
	@echo 'make gen      the code for messages/*.proto                go generate ./messages'

demo: conga
	bin/conga demo

conga: speaker
	go build $(flags) $(strip) -o bin/ ./cmd/conga

build: speaker
	go build $(flags) $(strip) -o bin/ ./cmd/...

test: speaker sound-test page-test shell-test convert-test
	@rm -f bin/times
	@.ci/timed lint $(MAKE) --no-print-directory lint
	@.ci/timed gen .ci/gen check
	@.ci/timed systems .ci/systems
	@[ -n '$(race)' ] || echo 'test: no C compiler, so the tests run without the race detector'
	@.ci/timed unit .ci/unit $(flags) $(race)
	$(if $(race),@.ci/timed whole .ci/whole $(flags))
	@.ci/timed e2e .ci/tests -parallel 4 $(flags) $(race) -skip Page -- ./cmd/conga/e2e # real programs in real time, which mostly wait: alone on the machine
	@.ci/timed sound .ci/sound $(flags)
	@.ci/timed page .ci/page $(flags)
	@.ci/timed

lint: speaker
	@unformatted=$$(go run mvdan.cc/gofumpt@v0.12.0 -l .); [ -z "$$unformatted" ] || { echo "gofumpt would change: $$unformatted (gofumpt -w .)"; exit 1; }
	go vet $(flags) ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 $(flags) ./...
	$(if $(ALL),go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.6.2 run --timeout 20m $(if $(flags),--build-tags nospeaker))

systems:
	@.ci/systems

chaos: build
	bin/conga-chaos --nodes $(NODES) --failures $(FAILURES) --seed $(SEED) --spin $(SPIN) --longest $(LONGEST) $(if $(KINDS),--kinds $(KINDS))

# nats-server is a module of its own: conga needs nothing of it.
servers: build
	cd actors/eventlog/natstest/testdata/server && GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o $(CURDIR)/bin/ github.com/nats-io/nats-server/v2
	bin/conga-chaos servers --times $(TIMES) --slack $(SLACK) --seed $(SEED) $(if $(KINDS),--kinds $(KINDS))

soak:
	go test $(flags) -count=1 -timeout 0 -run 'Soak$$' -v ./cmd/conga-chaos $(if $(CHUNKS),-soak.chunks $(CHUNKS),-soak.for $(SOAK))

together: speaker sound-test
	go test $(flags) -count=1 -timeout 6h -run 'Together$$' -v ./cmd/conga/e2e -together $(FOR) -together.cases $(CASES) -together.starts $(STARTS) -together.chain $(CHAIN) -together.spin "$(if $(filter file,$(origin SPIN)),0 2,$(SPIN))" -together.bounds

bench: build
	bin/conga-bench run $(if $(LONG),--long) --json $(JSON)

bench-check: bench
	bin/conga-bench check $(JSON)

bench-keep:
	$(MAKE) bench JSON=cmd/conga-bench/results/$(shell date -u +%F).json
	bin/conga-bench plot cmd/conga-bench/results/$(shell date -u +%F).json > cmd/conga-bench/results/cost.svg

bench-parts: speaker
	go test $(flags) -run '^$$' -bench . -benchmem ./...

fuzz: speaker
	@.ci/fuzz $(FUZZTIME) $(flags)

gen:
	@.ci/gen

pictures:
	@.ci/pictures $(flags)

PREFIX ?= /usr/local
DESTDIR ?=
bash_words = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zsh_words  = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fish_words = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
units      = $(DESTDIR)$(PREFIX)/lib/systemd/system

install: man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(bash_words) $(zsh_words) $(fish_words) $(units)
	install -m 755 bin/conga $(DESTDIR)$(PREFIX)/bin/conga
	install -m 644 bin/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	bin/conga completion bash > $(bash_words)/conga
	bin/conga completion zsh > $(zsh_words)/_conga
	bin/conga completion fish > $(fish_words)/conga.fish
	for unit in server listener; do sed 's,/usr/bin/conga,$(PREFIX)/bin/conga,' cmd/conga/packaging/conga-$$unit.service > $(units)/conga-$$unit.service; done

man: build
	bin/conga help man bin/man

# What the machine lacks is installed where that needs no question.
speaker sound-test page-test shell-test convert-test:
	@.ci/prepare $@
