/*
 * posthog.h - web analytics events as PostHog exports them, made up.
 *
 * Columns: uuid, event, distinct_id, properties (JSON), timestamp (ISO 8601), team_id, project_id, elements_chain (null
 * but for $autocapture). About 1.1 KB a row; compresses like the real thing.
 *
 * Invariants:
 *  1. The bytes depend on (seed, first row, rows) alone: no clock, no state from one fill to the next.
 *  2. A uuid is unique for each row of a seed: the row's number is mixed into it by a bijection.
 *  3. `properties` is valid JSON and valid UTF-8.
 *
 * Life cycle: posthog_new -> posthog_fill... -> posthog_free. One thread.
 */
#ifndef TARN_PRODUCE_POSTHOG_H
#define TARN_PRODUCE_POSTHOG_H

#include <stdint.h>

#include "base/error.h"
#include "batch/arrow_abi.h"

/* Rows of one message at most: what 16 MiB hold. */
#define POSTHOG_ROWS_MAX 14000
/* 2026-01-01T00:00:00Z, the time of row 0; a row is POSTHOG_STEP_MS later than the one before it. */
#define POSTHOG_EPOCH_MS INT64_C(1767225600000)
#define POSTHOG_STEP_MS 4

struct posthog;
struct posthog *posthog_new(uint64_t seed, int rows_max, struct error *err);
void posthog_free(struct posthog *posthog);

/* The schema; borrowed from *posthog. */
const struct ArrowSchema *posthog_schema(const struct posthog *posthog);

/* Rows first_row .. first_row + rows - 1 as one struct array, borrowed until the next fill. NULL with *err. */
const struct ArrowArray *posthog_fill(struct posthog *posthog, int64_t first_row, int rows, struct error *err);

#endif
