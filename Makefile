# SPDX-License-Identifier: MIT OR Apache-2.0
# ascope. `make help` lists targets and options; everything built goes to $(OUT).

OUT    ?= out
CC     ?= cc
CLANG  ?= clang
# Ubuntu keeps bpftool beside the kernel it was built for
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool /usr/lib/linux-tools-*/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
RECORD ?= 1
V      ?= 0
WERROR ?= $(if $(CI),1,0)

VERSION := 0.1.0
GIT_ID  := $(shell git describe --always --dirty 2>/dev/null)

Q   := $(if $(filter 1,$(V)),,@)
msg  = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(patsubst $(OUT)/%,%,$(2)))

WARN := -Wall -Wextra -Wshadow -Wvla -Wwrite-strings -Wmissing-prototypes -Wstrict-prototypes -Wundef -Wformat=2 \
  -Werror=incompatible-pointer-types -Werror=implicit-function-declaration -Werror=int-conversion
# only gcc knows this one
WARN += $(if $(findstring clang,$(CC)),,-Wstack-usage=16384)
WARN += $(if $(filter 1,$(WERROR)),-Werror)

comma := ,
SAN_FLAGS :=
ifneq ($(SAN),)
ifneq ($(filter-out address undefined address$(comma)undefined,$(SAN)),)
$(error SAN=$(SAN): use address, undefined or address,undefined)
endif
SAN_FLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif

CFLAGS  ?= -O2 -g
CPPFLAGS_ALL := -I. -I$(OUT)/gen -D_GNU_SOURCE -MMD -MP $(CPPFLAGS)
CFLAGS_ALL   := -std=gnu11 $(WARN) $(CFLAGS) $(SAN_FLAGS) $(if $(filter 1,$(DEBUG)),-O0)

LIBS_READ   := libzstd libxxhash libdw libelf sqlite3
LIBS_RECORD := libbpf
ifeq ($(RECORD),1)
CPPFLAGS_ALL += -DASCOPE_RECORD=1
PKGS := $(LIBS_READ) $(LIBS_RECORD)
else
PKGS := $(LIBS_READ)
endif
# libiberty has no .pc file
LIBS         = $(shell $(PKG_CONFIG) --libs $(PKGS)) -liberty
LIBS_STATIC  = $(shell $(PKG_CONFIG) --static --libs $(PKGS)) -liberty -lz -llzma -lbz2 -ldl -lpthread -lm

SRC := $(wildcard base/*.c format/*.c report/*.c) $(if $(filter 1,$(RECORD)),$(wildcard record/*.c))
OBJ := $(SRC:%.c=$(OUT)/obj/%.o) $(OUT)/obj/gen/schema_sql.o $(OUT)/obj/gen/views_sql.o $(OUT)/obj/gen/libraries_txt.o
OBJ += $(patsubst report/web/%,$(OUT)/obj/gen/web_%.o,$(wildcard report/web/*.js report/web/*.css))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(patsubst tests/unit/%.c,$(OUT)/obj/tests/unit/%.o,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c)))
SKEL := $(OUT)/gen/ascope.skel.h
PROBES := $(OUT)/probe_driver $(OUT)/probe_target
PROBES += $(PROBES:%=%-static)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: accuracy pictures captures format-append all help deps demo check check-fast check-unit check-live check-attach check-damage-long check-kernels check-long check-mutants check-record-long check-services check-sql-tools check-task-names check-tokio check-san check-viewers static lint format format-check fuzz goldens man install uninstall clean bench

all: $(OUT)/ascope ## build ascope

help: ## list targets and options
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18
	@printf '%s\n' '' 'options:' '  RECORD=0        build only what reads captures (no clang, bpftool, libbpf)' '  SAN=address,undefined  with sanitizers' \
	  '  WERROR=1        warnings are errors (the default in CI)' '  V=1 DEBUG=1 OUT=dir CC=clang PREFIX=/usr/local'

deps: ## install what building and testing needs, through the system's package manager
	@.ci/deps build check demo

# ---- the two commands of the README: each does its own set-up ----

demo: ## install what is missing, build, record the demo service, print the blocking report
	@.ci/deps build demo
	@$(MAKE) --no-print-directory all
	@fixtures/demo.sh $(OUT)

check: ## install what is missing, build, run all tests
	@.ci/deps build check
	@$(MAKE) --no-print-directory all $(UNIT_TESTS) $(OUT)/ascope-static $(PROBES) $(OUT)/sym_bench $(ORACLE) $(FUZZ_REPLAYS) $(RELIABILITY)
	@cd fixtures && CARGO_TARGET_DIR=$(abspath $(OUT))/fixtures cargo build --release --locked --quiet
	@tests/run.sh $(OUT) lint unit symbols spec golden fuzz reliability cli viewers live kernels

check-fast: all $(UNIT_TESTS) ## unit and command-line tests only: no root, no kernel
	@tests/run.sh $(OUT) lint unit spec golden cli

check-unit: $(UNIT_TESTS) ## unit tests only
	@tests/run.sh $(OUT) unit

# VIEWERS: names of cases
check-viewers: all ## open what is exported in the real viewers: Chromium, speedscope, and others (chromium, node, npm)
	@tests/viewers/run.sh $(OUT) $(VIEWERS)

check-live: all ## tests against live programs only (root, BTF)
	@$(MAKE) --no-print-directory $(ORACLE) $(PROBES)
	@tests/run.sh $(OUT) live

# ROUNDS: how often to attach and detach
ROUNDS ?= 200
check-attach: all ## attach at any moment, and ROUNDS=200 times to a busy program, which goes on to be right; nothing stays behind (root, BTF)
	@$(MAKE) --no-print-directory $(HOST_STALLS)
	@ATTACH_ROUNDS=$(ROUNDS) ASCOPE=$(abspath $(OUT))/ascope CARGO_TARGET_DIR=$(abspath $(OUT))/fixtures tests/live/attach.py

# KILLS: how often
KILLS ?= 200
check-record-long: all ## kill a recording KILLS=200 times, fail every call that it makes on its file, fill disks (root, BTF; 20 minutes; doc/reliability.md)
	@cd fixtures && CARGO_TARGET_DIR=$(abspath $(OUT))/fixtures cargo build --release --locked --quiet
	@$(MAKE) --no-print-directory $(HOST_STALLS)
	@KILLS=$(KILLS) tests/run.sh $(OUT) record-long

check-long: check-record-long check-damage-long ## everything that takes too long for check

check-kernels: static ## boot Debian's kernels under qemu and record there
	@tests/run.sh $(OUT) kernels

# BENCH: options and names for tests/bench/run.sh
bench: ## measure what ascope costs beside perf and print it beside its bars: BENCH='--rounds 9 echo' (root; doc/bench.md)
	@.ci/deps build bench
	@$(MAKE) --no-print-directory all $(OUT)/table_build $(OUT)/codec $(OUT)/long_capture $(OUT)/bare_insert $(OUT)/sym_bench
	@tests/bench/run.sh $(OUT) $(BENCH)

# ACCURACY: options of tests/accuracy/accuracy.py; DOC=1 writes its tables into README.md and doc/accuracy.md
accuracy: ## compare captures of all scenarios in three builds with what the programs know: prints each bar with its figure (root; 15 minutes; doc/accuracy.md)
	@.ci/deps build check
	@$(MAKE) --no-print-directory all $(HOST_STALLS)
	@python3 -B tests/accuracy/accuracy.py $(OUT) $(if $(DOC),--doc) $(ACCURACY)

check-mutants: $(UNIT_TESTS) ## break each rule of what blocking is, one at a time: a test must notice
	@python3 -B tests/mutants/mutants.py $(OUT) $(if $(DOC),--doc)

# SERVICES: names and options for tests/services/run.py
check-services: all ## record three services from crates.io, built as their authors ship them, beside a truth log: minutes to build (root, BTF; doc/services.md)
	@ASCOPE_OUT=$(abspath $(OUT)) tests/services/run.py $(SERVICES)

check-sql-tools: all ## read a capture's database with Datasette and sqlite-utils from PyPI (doc/sql.md; needs a network the first time)
	@python3 -B tests/sql/datasette.py $(OUT)

# TOKIO: options of tests/tokio/run.py, as TOKIO='--only 1.36'
check-tokio: all ## record a program built with many versions of Tokio as people build and ship it, and compare with its own log (root, cargo, half an hour; doc/tokio.md)
	@ASCOPE=$(abspath $(OUT))/ascope tests/tokio/run.py --out $(OUT)/tokio $(TOKIO)

check-task-names: $(OUT)/sym_bench ## names of types of tasks, four versions of Tokio built in six ways (cargo, half an hour)
	@tests/symbols/task_names.py $(OUT)/sym_bench --out $(OUT)/tasks --versions 1.24.2,1.36.0,1.43.4,1.54.1 --builds release,v0,debug1,debug2,lto,abort

check-damage-long: all ## flip every bit of a capture, fail every call of every command (hours; doc/reliability.md)
	@$(MAKE) --no-print-directory $(RELIABILITY)
	@$(MAKE) --no-print-directory OUT=$(OUT)/san SAN=address,undefined $(patsubst $(OUT)/%,$(OUT)/san/%,$(RELIABILITY))
	@tests/run.sh $(OUT) long

check-san: ## unit and command-line tests under ASan and UBSan
	@$(MAKE) --no-print-directory OUT=$(OUT)/san SAN=address,undefined check-fast

# ---- build ----

$(OUT)/ascope: $(OUT)/obj/ascope.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

static: ## one file for any x86-64 Linux, to copy to a production host: $(OUT)/ascope-static
	@$(MAKE) --no-print-directory $(OUT)/ascope-static $(OUT)/probe_driver-static $(OUT)/probe_target-static

# glibc warns that dlopen in a static program needs the same glibc at run time: libdw wants it for debuginfod and sqlite3 for extensions, and ascope uses neither
$(OUT)/ascope-static: $(OUT)/obj/ascope.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -static -o $@ $^ $(LIBS_STATIC) 2>$(OUT)/static.log || { cat $(OUT)/static.log >&2; exit 1; }

$(OUT)/libascope.a: $(OBJ)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(OUT)/obj/%.o: %.c $(OUT)/gen/version.h
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

ifeq ($(RECORD),1)
$(patsubst %.c,$(OUT)/obj/%.o,$(wildcard record/*.c)): $(SKEL)
endif

$(OUT)/obj/gen/%.o: $(OUT)/gen/%.c
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

# the tables and the views as C strings
$(OUT)/gen/%_sql.c: report/%.sql
	$(call msg,GEN,$@)
	$(Q)mkdir -p $(@D) && { echo '#include "report/schema.h"'; echo 'const char $*_sql[] ='; \
	  sed -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' $<; echo ';'; } >$@

# and the table of libraries
$(OUT)/gen/libraries_txt.c: report/libraries.txt
	$(call msg,GEN,$@)
	$(Q)mkdir -p $(@D) && { echo '#include "report/libraries_txt.h"'; echo 'const char libraries_txt[] ='; \
	  sed -e 's/[\\"]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' $<; echo ';'; } >$@

# scripts and style sheets of HTML files, with what a Content-Security-Policy calls them
$(OUT)/gen/web_%.c: report/web/%
	$(call msg,GEN,$@)
	$(Q)mkdir -p $(@D) && { echo '#include "report/html.h"'; echo 'const struct web_asset web_$(subst .,_,$*) = {'; \
	  sed -e 's/[\\"?]/\\&/g' -e 's/^/"/' -e 's/$$/\\n"/' $<; \
	  echo ", \"$$(env printf "$$(sha256sum $< | cut -c1-64 | sed 's/../\\x&/g')" | base64)\"};"; } >$@

# rewritten only when it changes
$(OUT)/gen/version.h: FORCE
	@mkdir -p $(@D); printf '#pragma once\n#define ASCOPE_VERSION "%s"\n#define ASCOPE_GIT_ID "%s"\n' '$(VERSION)' '$(GIT_ID)' >$@.tmp; \
	  if cmp -s $@.tmp $@; then rm $@.tmp; else mv $@.tmp $@; fi
.PHONY: FORCE

$(OUT)/gen/%.bpf.o: bpf/%.bpf.c
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Wextra -Wno-unused-parameter -MMD -MP \
	  -I/usr/include/$(shell uname -m)-linux-gnu -Ibpf -c -o $@ $<

$(OUT)/gen/%.skel.h: $(OUT)/gen/%.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen object $(OUT)/gen/$*.linked.o $< && $(BPFTOOL) gen skeleton $(OUT)/gen/$*.linked.o name ascope_bpf >$@

$(OUT)/unit/%: $(OUT)/obj/tests/unit/%.o $(UNIT_HELPERS) $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

$(OUT)/table_build: $(OUT)/obj/tests/bench/table_build.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/codec: $(OUT)/obj/tests/bench/codec.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/sym_bench: $(OUT)/obj/tests/bench/sym_bench.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

# the kernel side with its helper, driven by tests/live/uprobes.py, and a program whose calls are known
$(OUT)/probe_driver: $(OUT)/obj/tests/probes/driver.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)
$(OUT)/probe_target: $(OUT)/obj/tests/probes/probed.o
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^

# the same for other kernels' file systems (tests/kernels/run.sh)
$(OUT)/probe_driver-static: $(OUT)/obj/tests/probes/driver.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -static -o $@ $^ $(LIBS_STATIC) 2>$@.log || { cat $@.log >&2; exit 1; }
$(OUT)/probe_target-static: $(OUT)/obj/tests/probes/probed.o
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -static -o $@ $^

# what SQLite itself takes for so many rows: out/bare_insert FILE ROWS
$(OUT)/bare_insert: $(OUT)/obj/tests/bench/bare_insert.o
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

# a capture of any length, to measure what reads captures: out/long_capture FILE MILLIONS SECONDS
$(OUT)/long_capture: $(OUT)/obj/tests/bench/long_capture.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

include tests/live/unwind/oracle.mk
include tests/live/wrong_rows.mk
include tests/reliability/reliability.mk

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)

# ---- fuzz ----

include tests/fuzz/fuzz.mk

# ---- care ----

pictures: all ## make the pictures of doc/viewing.md again, from the kept capture of the demo (chromium, npm)
	@tests/viewers/run.sh $(OUT) pictures
	@mkdir -p doc/pictures && cp $(OUT)/viewers/pictures/*.png doc/pictures/

goldens: all $(OUT)/reliability/make_golden ## make golden captures that are not there yet, and what is expected of all anew; what is in fixtures/captures/FROZEN stays (RECORD_GOLDENS=1: record, too; root)
	@tests/golden/make.sh $(OUT) $(RECORD_GOLDENS)

format-append: $(OUT)/unit/test_fmt_frozen ## add what is new in format/fmt_def.h to format/frozen.txt, where nothing is ever changed (FORMAT.md section 11)
	@$(OUT)/unit/test_fmt_frozen --append

captures: all ## record the demo capture again (root, BTF), to show what a recorder of today has; the golden ones stay
	@KEEP_CAPTURE=1 fixtures/demo.sh $(OUT)


lint: ## layering, bans, headers, man pages, shell scripts, formatting
	@tests/run.sh $(OUT) lint
	@$(MAKE) --no-print-directory format-check

C_FILES := $(wildcard ascope.c base/*.[ch] format/*.[ch] bpf/*.[ch] record/*.[ch] report/*.[ch] tests/unit/*.[ch] tests/fuzz/*.[ch] tests/reliability/*.[ch] tests/golden/*.c tests/live/*.[ch] tests/live/unwind/*.[ch] tests/services/*.c fixtures/c/*.c)

format: ## run clang-format on all C
	@clang-format -i $(C_FILES)

format-check:
	@if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(C_FILES); else echo 'format-check: no clang-format here, skipped'; fi

install: all ## install to $(PREFIX)
	install -D -m 755 $(OUT)/ascope $(DESTDIR)$(PREFIX)/bin/ascope
	for m in doc/*.1 doc/*.5; do install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$(basename $$m); done

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/ascope $(patsubst doc/%,$(DESTDIR)$(PREFIX)/share/man/man1/%,$(wildcard doc/*.1)) \
	  $(patsubst doc/%,$(DESTDIR)$(PREFIX)/share/man/man5/%,$(wildcard doc/*.5))

clean: ## remove $(OUT)
	rm -rf $(OUT)
