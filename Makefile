# interactd: one makefile, no recursion, no configure step. `make V=san` builds the same
# tree into build/san. Targets: all check lint san cov fuzz bench demo install clean deps.
PREFIX ?= /usr/local
bindir ?= $(PREFIX)/bin
sbindir ?= $(PREFIX)/sbin
sysconfdir ?= /etc
unitdir ?= /usr/lib/systemd/system
V ?= release
B := build/$V
VERSION := 0.1.0

WARN := -std=c11 -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual \
	-Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wformat=2 -Wundef \
	-Wvla -Wnull-dereference
WARN_CXX := -std=c++17 -Wall -Wextra -Wshadow -Wpointer-arith -Wformat=2
FLAGS_release := -O2 -g
FLAGS_san := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
FLAGS_cov := -O0 -g --coverage
FLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined
DEFS := -D_GNU_SOURCE -DINTERACTD_VERSION='"$(VERSION)"'
PKGS := libevent libevent_openssl libevent_pthreads hiredis libpq jansson libsodium \
	openssl libcurl libsystemd
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS = $(shell pkg-config --libs $(PKGS)) -linih -lphonenumber -lstdc++ -lpthread
CFLAGS ?=
ALL_CFLAGS = $(WARN) $(FLAGS_$V) $(DEFS) -MMD -MP $(CFLAGS)
ALL_CXXFLAGS = $(WARN_CXX) $(FLAGS_$V) $(DEFS) -MMD -MP $(CFLAGS)

# Which headers a layer may see is decided here, not by convention: channels/ gets
# include/ and nothing of the daemon, and no foreign library's flags.
INC_channels := -Iinclude
INC_daemon := -Iinclude -Idaemon $(PKG_CFLAGS)
INC_tests := -Iinclude -Idaemon -Ichannels -Itests $(PKG_CFLAGS)
INC_build := $(INC_daemon)

SRC := $(filter-out daemon/main.c daemon/ctl/main.c,$(wildcard daemon/*/*.c channels/*.c \
	channels/*/*.c))
CXX_SRC := $(wildcard daemon/*/*.cc)
OBJ := $(SRC:%.c=$B/%.o) $(CXX_SRC:%.cc=$B/%.o) $B/embedded.o
UNIT := $(patsubst %.c,$B/%,$(wildcard tests/unit/test_*.c))
UNIT_LIB := $(patsubst %.c,$B/%.o,$(wildcard tests/lib/*.c))
FUZZ := $(patsubst %.c,$B/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(patsubst %.c,$B/%,$(wildcard tests/bench/*.c))

all: $B/interactd $B/interactctl

# The migrations, the statements and the OpenAPI document travel inside the binary.
EMBED := $(sort $(wildcard conf/sql/*.sql) $(wildcard daemon/*/*.sql) \
	$(wildcard daemon/api/openapi.json) $(wildcard daemon/desk/*.lua))
build/embedded.c: $(EMBED) tests/lib/embed.py
	@mkdir -p $(@D)
	python3 tests/lib/embed.py $(EMBED) >$@.new && mv $@.new $@
$B/embedded.o: build/embedded.c Makefile
	@mkdir -p $(@D)
	$(CC) $(INC_build) $(ALL_CFLAGS) -c -o $@ $<

$B/interactd: $B/daemon/main.o $B/libinteractd.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/interactctl: $B/daemon/ctl/main.o $B/libinteractd.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/libinteractd.a: $(OBJ)
	@rm -f $@ && $(AR) rcs $@ $^
$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(INC_$(firstword $(subst /, ,$<))) $(ALL_CFLAGS) -c -o $@ $<
$B/%.o: %.cc Makefile
	@mkdir -p $(@D)
	$(CXX) $(INC_$(firstword $(subst /, ,$<))) $(ALL_CXXFLAGS) -c -o $@ $<
$B/tests/unit/%: $B/tests/unit/%.o $(UNIT_LIB) $B/libinteractd.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/tests/bench/%: $B/tests/bench/%.o $B/libinteractd.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/tests/fuzz/%: $B/tests/fuzz/%.o $B/libinteractd.a
	$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS)

unit: $(UNIT)
	@tests/lib/run-unit $(UNIT)

clean:
	rm -rf build
.PHONY: all unit clean
.SECONDARY:
.DELETE_ON_ERROR:
-include $(OBJ:.o=.d) $B/daemon/main.d $B/daemon/ctl/main.d $(UNIT:=.d) $(FUZZ:=.d) \
	$(BENCH:=.d)
