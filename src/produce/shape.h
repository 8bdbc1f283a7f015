/*
 * shape.h - what made-up events look like, and a generator of their rows, as Arrow or as JSON.
 *
 * Invariants:
 *  1. An event depends on (shape, seed, bad, number) alone: no clock, no state from one event to the next.
 *  2. Its id is unique for each number of a seed.
 *  3. JSON and Arrow hold the same values. JSON is valid UTF-8 on one line, and valid JSON but for a bad event.
 *
 * Life cycle: generator_new -> generator_arrow or generator_json ... -> generator_free. One thread.
 */
#ifndef TARN_PRODUCE_SHAPE_H
#define TARN_PRODUCE_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "batch/arrow_abi.h"
#include "produce/rows.h"

/* 2026-01-01T00:00:00Z, the time of event 0. */
#define SHAPE_EPOCH_MS INT64_C(1767225600000)

/* What an event is made from, beside its number. */
struct shape_source {
	uint64_t seed;
	double bad; /* the share of bad events, 0 to 1 */
};

struct shape {
	const char *name;
	bool has_bad; /* some of its events are bad */
	double bad; /* ... unless the user says how many */
	const struct rows_column *columns;
	int column_count;
	size_t json_max; /* bytes of an event as JSON */
	/* A cell of each column, after rows_begin. */
	void (*write_row)(struct rows *rows, const struct shape_source *source, int64_t number);
	char *(*write_json)(char *p, const struct shape_source *source, int64_t number);
};

extern const struct shape shape_posthog, shape_telecom;

/* NULL with INVALID where there is none of that name; name NULL: posthog. */
const struct shape *shape_find(const char *name, struct error *err);

struct generator;
struct generator *generator_new(const struct shape *shape, const struct shape_source *source, int rows_max,
                                struct error *err);
void generator_free(struct generator *generator);

/* The schema of the arrays; borrowed. */
const struct ArrowSchema *generator_schema(const struct generator *generator);

/* Events first .. first + count - 1 as one struct array, borrowed until the next one. NULL with *err. */
const struct ArrowArray *generator_arrow(struct generator *generator, int64_t first, int count, struct error *err);
/* ... as JSON objects behind what *out holds, each ending in a line feed where rows_max is more than 1.
 * Errors: INVALID (more than fits *out's maximum), FATAL (memory). */
int generator_json(struct generator *generator, int64_t first, int count, struct buffer *out, struct error *err);

#endif
