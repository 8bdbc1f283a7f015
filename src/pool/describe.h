/*
 * describe.h - what tables there are, for a language model (serve/prompt.h) and for people: the answer to
 * REQUEST_DESCRIBE.
 *
 *     {"tables": [{"schema": "main", "name": "gold_x", "kind": "table" or "view", "rows": 120 or null, "comment": "..."
 * or null, "columns": [{"name": "risk", "type": "VARCHAR", "comment": "..." or null, "samples": ["high", "low"]}]}]}
 *
 * In the order of their names. samples are the values that most rows of a part of the table have, as texts, the most
 * frequent first; views, nested columns and tables beyond the first DESCRIBE_SAMPLED have none.
 *
 * Invariants:
 *  1. A table that may not be read stands nowhere in it.
 *  2. A table whose rows cannot be read is told without figures and values; the others are as they are.
 */
#ifndef TARN_POOL_DESCRIBE_H
#define TARN_POOL_DESCRIBE_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "base/error.h"
#include "query/guard.h"

#define DESCRIBE_SAMPLED 100

struct duck_connection;

/* The connection has the catalog as `lake`. ended: set when the answer is not wanted any more, which is an error; may
 * be NULL. */
int describe_tables(struct duck_connection *connection, const struct guard_rights *rights, const atomic_bool *ended,
                    struct buffer *out, struct error *err);

#endif
