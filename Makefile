# interactd: one makefile, no recursion, no configure step. `make V=san` builds the same
# tree into build/san. Targets: all check lint san cov fuzz bench demo install deb clean deps.
PREFIX ?= /usr/local
bindir ?= $(PREFIX)/bin
sbindir ?= $(PREFIX)/sbin
sysconfdir ?= /etc
mandir ?= $(PREFIX)/share/man
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
FLAGS_clang := -O1 -g
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
# vptr checks want the C++ runtime of the sanitizer, and we link C.
ALL_CXXFLAGS = $(WARN_CXX) $(FLAGS_$V) -fno-sanitize=vptr $(DEFS) -MMD -MP $(CFLAGS)
# One line per file; `make VERBOSE=1` shows the commands.
Q := $(if $(VERBOSE),,@)
say = $(if $(VERBOSE),,@echo '  $1 $@')

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

# The migrations, the statements, the OpenAPI document and the files for browsers travel
# inside the binary.
EMBED := $(sort $(wildcard conf/sql/*.sql) $(wildcard daemon/*/*.sql) \
	$(wildcard daemon/api/openapi.json) $(wildcard daemon/desk/*.lua) \
	$(wildcard daemon/web/*.* daemon/web/*/*.*))
build/embedded.c: $(EMBED) tests/lib/embed.py
	@mkdir -p $(@D)
	python3 tests/lib/embed.py $(EMBED) >$@.new && mv $@.new $@
$B/embedded.o: build/embedded.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(INC_build) $(ALL_CFLAGS) -c -o $@ $<

$B/interactd: $B/daemon/main.o $B/libinteractd.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/interactctl: $B/daemon/ctl/main.o $B/libinteractd.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/libinteractd.a: $(OBJ)
	@rm -f $@ && $(AR) rcs $@ $^
$B/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(INC_$(firstword $(subst /, ,$<))) $(ALL_CFLAGS) -c -o $@ $<
$B/%.o: %.cc Makefile
	@mkdir -p $(@D)
	$(call say,CXX)
	$(Q)$(CXX) $(INC_$(firstword $(subst /, ,$<))) $(ALL_CXXFLAGS) -c -o $@ $<
$B/tests/unit/%: $B/tests/unit/%.o $(UNIT_LIB) $B/libinteractd.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/tests/bench/%: $B/tests/bench/%.o $B/libinteractd.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$B/tests/fuzz/%: $B/tests/fuzz/%.o $B/libinteractd.a
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS)

# ---- Tests ------------------------------------------------------------------------
# `make check` is the whole of it on this machine; `make check-asterisk` needs a few more
# minutes: a real Asterisk from Debian's packages, with phones.
TRACES := build/traces/ground-truth.json
# More workers than cores: most of a test is waiting for what it set in motion.
PYTEST := /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/integration
WORKERS ?= 3

$(TRACES): tests/data/asterisk-traces.tar.xz
	@mkdir -p build/traces
	tar -xJf $< -C build/traces --strip-components=1 && touch $@
unit: $(UNIT) $(TRACES)
	@tests/lib/with-servers tests/lib/run-unit $(UNIT)
integration: all $(TRACES)
	INTERACTD_BUILD=$B $(PYTEST) -n $(WORKERS) -m "not asterisk and not browser"
# One after the other, also with -j: what tests time must not wait for one another.
check: deps-check
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory integration
check-asterisk: deps-check
	@$(MAKE) --no-print-directory all
	INTERACTD_BUILD=$B $(PYTEST) -m asterisk
# Fifty calls at once while everything dies, one by one and at random.
chaos: all $(TRACES)
	CHAOS_ALL=1 CHAOS_SECONDS=$${CHAOS_SECONDS:-600} INTERACTD_BUILD=$B $(PYTEST)/test_chaos.py -s
# Pages in Debian's chromium, driven by playwright-core from npm
# (node and npm are installed if there are none).
check-browser: deps-check
	@tests/browser/install build/browser
	@$(MAKE) --no-print-directory all $(TRACES)
	INTERACTD_BUILD=$B $(PYTEST) -n 2 -m browser
# Sanitized programs leave no processor idle: two at a time.
san:
	@$(MAKE) --no-print-directory V=$@ unit
	@$(MAKE) --no-print-directory V=$@ WORKERS=2 integration
cov:
	@find build/cov -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory V=$@ unit integration
	@tests/lib/coverage build/cov
fuzz:
	@$(MAKE) --no-print-directory V=fuzz CC=clang CXX=clang++ fuzz-bins
fuzz-bins: $(FUZZ)
	@tests/fuzz/run $(FUZZ)
# Ours beside the floor: minutes, and a store of some GB kept in BENCH_DIR.
bench: all $(BENCH) $(TRACES)
	@tests/bench/run $B
bench-quick: all $(BENCH) $(TRACES)
	@tests/bench/run $B --quick

# Every header compiles alone; no room includes a higher one; format is the formatter's;
# gcc and clang find nothing to say.
LAYERS := base io people timeline desk calls outreach api ctl
lint: deps-check
	@tests/lib/lint '$(LAYERS)'

# ---- Demo -------------------------------------------------------------------------
demo: deps-check
	@$(MAKE) --no-print-directory all $(TRACES)
	@conf/demo/demo --build $B

# ---- What Debian 12 lacks ---------------------------------------------------------
DEB_BUILD := gcc g++ pkg-config libevent-dev libhiredis-dev libpq-dev libjansson-dev \
	libsodium-dev libssl-dev libcurl4-openssl-dev libsystemd-dev libinih-dev \
	libphonenumber-dev python3 xz-utils dpkg-dev
DEB_RUN := postgresql-15 redis-server redis-tools procps tzdata
DEB_TEST := python3-pytest python3-pytest-xdist python3-psycopg2 python3-redis python3-websockets \
	python3-aiohttp python3-jsonschema sip-tester curl openssl clang clang-format libclang-rt-14-dev \
	ca-certificates mandoc
export DEB_ALL := $(DEB_BUILD) $(DEB_RUN) $(DEB_TEST)
deps:
	@tests/lib/deps install
deps-check:
	@tests/lib/deps check

# ---- Installation -----------------------------------------------------------------
# The configuration is never overwritten; the units get the paths they are installed with.
sysusersdir ?= /usr/lib/sysusers.d
tmpfilesdir ?= /usr/lib/tmpfiles.d
completiondir ?= $(PREFIX)/share/bash-completion/completions
docdir ?= $(PREFIX)/share/doc/interactd
install: all
	install -D -m 0755 $B/interactd $(DESTDIR)$(sbindir)/interactd
	install -D -m 0755 $B/interactctl $(DESTDIR)$(bindir)/interactctl
	install -d $(DESTDIR)$(sysconfdir)/interactd
	test -e $(DESTDIR)$(sysconfdir)/interactd/interactd.conf || install -m 0640 \
		conf/interactd.conf $(DESTDIR)$(sysconfdir)/interactd/interactd.conf
	install -d $(DESTDIR)$(sysconfdir)/interactd/holidays
	for region in $(notdir $(wildcard conf/holidays/*)); do \
		test -e $(DESTDIR)$(sysconfdir)/interactd/holidays/$$region || install -m 0644 \
		conf/holidays/$$region $(DESTDIR)$(sysconfdir)/interactd/holidays/$$region || \
		exit 1; done
	install -D -m 0644 conf/interactd.conf.5 $(DESTDIR)$(mandir)/man5/interactd.conf.5
	install -D -m 0644 conf/interactd-driver.7 $(DESTDIR)$(mandir)/man7/interactd-driver.7
	install -D -m 0644 conf/interactd.8 $(DESTDIR)$(mandir)/man8/interactd.8
	install -d $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(completiondir)
	$B/interactctl manual >$(DESTDIR)$(mandir)/man1/interactctl.1
	$B/interactctl completion bash >$(DESTDIR)$(completiondir)/interactctl
	install -d $(DESTDIR)$(unitdir) $(DESTDIR)$(sysusersdir) $(DESTDIR)$(tmpfilesdir)
	sed 's|@sbindir@|$(sbindir)|; s|@sysconfdir@|$(sysconfdir)|' \
		systemd/interactd.service.in >$(DESTDIR)$(unitdir)/interactd.service
	install -m 0644 systemd/interactd.socket $(DESTDIR)$(unitdir)/interactd.socket
	install -m 0644 systemd/interactd.sysusers $(DESTDIR)$(sysusersdir)/interactd.conf
	install -m 0644 systemd/interactd.tmpfiles $(DESTDIR)$(tmpfilesdir)/interactd.conf
	install -d $(DESTDIR)$(docdir)
	install -m 0644 README.md $(wildcard README.zh-CN.md) LICENSE \
		conf/grafana-dashboard.json $(DESTDIR)$(docdir)

# build/interactd_VERSION_ARCH.deb, for the Debian that it is made on.
deb: all
	+@systemd/deb/build $(VERSION) $B
# Its whole life on a bare Debian under systemd (root, debootstrap, systemd-container).
check-deb: deb
	@tests/lib/deb-check build/interactd_$(VERSION)_$$(dpkg --print-architecture).deb

clean:
	rm -rf build
.PHONY: all unit integration check check-asterisk check-browser check-deb chaos san cov \
	fuzz fuzz-bins bench bench-quick lint demo deps deps-check install deb clean
.SECONDARY:
.DELETE_ON_ERROR:
-include $(OBJ:.o=.d) $B/daemon/main.d $B/daemon/ctl/main.d $(UNIT:=.d) $(FUZZ:=.d) \
	$(BENCH:=.d) $(UNIT_LIB:.o=.d)
