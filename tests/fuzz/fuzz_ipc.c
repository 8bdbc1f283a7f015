/*
 * fuzz_ipc.c - any bytes as a Kafka message: ipc_decode refuses them with a reason and keeps its hands off, or what it
 * gives can be read to the last byte and is let go of exactly once.
 *
 * What is read is decided by the arrays and the schema alone, as a consumer would: nothing of the decoder's own is
 * used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch/arrow_abi.h"
#include "batch/batch.h"

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sum;

struct counted {
	uint8_t *bytes;
	int released;
};

static void touch(const void *bytes, int64_t size)
{
	const uint8_t *at = bytes;
	uint64_t total = 0;

	for (int64_t i = 0; i < size; i++)
		total += at[i];
	sum += total;
}

static bool is_valid(const struct ArrowArray *array, int64_t row)
{
	const uint8_t *bits = array->n_buffers ? array->buffers[0] : NULL;

	return !array->null_count || !bits || bits[row / 8] >> (row % 8) & 1;
}

static int64_t offset_at(const void *offsets, bool wide, int64_t i)
{
	int64_t offset = 0;
	int32_t narrow;

	if (wide) {
		memcpy(&offset, (const uint8_t *)offsets + 8 * i, 8);
		return offset;
	}
	memcpy(&narrow, (const uint8_t *)offsets + 4 * i, 4);
	return narrow;
}

static bool is_utf8(const uint8_t *text, int64_t size)
{
	for (int64_t i = 0; i < size;) {
		int more = text[i] < 0x80       ? 0
		           : text[i] >> 5 == 6  ? 1
		           : text[i] >> 4 == 14 ? 2
		           : text[i] >> 3 == 30 ? 3
		                                : -1;

		if (more < 0 || i + more >= size)
			return false;
		for (int k = 1; k <= more; k++)
			if (text[i + k] >> 6 != 2)
				return false;
		i += more + 1;
	}
	return true;
}

static void walk_strings(const struct ArrowArray *array, bool wide, bool text)
{
	for (int64_t i = 0; i < array->length; i++) {
		int64_t begin = offset_at(array->buffers[1], wide, i), end = offset_at(array->buffers[1], wide, i + 1);

		REQUIRE(begin >= 0 && begin <= end);
		touch((const uint8_t *)array->buffers[2] + begin, end - begin);
		REQUIRE(!text || !is_valid(array, i) ||
		        is_utf8((const uint8_t *)array->buffers[2] + begin, end - begin));
	}
}

static void walk_views(const struct ArrowArray *array, bool text)
{
	for (int64_t i = 0; i < array->length; i++) {
		const uint8_t *view = (const uint8_t *)array->buffers[1] + 16 * i, *at = view + 4;
		int32_t fields[4];

		if (!is_valid(array, i))
			continue;
		memcpy(fields, view, sizeof fields);
		REQUIRE(fields[0] >= 0);
		if (fields[0] > 12) {
			REQUIRE(fields[2] >= 0 && fields[2] < array->n_buffers - 3);
			at = (const uint8_t *)array->buffers[2 + fields[2]] + fields[3];
		}
		touch(at, fields[0]);
		REQUIRE(!text || is_utf8(at, fields[0]));
	}
}

static int value_width(const char *format)
{
	static const struct {
		const char *prefix;
		int width;
	} widths[] = {{"c", 1},   {"C", 1},   {"s", 2},   {"S", 2},    {"i", 4},   {"I", 4},   {"l", 8},
	              {"L", 8},   {"f", 4},   {"g", 8},   {"tdD", 4},  {"tdm", 8}, {"tts", 4}, {"ttm", 4},
	              {"ttu", 8}, {"ttn", 8}, {"tiM", 4}, {"tin", 16}, {"ts", 8},  {"tD", 8}};
	int bits = 0;

	if (!strncmp(format, "w:", 2))
		return atoi(format + 2);
	if (!strncmp(format, "d:", 2))
		return sscanf(format, "d:%*d,%*d,%d", &bits) == 1 ? bits / 8 : 16;
	for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
		if (!strncmp(format, widths[i].prefix, strlen(widths[i].prefix)))
			return widths[i].width;
	REQUIRE(!"a format that must not leave batch/");
	return 0;
}

static void walk(const struct ArrowSchema *schema, const struct ArrowArray *array);

static void walk_list(const struct ArrowSchema *schema, const struct ArrowArray *array, bool wide)
{
	int64_t before = 0;

	for (int64_t i = 0; array->length && i <= array->length; i++) {
		int64_t at = offset_at(array->buffers[1], wide, i);

		REQUIRE(at >= before && at <= array->children[0]->length);
		before = at;
	}
	walk(schema->children[0], array->children[0]);
}

static void walk_children(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t each)
{
	for (int64_t i = 0; i < array->n_children; i++) {
		REQUIRE(array->children[i]->length >= array->length * each);
		walk(schema->children[i], array->children[i]);
	}
}

static void walk(const struct ArrowSchema *schema, const struct ArrowArray *array)
{
	const char *format = schema->format;
	int64_t nulls = 0;

	REQUIRE(array->n_children == schema->n_children && array->offset == 0 && array->release && !schema->dictionary);
	if (strcmp(format, "n"))
		for (int64_t i = 0; i < array->length; i++)
			nulls += !is_valid(array, i);
	REQUIRE(nulls == array->null_count || !strcmp(format, "n"));
	if (!strcmp(format, "n"))
		return;
	if (!strcmp(format, "b"))
		touch(array->buffers[1], (array->length + 7) / 8);
	else if (!strcmp(format, "u") || !strcmp(format, "z"))
		walk_strings(array, false, *format == 'u');
	else if (!strcmp(format, "U") || !strcmp(format, "Z"))
		walk_strings(array, true, *format == 'U');
	else if (*format == 'v')
		walk_views(array, format[1] == 'u');
	else if (!strcmp(format, "+l") || !strcmp(format, "+m"))
		walk_list(schema, array, false);
	else if (!strcmp(format, "+L"))
		walk_list(schema, array, true);
	else if (!strncmp(format, "+w:", 3))
		walk_children(schema, array, atoi(format + 3));
	else if (!strcmp(format, "+s"))
		walk_children(schema, array, 1);
	else if (!strncmp(format, "+us:", 4)) {
		touch(array->buffers[0], array->length);
		walk_children(schema, array, 1);
	} else
		touch(array->buffers[1], array->length * value_width(format));
}

static void let_go(void *opaque)
{
	struct counted *counted = opaque;

	REQUIRE(counted->released++ == 0);
	free(counted->bytes);
}

static void consume(struct batch_set *set, const struct counted *counted)
{
	int64_t rows = 0;

	REQUIRE(counted->released == (set->count == 0));
	for (int i = 0; i < set->count; i++) {
		REQUIRE(set->arrays[i].length > 0 && set->arrays[i].length <= BATCH_ROWS_MAX);
		rows += set->arrays[i].length;
		walk(set->schema->arrow, &set->arrays[i]);
		if (i % 2)
			set->arrays[i].release(&set->arrays[i]);
	}
	REQUIRE(rows == set->rows);
	batch_set_release(set);
	REQUIRE(counted->released == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct batch_decoder *decoder;
	struct error err = {0};
	struct batch_set set;
	/* one byte off the allocator's alignment: a payload lies anywhere */
	struct counted counted = {.bytes = malloc(size + 1)};

	if (!decoder)
		decoder = batch_decoder_new(NULL, &err);
	REQUIRE(decoder && counted.bytes);
	if (size)
		memcpy(counted.bytes + 1, data, size);
	if (!ipc_decode(decoder, (struct batch_bytes){counted.bytes + 1, size, let_go, &counted}, &set, &err)) {
		REQUIRE(strlen(batch_decoder_fingerprint(decoder)) == 32);
		consume(&set, &counted);
		return 0;
	}
	REQUIRE(err.kind == ERROR_CORRUPT && *err.message && !counted.released && !set.arrays && !set.schema);
	if (getenv("TARN_FUZZ_SHOW"))
		printf("%s\n", err.message);
	free(counted.bytes);
	return 0;
}
