#include "layers/compose.h"

#include <ctype.h>
#include <string.h>

#define SQL_MAXIMUM_BYTES ((size_t)64 << 20)
/* A condition is of any type: WHERE and HAVING make it a BOOLEAN. Compared with true as it is, 5 would be none. */
#define NOT_TRUE "CAST((%s) AS BOOLEAN) IS DISTINCT FROM true"

static void append_column(struct buffer *out, const char *alias, const char *column)
{
	if (alias) {
		buffer_sql_name(out, alias);
		buffer_char(out, '.');
	}
	buffer_sql_name(out, column);
}

/* The first that is reached of: the conditions' own CASTs, a condition that is not true, the outputs' CASTs. */
static void append_failed(const struct stage *stage, bool further, struct buffer *out)
{
	bool any = false;

	buffer_text(out, "CASE ");
	if (further) {
		buffer_text(out, "WHEN ");
		append_column(out, stage->alias, COLUMN_FAILED);
		buffer_text(out, " IS NOT NULL THEN ");
		append_column(out, stage->alias, COLUMN_FAILED);
		buffer_text(out, " WHEN ");
		append_column(out, stage->alias, COLUMN_FILTERED);
		buffer_text(out, " IS NOT NULL THEN NULL ");
	}
	for (int i = 0; i < stage->condition_count; i++) {
		const struct checked_sql *sql = &stage->conditions[i].sql;

		if (sql->failure)
			buffer_printf(out, "WHEN %s IS NOT NULL THEN %s ", sql->failure, sql->failure);
		buffer_printf(out, "WHEN " NOT_TRUE " THEN NULL ", sql->value);
	}
	if (!further && !stage->condition_count)
		buffer_text(out, "WHEN false THEN NULL ");
	buffer_text(out, "ELSE coalesce(");
	for (int i = 0; i < stage->output_count; i++) {
		if (!stage->outputs[i].sql.failure)
			continue;
		buffer_printf(out, "%s%s", any ? ", " : "", stage->outputs[i].sql.failure);
		any = true;
	}
	buffer_printf(out, "%s) END", any ? "" : "CAST(NULL AS " CAST_FAILURE_TYPE ")");
}

static void append_filtered(const struct stage *stage, bool further, int before, struct buffer *out)
{
	buffer_text(out, "CASE ");
	if (further) {
		buffer_text(out, "WHEN ");
		append_column(out, stage->alias, COLUMN_FAILED);
		buffer_text(out, " IS NOT NULL THEN NULL WHEN ");
		append_column(out, stage->alias, COLUMN_FILTERED);
		buffer_text(out, " IS NOT NULL THEN ");
		append_column(out, stage->alias, COLUMN_FILTERED);
		buffer_char(out, ' ');
	}
	for (int i = 0; i < stage->condition_count; i++) {
		const struct checked_sql *sql = &stage->conditions[i].sql;

		if (sql->failure)
			buffer_printf(out, "WHEN %s IS NOT NULL THEN NULL ", sql->failure);
		buffer_printf(out, "WHEN " NOT_TRUE " THEN %d ", sql->value, before + i + 1);
	}
	if (!further && !stage->condition_count)
		buffer_text(out, "WHEN false THEN 0 ");
	buffer_text(out, "ELSE CAST(NULL AS INTEGER) END");
}

static void append_row(const struct stage *stage, char *const *columns, int column_count, struct buffer *out)
{
	if (stage->row) {
		buffer_text(out, stage->row);
		return;
	}
	buffer_char(out, '{');
	for (int i = 0; i < column_count; i++) {
		buffer_text(out, i ? ", " : "");
		buffer_sql_text(out, columns[i]);
		buffer_text(out, ": ");
		append_column(out, stage->alias, columns[i]);
	}
	buffer_char(out, '}');
}

/* ---- a stage in two steps: values and fates, and around them what failed, which is asked only of values that are
 * NULL. DuckDB computes an expression that stands within two CASEs twice: so the failures cost more than the values. */

#define VALUE "tarn v%d"
#define FATE "\"tarn f\""
#define ROW "\"tarn r\""

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Does the SQL have the name anywhere but before a '.'? Then it may mean the row, which has more columns around the
 * values. */
static bool may_mean_row(const char *sql, const char *alias)
{
	size_t size = strlen(alias);

	for (const char *at = strcasestr(sql, alias); at; at = strcasestr(at + 1, alias)) {
		const char *end = at + size;

		if ((at > sql && is_word(at[-1])) || is_word(*end))
			continue;
		end += *end == '"';
		if (*end != '.')
			return true;
	}
	return false;
}

static bool goes_in_steps(const struct stage *stage)
{
	bool any = false;

	if (stage->from)
		return false;
	for (int i = 0; i < stage->condition_count; i++)
		if (stage->conditions[i].sql.failure)
			return false;
	for (int i = 0; i < stage->output_count; i++) {
		const struct output *output = &stage->outputs[i];

		/* A star would have the values, too. */
		if (!output->name ||
		    (output->sql.failure && (strchr(output->sql.failure, '*') ||
		                             (stage->alias && may_mean_row(output->sql.failure, stage->alias)))))
			return false;
		any |= output->sql.failure && output->sql.null_when_refused;
	}
	return any;
}

static void append_values(const struct stage *stage, bool further, int before, char *const *columns, int column_count,
                          const char *from, struct buffer *out)
{
	buffer_text(out, "SELECT ");
	if (stage->alias) {
		buffer_sql_name(out, stage->alias);
		buffer_char(out, '.');
	}
	buffer_text(out, "*, ");
	for (int i = 0; i < stage->output_count; i++)
		buffer_printf(out, "%s AS \"" VALUE "\", ", stage->outputs[i].sql.value, i);
	append_filtered(stage, further, before, out);
	buffer_text(out, " AS " FATE ", ");
	if (further)
		append_column(out, stage->alias, COLUMN_ROW);
	else
		append_row(stage, columns, column_count, out);
	buffer_printf(out, " AS " ROW " FROM %s", from);
}

static void append_in_steps(const struct stage *stage, bool further, int before, char *const *columns, int column_count,
                            const char *from, struct buffer *out)
{
	buffer_text(out, "SELECT ");
	for (int i = 0; i < stage->output_count; i++) {
		buffer_printf(out, "\"" VALUE "\" AS ", i);
		buffer_sql_name(out, stage->outputs[i].name);
		buffer_text(out, ", ");
	}
	buffer_text(out, "CASE ");
	if (further) {
		buffer_text(out, "WHEN ");
		append_column(out, stage->alias, COLUMN_FAILED);
		buffer_text(out, " IS NOT NULL THEN ");
		append_column(out, stage->alias, COLUMN_FAILED);
	}
	buffer_text(out, " WHEN " FATE " IS NOT NULL THEN NULL ELSE coalesce(");
	for (int i = 0, count = 0; i < stage->output_count; i++) {
		const struct checked_sql *sql = &stage->outputs[i].sql;

		if (!sql->failure)
			continue;
		buffer_text(out, count++ ? ", " : "");
		if (sql->null_when_refused)
			buffer_printf(out, "CASE WHEN \"" VALUE "\" IS NULL THEN %s END", i, sql->failure);
		else
			buffer_text(out, sql->failure);
	}
	buffer_text(out, ") END AS \"" COLUMN_FAILED "\", " FATE " AS \"" COLUMN_FILTERED "\", " ROW " AS \"" COLUMN_ROW
	                 "\" FROM (");
	append_values(stage, further, before, columns, column_count, from, out);
	buffer_char(out, ')');
	if (stage->alias) {
		buffer_text(out, " AS ");
		buffer_sql_name(out, stage->alias);
	}
}

/* from: SQL, with its alias. */
static void append_stage(const struct stage *stage, bool further, int before, char *const *columns, int column_count,
                         const char *from, struct buffer *out)
{
	if (goes_in_steps(stage)) {
		append_in_steps(stage, further, before, columns, column_count, from, out);
		return;
	}
	buffer_text(out, "SELECT ");
	for (int i = 0; i < stage->output_count; i++) {
		buffer_text(out, stage->outputs[i].sql.value);
		if (stage->outputs[i].name) {
			buffer_text(out, " AS ");
			buffer_sql_name(out, stage->outputs[i].name);
		}
		buffer_text(out, ", ");
	}
	append_failed(stage, further, out);
	buffer_text(out, " AS \"" COLUMN_FAILED "\", ");
	append_filtered(stage, further, before, out);
	buffer_text(out, " AS \"" COLUMN_FILTERED "\", ");
	if (further)
		append_column(out, stage->alias, COLUMN_ROW);
	else
		append_row(stage, columns, column_count, out);
	buffer_printf(out, " AS \"" COLUMN_ROW "\" FROM %s", from);
}

static void append_aliased(struct buffer *out, const char *sql, bool nested, const char *alias)
{
	buffer_printf(out, "%s%s%s", nested ? "(" : "", sql, nested ? ")" : "");
	if (alias) {
		buffer_text(out, " AS ");
		buffer_sql_name(out, alias);
	}
}

void compose_rows(const struct shape *shape, const char *source, char *const *columns, int column_count,
                  struct buffer *out)
{
	OWNED_BUFFER struct buffer before = {0};
	int conditions = 0;

	buffer_init(&before, SQL_MAXIMUM_BYTES);
	for (int i = 0; i < shape->stage_count; i++) {
		const struct stage *stage = &shape->stages[i];
		OWNED_BUFFER struct buffer from = {0}, sql = {0};

		buffer_init(&from, SQL_MAXIMUM_BYTES);
		buffer_init(&sql, SQL_MAXIMUM_BYTES);
		if (i)
			append_aliased(&from, buffer_string(&before), true, stage->alias);
		else
			append_aliased(&from, stage->from ? stage->from : source, false, stage->alias);
		append_stage(stage, i > 0, conditions, columns, column_count, buffer_string(&from), &sql);
		buffer_clear(&before);
		buffer_text(&before, buffer_string(&sql));
		conditions += stage->condition_count;
	}
	buffer_text(out, buffer_string(&before));
}

void compose_input(const struct shape *shape, int stage, const char *source, char *const *columns, int column_count,
                   struct buffer *out)
{
	const struct stage *reads = &shape->stages[stage];
	struct shape before = *shape;
	OWNED_BUFFER struct buffer rows = {0};

	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	before.stage_count = stage;
	if (before.stage_count)
		compose_rows(&before, source, columns, column_count, &rows);
	else
		buffer_text(&rows, reads->from ? reads->from : source);
	append_aliased(out, buffer_string(&rows), before.stage_count > 0, reads->alias);
}

void compose_groups(const struct shape *shape, const char *rows, struct buffer *out)
{
	buffer_text(out, "SELECT ");
	for (int i = 0; i < shape->key_count; i++)
		buffer_printf(out, "\"tarn k%d\", ", i);
	for (int i = 0; i < shape->aggregate_count; i++)
		buffer_printf(out, "%s AS \"tarn g%d\", ", shape->aggregates[i].call, i);
	out->size -= strlen(", ");
	buffer_printf(out, " FROM (%s)" WHERE_KEPT " GROUP BY ", rows);
	for (int i = 0; i < shape->key_count; i++)
		buffer_printf(out, "%s\"tarn k%d\"", i ? ", " : "", i);
}

void compose_result(const struct shape *shape, const char *groups, struct buffer *out)
{
	struct stage stage = shape->result;
	OWNED_BUFFER struct buffer from = {0};
	char groups_alias[] = "tarn groups";

	buffer_init(&from, SQL_MAXIMUM_BYTES);
	stage.alias = groups_alias;
	append_aliased(&from, groups, true, groups_alias);
	append_stage(&stage, false, compose_condition_count(shape), NULL, 0, buffer_string(&from), out);
}

int compose_condition_count(const struct shape *shape)
{
	int count = 0;

	for (int i = 0; i < shape->stage_count; i++)
		count += shape->stages[i].condition_count;
	return count;
}

const char *compose_condition(const struct shape *shape, int number)
{
	for (int i = 0; i < shape->stage_count; i++) {
		if (number <= shape->stages[i].condition_count)
			return shape->stages[i].conditions[number - 1].text;
		number -= shape->stages[i].condition_count;
	}
	return number <= shape->result.condition_count ? shape->result.conditions[number - 1].text : NULL;
}
