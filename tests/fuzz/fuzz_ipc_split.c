/*
 * fuzz_ipc_split.c - any bytes as an Arrow stream or file: what is split is as often split again, passed over or not;
 * each message is whole in its framing, and ipc_decode refuses it or takes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch/batch.h"
#include "batch/ipc_split.h"

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *data;
	size_t size;
};

static int read_bytes(void *context, int64_t at, void *to, size_t size, struct error *err)
{
	const struct bytes *bytes = context;

	REQUIRE(at >= 0 && (uint64_t)at <= bytes->size && size <= bytes->size - (size_t)at);
	memcpy(to, bytes->data + at, size);
	return 0;
}

static void let_go(void *opaque)
{
	free(opaque);
}

static void decode(uint8_t *data, size_t size)
{
	struct error err = {0};
	struct batch_decoder *decoder = batch_decoder_new(NULL, &err);
	struct batch_set set;

	REQUIRE(decoder);
	if (ipc_decode(decoder, (struct batch_bytes){data, size, let_go, data}, &set, &err)) {
		REQUIRE(err.kind == ERROR_CORRUPT);
		free(data);
	} else {
		batch_set_release(&set);
	}
	batch_decoder_free(decoder);
}

/* Messages and lost parts, in their order, as a number. */
static uint64_t split_all(struct bytes *bytes, bool skip)
{
	struct ipc_input input = {.context = bytes, .size = (int64_t)bytes->size, .read = read_bytes};
	struct error err = {0};
	struct ipc_split *split = ipc_split_open(&input, &err);
	uint64_t count = 0;

	if (!split) {
		REQUIRE(err.kind == ERROR_CORRUPT && *err.message);
		return 1;
	}
	for (;;) {
		uint8_t *data;
		size_t size;
		int64_t from, to;
		int got;

		err = (struct error){0};
		got = ipc_split_next(split, skip, &data, &size, &err);
		if (got == 0)
			break;
		count++;
		REQUIRE(count <= bytes->size + 2 && (got == 1) == !err.kind);
		if (got < 0) {
			REQUIRE(err.kind == ERROR_CORRUPT && *err.message && !data);
			ipc_split_bad(split, &from, &to);
			REQUIRE(from >= 0 && from <= to && (uint64_t)to <= bytes->size);
		} else if (skip) {
			REQUIRE(!data);
		} else {
			REQUIRE(size >= 16 && !memcmp(data, "\xff\xff\xff\xff", 4));
			decode(data, size);
		}
		REQUIRE(ipc_split_at(split) >= 0 && (uint64_t)ipc_split_at(split) <= bytes->size);
	}
	ipc_split_free(split);
	return count + 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	struct ipc_input input = {.context = &bytes, .size = (int64_t)size, .read = read_bytes};
	char why[160] = "";

	if (!ipc_is_whole(&input, why, sizeof why))
		REQUIRE(*why);
	REQUIRE(split_all(&bytes, false) == split_all(&bytes, true));
	return 0;
}
