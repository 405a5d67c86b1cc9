/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_zstd.c: zstd's contexts for targets that are searched, not replayed (fuzz.mk gives their sources these names for zstd's): those that were given back are
 * used again, for getting and clearing a quarter of a megabyte for twenty bytes is much of the time. A context that is not given back is a leak, and found
 * as one: the next is got from zstd, whose memory libFuzzer counts.
 */
#undef ZSTD_createDCtx
#undef ZSTD_freeDCtx
#undef ZSTD_createCCtx
#undef ZSTD_freeCCtx

#include <zstd.h>

#include "base/base.h"

enum { KEPT = 4 };

static ZSTD_DCtx *decoders[KEPT];
static ZSTD_CCtx *encoders[KEPT];

ZSTD_DCtx *fuzz_dctx_new(void);
size_t fuzz_dctx_free(ZSTD_DCtx *z);
ZSTD_CCtx *fuzz_cctx_new(void);
size_t fuzz_cctx_free(ZSTD_CCtx *z);

ZSTD_DCtx *fuzz_dctx_new(void)
{
	for (u32 i = 0; i < KEPT; i++) {
		ZSTD_DCtx *z = decoders[i];

		decoders[i] = NULL;
		if (z)
			return z;
	}
	return ZSTD_createDCtx();
}

size_t fuzz_dctx_free(ZSTD_DCtx *z)
{
	if (z)
		(void)ZSTD_DCtx_reset(z, ZSTD_reset_session_and_parameters);
	for (u32 i = 0; i < KEPT && z; i++) {
		if (!decoders[i]) {
			decoders[i] = z;
			return 0;
		}
	}
	return ZSTD_freeDCtx(z);
}

ZSTD_CCtx *fuzz_cctx_new(void)
{
	for (u32 i = 0; i < KEPT; i++) {
		ZSTD_CCtx *z = encoders[i];

		encoders[i] = NULL;
		if (z)
			return z;
	}
	return ZSTD_createCCtx();
}

size_t fuzz_cctx_free(ZSTD_CCtx *z)
{
	if (z)
		(void)ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters);
	for (u32 i = 0; i < KEPT && z; i++) {
		if (!encoders[i]) {
			encoders[i] = z;
			return 0;
		}
	}
	return ZSTD_freeCCtx(z);
}
