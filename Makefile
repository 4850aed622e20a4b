# parley: one static binary. `make help` lists the targets.
#
# Sources are found by folder, so a new file needs no line here. Objects live in build/<flavour>/,
# one flavour a compiler setting: rel (shipped, unit tests), asan, tsan, fuzz.

MAKEFLAGS  += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

VERSION     := 0.1.0
B           := build
CC          := gcc
CLANG       := clang
AR          := ar
export LC_ALL := C
export TZ     := UTC
export SOURCE_DATE_EPOCH ?= 1767225600

LIB_SRC     := $(sort $(wildcard core/*/*.c gossip/*.c proxy/*/*.c cmd/*.c cmd/verbs/*.c cmd/daemon/*.c))
LIB_SRC     := $(filter-out cmd/main.c,$(LIB_SRC))
SIM_SRC     := $(sort $(wildcard tests/sim/*.c))
LLHTTP_SRC  := api.c http.c llhttp.c
UNIT        := $(sort $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c)))
UNIT_SUP    := $(sort $(wildcard tests/unit/support_*.c))
FUZZ        := $(sort $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
BENCH       := $(sort $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/bench_*.c)))

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

FLAGS_rel  := $(HARD)
FLAGS_asan := -O1 -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan := -O1 -fPIE -fno-omit-frame-pointer -fsanitize=thread
FLAGS_fuzz := -O1 -fPIE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

LIBS    := -lnghttp2 -lbearssl -lsodium -lmsgpackc -lev -lcares -lm -lpthread
STATIC  := -static-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--gc-sections \
           -Wl,--build-id=none

.PHONY: all deps test unit demo sim asan tsan fuzz bench tidy format install clean help
all: $(B)/parley $(B)/parley-sim $(B)/toml-decode

# One archive, one copy of llhttp and one object rule a flavour.
define FLAVOUR
$(B)/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	$(2) $(BASE) $(WARN) $(FLAGS_$(1)) -MMD -MP -c $$< -o $$@
$(B)/$(1)/llhttp/%.o: /usr/share/llhttp/%.c Makefile
	@mkdir -p $$(@D)
	$(2) $(BASE) -w -DLLHTTP_STRICT_MODE=1 $(FLAGS_$(1)) -isystem /usr/share/include/llhttp -c $$< -o $$@
$(B)/$(1)/libparley.a: $(LIB_SRC:%.c=$(B)/$(1)/%.o) $(LLHTTP_SRC:%.c=$(B)/$(1)/llhttp/%.o)
	@rm -f $$@
	$(AR) crD $$@ $$^
$(B)/$(1)/libsim.a: $(patsubst %.c,$(B)/$(1)/%.o,$(filter-out tests/sim/main.c,$(SIM_SRC)))
	@rm -f $$@
	$(AR) crD $$@ $$^
$(B)/$(1)/unit/%: $(B)/$(1)/tests/unit/%.o $(UNIT_SUP:%.c=$(B)/$(1)/%.o) $(B)/$(1)/libsim.a $(B)/$(1)/libparley.a
	@mkdir -p $$(@D)
	$(2) $(FLAGS_$(1)) -Wl,--gc-sections -o $$@ $$^ -lcmocka $(LIBS)
-include $$(wildcard $(B)/$(1)/*/*.d $(B)/$(1)/*/*/*.d)
endef
$(eval $(call FLAVOUR,rel,$(CC)))
$(eval $(call FLAVOUR,asan,$(CC)))
$(eval $(call FLAVOUR,tsan,$(CC)))
$(eval $(call FLAVOUR,fuzz,$(CLANG)))

# The shipped binaries: static-pie, full RELRO, stripped; debug information beside them.
define PROGRAM
$(B)/$(1): $(2) $(B)/rel/libparley.a
	$(CC) $(FLAGS_rel) $(STATIC) -o $$@.debug $$^ $(LIBS)
	strip -o $$@ $$@.debug
$(B)/asan/$(1): $(subst $(B)/rel,$(B)/asan,$(2)) $(B)/asan/libparley.a
	$(CC) $(FLAGS_asan) -o $$@ $$^ $(LIBS)
$(B)/tsan/$(1): $(subst $(B)/rel,$(B)/tsan,$(2)) $(B)/tsan/libparley.a
	$(CC) $(FLAGS_tsan) -o $$@ $$^ $(LIBS)
endef
$(eval $(call PROGRAM,parley,$(B)/rel/cmd/main.o))
$(eval $(call PROGRAM,parley-sim,$(B)/rel/tests/sim/main.o $(B)/rel/libsim.a))
$(eval $(call PROGRAM,toml-decode,$(B)/rel/tests/conformance/toml_decode.o))

unit: $(UNIT:%=$(B)/rel/unit/%)
	tests/run $(UNIT:%=$(B)/rel/unit/%)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf $(B)
