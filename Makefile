# parley: one static binary. `make help` lists the targets.
#
# Sources are found by folder, so a new file needs no line here. Objects live in build/<flavour>/,
# one flavour a compiler setting: rel (shipped, unit tests), asan, tsan, fuzz.
#
#: make              build/parley, build/parley-sim and build/toml-decode
#: make deps         install the Debian packages that the build and the tests use
#: make test         every test; ends in "N passed, N failed"
#: make demo         a mesh of three nodes on this machine
#: make unit         the unit tests alone
#: make tidy         what style.md says and a program can see
#: make sim          SEEDS=200 runs of the simulator
#: make asan         unit tests, corpus, simulator and integration under ASan and UBSan
#: make tsan         the tests of what crosses threads under TSan
#: make fuzz         FUZZ_SECONDS=60 of libFuzzer for each parser (needs clang)
#: make bench        the benchmarks, half an hour; also writes build/detection.svg and pair.svg
#: make format       clang-format over the tree
#: make install      into DESTDIR, PREFIX=/usr: binary, unit, users, folders
#: make clean        remove build/

MAKEFLAGS  += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
# Parallel unless told otherwise; `clean` beside other goals needs them one after the other.
ifeq ($(filter -j% --jobs%,$(MAKEFLAGS))$(filter clean,$(MAKECMDGOALS)),)
MAKEFLAGS   += -j$(shell nproc)
endif
# V=1 shows the commands; else a line each.
Q           := $(if $(V),,@)
# `make deps test`: nothing is compiled before the packages are there.
AFTER       := $(filter deps,$(MAKECMDGOALS))

VERSION     := 0.1.0
B           := build
CC          := gcc
CLANG       := clang
AR          := ar
export LC_ALL := C
export TZ     := UTC
export SOURCE_DATE_EPOCH ?= 1767225600
PREFIX      := /usr
DESTDIR     :=
SEEDS       := 200
FUZZ_SECONDS := 60

LIB_SRC     := $(sort $(wildcard core/*/*.c gossip/*.c proxy/*/*.c cmd/*.c cmd/verbs/*.c cmd/daemon/*.c))
LIB_SRC     := $(filter-out cmd/main.c,$(LIB_SRC))
SIM_SRC     := $(sort $(wildcard tests/sim/*.c tests/sim/*/*.c))
LLHTTP_SRC  := api.c http.c llhttp.c
UNIT        := $(sort $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c)))
UNIT_SUP    := $(sort $(wildcard tests/unit/support_*.c))
FUZZ        := $(sort $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_SUP    := $(sort $(wildcard tests/fuzz/support_*.c))
TIDY_SRC    := $(sort $(wildcard tests/tidy/*.c))
BENCH       := $(sort $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/bench_*.c)))
BENCH_SUP   := tests/bench/rounds.c tests/bench/stall.c

# style.md 26: every warning, an error in each flavour.
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wcast-qual -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 \
        -Wimplicit-fallthrough -Wswitch-enum -Wdate-time -Werror
BASE := -std=c11 -D_POSIX_C_SOURCE=200809L -DPARLEY_VERSION='"$(VERSION)"' -I. \
        -isystem /usr/share/include -fno-common -fno-strict-aliasing -ffunction-sections \
        -fdata-sections -ffile-prefix-map=$(CURDIR)=. -g
# security.md 5. X86 only: control-flow protection.
HARD := -O2 -fPIE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
        -ftrivial-auto-var-init=zero $(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full)

# Objects hold both: code, which the tests link, and what the shipped program is optimized from as a
# whole when it is linked: a twelfth less processor time a request (tests/bench/pair.py).
FLAGS_rel  := $(HARD) -flto=auto -ffat-lto-objects
AS_IT_IS   := $(HARD) -fno-lto
FLAGS_asan := -O1 -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan := -O1 -fPIE -fno-omit-frame-pointer -fsanitize=thread
FLAGS_fuzz := -O1 -fPIE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

LIBS    := -lnghttp2 -lbearssl -lsodium -lmsgpackc -lev -lcares -lm -lpthread
STATIC  := -static-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--gc-sections \
           -Wl,--build-id=none

.PHONY: all deps test unit demo sim asan tsan fuzz bench tidy format install clean help

PROGRAMS := $(if $(wildcard cmd/main.c),$(B)/parley) \
            $(if $(wildcard tests/sim/main.c),$(B)/parley-sim) \
            $(if $(wildcard tests/conformance/toml_decode.c),$(B)/toml-decode)
all: $(PROGRAMS)

# One archive, one copy of llhttp and one object rule a flavour.
define FLAVOUR
$(B)/$(1)/%.o: %.c Makefile | $(AFTER)
	@mkdir -p $$(@D)
	@echo "CC    $$@"
	$(Q)$(2) $(BASE) $(WARN) $(FLAGS_$(1)) -MMD -MP -c $$< -o $$@
$(LLHTTP_SRC:%.c=$(B)/$(1)/llhttp/%.o): Makefile | $(AFTER)
	@mkdir -p $$(@D)
	@echo "CC    $$@"
	$(Q)$(2) $(BASE) -w -DLLHTTP_STRICT_MODE=1 $(FLAGS_$(1)) -isystem /usr/share/include/llhttp \
	    -c /usr/share/llhttp/$$(basename $$(@F)).c -o $$@
$(B)/$(1)/libparley.a: $(LIB_SRC:%.c=$(B)/$(1)/%.o) $(LLHTTP_SRC:%.c=$(B)/$(1)/llhttp/%.o)
	@rm -f $$@
	@echo "AR    $$@"
	$(Q)$(AR) crD $$@ $$^
$(B)/$(1)/libsim.a: $(patsubst %.c,$(B)/$(1)/%.o,$(filter-out tests/sim/main.c,$(SIM_SRC)))
	@mkdir -p $$(@D)
	@rm -f $$@
	@echo "AR    $$@"
	$(Q)$(AR) crD $$@ $$^
$(B)/$(1)/unit/%: $(B)/$(1)/tests/unit/%.o $(UNIT_SUP:%.c=$(B)/$(1)/%.o) $(B)/$(1)/libsim.a $(B)/$(1)/libparley.a
	@mkdir -p $$(@D)
	@echo "LINK  $$@"
	$(Q)$(2) $(FLAGS_$(1)) -fno-lto -Wl,--gc-sections -o $$@ $$^ -lcmocka $(LIBS)
-include $$(wildcard $(B)/$(1)/*/*.d $(B)/$(1)/*/*/*.d $(B)/$(1)/*/*/*/*.d)
endef
$(eval $(call FLAVOUR,rel,$(CC)))
$(eval $(call FLAVOUR,asan,$(CC)))
$(eval $(call FLAVOUR,tsan,$(CC)))
$(eval $(call FLAVOUR,fuzz,$(CLANG)))

# The shipped binaries: static-pie, full RELRO, stripped; debug information beside them.
define PROGRAM
$(B)/$(1): $(2) $(B)/rel/libparley.a
	@echo "LINK  $$@"
	$(Q)$(CC) $(if $(3),$(AS_IT_IS),$(FLAGS_rel)) $(STATIC) -o $$@.debug $$^ $(LIBS)
	$(Q)strip -o $$@ $$@.debug
$(B)/asan/$(1): $(subst $(B)/rel,$(B)/asan,$(2)) $(B)/asan/libparley.a
	@echo "LINK  $$@"
	$(Q)$(CC) $(FLAGS_asan) -o $$@ $$^ $(LIBS)
$(B)/tsan/$(1): $(subst $(B)/rel,$(B)/tsan,$(2)) $(B)/tsan/libparley.a
	@echo "LINK  $$@"
	$(Q)$(CC) $(FLAGS_tsan) -o $$@ $$^ $(LIBS)
endef
$(eval $(call PROGRAM,parley,$(B)/rel/cmd/main.o))
$(eval $(call PROGRAM,parley-sim,$(B)/rel/tests/sim/main.o $(B)/rel/libsim.a,test))
$(eval $(call PROGRAM,toml-decode,$(B)/rel/tests/conformance/toml_decode.o,test))

$(B)/tidy: $(TIDY_SRC:%.c=$(B)/rel/%.o) $(B)/rel/libparley.a
	@echo "LINK  $@"
	$(Q)$(CC) $(AS_IT_IS) -Wl,--gc-sections -o $@ $^ $(LIBS)
# A fuzz target with a main that replays its corpus, under ASan; and with libFuzzer.
$(B)/asan/fuzz/%: $(B)/asan/tests/fuzz/%.o $(B)/asan/tests/fuzz/replay.o $(FUZZ_SUP:%.c=$(B)/asan/%.o) $(B)/asan/libparley.a
	@mkdir -p $(@D)
	@echo "LINK  $@"
	$(Q)$(CC) $(FLAGS_asan) -o $@ $^ $(LIBS)
$(B)/fuzz/bin/%: $(B)/fuzz/tests/fuzz/%.o $(FUZZ_SUP:%.c=$(B)/fuzz/%.o) $(B)/fuzz/libparley.a
	@mkdir -p $(@D)
	@echo "LINK  $@"
	$(Q)$(CLANG) $(FLAGS_fuzz) -fsanitize=fuzzer -o $@ $^ $(LIBS)
$(B)/rel/bench/%: $(B)/rel/tests/bench/%.o $(BENCH_SUP:%.c=$(B)/rel/%.o) $(B)/rel/libsim.a $(B)/rel/libparley.a
	@mkdir -p $(@D)
	@echo "LINK  $@"
	$(Q)$(CC) $(AS_IT_IS) -Wl,--gc-sections -o $@ $^ $(LIBS)

# The shipped program with every function where its name says: for stages.py.
$(B)/rel/bench/parley: $(B)/rel/cmd/main.o $(B)/rel/libparley.a
	@mkdir -p $(@D)
	@echo "LINK  $@"
	$(Q)$(CC) $(AS_IT_IS) $(STATIC) -o $@ $^ $(LIBS)

# What each kind of test runs. Scripts print TAP, take the binary from $PARLEY, and name their own
# time limit (tests/run).
RUN_UNIT    := $(UNIT:%=$(B)/rel/unit/%)
RUN_ASAN    := $(UNIT:%=$(B)/asan/unit/%)
RUN_TSAN    := $(patsubst %,$(B)/tsan/unit/%,$(filter %ring test_publish% test_worker% test_gate,$(UNIT)))
RUN_REPLAY  := $(FUZZ:%=$(B)/asan/fuzz/%)
RUN_SIM      = tests/sim/seeds.py sim_cases@600="$(1) --self-test"
RUN_SCRIPTS := $(sort $(wildcard tests/conformance/run_*.sh tests/conformance/run_*.py \
                                 tests/integration/run_*.sh tests/integration/run_*.py))
RUN_TIDY    := tidy=$(B)/tidy \
               tidy-self-test="$(B)/tidy --self-test $(B)/rel/tests/tidy/example/globals.o"
TIDY_NEEDS  := $(B)/tidy $(B)/rel/tests/tidy/example/globals.o $(B)/rel/libparley.a \
               $(if $(wildcard cmd/main.c),$(B)/rel/cmd/main.o)
REPLAYS      = $(foreach f,$(RUN_REPLAY),$(f)="$(f) tests/fuzz/corpus/$(patsubst fuzz_%,%,$(notdir $(f)))")

test: all $(RUN_UNIT) $(RUN_ASAN) $(RUN_TSAN) $(RUN_REPLAY) $(TIDY_NEEDS)
	@tests/run $(RUN_TIDY) $(RUN_UNIT) $(RUN_ASAN) $(RUN_TSAN) $(REPLAYS) $(call RUN_SIM,$(B)/parley-sim) $(RUN_SCRIPTS)

unit: $(RUN_UNIT)
	@tests/run $^

tidy: $(TIDY_NEEDS)
	@tests/run $(RUN_TIDY)

sim: $(B)/parley-sim
	@SEEDS=$(SEEDS) tests/run $(call RUN_SIM,$(B)/parley-sim)

ASAN_BINS := $(patsubst $(B)/%,$(B)/asan/%,$(PROGRAMS))
asan: $(RUN_ASAN) $(RUN_REPLAY) $(ASAN_BINS)
	@PARLEY=$(B)/asan/parley PARLEY_SIM=$(B)/asan/parley-sim TOML_DECODE=$(B)/asan/toml-decode \
	    tests/run $(RUN_ASAN) $(REPLAYS) $(call RUN_SIM,$(B)/asan/parley-sim) $(RUN_SCRIPTS)

tsan: $(RUN_TSAN)
	@tests/run $^

fuzz: $(FUZZ:%=$(B)/fuzz/bin/%)
	@set -e; for name in $(FUZZ:fuzz_%=%); do \
	    mkdir -p $(B)/fuzz/corpus/$$name $(B)/fuzz/crash; \
	    echo "fuzz_$$name: $(FUZZ_SECONDS) s"; \
	    $(B)/fuzz/bin/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=$(B)/fuzz/crash/$$name- $(B)/fuzz/corpus/$$name tests/fuzz/corpus/$$name; \
	done

BENCH_SCRIPTS := $(sort $(wildcard tests/bench/*.sh)) tests/bench/plot_detection.py \
                 tests/bench/versus_serf.py tests/bench/pair.py tests/bench/stages.py \
                 tests/bench/host_memory.py tests/bench/isolation.py \
                 tests/bench/overload_peer.py
BENCH_BINS := $(BENCH:%=$(B)/rel/bench/%) $(addprefix $(B)/rel/bench/,pair_relay pair_even parley)
bench: all $(BENCH_BINS)
	@failed=0; for program in $(BENCH:%=$(B)/rel/bench/%) $(BENCH_SCRIPTS); do \
	    echo "# $$program"; $$program || failed=1; \
	done; exit $$failed

demo: $(B)/parley
	@$(B)/parley demo

deps:
	packaging/deps

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

install: $(B)/parley
	install -D -m 0755 $(B)/parley $(DESTDIR)$(PREFIX)/bin/parley
	install -D -m 0644 packaging/sysusers.d/parley.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/parley.conf
	install -D -m 0644 packaging/tmpfiles.d/parley.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/parley.conf
	install -d -m 0755 $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/bin/parley|$(PREFIX)/bin/parley|' packaging/parley.service \
	    >$(DESTDIR)$(PREFIX)/lib/systemd/system/parley.service
	chmod 0644 $(DESTDIR)$(PREFIX)/lib/systemd/system/parley.service
	packaging/after-install '$(DESTDIR)' '$(PREFIX)'

clean:
	rm -rf $(B)

help:
	@sed -n 's/^#: //p' Makefile
