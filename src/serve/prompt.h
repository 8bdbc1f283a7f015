/*
 * prompt.h - what a language model is told before it is asked: the rules, DuckDB's ways, and the tables. Pure.
 *
 * Invariants:
 *  1. What comes out of the lake (names, comments, values) stands between <data> and </data>, with '<' and '>' written
 * as \u003c and \u003e and without control characters: no table can end its own place or begin another.
 *  2. A table that the assistant may not be told of is told nowhere. Where sampleValues is false no value is.
 *  3. The tables' part has at most prompt_bytes. What does not fit is left out from the tables that have the least to
 *     do with the question, first values, then comments, then columns, then the tables; and what was left out is told.
 */
#ifndef TARN_SERVE_PROMPT_H
#define TARN_SERVE_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "spec/spec.h"

struct prompt_options {
	const struct spec_assistant *assistant;
	const char *question; /* to know which tables matter more */
	int64_t now_ms; /* since 1970 */
	int64_t shown_rows; /* of an answer */
};

struct prompt_told {
	char **tables; /* SCHEMA.TABLE of each that may be read; owned, each too */
	int table_count;
	int left_out; /* of these, tables that had no room */
};

/*
 * describe: what a worker answered to REQUEST_DESCRIBE (pool/request.h). Fills out, and *ret_told, which is the
 * caller's to release in any case. CORRUPT: it is not that.
 */
int prompt_build(const struct prompt_options *options, const char *describe, size_t size, struct buffer *out,
                 struct prompt_told *ret_told, struct error *err);
void prompt_told_release(struct prompt_told *told);

/*
 * What the model is told when its statement was refused. detail: the worker's sentence; about_names: it
 * repeats no value of a table. Where sampleValues is false a sentence that may have a value in it is left out.
 */
void prompt_repair(const struct spec_assistant *assistant, const char *detail, bool about_names, struct buffer *out);

#endif
