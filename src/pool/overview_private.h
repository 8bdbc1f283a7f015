/* overview_private.h - between the two halves of the overview: the catalog's, and what schema tarn knows. */
#ifndef TARN_POOL_OVERVIEW_PRIVATE_H
#define TARN_POOL_OVERVIEW_PRIVATE_H

#include "base/owned.h"
#include "lake/duck.h"
#include "pool/overview.h"

#define OVERVIEW_SQL_BYTES_MAX ((size_t)1 << 20)
/* A TIMESTAMP or TIMESTAMP WITH TIME ZONE as RFC 3339 in UTC; in a format of printf, too (overview_query). */
#define OVERVIEW_TIME(what) "strftime(make_timestamp_ms(epoch_ms(" what ")), '%Y-%m-%dT%H:%M:%S.%gZ')"
#define OVERVIEW_TIME_F(what) "strftime(make_timestamp_ms(epoch_ms(" what ")), '%%Y-%%m-%%dT%%H:%%M:%%S.%%gZ')"

struct overview {
	struct duck_connection *connection;
	const struct manifest *manifest;
	const struct spec_catalog *catalog;
	const struct guard_rights *rights;
	struct buffer *out;
	bool has_snapshots;
	int64_t snapshot;
	struct error *err;
};

/* SCHEMA.TABLE, or a TABLE of main. */
bool overview_may_read(const struct overview *o, const char *name);
bool overview_may_read_table(const struct overview *o, const char *schema, const char *table);
int overview_query(struct overview *o, struct duck_rows *ret_rows, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/*
 * Appends "name": [...] of the rows: `members` names the columns from the first on, with a ':' and n (number), b
 * (boolean) or t (text) behind each; NULL is null. table: the column that says what table a row is of, which may be
 * read or the row is left out; -1: none does.
 */
void overview_list(struct overview *o, const char *name, const struct duck_rows *rows, const char *const *members,
                   int table);

/* Is the table there, in schema tarn? -1: *err. */
int overview_has(struct overview *o, const char *table);
/* quarantine, lanes, ingest, pipelines, expectations. */
int overview_write_state(struct overview *o);

#endif
