# SPDX-License-Identifier: MIT OR Apache-2.0
# fuzz.mk: builds the fuzz targets; included by the Makefile. A target is tests/fuzz/fuzz_NAME.c with a corpus in corpus_NAME, and FUZZ_SRC_NAME, what it needs besides.

FUZZ_SECONDS ?= 60
FUZZ_TARGETS := reader section roundtrip repair rings cfi answers
FUZZ_TARGETS := $(foreach t,$(FUZZ_TARGETS),$(if $(filter repair,$(t)),$(if $(wildcard report/repair.c),$(t)),$(if $(filter rings,$(t)),$(if $(wildcard record/rings.c),$(t)),$(t))))
FUZZ_HEADERS := $(wildcard tests/fuzz/*.h tests/reliability/*.h format/*.h base/*.h record/cfi*.h record/elf_view.h record/unwind_*.h record/rings.h bpf/*.h report/*.h) \
  tests/unit/cfi_section.h tests/unit/elf_image.h
FUZZ_LIB     := $(filter-out base/demangle.c,$(wildcard format/*.c base/*.c)) tests/reliability/gen.c # the readers need no names
# smaller buffers and limits: to get and clear the real ones would be most of the time
FUZZ_SMALL   := -DARENA_CHUNK=16384 -DFMT_SOURCE_WINDOW=8192
FUZZ_FLAGS   = -std=gnu11 $(filter-out -Wstack-usage=%,$(WARN)) -O2 -g -I. -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all $(FUZZ_SMALL)
FUZZ_ZSTD    := -DZSTD_createDCtx=fuzz_dctx_new -DZSTD_freeDCtx=fuzz_dctx_free -DZSTD_createCCtx=fuzz_cctx_new -DZSTD_freeCCtx=fuzz_cctx_free
FUZZ_ENV     := ASAN_OPTIONS=quarantine_size_mb=2:malloc_context_size=2

FUZZ_SRC_reader := tests/fuzz/fuzz_mutate.c tests/fuzz/fuzz_seeds.c
FUZZ_SRC_repair := $(FUZZ_SRC_reader) $(wildcard report/check.c report/check_refs.c report/repair.c report/repair_facts.c report/block_pass.c) report/capture_file.c
FUZZ_SRC_rings  := record/rings.c
FUZZ_SRC_answers := report/sym_wire.c
FUZZ_SRC_cfi    := $(wildcard record/cfi*.c) record/elf_view.c record/unwind_extra.c record/unwind_module.c tests/fuzz/fuzz_cfi_seeds.c tests/unit/cfi_section.c \
  tests/unit/elf_image.c

FUZZ_REPLAYS := $(FUZZ_TARGETS:%=$(OUT)/fuzz/replay_%)
$(foreach t,reader section repair,$(OUT)/fuzz/replay_$(t) $(OUT)/fuzz/$(t)): FUZZ_SMALL += -DFMT_CELLS=65536

$(foreach t,section roundtrip repair,$(OUT)/fuzz/replay_$(t) $(OUT)/fuzz/$(t)): FUZZ_SMALL += -DFMT_CLASSES=512 -DFMT_CODED=512 -DFMT_PROBS=9216
$(OUT)/fuzz/replay_repair $(OUT)/fuzz/repair: FUZZ_SMALL += -DCHECK_MAX_DAMAGES=16 -DCHECK_MAX_SPANS=16
# To tell libFuzzer of each compare was half of their time. It helps to find magic numbers: orders and sections have none, and those of a capture the mutator knows.
$(foreach t,section roundtrip repair,$(OUT)/fuzz/$(t)): FUZZ_TRACE := -fno-sanitize-coverage=trace-cmp

.SECONDEXPANSION:
# the target without libFuzzer, for any compiler
$(FUZZ_REPLAYS): $(OUT)/fuzz/replay_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz_replay.c $$(FUZZ_SRC_$$*) $(FUZZ_LIB) $(FUZZ_HEADERS) tests/fuzz/fuzz.mk
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(FUZZ_FLAGS) -o $@ $(filter %.c,$^) -lzstd -lxxhash

$(FUZZ_TARGETS:%=$(OUT)/fuzz/%): $(OUT)/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz_zstd.c tests/fuzz/fuzz_leaks.c $$(FUZZ_SRC_$$*) $(FUZZ_LIB) $(FUZZ_HEADERS) tests/fuzz/fuzz.mk
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_FLAGS) $(FUZZ_ZSTD) -fsanitize=fuzzer $(FUZZ_TRACE) -o $@ $(filter %.c,$^) -lzstd -lxxhash

fuzz: $(FUZZ_REPLAYS) ## replay the corpora of all fuzz targets and mutations of them, then search for FUZZ_SECONDS=60 each where clang has libFuzzer (doc/reliability.md)
	$(Q)for t in $(FUZZ_TARGETS); do $(FUZZ_ENV) $(OUT)/fuzz/replay_$$t -n 200 tests/fuzz/corpus_$$t || exit 1; done
	$(Q)if ! $(MAKE) --no-print-directory $(FUZZ_TARGETS:%=$(OUT)/fuzz/%) 2>$(OUT)/fuzz/build.log; then \
	  echo 'fuzz: no libFuzzer with $(CLANG) here, the replay was all'; exit 0; fi; \
	for t in $(FUZZ_TARGETS); do mkdir -p $(OUT)/fuzz/found_$$t; echo "fuzz: $$t"; \
	  case $$t in roundtrip) args=-entropic=0 ;; *) args= ;; esac; \
	  $(FUZZ_ENV) $(OUT)/fuzz/$$t $$args -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=20 -print_final_stats=1 -artifact_prefix=$(OUT)/fuzz/ \
	  $(OUT)/fuzz/found_$$t tests/fuzz/corpus_$$t 2>$(OUT)/fuzz/$$t.log || { tail -n 40 $(OUT)/fuzz/$$t.log; exit 1; }; \
	  grep -E 'DONE|number_of_executed_units' $(OUT)/fuzz/$$t.log; done

fuzz-seeds: $(FUZZ_REPLAYS) ## write the seeds of all corpora again: when the format changes
	$(Q)for t in $(FUZZ_TARGETS); do mkdir -p tests/fuzz/corpus_$$t && $(OUT)/fuzz/replay_$$t --seeds tests/fuzz/corpus_$$t || exit 1; done
