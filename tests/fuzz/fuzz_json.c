/*
 * fuzz_json.c - any bytes as a JSON payload, twice: json_add refuses it with a reason and leaves what was there, or
 * adds it whole; what json_take gives can be read to the last byte, is UTF-8, and lets go once. The first byte chooses
 * between declared columns (with and without a score), inferred ones, and inferred ones that a table taught.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch/arrow_abi.h"
#include "batch/json.h"

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const values[] = {"BSS", "OSS", "IoT"};
static const struct json_column columns[] = {
        {.name = "id", .pointer = "/id", .type = JSON_VARCHAR, .required = true, .weight = 1},
        {.name = "kind", .pointer = "/kind", .type = JSON_VARCHAR, .allowed = values, .allowed_count = 3, .weight = 1},
        {.name = "i", .pointer = "/p/i", .type = JSON_INTEGER, .weight = 1},
        {.name = "l", .pointer = "/p/0", .type = JSON_BIGINT, .has_minimum = true, .minimum = -5, .weight = 1},
        {.name = "d", .pointer = "/p/d", .type = JSON_DOUBLE, .has_maximum = true, .maximum = 1e9, .weight = 1},
        {.name = "m", .pointer = "/p/d", .type = JSON_DECIMAL, .precision = 10, .scale = 2, .weight = 1},
        {.name = "day", .pointer = "/t", .type = JSON_DATE, .weight = 1},
        {.name = "at", .pointer = "/t", .type = JSON_TIMESTAMPTZ, .weight = 1},
        {.name = "ms", .pointer = "/t", .type = JSON_EPOCH_MS, .weight = 1},
        {.name = "b", .pointer = "/b", .type = JSON_BOOLEAN, .weight = 1},
        {.name = "p", .pointer = "/p", .type = JSON_JSON, .weight = 1},
        {.unstored = true, .name = "u", .pointer = "/p/i", .type = JSON_DOUBLE, .required = true, .weight = 1},
        {.unstored = true, .name = "v", .pointer = "/p", .type = JSON_JSON, .weight = 1},
        {.unstored = true, .name = "w", .pointer = "/t", .type = JSON_DATE, .weight = 1},
};
static const char *const names[] = {"id", "t", "p", "b", "s", "n"};
static const char *const types[] = {
        "INTEGER", "TIMESTAMP",   "DECIMAL(10,2)",
        "JSON",    "TIMESTAMP_S", "STRUCT(i BIGINT, \"d\" DECIMAL(20,2)[], m MAP(DATE, TIMESTAMP))[]"};

static volatile uint64_t sum;
static int let_go_count;

static void let_go(void *opaque)
{
	let_go_count++;
}

static void read_column(const struct ArrowSchema *schema, const struct ArrowArray *array)
{
	const int32_t *ends = array->buffers[1];
	int64_t nulls = 0;

	for (int64_t row = 0; array->null_count && row < array->length; row++)
		nulls += !(((const uint8_t *)array->buffers[0])[row / 8] >> (row % 8) & 1);
	REQUIRE(nulls == array->null_count);
	if (strcmp(schema->format, "u") != 0 && strcmp(schema->format, "+l") != 0)
		return;
	for (int64_t row = 0; row < array->length; row++)
		REQUIRE(ends[row] >= 0 && ends[row] <= ends[row + 1]);
	if (!strcmp(schema->format, "+l")) {
		REQUIRE(array->length == 0 || ends[array->length] <= array->children[0]->length);
		read_column(schema->children[0], array->children[0]);
		return;
	}
	for (int32_t i = ends[0]; i < ends[array->length]; i++)
		sum += ((const uint8_t *)array->buffers[2])[i];
}

static void take(struct json_decoder *decoder)
{
	struct batch_set set;
	struct error err = {0};
	int64_t rows = 0, wanted = json_rows(decoder);

	let_go_count = 0;
	REQUIRE(json_take(decoder, let_go, NULL, &set, &err) == 0);
	for (int a = 0; a < set.count; a++) {
		rows += set.arrays[a].length;
		REQUIRE(set.arrays[a].n_children == set.schema->arrow->n_children);
		for (int64_t c = 0; c < set.arrays[a].n_children; c++) {
			REQUIRE(set.arrays[a].children[c]->length == set.arrays[a].length);
			read_column(set.schema->arrow->children[c], set.arrays[a].children[c]);
		}
	}
	REQUIRE(rows == wanted && set.rows == wanted);
	REQUIRE(let_go_count == (set.count ? 0 : 1));
	batch_set_release(&set);
	REQUIRE(let_go_count == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_rules rules = {0};
	struct json_decoder *decoder;
	struct error err = {0};
	int way = size ? data[0] & 3 : 0;

	if (!size)
		return 0;
	if (way < 2) {
		rules = (struct json_rules){.columns = columns,
		                            .column_count = sizeof columns / sizeof *columns,
		                            .raw = "raw",
		                            .missing = 30,
		                            .wrong_type = 20,
		                            .out_of_range = 10};
		if (way == 0)
			rules.score = "score", rules.reasons = "reasons", rules.ingested_at = "ingested_at";
	}
	decoder = json_decoder_new(&rules, NULL, &err);
	REQUIRE(decoder);
	if (way == 3)
		REQUIRE(json_learn(decoder, names, types, 6, &err) == 0);
	for (int i = 0; i < 2; i++) {
		int64_t rows = json_rows(decoder);

		err = (struct error){0};
		if (json_add(decoder, data + 1, size - 1, 0, &err)) {
			REQUIRE(err.kind == ERROR_CORRUPT && *err.message);
			REQUIRE(json_rows(decoder) == rows);
		}
	}
	take(decoder);
	json_decoder_free(decoder);
	return 0;
}
