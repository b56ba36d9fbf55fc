# weir - hold calls back and let a steady stream over.
#
#   make            build everything, into build/
#   make demo       forty requests, three at a time, and a chart of them
#   make demo-nginx a backend behind nginx that gets three times its load
#   make test       all tests; the last line is "N passed, N failed"
#   make bench      every figure beside its floor
#   make bench-nginx  the nginx module beside what people use today
#   make nginx      the module for nginx, build/nginx/ (then install-nginx)
#   make lint       warnings, formatting, borders and completeness
#   make install    PREFIX=/usr/local DESTDIR=      (uninstall: the reverse)
#   make rock       a LuaRocks source rock, build/weir-*.src.rock
#   make doc        the API reference, build/doc/index.html
#   make coverage   which lines of c/core the C tests reach
#   make fuzz       libFuzzer, FUZZ_SECONDS=60 for each fuzzer
#   make soak       storms, then the model and the specs over and over,
#                   SOAK_SECONDS=600
#   make model      who wakes whom, and who dies when, exhaustively (spin)
#   make deps       install the Debian packages of all of these
#   make clean      remove build/
#
# demo, test and the other targets that need more than a compiler install what
# is missing by themselves, on a Debian.

# == settings =================================================================

PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
DESTDIR =

CC = gcc
AR = gcc-ar
# The hot path crosses files: link-time optimization takes a sixth off it. The
# archives hold ordinary code as well, for linkers that do not know gcc's.
LTO = -flto=auto -ffat-lto-objects
CFLAGS = -O2 -g -fno-plt $(LTO)
LDFLAGS =
# `make WERROR=` for compilers that warn of more than ours do.
WERROR = -Werror

LUA = lua5.4
LUA_PC = lua5.4
LUA_V = 5.4

# == what there is ============================================================

BUILD = build

VERSION := $(shell sed -n 's/^.define WEIR_VERSION "\(.*\)"/\1/p' \
             c/include/weir.h)
SONAME_V := $(firstword $(subst ., ,$(VERSION)))

objects = $(patsubst c/%.c,$(BUILD)/obj/%.o,$(1))
programs = $(patsubst c/%.c,$(BUILD)/%,$(wildcard $(1)))

CORE_O = $(call objects,$(wildcard c/core/*.c))
SHARED_O = $(call objects,$(wildcard c/shared/*.c))
EVENT_O = $(call objects,$(wildcard c/event/*.c))
STATUS_O = $(call objects,$(wildcard c/status/*.c))
REPLAY_O = $(call objects,$(wildcard c/replay/*.c))
BIND_O = $(call objects,$(wildcard c/bind/*.c))
SCREEN_O = $(call objects,$(wildcard c/screen/*.c))

LIB_NAMES = weir weir-shared weir-status weir-event weir-lua
LIBS = $(foreach l,$(LIB_NAMES),$(BUILD)/lib$l.a $(BUILD)/lib$l.so)
MODULE = $(BUILD)/lua/weir/core.so
# Of `weir top`; nothing else wants ncurses, so it is built where that is.
SCREEN = $(if $(shell pkg-config --exists ncursesw 2>/dev/null && echo yes),\
           $(BUILD)/lua/weir/screen.so)

# A test is a program of its own; what they share are the other files.
TEST_MAINS = $(wildcard c/test/test_*.c c/test/model.c)
TEST_SHARED = $(filter-out $(TEST_MAINS),$(wildcard c/test/*.c))
TESTS = $(call programs,$(TEST_MAINS))
EXAMPLES = $(call programs,c/examples/*.c)
FUZZERS = $(call programs,c/fuzz/*.c)
BENCHES = $(call programs,c/bench/bench_*.c)
BENCH_FLOOR = $(patsubst c/bench/floor.c,$(BUILD)/bench/benchfloor.so,\
                $(wildcard c/bench/floor.c))

LUA_FILES = $(patsubst lua/%,%,$(wildcard lua/weir/*.lua lua/weir/*/*.lua))
HEADERS = $(notdir $(wildcard c/include/*.h))

# == flags ====================================================================

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wcast-qual -Wcast-align \
  -Wconversion -Wsign-conversion -Wdouble-promotion -Wpointer-arith -Wvla \
  -Wundef -Wformat=2 -Wwrite-strings -Wredundant-decls \
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition

SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fno-omit-frame-pointer

# The same rules elsewhere, with other flags. libFuzzer is clang's.
ASAN_BUILD = BUILD=build/asan CFLAGS='-O1 -g $(SANITIZE)' all tests nginx
TSAN_BUILD = BUILD=build/tsan CFLAGS='-O1 -g -fsanitize=thread' \
  build/tsan/test/test_shared_threads
# A bool in damaged memory may be any number: either branch will do then.
FUZZ_BUILD = BUILD=build/fuzz CC=clang WARN= \
  CFLAGS='-O1 -g -fsanitize=fuzzer-no-link $(SANITIZE) -fno-sanitize=bool' \
  fuzzers
COVERAGE_BUILD = BUILD=build/coverage CFLAGS='-O0 -g --coverage' tests

# The headers of others are no business of our warnings.
pkg_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(1)))
pkg_libs = $(shell pkg-config --libs $(1))
EVENT_LIBS = $(call pkg_libs,libevent_core libevent_extra)
LUA_LIBS = $(call pkg_libs,$(LUA_PC))

# The core and c/replay are C11 and nothing else; the rest may use POSIX, and
# Lua; c/shared uses Linux.
OWN_FLAGS = -std=c11 -fPIC -fvisibility=hidden -fno-semantic-interposition \
  $(WARN) $(WERROR) -Ic/include -Ic
POSIX_FLAGS = -D_POSIX_C_SOURCE=200809L \
  $(call pkg_cflags,$(LUA_PC) libevent_core)

$(BUILD)/obj/core/%: DIR_FLAGS =
$(BUILD)/obj/replay/%: DIR_FLAGS =
$(BUILD)/obj/shared/%: DIR_FLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
$(BUILD)/obj/screen/%: DIR_FLAGS = -D_GNU_SOURCE \
  $(call pkg_cflags,$(LUA_PC) ncursesw)
$(BUILD)/obj/%: DIR_FLAGS = $(POSIX_FLAGS)
# Processes that have more in common than POSIX says.
$(BUILD)/obj/test/storm.o $(BUILD)/obj/bench/bench_shared.o \
  $(BUILD)/obj/bench/bench_crowd.o: DIR_FLAGS = $(POSIX_FLAGS) -D_GNU_SOURCE

# Every test that is linked with it would optimize the library once more: the
# ordinary code is in the archives as well. The model has what is shipped.
NO_LTO =
$(BUILD)/obj/test/%.o $(BUILD)/test/test_%: private NO_LTO = -fno-lto

COMPILE = $(CC) $(OWN_FLAGS) $(DIR_FLAGS) $(CPPFLAGS) $(CFLAGS) $(NO_LTO) \
  -MMD -MP -c

# The tree's own modules come first, in everything that is run from here.
OWN_PATH = $(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua
OWN_CPATH = $(CURDIR)/$(BUILD)/lua/?.so
export LUA_PATH := $(OWN_PATH);$(if $(LUA_PATH),$(LUA_PATH););
export LUA_CPATH := $(OWN_CPATH);$(if $(LUA_CPATH),$(LUA_CPATH););
export LUA LUA_PC
unexport LUA_INIT LUA_INIT_5_4 LUA_PATH_5_4 LUA_CPATH_5_4

MAKEFLAGS += --no-print-directory
Q = $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)  $(2)")

# == build ====================================================================

.PHONY: all tests fuzzers benches demo demo-nginx test bench bench-nginx lint \
  install uninstall nginx install-nginx uninstall-nginx rock doc coverage fuzz \
  soak model deps clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(LIBS) $(MODULE) $(SCREEN)
tests: $(TESTS) $(EXAMPLES)
fuzzers: $(FUZZERS)
benches: $(BENCHES) $(BENCH_FLOOR)

# Says which packages are missing, once, before a compiler says it its way.
build/ready: .ci/deps
	@.ci/deps -n build
	@mkdir -p build && touch $@

$(BUILD)/obj/%.o: c/%.c Makefile | build/ready
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -o $@ $<

$(BUILD)/libweir.a: $(CORE_O)
$(BUILD)/libweir-shared.a: $(SHARED_O)
$(BUILD)/libweir-status.a: $(STATUS_O)
$(BUILD)/libweir-event.a: $(EVENT_O)
$(BUILD)/libweir-lua.a: $(BIND_O) $(REPLAY_O)
$(BUILD)/libreplay.a: $(REPLAY_O)
$(BUILD)/libcheck.a: $(call objects,$(TEST_SHARED))
$(BUILD)/%.a:
	$(call say,AR,$@)
	@mkdir -p $(@D) && rm -f $@
	$(Q)$(AR) rcs $@ $^

# $(call link,FLAGS,LIBRARIES)
define link
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(NO_LTO) $(LDFLAGS) -Wl,--as-needed $(1) -o $@ $^ $(2)
endef
SHARED = -shared -Wl,-soname,$(@F).$(SONAME_V)
CLOSED = -shared -Wl,--exclude-libs,ALL

$(BUILD)/libweir.so: $(CORE_O)
	$(call link,$(SHARED))
$(BUILD)/libweir-shared.so: $(SHARED_O) $(BUILD)/libweir.so
	$(call link,$(SHARED),-pthread)
$(BUILD)/libweir-status.so: $(STATUS_O) $(BUILD)/libweir-shared.so \
    $(BUILD)/libweir.so
	$(call link,$(SHARED))
$(BUILD)/libweir-event.so: $(EVENT_O) $(BUILD)/libweir.so
	$(call link,$(SHARED),$(EVENT_LIBS))

HOST_A = $(BUILD)/libweir-status.a $(BUILD)/libweir-event.a \
  $(BUILD)/libweir-shared.a $(BUILD)/libweir.a

# The module brings engine and host along and keeps them to itself; Lua's
# functions are those of the program that loads it.
$(MODULE): $(BIND_O) $(REPLAY_O) $(HOST_A)
	$(call link,$(CLOSED),$(EVENT_LIBS))
$(BUILD)/libweir-lua.so: $(BIND_O) $(REPLAY_O) $(HOST_A)
	$(call link,$(SHARED) $(CLOSED),$(EVENT_LIBS))

$(BUILD)/lua/weir/screen.so: $(SCREEN_O)
	$(call link,$(CLOSED),$(call pkg_libs,ncursesw) -lm)

# A program is one file of c/test, c/fuzz, c/bench or c/examples.
$(BUILD)/test/%: $(BUILD)/obj/test/%.o $(BUILD)/libcheck.a \
    $(BUILD)/libreplay.a $(HOST_A)
	$(call link,,$(EVENT_LIBS))
$(BUILD)/test/test_lua_%: $(BUILD)/obj/test/test_lua_%.o $(BUILD)/libcheck.a \
    $(BUILD)/libweir-lua.a $(HOST_A)
	$(call link,,$(EVENT_LIBS) $(LUA_LIBS))
$(BUILD)/fuzz/%: $(BUILD)/obj/fuzz/%.o $(BUILD)/libcheck.a \
    $(BUILD)/libreplay.a $(HOST_A)
	$(call link,-fsanitize=fuzzer,$(EVENT_LIBS))
$(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/libweir-lua.a $(HOST_A)
	$(call link,,$(EVENT_LIBS) $(LUA_LIBS))
$(BENCH_FLOOR): $(BUILD)/obj/bench/floor.o
	$(call link,-shared,$(EVENT_LIBS))

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d)

# == nginx ====================================================================

# Debian's nginx-dev brings the sources' headers and the flags that its nginx
# was configured with; configuring them once more makes the rest of them.
# Its string literals are no constants.
NGINX_SRC = /usr/share/nginx/src
NGINX_HEADERS = build/nginx/headers
NGINX_MODULES = $(DESTDIR)/usr/lib/nginx/modules
NGINX_O = $(call objects,$(wildcard c/nginx/*.c))
NGINX_MODULE = $(BUILD)/nginx/ngx_http_weir_module.so
NGINX_LUA_O = $(call objects,$(wildcard c/nginx/lua/*.c)) \
  $(BUILD)/obj/nginx/files.o
NGINX_LUA = $(BUILD)/nginx/ngx_http_weir_lua.so
# Of the engine the Lua half has only what is not public: how its own records
# are kept, what a replay measures with, and which key is busier.
NGINX_LUA_OWN = $(REPLAY_O) $(call objects,$(addprefix c/core/,hash.c \
  histogram.c journal.c memory.c slab.c) c/status/rank.c)
NGINX_FLAGS = -Wno-write-strings -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
  $(addprefix -isystem $(NGINX_HEADERS)/,src/core src/event \
  src/event/modules src/os/unix src/http src/http/modules src/http/v2 objs)

$(NGINX_HEADERS)/ready:
	@.ci/deps nginx
	$(call say,CONF,$(@D))
	@mkdir -p $(@D) && cd $(@D) && ln -sf $(addprefix $(NGINX_SRC)/,auto \
	  configure src conf_flags) .
	$(Q)cd $(@D) && bash -c '. ./conf_flags && \
	  ./configure "$${NGX_CONF_FLAGS[@]}"' >configure.log && touch ready

$(BUILD)/obj/nginx/%: DIR_FLAGS = $(NGINX_FLAGS)
$(NGINX_O) $(NGINX_LUA_O): | $(NGINX_HEADERS)/ready
$(NGINX_LUA_O): DIR_FLAGS = $(NGINX_FLAGS) $(call pkg_cflags,$(LUA_PC))

# The engine in it is the Lua half's, too.
$(NGINX_MODULE): $(NGINX_O) $(CORE_O) $(SHARED_O) $(STATUS_O)
	$(call link,-shared)

# What a policy can require is in the object.
$(BUILD)/nginx/files.c: c/nginx/lua/embed.lua $(wildcard lua/weir/*.lua)
	@mkdir -p $(@D)
	$(Q)$(LUA) $< $(filter lua/%,$(wildcard lua/weir/*.lua)) >$@
$(BUILD)/obj/nginx/files.o: $(BUILD)/nginx/files.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -o $@ $<

# It is opened deep-bound, and finds the engine in the module.
$(NGINX_LUA): $(NGINX_LUA_O) $(BIND_O) $(EVENT_O) $(NGINX_LUA_OWN)
	$(call link,-shared,$(EVENT_LIBS) $(LUA_LIBS))

nginx: $(NGINX_MODULE) $(NGINX_LUA)

install-nginx: nginx
	install -d $(NGINX_MODULES)
	install -m 644 $(BUILD)/nginx/*.so $(NGINX_MODULES)

uninstall-nginx:
	rm -f $(NGINX_MODULES)/ngx_http_weir_*.so

# == run ======================================================================

demo:
	@.ci/deps demo
	@$(MAKE) all
	@$(LUA) lua/bin/weir run lua/examples/demo.lua

demo-nginx:
	@.ci/deps demo nginx
	@$(MAKE) all nginx
	@$(LUA) lua/examples/overload.lua

# As many at once as there are processors, unless make was told how many.
AT_ONCE = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

test:
	@.ci/deps test
	@$(MAKE) $(AT_ONCE) all tests
	@$(MAKE) $(AT_ONCE) $(ASAN_BUILD)
	@$(MAKE) $(AT_ONCE) $(TSAN_BUILD)
	@$(MAKE) $(AT_ONCE) $(FUZZ_BUILD)
	@$(MAKE) $(AT_ONCE) nginx
	@.ci/test

bench:
	@.ci/deps bench
	@$(MAKE) all benches
	@$(LUA) c/bench/run.lua

bench-nginx:
	@.ci/deps bench nginx nginx-bench
	@$(MAKE) all nginx $(BUILD)/bench/nginx/backend
	@$(LUA) c/bench/nginx/run.lua

lint:
	@.ci/deps lint
	@$(MAKE) $(AT_ONCE) all tests nginx
	@.ci/lint

coverage:
	@.ci/deps coverage
	@$(MAKE) $(COVERAGE_BUILD)
	@.ci/coverage

fuzz:
	@.ci/deps fuzz
	@$(MAKE) $(AT_ONCE) $(FUZZ_BUILD)
	@.ci/test fuzz

soak:
	@.ci/deps test
	@$(MAKE) $(AT_ONCE) all tests
	@$(MAKE) $(AT_ONCE) $(ASAN_BUILD)
	@.ci/test soak

model:
	@.ci/deps model
	@.ci/model

# == install ==================================================================

prefix = $(abspath $(PREFIX))
libdir = $(abspath $(LIBDIR))
include_dir = $(DESTDIR)$(prefix)/include
lib_dir = $(DESTDIR)$(libdir)
lua_dir = $(DESTDIR)$(prefix)/share/lua/$(LUA_V)
clua_dir = $(DESTDIR)$(libdir)/lua/$(LUA_V)
bin_dir = $(DESTDIR)$(prefix)/bin

# $(call pc,NAME,DESCRIPTION,REQUIRES,REQUIRES.PRIVATE): a pkg-config file that
# finds its prefix from where it lies.
up = $(shell realpath -m --relative-to=$(libdir)/pkgconfig $(prefix))
pc = @printf '%s\n' 'prefix=$${pcfiledir}/$(up)' 'libdir=$${pcfiledir}/..' \
  'includedir=$${prefix}/include' '' 'Name: $(1)' 'Description: $(2)' \
  'Version: $(VERSION)' 'Requires: $(3)' 'Requires.private: $(4)' \
  'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -l$(1)' \
  >$(lib_dir)/pkgconfig/$(1).pc

install: all
	install -d $(include_dir) $(lib_dir)/pkgconfig $(bin_dir) \
	  $(addprefix $(lua_dir)/,$(sort $(dir $(LUA_FILES)))) $(clua_dir)/weir
	install -m 644 $(addprefix c/include/,$(HEADERS)) $(include_dir)
	install -m 644 $(filter %.a,$(LIBS)) $(lib_dir)
	for lib in $(notdir $(filter %.so,$(LIBS))); do \
	  install -m 755 $(BUILD)/$$lib $(lib_dir)/$$lib.$(VERSION) && \
	  ln -sf $$lib.$(VERSION) $(lib_dir)/$$lib.$(SONAME_V) && \
	  ln -sf $$lib.$(SONAME_V) $(lib_dir)/$$lib || exit; \
	done
	install -m 755 $(MODULE) $(SCREEN) $(clua_dir)/weir
	for file in $(LUA_FILES); do \
	  install -m 644 lua/$$file $(lua_dir)/$$file || exit; \
	done
	sed "1s|.*|#!$$(command -v $(LUA))|" lua/bin/weir >$(bin_dir)/weir
	chmod 755 $(bin_dir)/weir
	$(call pc,weir,limiters that queue: the engine,,)
	$(call pc,weir-shared,limiters that processes share,weir,)
	$(call pc,weir-status,what limiters do as JSON and OpenMetrics and a page,\
	  weir-shared,)
	$(call pc,weir-event,weir on a libevent loop,weir,\
	  libevent_core libevent_extra)
	$(call pc,weir-lua,weir as a Lua module inside a C program,weir-event,\
	  $(LUA_PC))

uninstall:
	rm -f $(addprefix $(include_dir)/,$(HEADERS)) $(bin_dir)/weir
	rm -f $(foreach l,$(LIB_NAMES),$(lib_dir)/pkgconfig/$l.pc \
	  $(addprefix $(lib_dir)/lib$l.,a so so.$(SONAME_V) so.$(VERSION)))
	rm -rf $(lua_dir)/weir $(clua_dir)/weir

# A source rock is a zip of a rockspec and the archive that it names. It holds
# what it takes to build and run, from the tree as it is.
ROCK_FILES = LICENSE README.md $(wildcard c/include/*.h c/core/*.[ch] \
  c/shared/*.[ch] c/event/*.[ch] c/status/*.[ch] c/replay/*.[ch] \
  c/bind/*.[ch]) \
  $(addprefix lua/,$(LUA_FILES)) lua/bin/weir

rock:
	@.ci/deps rock
	@mkdir -p build && rm -f build/weir-*.rock
	@tar -czf build/weir-$(VERSION).tar.gz --owner=0 --group=0 \
	  --transform 's,^,weir-$(VERSION)/,' $(ROCK_FILES)
	zip -jq build/weir-$(VERSION)-1.src.rock build/weir-$(VERSION).tar.gz \
	  rockspec/weir-$(VERSION)-1.rockspec

doc:
	@.ci/deps doc
	$(LUA) $$(command -v ldoc) --fatalwarnings -c .config.ld .

deps:
	@.ci/deps build demo test bench lint doc coverage fuzz model rock

# The objects beside the sources and weir/ are what `luarocks make` leaves.
clean:
	rm -rf build weir c/*/*.o
