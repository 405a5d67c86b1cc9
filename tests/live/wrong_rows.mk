# SPDX-License-Identifier: MIT OR Apache-2.0
# wrong_rows.mk: an ascope with another table of layouts, which tests/live/wrong_rows.py writes; included by the Makefile. The product has no such switch.

# -iquote comes before -I: record/layout.c finds that table first, and the linker takes its object before the library's
$(OUT)/wrong/%/ascope: $(OUT)/wrong/%/record/layout_rows.h record/layout.c $(OUT)/obj/ascope.o $(OUT)/libascope.a
	$(call msg,LD,$@)
	$(Q)$(CC) -iquote $(OUT)/wrong/$* $(filter-out -MMD -MP,$(CPPFLAGS_ALL)) $(CFLAGS_ALL) -c -o $(@D)/layout.o record/layout.c
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $(OUT)/obj/ascope.o $(@D)/layout.o $(OUT)/libascope.a $(LIBS)
