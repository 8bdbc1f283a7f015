#include "layers/compose.h"

#include <string.h>

#define SQL_MAXIMUM_BYTES ((size_t)64 << 20)

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
		buffer_printf(out, "WHEN (%s) IS DISTINCT FROM true THEN NULL ", sql->value);
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
		buffer_printf(out, "WHEN (%s) IS DISTINCT FROM true THEN %d ", sql->value, before + i + 1);
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

/* from: SQL, with its alias. */
static void append_stage(const struct stage *stage, bool further, int before, char *const *columns, int column_count,
                         const char *from, struct buffer *out)
{
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
