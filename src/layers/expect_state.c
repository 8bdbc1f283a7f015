/*
 * expect_state.c - what the lake knows of expectations.
 *
 *     tarn.expectations         a row an expectation: its newest result
 *     tarn.expectation_history  a row each time that one breaks, and when it is met again
 *
 * The first is replaced by each refresh that commits, and by one that was held back, so that people can ask why; then
 * held_back says that the result is of rows that the lake does not have. Both are bounded: the one by the number of
 * expectations, the other by how often they break, however long that lasts and however many refreshes look at it. What
 * was true at an earlier snapshot is in DuckLake's own history of the first.
 *
 * holds_snapshot is for the next refresh: as of that snapshot of the sources the tables that the lake has are known to
 * meet the expectation of that query, so that a look at what changed since is enough. A refresh that was held back
 * leaves it as it was, for it leaves the tables so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "layers/layers_private.h"

/* ---- reading */

static char *copy(const struct duck_rows *rows, int64_t row, int column)
{
	const char *text = duck_cell(rows, row, column);

	return strdup(text ? text : "");
}

static int64_t cell_or(const struct duck_rows *rows, int64_t row, int column, int64_t otherwise)
{
	return duck_cell(rows, row, column) ? duck_cell_int(rows, row, column) : otherwise;
}

static bool is_true(const struct duck_rows *rows, int64_t row, int column)
{
	return duck_cell(rows, row, column) && !strcmp(duck_cell(rows, row, column), "true");
}

static int severity_of(const char *text)
{
	for (int severity = SEVERITY_WARN; severity <= SEVERITY_ERROR; severity++)
		if (text && !strcmp(text, severity_name((enum severity)severity)))
			return severity;
	return -1;
}

/* "table", "name", "check" are the first three cells. */
static struct expected *find(struct refresh *r, const struct duck_rows *rows, int64_t row)
{
	const char *table = duck_cell(rows, row, 0), *name = duck_cell(rows, row, 1), *check = duck_cell(rows, row, 2);

	for (int i = 0; name && check && i < r->pipeline->expectations->count; i++) {
		const struct expectation *e = r->expected[i].e;

		if (!strcmp(e->name, name) && !strcmp(check_name(e->spec->check), check) &&
		    !strcmp(e->table, table ? table : ""))
			return &r->expected[i];
	}
	return NULL;
}

static int take(struct refresh *r, const struct duck_rows *rows, int64_t row, struct expected_state *state)
{
	*state = (struct expected_state){.known = true,
	                                 .severity = severity_of(duck_cell(rows, row, 3)),
	                                 .passed = is_true(rows, row, 4),
	                                 .failed_rows = duck_cell_int(rows, row, 5),
	                                 .example = copy(rows, row, 6),
	                                 .held_back = is_true(rows, row, 7),
	                                 .turn = duck_cell_int(rows, row, 8),
	                                 .snapshot = duck_cell_int(rows, row, 9),
	                                 .checked_at = copy(rows, row, 10),
	                                 .query = copy(rows, row, 11),
	                                 .holds_snapshot = cell_or(rows, row, 12, -1),
	                                 .row_count = cell_or(rows, row, 13, -1)};
	return state->example && state->checked_at && state->query ? 0 : error_no_memory(r->err);
}

int expect_read(struct refresh *r)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql,
	            "SELECT table_name, name, \"check\", severity, passed, failed_rows, example, held_back, turn, "
	            "snapshot, checked_at, query, holds_snapshot, row_count FROM lake.tarn.expectations");
	append_where_own(&sql, r->pipeline);
	if (query_own(r, &sql, &rows))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		struct expected *x = find(r, &rows, i);

		if (!x)
			r->expectations_dropped = true;
		else if (!x->before.known && take(r, &rows, i, &x->before))
			return -1;
	}
	return 0;
}

/* ---- writing */

static void append_text_or_null(struct buffer *sql, const char *text)
{
	if (text && *text)
		buffer_sql_text(sql, text);
	else
		buffer_text(sql, "NULL");
}

static void append_number_or_null(struct buffer *sql, int64_t number)
{
	if (number < 0)
		buffer_text(sql, "NULL");
	else
		buffer_printf(sql, "%" PRId64, number);
}

/* A refresh that commits makes also what it did not have to look at true of what it saw. */
static bool is_confirmed(const struct refresh *r, const struct expected *x)
{
	return x->looked && !r->held_back;
}

/* What both tables have. */
static void append_result(const struct refresh *r, const struct expected *x, struct buffer *sql)
{
	const struct expected_state *before = &x->before;

	buffer_char(sql, '(');
	buffer_sql_text(sql, r->pipeline->spec->name);
	buffer_text(sql, ", ");
	append_text_or_null(sql, x->e->table);
	buffer_text(sql, ", ");
	buffer_sql_text(sql, x->e->name);
	buffer_printf(sql, ", '%s', '%s', %s, %" PRId64 ", ", check_name(x->e->spec->check),
	              severity_name(x->e->spec->severity), expected_passed(x) ? "true" : "false",
	              x->evaluated ? x->failed_rows : before->failed_rows);
	append_text_or_null(sql, x->evaluated ? x->example : before->example);
	buffer_printf(sql, ", %s, %" PRId64 ", %" PRId64 ", ",
	              (x->evaluated ? r->held_back : before->held_back && !is_confirmed(r, x)) ? "true" : "false",
	              x->evaluated ? r->turn + 1 : before->turn,
	              x->evaluated || is_confirmed(r, x) ? r->snapshot : before->snapshot);
	if (x->evaluated) {
		buffer_text(sql, "now()");
	} else {
		buffer_text(sql, "CAST(");
		append_text_or_null(sql, before->checked_at);
		buffer_text(sql, " AS TIMESTAMP WITH TIME ZONE)");
	}
}

static void append_row(const struct refresh *r, const struct expected *x, struct buffer *sql)
{
	const struct expected_state *before = &x->before;
	const char *query = x->query ? x->query : before->query;
	bool same = before->known && query && !strcmp(before->query, query);
	int64_t holds = expected_passed(x) ? r->snapshot : -1;

	append_result(r, x, sql);
	buffer_text(sql, ", ");
	append_text_or_null(sql, query);
	buffer_text(sql, ", ");
	append_number_or_null(sql, is_confirmed(r, x) ? holds : same ? before->holds_snapshot : -1);
	buffer_text(sql, ", ");
	append_number_or_null(sql, r->held_back || x->row_count < 0 ? before->row_count : x->row_count);
	buffer_char(sql, ')');
}

static int write_newest(struct refresh *r)
{
	const struct expectation_set *set = r->pipeline->expectations;
	OWNED_BUFFER struct buffer sql = {0};
	bool any = false, had = r->expectations_dropped;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "DELETE FROM lake.tarn.expectations");
	append_where_own(&sql, r->pipeline);
	for (int i = 0; i < set->count; i++)
		had |= r->expected[i].before.known;
	if (had && run_own(r, &sql, NULL))
		return -1;
	buffer_clear(&sql);
	buffer_text(&sql, "INSERT INTO lake.tarn.expectations VALUES ");
	for (int i = 0; i < set->count; i++) {
		if (!expected_is_known(&r->expected[i]))
			continue;
		buffer_text(&sql, any ? ", " : "");
		append_row(r, &r->expected[i], &sql);
		any = true;
	}
	return any ? run_own(r, &sql, NULL) : 0;
}

static bool has_turned(const struct expected *x)
{
	return x->evaluated && x->passed != (x->before.known ? x->before.passed : true);
}

static int write_history(struct refresh *r)
{
	OWNED_BUFFER struct buffer sql = {0};
	bool any = false;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "INSERT INTO lake.tarn.expectation_history VALUES ");
	for (int i = 0; i < r->pipeline->expectations->count; i++) {
		if (!has_turned(&r->expected[i]))
			continue;
		buffer_text(&sql, any ? ", " : "");
		append_result(r, &r->expected[i], &sql);
		buffer_char(&sql, ')');
		any = true;
	}
	return any ? run_own(r, &sql, NULL) : 0;
}

int expect_write(struct refresh *r)
{
	return write_newest(r) || write_history(r) ? -1 : 0;
}

/* ---- a refresh that was held back */

/* Somebody else's refresh knows better. */
static int is_still_ours(struct refresh *r, bool *ret_ours)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t turn = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT turn FROM lake.tarn.pipelines");
	append_where_own(&sql, r->pipeline);
	if (count_sql(r, &sql, &turn))
		return -1;
	*ret_ours = turn == r->turn;
	return 0;
}

static int note(struct refresh *r)
{
	OWNED_BUFFER struct buffer text = {0};
	bool ours = false;

	if (lake_begin(r->session, r->err))
		return -1;
	if (is_still_ours(r, &ours) || (ours && expect_write(r))) {
		lake_rollback(r->session);
		return -1;
	}
	if (!ours) {
		lake_rollback(r->session);
		return 0;
	}
	buffer_init(&text, 1 << 20);
	buffer_text(&text, "{\"pipeline\":");
	buffer_json_text(&text, r->pipeline->spec->name, strlen(r->pipeline->spec->name));
	buffer_printf(&text, ",\"turn\":%" PRId64 ",\"held_back\":true}", r->turn + 1);
	/* Whether it was made or not: the next refresh that is held back sees what is there. */
	return apart_commit(&r->apart, buffer_string(&text), r->err) == COMMIT_DONE ? 0 : -1;
}

void expect_note_held_back(struct refresh *r)
{
	struct error why = {0}, *told = r->err;

	if (!expect_has_news(r))
		return;
	r->err = &why;
	if (note(r))
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("pipeline", r->pipeline->spec->name)),
		          "pipeline %s: tarn.expectations does not say yet what held the refresh back: %s",
		          r->pipeline->spec->name, why.message);
	r->err = told;
}
