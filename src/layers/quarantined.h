/*
 * quarantined.h - the rows that models refused (tarn.quarantined_rows): which ones are meant, and discarding them.
 *
 * A row comes there with the refresh that refused it, and leaves with one that does not any more: a replay is a refresh
 * (pipeline.h), for a model whose file changed is made anew, and with it its quarantine, in one commit. A row that is
 * discarded stays, and is marked, so that rows in = rows out + quarantined + filtered holds on; a model that is made
 * anew and refuses it again marks it again, for as long as its source row is as it was.
 */
#ifndef TARN_LAYERS_QUARANTINED_H
#define TARN_LAYERS_QUARANTINED_H

#include "layers/pipeline.h"

/* Those that match each part that is given, without those that are discarded. Borrowed for the call. */
struct refused_rows {
	const char *model; /* NULL: any */
	const char *reason; /* a part of "COLUMN: TEXT REASON"; NULL: any */
	int64_t since_ms; /* quarantined at this wall time or later; 0: any time */
};

/* INVALID where the lake has no such quarantine, for no pipeline was ever refreshed. */
int refused_rows_check(struct lake_session *session, struct error *err);
/* Also where there is no such quarantine: 0. */
int refused_rows_count(struct lake_session *session, const struct refused_rows *rows, int64_t *ret_count,
                       struct error *err);
/* SQL for lake/query.h: the rows, newest first, at most `limit` of them (-1: all); how many there are by column and
 * reason, most first. people: fewer columns. */
void refused_rows_list_sql(const struct refused_rows *rows, int64_t limit, bool people, struct buffer *sql);
void refused_rows_totals_sql(const struct refused_rows *rows, struct buffer *sql);

/* One commit, in a turn of the pipeline. ret_count: how many. Errors as of a refresh, tried again as
 * pipeline_refresh_patiently does. */
int pipeline_discard(struct pipeline *pipeline, const struct refused_rows *rows, const char *because,
                     int64_t patience_ms, int64_t *ret_count, struct error *err);

#endif
