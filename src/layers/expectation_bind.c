/*
 * expectation_bind.c - whether expectations can be evaluated, asked before anything is computed.
 *
 * Tables of models may be still to come, or about to get other columns. So in front of an expectation's SQL, and of the
 * SQL of models that read other models, stands a WITH in which each model is a row of its columns to be:
 *
 *     WITH "silver" AS (SELECT CAST(NULL AS BIGINT) AS "id", ...)
 *     SELECT * FROM ( the author's text )
 *
 * That does not reach names that are written with their schema, nor rowid: what has these is bound when the tables are
 * there, in the transaction.
 */
#include <string.h>
#include <strings.h>

#include "layers/layers_private.h"

#define NAMES_SHOWN 300

struct binding {
	struct refresh *r;
	struct described *models; /* one a model; owned */
	bool *known; /* its columns are; owned */
	int count;
};

static void release_binding(struct binding *b)
{
	for (int i = 0; b->models && i < b->count; i++)
		described_release(&b->models[i]);
	free(b->models);
	free(b->known);
}

/* ---- columns */

static const struct column *find_column(const struct described *columns, const char *name)
{
	for (int i = 0; i < columns->count; i++)
		if (!strcasecmp(columns->items[i].name, name))
			return &columns->items[i];
	return NULL;
}

static int no_column(struct refresh *r, const struct expectation *e, const struct reference *table,
                     const struct described *columns, const char *name)
{
	OWNED_BUFFER struct buffer names = {0};

	buffer_init(&names, 1 << 20);
	for (int i = 0; i < columns->count && names.size < NAMES_SHOWN; i++)
		buffer_printf(&names, "%s%s", i ? ", " : "", columns->items[i].name);
	return expectation_mistake(e, 0, r->err, "there is no column %.63s in %.63s; would be one of %.200s", name,
	                           table->table, buffer_string(&names));
}

static bool is_time(const char *type)
{
	return (!strcmp(type, "DATE") || !strncmp(type, "TIMESTAMP", strlen("TIMESTAMP"))) && !strchr(type, ']');
}

static int check_type(struct refresh *r, const struct expectation *e, const struct column *column)
{
	if (e->spec->check == CHECK_RANGE && !type_is_number(column->type))
		return expectation_mistake(e, 0, r->err, "column %.63s is of type %.100s; would be a number",
		                           column->name, column->type);
	if (e->spec->check == CHECK_FRESHNESS && !is_time(column->type))
		return expectation_mistake(e, 0, r->err,
		                           "column %.63s is of type %.100s; would be a timestamp or a date",
		                           column->name, column->type);
	return 0;
}

/* Of a date or a timestamp, as TIMESTAMP in UTC. */
static enum compared compare_time(const char *type)
{
	if (!strcmp(type, "TIMESTAMP"))
		return COMPARED_AS_IS;
	if (!strcmp(type, "TIMESTAMP_NS"))
		return COMPARED_WITHOUT_NANOSECONDS;
	if (!strcmp(type, "TIMESTAMP WITH TIME ZONE"))
		return COMPARED_WITHOUT_ZONE;
	return !strcmp(type, "DATE") || !strcmp(type, "TIMESTAMP_S") || !strcmp(type, "TIMESTAMP_MS")
	               ? COMPARED_AS_TIMESTAMP
	               : COMPARED_AS_TEXT;
}

/* Numbers are compared with numbers, times with times; what has another type with its likes, or as texts: a CAST of one
 * to the other's could fail in the midst of the rows. */
static struct comparison compare_types(const char *own, const char *field)
{
	struct comparison times = {.own = compare_time(own), .field = compare_time(field)};

	if (!strcmp(own, field) || (type_is_number(own) && type_is_number(field)))
		return (struct comparison){0};
	if (times.own == COMPARED_AS_TEXT || times.field == COMPARED_AS_TEXT)
		return (struct comparison){.own = COMPARED_AS_TEXT, .field = COMPARED_AS_TEXT};
	return times;
}

/* of: the table's columns; to: of relationship those of the other one. */
static int bind_columns(struct refresh *r, struct expectation *e, const struct described *of,
                        const struct described *to)
{
	const struct spec_expectation *spec = e->spec;
	const struct column *field = to ? find_column(to, spec->field) : NULL;

	if (to && !field)
		return no_column(r, e, &e->reads[1], to, spec->field);
	for (int i = 0; i < spec->column_count; i++) {
		const struct column *column = find_column(of, spec->columns[i]);

		if (!column)
			return no_column(r, e, &e->reads[0], of, spec->columns[i]);
		if (check_type(r, e, column))
			return -1;
		if (field)
			e->comparisons[i] = compare_types(column->type, field->type);
	}
	e->bound = true;
	return 0;
}

/* ---- SQL */

static void append_stand_ins(const struct binding *b, const struct reference *reads, int count, struct buffer *sql)
{
	bool any = false;

	for (int i = 0; b && i < count; i++) {
		const struct described *columns = reads[i].model >= 0 ? &b->models[reads[i].model] : NULL;

		if (!columns)
			continue;
		buffer_text(sql, any ? ", " : "WITH ");
		buffer_sql_name(sql, reads[i].table);
		for (int k = 0; k < columns->count; k++) {
			buffer_printf(sql, "%sCAST(NULL AS %s) AS ", k ? ", " : " AS (SELECT ", columns->items[k].type);
			buffer_sql_name(sql, columns->items[k].name);
		}
		buffer_char(sql, ')');
		any = true;
	}
	buffer_text(sql, any ? " " : "");
}

/* The text begins on the second line. Without the ';' at its end. */
static void append_wrapped(const struct binding *b, const struct reference *reads, int count, const char *text,
                           struct buffer *sql)
{
	size_t size = strlen(text);

	while (size && strchr(" \t\r\n;", text[size - 1]))
		size--;
	append_stand_ins(b, reads, count, sql);
	buffer_text(sql, "SELECT * FROM (\n");
	buffer_append(sql, text, size);
	buffer_text(sql, "\n)");
}

/* b: NULL where all tables are there. */
static int bind_sql(struct refresh *r, struct expectation *e, const struct binding *b)
{
	OWNED_BUFFER struct buffer sql = {0};
	int line = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_wrapped(b, e->reads, e->read_count, e->sql, &sql);
	if (!buffer_ok(&sql))
		return error_no_memory(r->err);
	if (duck_check(r->connection, buffer_string(&sql), &line, r->err))
		return expectation_wrap(e, e->spec->sql_line + (line > 1 ? line - 2 : 0), r->err);
	e->bound = true;
	return 0;
}

/* ---- before anything is computed */

static bool models_are_known(const struct binding *b, const struct reference *reads, int count)
{
	for (int i = 0; i < count; i++)
		if (reads[i].model >= 0 && (!b->known[reads[i].model] || reads[i].qualified))
			return false;
	return true;
}

/* What is wrong with a model is told when its turn comes. */
static void describe_model(struct binding *b, int index)
{
	const struct model *model = &b->r->pipeline->models->models[index];
	OWNED_BUFFER struct buffer sql = {0};
	struct error ignored = {0};
	struct refresh quiet = {.connection = b->r->connection, .err = &ignored};

	if (!models_are_known(b, model->reads, model->read_count))
		return;
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_wrapped(b, model->reads, model->read_count, model->sql, &sql);
	b->known[index] = describe_sql(&quiet, buffer_string(&sql), &b->models[index]) == 0;
}

static int describe_table_of(struct refresh *r, const struct reference *table, struct described *ret_columns)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT * FROM ");
	append_table(&sql, table->schema, table->table);
	return describe_sql(r, buffer_string(&sql), ret_columns);
}

static int no_table(struct refresh *r, const struct expectation *e, const struct reference *read)
{
	bool main = !strcasecmp(read->schema, "main");

	return expectation_mistake(e, read->line, r->err,
	                           "there is no table %.63s%s%.63s; would be a model of this pipeline, a table of a "
	                           "stream, or one that the lake has",
	                           main ? "" : read->schema, main ? "" : ".", read->table);
}

/* One before it reads the table, too. */
static bool was_looked_for(const struct refresh *r, const struct expectation *e, const struct reference *read)
{
	for (const struct expectation *other = r->pipeline->expectations->items; other < e; other++)
		for (int i = 0; i < other->read_count; i++)
			if (!strcasecmp(other->reads[i].schema, read->schema) &&
			    !strcasecmp(other->reads[i].table, read->table))
				return true;
	return false;
}

/* 1: all are there or to be made by this refresh; 0: a stream has one to make; -1: there is none. first: the first that
 * is not there ends it for all, so that a table is looked for once. */
static int find_tables(struct refresh *r, const struct expectation *e, bool first)
{
	for (int i = 0; i < e->read_count; i++) {
		enum found found = FOUND;

		if (first && was_looked_for(r, e, &e->reads[i]))
			continue;
		if (e->reads[i].model < 0 && look_for_table(r, &e->reads[i], &found))
			return -1;
		if (found == FOUND_NONE)
			return no_table(r, e, &e->reads[i]);
		if (found == FOUND_LATER) {
			wait_for(r, &e->reads[i]);
			return 0;
		}
	}
	return 1;
}

static int bind_early(struct binding *b, struct expectation *e)
{
	OWNED_BY(described_release) struct described of = {0};
	OWNED_BY(described_release) struct described to = {0};
	const struct reference *reads = e->reads;
	int there = find_tables(b->r, e, false);

	if (there < 0)
		return -1;
	if (!there || e->by_rowid || !models_are_known(b, reads, e->read_count))
		return 0;
	if (e->sql)
		return bind_sql(b->r, e, b);
	if ((reads[0].model < 0 && describe_table_of(b->r, &reads[0], &of)) ||
	    (e->read_count > 1 && reads[1].model < 0 && describe_table_of(b->r, &reads[1], &to)))
		return expectation_wrap(e, 0, b->r->err);
	return bind_columns(b->r, e, reads[0].model >= 0 ? &b->models[reads[0].model] : &of,
	                    e->read_count < 2     ? NULL
	                    : reads[1].model >= 0 ? &b->models[reads[1].model]
	                                          : &to);
}

int expectations_bind(struct refresh *r)
{
	struct expectation_set *set = r->pipeline->expectations;
	OWNED_BY(release_binding) struct binding b = {.r = r, .count = r->pipeline->models->count};
	int unbound = 0;

	for (int i = 0; i < set->count; i++)
		unbound += !set->items[i].bound;
	if (!unbound)
		return 0;
	b.models = calloc((size_t)b.count + 1, sizeof *b.models);
	b.known = calloc((size_t)b.count + 1, sizeof *b.known);
	if (!b.models || !b.known)
		return error_no_memory(r->err);
	for (int i = 0; i < b.count; i++)
		describe_model(&b, i);
	for (int i = 0; i < set->count; i++)
		if (!set->items[i].bound && bind_early(&b, &set->items[i]))
			return -1;
	*r->report->waits_for = 0; /* the models' sources come first */
	return 0;
}

/* ---- in the transaction */

int expect_find_tables(struct refresh *r)
{
	const struct expectation_set *set = r->pipeline->expectations;

	for (int i = 0; i < set->count; i++) {
		int there = find_tables(r, &set->items[i], true);

		if (there <= 0)
			return there;
	}
	return 1;
}

int expectation_bind_late(struct refresh *r, struct expectation *e)
{
	OWNED_BY(described_release) struct described of = {0};
	OWNED_BY(described_release) struct described to = {0};

	if (e->sql)
		return bind_sql(r, e, NULL);
	if (describe_table_of(r, &e->reads[0], &of) || (e->read_count > 1 && describe_table_of(r, &e->reads[1], &to)))
		return expectation_wrap(e, 0, r->err);
	return bind_columns(r, e, &of, e->read_count > 1 ? &to : NULL);
}
