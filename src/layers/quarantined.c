/*
 * quarantined.c - the rows that models refused: what became of them when their model was mended, and those that
 * somebody discarded (quarantined.h).
 */
#include <inttypes.h>
#include <string.h>

#include "layers/layers_private.h"
#include "layers/quarantined.h"

#define QUARANTINED_ROWS "lake.tarn.quarantined_rows"
#define BEFORE "temp.main.\"tarn quarantined before\""
/* What makes two refused rows the same. */
#define SAME "source_table, source_row, \"column\", \"text\""
#define NUMBERED "row_number() OVER (PARTITION BY " SAME ") AS n"

static void append_rows_of_model(struct buffer *sql, const struct refresh *r, const char *model)
{
	buffer_text(sql, " FROM " QUARANTINED_ROWS " WHERE pipeline = ");
	buffer_sql_text(sql, r->pipeline->spec->name);
	buffer_text(sql, " AND lower(model) = lower(");
	buffer_sql_text(sql, model);
	buffer_char(sql, ')');
}

/* ---- which rows are meant */

static void append_where(const struct refused_rows *rows, struct buffer *sql)
{
	buffer_text(sql, " WHERE discarded_at IS NULL");
	if (rows->model) {
		buffer_text(sql, " AND lower(model) = lower(");
		buffer_sql_text(sql, rows->model);
		buffer_char(sql, ')');
	}
	if (rows->reason) {
		buffer_text(sql, " AND contains(concat(\"column\", ': ', \"text\", ' ', reason), ");
		buffer_sql_text(sql, rows->reason);
		buffer_char(sql, ')');
	}
	if (rows->since_ms)
		buffer_printf(sql, " AND epoch_ms(quarantined_at) >= %" PRId64, rows->since_ms);
}

int refused_rows_check(struct lake_session *session, struct error *err)
{
	bool exists;

	if (lake_has_table(session, "tarn", "quarantined_rows", &exists, err))
		return -1;
	return exists ? 0
	              : error_set(err, ERROR_INVALID, 0,
	                          "the lake has no quarantine of models: no pipeline was refreshed yet (`tarn "
	                          "transform`)");
}

int refused_rows_count(struct lake_session *session, const struct refused_rows *rows, int64_t *ret_count,
                       struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows counted = {0};
	bool exists;

	*ret_count = 0;
	if (lake_has_table(session, "tarn", "quarantined_rows", &exists, err))
		return -1;
	if (!exists)
		return 0;
	buffer_init(&sql, 1 << 22);
	buffer_text(&sql, "SELECT count(*) FROM " QUARANTINED_ROWS);
	append_where(rows, &sql);
	if (duck_query(lake_connection(session), buffer_string(&sql), &counted, err))
		return -1;
	*ret_count = duck_cell_int(&counted, 0, 0);
	return 0;
}

void refused_rows_list_sql(const struct refused_rows *rows, int64_t limit, bool people, struct buffer *sql)
{
	buffer_text(sql, people ? "SELECT \"column\", \"text\", reason, date_trunc('second', quarantined_at) AS "
	                          "quarantined_at, source_row"
	                        : "SELECT pipeline, model, source_table, \"column\", \"text\", reason, "
	                          "quarantined_at, source_row::JSON AS source_row");
	buffer_text(sql, " FROM " QUARANTINED_ROWS " AS q");
	append_where(rows, sql);
	buffer_text(sql, " ORDER BY q.quarantined_at DESC, \"column\", \"text\", q.source_row");
	if (limit >= 0)
		buffer_printf(sql, " LIMIT %" PRId64, limit);
}

void refused_rows_totals_sql(const struct refused_rows *rows, struct buffer *sql)
{
	buffer_text(sql, "SELECT count(*) AS \"rows\", \"column\", reason, min(\"text\") AS example, "
	                 "date_trunc('second', min(quarantined_at)) AS first, date_trunc('second', "
	                 "max(quarantined_at)) AS last FROM " QUARANTINED_ROWS);
	append_where(rows, sql);
	buffer_text(sql, " GROUP BY \"column\", reason ORDER BY 1 DESC, 2, 3");
}

/* ---- replays */

int quarantined_note(struct refresh *r)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_create_temporary(r, &sql, BEFORE);
	buffer_text(&sql, " AS SELECT source_table, source_row");
	append_rows_of_model(&sql, r, r->options->replay);
	return run_sql(r, &sql, NULL);
}

int quarantined_compare(struct refresh *r)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM (FROM " BEFORE " EXCEPT ALL SELECT source_table, source_row");
	append_rows_of_model(&sql, r, r->options->replay);
	buffer_char(&sql, ')');
	if (count_sql(r, &sql, &r->report->replayed))
		return -1;
	buffer_clear(&sql);
	buffer_text(&sql, "SELECT count(*)");
	append_rows_of_model(&sql, r, r->options->replay);
	buffer_text(&sql, " AND discarded_at IS NULL");
	return count_sql(r, &sql, &r->report->left);
}

/* ---- discards */

int quarantined_keep_discards(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer sql = {0}, table = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&table, 4096);
	append_temporary(&table, "discards", run->model);
	append_create_temporary(r, &sql, buffer_string(&table));
	buffer_text(&sql, " AS SELECT " SAME ", discarded_at, because, " NUMBERED);
	append_rows_of_model(&sql, r, run->model->name);
	buffer_text(&sql, " AND discarded_at IS NOT NULL");
	run->discards = true;
	return run_sql(r, &sql, NULL);
}

int quarantined_insert(struct refresh *r, const struct model_run *run, const char *refused, int64_t *ret_rows)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	if (run->discards) {
		buffer_printf(&sql,
		              "INSERT INTO " QUARANTINED_ROWS
		              " SELECT q.* EXCLUDE (n), d.discarded_at, d.because FROM (SELECT *, " NUMBERED
		              " FROM (%s)) AS q LEFT JOIN ",
		              refused);
		append_temporary(&sql, "discards", run->model);
		buffer_text(&sql,
		            " AS d ON q.source_table = d.source_table AND q.source_row = d.source_row AND "
		            "q.\"column\" = d.\"column\" AND q.\"text\" IS NOT DISTINCT FROM d.\"text\" AND q.n = d.n");
	} else {
		buffer_printf(&sql, "INSERT INTO " QUARANTINED_ROWS " SELECT *, NULL, NULL FROM (%s)", refused);
	}
	return run_sql(r, &sql, ret_rows);
}

int quarantined_count_discards(struct refresh *r, const struct model *model, int64_t *ret_rows)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*)");
	append_rows_of_model(&sql, r, model->name);
	buffer_text(&sql, " AND discarded_at IS NOT NULL");
	return count_sql(r, &sql, ret_rows);
}

/* The transaction of a discard. */
struct discarding {
	struct refresh r;
	const struct refused_rows *rows;
	const char *because;
	int64_t count;
};

static int mark(struct refresh *r)
{
	struct discarding *d = (struct discarding *)r;
	OWNED_BUFFER struct buffer sql = {0};

	if (state_read_turn(r) || lake_snapshot(r->session, &r->snapshot, r->err))
		return -1;
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "UPDATE " QUARANTINED_ROWS " SET discarded_at = now(), because = ");
	buffer_sql_text(&sql, d->because);
	append_where(d->rows, &sql);
	buffer_text(&sql, " AND pipeline = ");
	buffer_sql_text(&sql, r->pipeline->spec->name);
	if (run_sql(r, &sql, &d->count))
		return -1;
	if (!d->count)
		return 0;
	buffer_clear(&sql);
	buffer_printf(&sql,
	              "UPDATE lake.tarn.models SET discarded = discarded + %" PRId64 " WHERE pipeline = ", d->count);
	buffer_sql_text(&sql, r->pipeline->spec->name);
	buffer_text(&sql, " AND lower(model) = lower(");
	buffer_sql_text(&sql, d->rows->model);
	buffer_char(&sql, ')');
	return run_sql(r, &sql, NULL) || state_raise_turn(r) ? -1 : 1;
}

static void append_note(const struct refresh *r, struct buffer *note)
{
	const struct discarding *d = (const struct discarding *)r;

	buffer_text(note, "\"discarded\":{\"model\":");
	buffer_json_text(note, d->rows->model, strlen(d->rows->model));
	buffer_printf(note, ",\"rows\":%" PRId64 ",\"because\":", d->count);
	buffer_json_text(note, d->because, strlen(d->because));
	buffer_char(note, '}');
}

int pipeline_discard(struct pipeline *pipeline, const struct refused_rows *rows, const char *because,
                     int64_t patience_ms, int64_t *ret_count, struct error *err)
{
	struct patience patience = patience_of(patience_ms);
	int failed;

	do {
		struct discarding d = {.r = {.pipeline = pipeline, .err = err}, .rows = rows, .because = because};

		failed = transaction_open(&d.r) || transaction_run(&d.r, mark, append_note);
		transaction_close(&d.r);
		*ret_count = d.r.committed ? d.count : 0;
	} while (failed && patience_again(&patience, err));
	return failed ? -1 : 0;
}
