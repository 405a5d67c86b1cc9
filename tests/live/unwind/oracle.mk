# SPDX-License-Identifier: MIT OR Apache-2.0
# oracle.mk: builds the same-event oracle of tests/live/unwind, and the watcher of all live tests; included by the Makefile.

# nothing to build where nothing is recorded
HOST_STALLS := $(if $(filter 1,$(RECORD)),$(OUT)/live/host_stalls)
ORACLE := $(if $(filter 1,$(RECORD)),$(OUT)/live/oracle) $(HOST_STALLS)

ORACLE_SRC := $(wildcard tests/live/unwind/*.c)
ORACLE_SRC := $(filter-out %.bpf.c,$(ORACLE_SRC))
ORACLE_OBJ := $(ORACLE_SRC:%.c=$(OUT)/obj/%.o)

$(OUT)/gen/oracle.bpf.o: tests/live/unwind/oracle.bpf.c
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Wextra -Wno-unused-parameter -MMD -MP \
	  -I/usr/include/$(shell uname -m)-linux-gnu -Ibpf -Itests/live/unwind -c -o $@ $<

$(OUT)/gen/oracle.skel.h: $(OUT)/gen/oracle.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen object $(OUT)/gen/oracle.linked.o $< && $(BPFTOOL) gen skeleton $(OUT)/gen/oracle.linked.o name oracle_bpf >$@

$(OUT)/obj/tests/live/unwind/oracle.o: $(OUT)/gen/oracle.skel.h
$(ORACLE_OBJ): CPPFLAGS_ALL += -Ibpf

$(OUT)/live/oracle: $(ORACLE_OBJ) $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/live/host_stalls: $(OUT)/obj/tests/live/host_stalls.o
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^
