/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_replay.c: runs a target over files without libFuzzer, so that any compiler can.
 *
 *	fuzz_replay [-n ROUNDS] PATH...     each file, and every file of each directory; then ROUNDS mutations of each, always the same
 *	fuzz_replay --seeds DIR             writes the captures that the corpus starts from
 *
 * A finding is a crash: the last line printed names the file and the round.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/parse.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_BYTES = 1 << 18 };

static u64 random_state = 1; /* LLVMFuzzerMutate() has no other way to hold it */

static u64 next_random(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* A few changes of the usual sorts: a bit, an extreme byte, a piece removed, repeated or inserted. */
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size)
{
	static const u8 extremes[] = {0, 1, 0x7f, 0x80, 0xff};

	for (u64 left = 1 + next_random() % 4; left; left--) {
		size_t at = size ? next_random() % size : 0, n = 1 + next_random() % 8;

		switch (next_random() % 5) {
		case 0:
			if (size)
				data[at] ^= (u8)(1u << next_random() % 8);
			break;
		case 1:
			if (size)
				data[at] = extremes[next_random() % sizeof(extremes)];
			break;
		case 2:
			n = n < size - at ? n : size - at;
			memmove(data + at, data + at + n, size - at - n);
			size -= n;
			break;
		default:
			if (size + n > max_size)
				break;
			memmove(data + at + n, data + at, size - at);
			for (size_t i = 0; i < n; i++)
				data[at + i] = (u8)next_random();
			size += n;
		}
	}
	return size;
}

static int replay_file(const char *path, u64 rounds)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	_cleanup_free_ u8 *data = malloc(MAX_BYTES);
	int err = file_read_all(path, &file, MAX_BYTES);

	if (err || !data) {
		(void)fprintf(stderr, "%s: %s\n", path, err ? strerror(-err) : "out of memory");
		return -1;
	}
	(void)LLVMFuzzerTestOneInput(file.data, file.len);
	random_state = 1;
	for (u64 i = 0; i < rounds; i++) {
		size_t size = file.len;

		memcpy(data, file.data, size);
		for (u64 k = 0; k <= i % 4; k++)
			size = LLVMFuzzerCustomMutator(data, size, MAX_BYTES, (u32)next_random());
		if (i % 256 == 0) {
			(void)printf("\r%s %llu", path, (unsigned long long)i);
			(void)fflush(stdout);
		}
		(void)LLVMFuzzerTestOneInput(data, size);
	}
	(void)printf("%s%s: done\n", rounds ? "\r" : "", path);
	return 0;
}

static int not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* A file, or the files of a directory in order of their names. Adds to *n how many. */
static int replay(const char *path, u64 rounds, u32 *n)
{
	struct dirent **entries = NULL;
	struct stat st;
	int err = 0, count;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		++*n;
		return replay_file(path, rounds);
	}
	count = scandir(path, &entries, not_hidden, alphasort);
	for (int i = 0; i < count; i++) {
		char name[4096];

		(void)snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		err |= replay_file(name, rounds);
		++*n;
		free(entries[i]);
	}
	free(entries);
	return err;
}

int main(int argc, char **argv)
{
	u64 rounds = 0;
	int i = 1, err = 0;
	u32 n = 0;

	if (argc == 3 && !strcmp(argv[1], "--seeds")) {
		err = fuzz_seeds_write(argv[2]);
		if (err)
			(void)fprintf(stderr, "%s: %s\n", argv[2], strerror(-err));
		return err != 0;
	}
	if (argc > 3 && !strcmp(argv[1], "-n")) {
		err = parse_u64(argv[2], &rounds);
		i = 3;
	}
	if (err || i >= argc) {
		(void)fprintf(stderr, "usage: fuzz_replay [-n ROUNDS] PATH... | --seeds DIR\n");
		return 2;
	}
	for (; i < argc; i++)
		err |= replay(argv[i], rounds, &n);
	(void)printf("%u inputs, %llu mutations each\n", n, (unsigned long long)rounds);
	return err || !n;
}
