# The commands a person runs. Everything is built under .build; nothing is installed except by `install`
# and, for missing Debian packages, by scripts/packages.sh.
PREFIX ?= /usr/local
SWIFT ?= swift
RELEASE = $(SWIFT) build -c release
RELEASE_BIN = $(CURDIR)/.build/release
RUN_TESTS = SWIFT='$(SWIFT)' VARVE_BIN_DIR='$(RELEASE_BIN)' scripts/run-tests.sh
SOURCES = Sources Tests Examples Package.swift
# Further arguments of the three: BENCH="--live", TEST="--filter Restore".
BENCH =
SOAK =
TEST =

# What drives real processes measures how long they wait: one test at a time in each of two lanes, which wait more
# than they work.
LANES = 'VarveFaultTests' 'VarveCaptureTests|VarveProcessTests'
PROCESS_TESTS = VarveCaptureTests|VarveProcessTests|VarveFaultTests
FUZZERS = $(filter-out run,$(basename $(notdir $(wildcard Tests/Fuzz/*.swift))))

# Two builds at once would wait for each other's lock.
.NOTPARALLEL:
.PHONY: help demo release static test bench soak tsan asan lint docs format install uninstall deb clean fresh-root

help:
	@echo 'make demo              hot backups of a live Berkeley DB, restored, recovered and checked'
	@echo 'make test              unit tests and real-process tests (TEST="--filter Name" for some)'
	@echo 'make bench             varve beside restic, borg and tar|zstd (BENCH="--help" for its parameters)'
	@echo 'make soak              the long tests: a thousand hot backups, histories, fuzzing, thread sanitizer'
	@echo 'make tsan              unit tests with the thread sanitizer; make asan with the address sanitizer'
	@echo 'make lint              check the format and the links of the documents; make format writes the format'
	@echo 'make docs              the documentation of the Swift modules, in .build/docs'
	@echo 'make install PREFIX=P  a release build, manual pages and completions under P (default $(PREFIX)); DESTDIR'
	@echo 'make uninstall         removes what install made, and nothing else (the same PREFIX and DESTDIR)'
	@echo 'make deb               a package for Debian 12, in .build/deb'
	@echo 'make fresh-root        demo and test in a new bare Debian 12 root (as root)'
	@echo 'make clean             remove what was built'

demo:
	@scripts/packages.sh toolchain build
	@$(MAKE) --no-print-directory release
	@VARVE_BIN_DIR='$(RELEASE_BIN)' scripts/demo.sh

release:
	@echo 'building (release)' >&2
	@$(RELEASE) --quiet
	@# Tests run it as other users; swift build may have made directories for its own user alone.
	@bin=$$(readlink -f '$(RELEASE_BIN)') && chmod a+rx '$(CURDIR)/.build' "$$(dirname "$$bin")" "$$bin"

test:
	@scripts/packages.sh toolchain test
	@$(MAKE) --no-print-directory release
	cd Benchmarks && python3 -m unittest discover tests
	$(RUN_TESTS) $(or $(TEST),--skip '$(PROCESS_TESTS)')
	$(if $(TEST),,$(RUN_TESTS) --lanes $(LANES) -- --no-parallel)

bench:
	@scripts/packages.sh toolchain bench
	@$(MAKE) --no-print-directory release
	@cd Benchmarks && VARVE_BIN_DIR='$(RELEASE_BIN)' python3 -m varvebench $(BENCH)

soak:
	@scripts/packages.sh toolchain test
	@$(MAKE) --no-print-directory release
	VARVE_SOAK=1 $(RUN_TESTS) --no-parallel $(SOAK)
	for target in $(FUZZERS); do Tests/Fuzz/run.sh $$target 60; done
	@$(MAKE) --no-print-directory tsan asan

tsan:
	SWIFT='$(SWIFT)' Tests/Sanitize/run.sh thread $(TEST)

asan:
	SWIFT='$(SWIFT)' Tests/Sanitize/run.sh address $(TEST)

lint:
	@scripts/packages.sh lint
	scripts/check-links.sh
	scripts/docs.sh --code
	$(SWIFT) format lint --strict -r $(SOURCES)

# From the release build: its modules have all comments, and it is there when tests have run.
docs:
	@scripts/packages.sh toolchain build lint
	@$(MAKE) --no-print-directory release
	SWIFT='$(SWIFT)' scripts/docs.sh '$(RELEASE_BIN)'

format:
	$(SWIFT) format -i -r $(SOURCES)

# The Swift runtime is linked in, so that the two files run where no toolchain is; a scratch path of its
# own, because the flag would rebuild the other release build again and again.
STATIC_BIN = .build/static/release

static:
	@scripts/packages.sh toolchain build
	$(RELEASE) --scratch-path .build/static --static-swift-stdlib --product varve
	$(RELEASE) --scratch-path .build/static --static-swift-stdlib --product varve-capture-bdb

install: static
	DESTDIR='$(DESTDIR)' scripts/install.sh $(STATIC_BIN) '$(PREFIX)'

uninstall:
	DESTDIR='$(DESTDIR)' scripts/install.sh --remove '$(PREFIX)'

deb: static
	@scripts/packages.sh deb
	@scripts/deb.sh $(STATIC_BIN) .build/deb

fresh-root:
	@scripts/fresh-root.sh

clean:
	rm -rf .build Benchmarks/work
