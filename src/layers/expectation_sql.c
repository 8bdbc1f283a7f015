/*
 * expectation_sql.c - an expectation as a SELECT of the rows that break it.
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "layers/expectation.h"
#include "layers/layers_private.h"

#define EXAMPLE_CHARACTERS 4096 /* of a row; a longer one is cut, and a text then */

/* t."NAME" */
static void append_column(struct buffer *out, const char *from, const char *name)
{
	buffer_printf(out, "%s.", from);
	buffer_sql_name(out, name);
}

/* ---- conditions that a row breaks, over t */

static void append_null(const struct expectation *e, int column, struct buffer *out)
{
	append_column(out, "t", e->spec->columns[column]);
	buffer_text(out, " IS NULL");
}

static void append_not_accepted(const struct expectation *e, int column, struct buffer *out)
{
	const struct spec_expectation *spec = e->spec;

	if (!spec->value_count) { /* nothing is right, but null */
		append_column(out, "t", spec->columns[column]);
		buffer_text(out, " IS NOT NULL");
		return;
	}
	buffer_text(out, "CAST(");
	append_column(out, "t", spec->columns[column]);
	buffer_text(out, " AS VARCHAR) NOT IN (");
	for (int i = 0; i < spec->value_count; i++) {
		buffer_text(out, i ? ", " : "");
		buffer_sql_text(out, spec->values[i]);
	}
	buffer_char(out, ')');
}

/* The manifest's numbers are SQL's, too: as they are written nothing of them is lost. */
static void append_out_of_range(const struct expectation *e, int column, struct buffer *out)
{
	const struct spec_expectation *spec = e->spec;

	if (spec->minimum) {
		append_column(out, "t", spec->columns[column]);
		buffer_printf(out, " < (%s)", spec->minimum);
	}
	buffer_text(out, spec->minimum && spec->maximum ? " OR " : "");
	if (spec->maximum) {
		append_column(out, "t", spec->columns[column]);
		buffer_printf(out, " > (%s)", spec->maximum);
	}
}

static void append_compared(enum compared compared, const char *value, struct buffer *out)
{
	switch (compared) {
	case COMPARED_AS_IS: buffer_text(out, value); break;
	case COMPARED_AS_TEXT: buffer_printf(out, "CAST(%s AS VARCHAR)", value); break;
	case COMPARED_AS_TIMESTAMP: buffer_printf(out, "TRY_CAST(%s AS TIMESTAMP)", value); break;
	case COMPARED_WITHOUT_ZONE: buffer_printf(out, "timezone('UTC', %s)", value); break;
	case COMPARED_WITHOUT_NANOSECONDS:
		buffer_printf(out, "CASE WHEN epoch_ns(%s) %% 1000 = 0 THEN CAST(%s AS TIMESTAMP) END", value, value);
		break;
	}
}

static void append_is_there(const struct expectation *e, int column, enum compared compared, const char *value,
                            struct buffer *out)
{
	OWNED_BUFFER struct buffer field = {0};

	buffer_init(&field, 4096);
	append_column(&field, "f", e->spec->field);
	buffer_text(out, "EXISTS (SELECT 1 FROM ");
	append_table(out, e->reads[1].schema, e->reads[1].table);
	buffer_text(out, " f WHERE ");
	append_compared(e->comparisons[column].field, buffer_string(&field), out);
	buffer_text(out, " = ");
	append_compared(compared, value, out);
	buffer_char(out, ')');
}

static void append_unrelated(const struct expectation *e, int column, struct buffer *out)
{
	OWNED_BUFFER struct buffer value = {0};

	buffer_init(&value, 4096);
	append_column(&value, "t", e->spec->columns[column]);
	buffer_printf(out, "%s IS NOT NULL AND NOT ", buffer_string(&value));
	append_is_there(e, column, e->comparisons[column].own, buffer_string(&value), out);
}

static void append_rows(const struct expectation *e, const char *rows,
                        void (*condition)(const struct expectation *e, int column, struct buffer *out),
                        struct buffer *out)
{
	buffer_printf(out, "SELECT t.* FROM %s t WHERE ", rows);
	for (int i = 0; i < e->spec->column_count; i++) {
		buffer_text(out, i ? " OR (" : "(");
		condition(e, i, out);
		buffer_char(out, ')');
	}
}

/* ---- the other checks */

/* A column of the table's may have the name already. */
static const char *rows_name(const struct expectation *e)
{
	for (int i = 0; i < e->spec->column_count; i++)
		if (!strcasecmp(e->spec->columns[i], "rows"))
			return "\"tarn rows\"";
	return "\"rows\"";
}

static void append_checked_columns(const struct expectation *e, struct buffer *out)
{
	for (int i = 0; i < e->spec->column_count; i++) {
		buffer_text(out, i ? ", " : "");
		append_column(out, "t", e->spec->columns[i]);
	}
}

void expectation_repeated(const struct expectation *e, const char *rows, const char *new, struct buffer *out)
{
	buffer_text(out, "SELECT ");
	append_checked_columns(e, out);
	buffer_printf(out, ", count(*) AS %s FROM %s t WHERE ", rows_name(e), rows);
	for (int i = 0; i < e->spec->column_count; i++) {
		buffer_text(out, i ? " AND " : "");
		append_column(out, "t", e->spec->columns[i]);
		buffer_text(out, " IS NOT NULL");
	}
	buffer_printf(out, "%s%s", new ? " AND EXISTS (SELECT 1 FROM " : "", new ? new : "");
	for (int i = 0; new &&i < e->spec->column_count; i++) {
		buffer_text(out, i ? " AND " : " n WHERE ");
		append_column(out, "n", e->spec->columns[i]);
		buffer_text(out, " = ");
		append_column(out, "t", e->spec->columns[i]);
	}
	buffer_printf(out, "%s GROUP BY ", new ? ")" : "");
	append_checked_columns(e, out);
	buffer_text(out, " HAVING count(*) > 1");
}

/* Infinite times have no microseconds, and count as none. How old the newest one is grows with the clock, and is not
 * told: the same is to be said the same way again. */
static void append_stale(const struct expectation *e, const char *rows, struct buffer *out)
{
	const struct spec_expectation *spec = e->spec;

	buffer_printf(out,
	              "SELECT strftime(make_timestamp(newest), '%%Y-%%m-%%dT%%H:%%M:%%SZ') AS newest, %" PRId64
	              " AS seconds_allowed FROM (SELECT epoch_us(now()) AS told, max(greatest(",
	              spec->within_ms / 1000);
	for (int i = 0; i < spec->column_count; i++) {
		buffer_text(out, i ? "), epoch_us(" : "epoch_us(");
		append_column(out, "t", spec->columns[i]);
	}
	buffer_printf(out, "))) AS newest FROM %s t) WHERE newest IS NULL OR told - newest > %" PRId64, rows,
	              spec->within_ms * 1000);
}

/* The text takes the column's own type, and so lets whole files be passed over; microseconds then tell it exactly. */
void expectation_fresh(const struct expectation *e, int64_t wall_ms, struct buffer *out)
{
	const struct spec_expectation *spec = e->spec;
	int64_t oldest_ms = wall_ms - spec->within_ms;
	char oldest[32];

	clock_format(oldest_ms, oldest, sizeof oldest);
	buffer_text(out, "SELECT count(*) FROM (SELECT 1 FROM ");
	append_table(out, e->reads->schema, e->reads->table);
	for (int i = 0; i < spec->column_count; i++) {
		buffer_text(out, i ? " OR (" : " t WHERE (");
		append_column(out, "t", spec->columns[i]);
		buffer_printf(out, " >= '%s' AND epoch_us(", oldest);
		append_column(out, "t", spec->columns[i]);
		buffer_printf(out, ") >= %" PRId64 ")", oldest_ms * 1000);
	}
	buffer_text(out, " LIMIT 1)");
}

void expectation_row_count(const struct expectation *e, const char *rows, int64_t before, struct buffer *out)
{
	const struct spec_expectation *spec = e->spec;

	buffer_printf(out,
	              "SELECT \"rows\", %" PRId64 " AS rows_before, round(100 * \"rows\" / %" PRId64
	              ", 2) AS percent FROM (SELECT count(*) AS \"rows\" FROM %s) WHERE ",
	              before, before, rows);
	if (spec->minimum)
		buffer_printf(out, "100 * CAST(\"rows\" AS DOUBLE) < (%s) * CAST(%" PRId64 " AS DOUBLE)", spec->minimum,
		              before);
	buffer_text(out, spec->minimum && spec->maximum ? " OR " : "");
	if (spec->maximum)
		buffer_printf(out, "100 * CAST(\"rows\" AS DOUBLE) > (%s) * CAST(%" PRId64 " AS DOUBLE)", spec->maximum,
		              before);
}

void expectation_lost(const struct expectation *e, const char *gone, struct buffer *out)
{
	OWNED_BUFFER struct buffer value = {0};

	buffer_init(&value, 4096);
	append_column(&value, "g", e->spec->field);
	buffer_printf(out, "SELECT g.* FROM %s g WHERE %s IS NOT NULL AND NOT (", gone, buffer_string(&value));
	for (int i = 0; i < e->spec->column_count; i++) {
		buffer_text(out, i ? " AND " : "");
		append_is_there(e, i, e->comparisons[i].field, buffer_string(&value), out);
	}
	buffer_char(out, ')');
}

void expectation_broken(const struct expectation *e, const char *rows, struct buffer *out)
{
	switch (e->spec->check) {
	case CHECK_NOT_NULL: append_rows(e, rows, append_null, out); break;
	case CHECK_UNIQUE: expectation_repeated(e, rows, NULL, out); break;
	case CHECK_ACCEPTED_VALUES: append_rows(e, rows, append_not_accepted, out); break;
	case CHECK_RANGE: append_rows(e, rows, append_out_of_range, out); break;
	case CHECK_RELATIONSHIP: append_rows(e, rows, append_unrelated, out); break;
	case CHECK_FRESHNESS: append_stale(e, rows, out); break;
	case CHECK_ROW_COUNT_CHANGE: break;
	case CHECK_SQL: buffer_text(out, e->sql); break;
	}
}

/* ---- what is told of them */

/* A comment may stand at the end of an author's SQL: what is behind it begins a line. */
void expectation_count(const struct expectation *e, const char *broken, struct buffer *out)
{
	if (e->spec->check == CHECK_UNIQUE)
		buffer_printf(out, "SELECT CAST(coalesce(sum(%s), 0) AS BIGINT) FROM (%s)", rows_name(e), broken);
	else
		buffer_printf(out, "SELECT count(*) FROM (%s\n) b", broken);
}

static bool is_among(char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcasecmp(names[i], name))
			return true;
	return false;
}

/* The key's columns and those that were looked at, each once. */
static bool append_front(const struct expectation *e, const char *from, struct buffer *out)
{
	const struct spec_model *options = e->of ? &e->of->options : NULL;
	bool any = false;

	for (int i = 0; options && i < options->key_count; i++) {
		if (is_among(options->key, i, options->key[i]))
			continue;
		buffer_printf(out, "%s%s", any ? ", " : "", from);
		buffer_sql_name(out, options->key[i]);
		any = true;
	}
	for (int i = 0; i < e->spec->column_count; i++) {
		const char *name = e->spec->columns[i];

		if (is_among(e->spec->columns, i, name) ||
		    (options && is_among(options->key, options->key_count, name)))
			continue;
		buffer_printf(out, "%s%s", any ? ", " : "", from);
		buffer_sql_name(out, name);
		any = true;
	}
	return any;
}

void expectation_examples(const struct expectation *e, const char *broken, struct buffer *out)
{
	bool whole_rows = e->spec->check == CHECK_NOT_NULL || e->spec->check == CHECK_ACCEPTED_VALUES ||
	                  e->spec->check == CHECK_RANGE || e->spec->check == CHECK_RELATIONSHIP;

	/* to_json writes NaN and Infinity, which JSON does not have: such a row is a text. "tarn e" is no column's
	 * name, which would go before it. */
	buffer_printf(out,
	              "SELECT CASE WHEN length(j) > %d THEN CAST(to_json(left(j, %d)) AS VARCHAR) WHEN "
	              "regexp_matches(j, '[:,\\[]-?(NaN|Infinity)[,}\\]]') THEN CAST(to_json(v) AS VARCHAR) ELSE j END "
	              "FROM (SELECT CAST(to_json(\"tarn e\") AS VARCHAR) AS j, CAST(\"tarn e\" AS VARCHAR) AS v FROM "
	              "(SELECT ",
	              EXAMPLE_CHARACTERS, EXAMPLE_CHARACTERS);
	if (whole_rows && append_front(e, "b.", out)) {
		buffer_text(out, ", b.* EXCLUDE (");
		append_front(e, "", out);
		buffer_char(out, ')');
	} else {
		buffer_text(out, "b.*");
	}
	buffer_printf(out, " FROM (%s\n) b LIMIT %d) \"tarn e\")", broken, EXAMPLES);
}
