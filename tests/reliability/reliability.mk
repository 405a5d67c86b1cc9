# SPDX-License-Identifier: MIT OR Apache-2.0
# reliability.mk: builds what damages captures and lets calls fail (tests/reliability), and the maker of golden captures; included by the Makefile.

RELIABILITY := $(OUT)/reliability/damage $(OUT)/reliability/inject_malloc $(OUT)/reliability/inject.so
GEN_OBJ     := $(OUT)/obj/tests/reliability/gen.o $(OUT)/obj/tests/reliability/walk.o

# what ld(1) sends through inject_malloc.c
comma := ,
INJECT_WRAP := malloc calloc realloc reallocarray free ZSTD_createCCtx ZSTD_createDCtx ZSTD_freeCCtx ZSTD_freeDCtx

$(OUT)/reliability/damage: $(OUT)/obj/tests/reliability/damage.o $(GEN_OBJ) $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/reliability/inject_malloc: $(OUT)/obj/tests/reliability/inject_malloc.o $(GEN_OBJ) $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS) $(INJECT_WRAP:%=-Wl$(comma)--wrap=%) -o $@ $^ $(LIBS)

# never with a sanitizer: it is loaded into an ascope that has none
$(OUT)/reliability/inject.so: tests/reliability/inject_preload.c base/base.h
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 $(WARN) -O2 -g -I. -D_GNU_SOURCE -shared -fPIC -o $@ $< -ldl

$(OUT)/reliability/make_golden: $(OUT)/obj/tests/golden/make_golden.o $(GEN_OBJ) $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LIBS)
