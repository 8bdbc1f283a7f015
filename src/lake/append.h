/*
 * append.h - rows into a table, through DuckDB's own INSERT ... SELECT from a table function that references the
 * arrays.
 *
 * Life cycle: append_target_new -> append_prepare per schema -> append_rows per transaction -> append_target_free.
 */
#ifndef TARN_LAKE_APPEND_H
#define TARN_LAKE_APPEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/owned.h"
#include "batch/batch.h"

struct lake_session;
struct append_target;
struct ArrowArray;

/* See duck_pull: called on DuckDB's threads; 1 and an array, or 0 at the end of the window. */
struct append_pull {
	void *context;
	int (*next)(void *context, struct ArrowArray *ret_array);
};

/* inferred: the columns that come were inferred from JSON values (json.h). */
struct append_target *append_target_new(struct lake_session *session, const char *schema, const char *table,
                                        bool inferred, struct error *err);
void append_target_free(struct append_target *target);

/* The schema was the last to pass append_prepare, and no INSERT has failed since. */
bool append_is_prepared(const struct append_target *target, const struct batch_schema *schema);
/* The fingerprint of that schema; "" where there is none. */
const char *append_prepared(const struct append_target *target);
/* The next rows change the table. */
bool append_changes_table(const struct append_target *target);
/* Somebody else changed the table, or is about to: the target is not prepared any more. */
void append_forget(struct append_target *target);
/* What append_prepare did, or found. */
enum append_news {
	APPEND_NO_NEWS,
	APPEND_CREATED, /* the table */
	APPEND_WIDENED, /* columns of it to DOUBLE: what other targets know of it is old */
	APPEND_OUTDATED, /* CONFLICT: the rows were decoded for other columns than it has; they are to be decoded again
	                  */
};

/*
 * Makes the table from the schema where it is absent, or finds what must change in it for such rows (table.h). Outside
 * a transaction of the caller's. row_bytes: of an average row as it comes; what the row groups of a new table go by.
 * Errors: INVALID - such a schema cannot be stored here, with the reason for quarantine; others as the lake gives them.
 */
int append_prepare(struct append_target *target, struct batch_schema *schema, int64_t row_bytes,
                   enum append_news *ret_news, struct error *err);

/* Would append_prepare let the schema through? Changes and makes nothing, and so cannot know what DuckDB refuses of a
 * change. Errors as append_prepare's. */
int append_compare(struct append_target *target, struct batch_schema *schema, struct error *err);

/* Changes the table where that was found, and inserts all that `pull` gives, in the session's transaction. The schema
 * must have passed append_prepare. Errors: MEMORY - so many rows at once do not fit in the lake's memory; others as the
 * lake gives them. */
int append_rows(struct append_target *target, struct batch_schema *schema, const struct append_pull *pull,
                int64_t *ret_rows, struct error *err);

/* The table's columns and their DuckDB types; none where there is no such table. */
struct append_columns {
	char **names, **types; /* owned */
	int count;
};

int append_table_columns(struct lake_session *session, const char *schema, const char *table,
                         struct append_columns *ret_columns, struct error *err);
void append_columns_release(struct append_columns *columns);

/* table_holds_large; false where that cannot be told: append_prepare looks again. */
bool append_table_holds_large(struct lake_session *session, const char *schema, const char *table, const char *column);

#endif
