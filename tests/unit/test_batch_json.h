/*
 * test_batch_json.h - what the tests of JSON events share: a decoder of declared columns, a payload for it, and what it
 * gives as text.
 */
#ifndef TARN_TESTS_TEST_BATCH_JSON_H
#define TARN_TESTS_TEST_BATCH_JSON_H

#include <inttypes.h>

#include "base/buffer.h"
#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "batch/json.h"
#include "check.h"

#define NOW INT64_C(1700000000000000)

/* ---- an array's value as text */

static inline bool bit(const void *bits, int64_t i)
{
	return ((const uint8_t *)bits)[i / 8] >> (i % 8) & 1;
}

static inline void show(struct buffer *out, const struct ArrowSchema *schema, const struct ArrowArray *array,
                        int64_t row)
{
	const void *data = array->n_buffers > 1 ? array->buffers[1] : NULL;
	const int32_t *ends = data;

	if (array->null_count && !bit(array->buffers[0], row))
		buffer_text(out, "null");
	else if (!strcmp(schema->format, "b"))
		buffer_text(out, bit(data, row) ? "true" : "false");
	else if (!strcmp(schema->format, "i") || !strcmp(schema->format, "tdD"))
		buffer_printf(out, "%" PRId32, ((const int32_t *)data)[row]);
	else if (!strcmp(schema->format, "l") || !strncmp(schema->format, "tsu:", 4))
		buffer_printf(out, "%" PRId64, ((const int64_t *)data)[row]);
	else if (!strcmp(schema->format, "g"))
		buffer_printf(out, "%.17g", ((const double *)data)[row]);
	else if (!strncmp(schema->format, "d:", 2))
		buffer_printf(out, "%" PRId64 ":%" PRIu64, ((const int64_t *)data)[2 * row + 1],
		              ((const uint64_t *)data)[2 * row]);
	else if (!strcmp(schema->format, "u"))
		buffer_printf(out, "%.*s", ends[row + 1] - ends[row], (const char *)array->buffers[2] + ends[row]);
	else if (!strcmp(schema->format, "+l"))
		for (int32_t i = ends[row]; i < ends[row + 1]; i++) {
			buffer_text(out, i > ends[row] ? "; " : "");
			show(out, schema->children[0], array->children[0], i);
		}
	else
		buffer_printf(out, "? %s", schema->format);
}

static char shown[8192];

/* "a=1 b=null | a=2 b=x" of everything that the decoder holds. */
static inline const char *taken(struct json_decoder *decoder)
{
	OWNED_BUFFER struct buffer out = {0};
	struct batch_set set;
	struct error err = {0};

	buffer_init(&out, sizeof shown - 1);
	if (json_take(decoder, NULL, NULL, &set, &err))
		return "json_take failed";
	for (int a = 0; a < set.count; a++) {
		for (int64_t row = 0; row < set.arrays[a].length; row++) {
			buffer_text(&out, out.size ? " | " : "");
			for (int64_t c = 0; c < set.schema->arrow->n_children; c++) {
				buffer_printf(&out, "%s%s=", c ? " " : "", set.schema->arrow->children[c]->name);
				show(&out, set.schema->arrow->children[c], set.arrays[a].children[c], row);
			}
		}
	}
	batch_set_release(&set);
	snprintf(shown, sizeof shown, "%s", buffer_string(&out));
	return shown;
}

static char reason[512];

/* What json_add said; "" where it took the text. */
static inline const char *add(struct json_decoder *decoder, const char *text)
{
	struct error err = {0};
	char *copy = malloc(strlen(text) + 1); /* of its exact size, for ASan */
	size_t size = strlen(text);

	memcpy(copy, text, size);
	copy = realloc(copy, size ? size : 1);
	*reason = 0;
	if (json_add(decoder, (const uint8_t *)copy, size, NOW, &err))
		snprintf(reason, sizeof reason, "%s", err.message);
	free(copy);
	return reason;
}

static inline struct json_decoder *declared(struct json_column *columns, int count, struct json_rules rules)
{
	struct error err = {0};
	struct json_decoder *decoder;

	for (int i = 0; i < count; i++)
		columns[i].weight = columns[i].weight == 0 ? 1 : columns[i].weight;
	rules.columns = columns;
	rules.column_count = count;
	decoder = json_decoder_new(&rules, NULL, &err);
	if (!decoder)
		printf("# %s\n", err.message);
	return decoder;
}

#endif
