/*
 * partial.h - what is kept of an aggregate beside the table, so that the changes of a key's rows suffice.
 *
 *     aggregate      kept of a key                          rows that are gone
 *     count          the count                              are taken away
 *     sum, avg       sum and count of what is not null;     are taken away
 *                    of floating numbers the exact sum (base/exact.h), which no order of rows changes
 *     min, max       the value                              the key is computed again from its rows
 *     bool_and, _or  how many are true, how many false      are taken away
 *     others         the value                              every changed key is computed again
 *
 * What is kept has types that the lake keeps; what is computed of it, behind the grouping, those that DuckDB has: the
 * sum of whole numbers is a HUGEINT, which divides otherwise than the DECIMAL(38,0) that is kept of it.
 *
 * 0.0 and -0.0 are equal, so that either may stand for a key, or be its least value: the one that does is always 0.0.
 * NaNs are equal, too, and may have a sign: the one that stands for a key has none.
 *
 * Life cycle: partials_init -> append... -> partials_release.
 */
#ifndef TARN_LAYERS_PARTIAL_H
#define TARN_LAYERS_PARTIAL_H

#include "layers/layers_private.h"

/* SQL before and behind a column. */
struct around {
	const char *before, *after;
};

struct merge {
	struct around all; /* the aggregate of such columns */
	/* The same of two of them, a row each, of which one may be NULL: SQL before, between and behind. */
	const char *before, *between, *after;
};

struct partial {
	char name[32]; /* the column: "tarn p0 sum" */
	char *from_rows; /* an aggregate over the columns of `rows` */
	const struct merge *merge; /* NULL: such columns cannot be merged */
	const struct around *negate; /* of rows that are gone; NULL: the key is computed again */
};

struct partials {
	struct partial *items;
	int count;
	char **keys; /* one a key: of equal values always the same one, as the lake keeps it */
	int key_count;
	char **key_finals; /* one a key: of the type that DuckDB has for it */
	int key_final_count;
	char **finals; /* one an aggregate of the shape: its value, of that type, from the partials */
	int final_count;
	bool always_again; /* one of them is computed again for every changed key */
	bool again_when_gone; /* one of them is, where rows are gone */
};

/* arguments: of `rows`; results: of compose_groups; both as DuckDB has them, and kept: the types of the results as the
 * lake keeps them. False (and ret_why): it cannot be. */
int partials_init(const struct shape *shape, const struct described *arguments, const struct described *results,
                  char *const *kept, struct partials *ret_partials, char *ret_why, size_t size, struct error *err);
void partials_release(struct partials *partials);
/* One on the heap, or NULL. */
void partials_free(struct partials *partials);

#endif
