#include "layers/expectation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lake/duck.h"
#include "layers/references.h"

#define SQL_MAXIMUM_BYTES ((size_t)16 << 20)

struct loading {
	/* A DuckDB without tables, as models have it (model.c); NULL until the first SQL. */
	struct duck *parser;
	struct duck_connection *connection;
	struct functions *functions;
	const struct model_set *models;
	const struct manifest *manifest;
	struct expectation_set *set;
	struct error *err;
};

static void release_expectation(struct expectation *e)
{
	for (int i = 0; i < e->read_count; i++) {
		free(e->reads[i].schema);
		free(e->reads[i].table);
	}
	free(e->reads);
	free(e->name);
	free(e->table);
	free(e->sql);
	free(e->comparisons);
}

void expectations_free(struct expectation_set *set)
{
	if (!set)
		return;
	for (int i = 0; i < set->count; i++)
		release_expectation(&set->items[i]);
	free(set->items);
	free(set);
}

void expectations_freep(struct expectation_set **set)
{
	expectations_free(*set);
}

/* ---- mistakes */

void expectation_title(const struct expectation *e, char *title, size_t size)
{
	const char *check = check_name(e->spec->check);
	bool given = e->spec->name != NULL;

	snprintf(title, size, "%.100s%s%s%s", e->name ? e->name : check, given ? " (" : "", given ? check : "",
	         given ? ")" : "");
}

int expectation_wrap(const struct expectation *e, int line, struct error *err)
{
	bool told = e->table && *e->table && (!e->model || !e->file); /* a model's file tells its table */
	char title[160];

	line = line ? line : e->spec->line;
	expectation_title(e, title, sizeof title);
	error_wrap(err, "expectation %s%s%.130s", title, told ? " of " : "", told ? e->table : "");
	if (e->file && line)
		return error_wrap(err, "%.200s:%d", e->file, line);
	return e->file ? error_wrap(err, "%.200s", e->file) : -1;
}

int expectation_mistake(const struct expectation *e, int line, struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(err, ERROR_INVALID, 0, format, args);
	va_end(args);
	return expectation_wrap(e, line, err);
}

/* ---- what it looks at */

static struct reference *add_reference(const struct loading *l, struct expectation *e)
{
	struct reference *more = realloc(e->reads, (size_t)(e->read_count + 1) * sizeof *more);

	if (!more) {
		error_no_memory(l->err);
		return NULL;
	}
	e->reads = more;
	more[e->read_count] = (struct reference){.line = e->spec->line, .model = -1};
	return &more[e->read_count++];
}

/* "TABLE" or "SCHEMA.TABLE" */
static int add_table(const struct loading *l, struct expectation *e, const char *name)
{
	const char *point = strchr(name, '.');
	struct reference *reference = add_reference(l, e);

	if (!reference)
		return -1;
	reference->schema = point ? strndup(name, (size_t)(point - name)) : strdup("main");
	reference->table = strdup(point ? point + 1 : name);
	if (!reference->schema || !reference->table)
		return error_no_memory(l->err);
	reference->model = models_find(l->models, reference->schema, reference->table);
	return 0;
}

/* By one name whatever the manifest's spelling: main.events is events, and a model's table is called as its file. */
static int name_table(const struct loading *l, struct expectation *e)
{
	const struct reference *table = e->spec->check == CHECK_SQL ? NULL : e->reads;
	bool schema = table && strcasecmp(table->schema, "main") != 0;

	e->of = table && table->model >= 0 ? &l->models->models[table->model] : e->model;
	if (asprintf(&e->table, "%s%s%s", schema ? table->schema : "", schema ? "." : "",
	             e->of   ? e->of->name
	             : table ? table->table
	                     : "") < 0)
		e->table = NULL;
	return e->table ? 0 : error_no_memory(l->err);
}

/* ---- its SQL */

static bool is_one_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcasecmp(names[i], name))
			return true;
	return false;
}

/* DuckDB does not say which of its table functions write: these do not, and their rows are those of their arguments. */
static bool computes(const char *function)
{
	static const char *const names[] = {"range",     "generate_series", "unnest", "json_each",
	                                    "json_tree", "repeat",          "values"};

	return is_one_of(names, COUNT_OF(names), function);
}

/* These read what is no table: files, and the catalog itself. */
static bool reads_elsewhere(const char *function)
{
	static const char *const names[] = {"read_parquet",
	                                    "parquet_scan",
	                                    "read_csv",
	                                    "read_csv_auto",
	                                    "read_json",
	                                    "read_json_auto",
	                                    "read_json_objects",
	                                    "read_ndjson",
	                                    "read_ndjson_auto",
	                                    "read_ndjson_objects",
	                                    "read_text",
	                                    "read_blob",
	                                    "glob",
	                                    "snapshots",
	                                    "table_info",
	                                    "table_changes",
	                                    "table_insertions",
	                                    "table_deletions",
	                                    "current_snapshot",
	                                    "ducklake_snapshots",
	                                    "ducklake_table_info",
	                                    "ducklake_table_changes",
	                                    "ducklake_table_insertions",
	                                    "ducklake_table_deletions",
	                                    "duckdb_tables",
	                                    "duckdb_columns",
	                                    "duckdb_views"};

	return is_one_of(names, COUNT_OF(names), function);
}

static int look_at_function(const struct loading *l, struct expectation *e, const struct node *node)
{
	const char *name = node_text(node, "function_name");

	if (!strcasecmp(name, "nextval"))
		return expectation_mistake(e, e->spec->sql_line, l->err,
		                           "calls nextval(), which writes; an expectation reads tables");
	if (!strncasecmp(name, "tarn_", strlen("tarn_")))
		return expectation_mistake(e, e->spec->sql_line, l->err,
		                           "calls %.60s(), which is Tarn's own; use another function", name);
	return 0;
}

static int look_at_table_function(const struct loading *l, struct expectation *e, const struct node *node)
{
	const char *name = node_text(node_get(node, "function"), "function_name");

	if (!computes(name) && !reads_elsewhere(name))
		return expectation_mistake(e, e->spec->sql_line, l->err,
		                           "calls %.60s(), which is not known to write nothing; an expectation reads "
		                           "tables",
		                           name);
	e->varies |= !computes(name);
	return 0;
}

/* Recursion is as deep as the statement, which DuckDB's parser bounds. */
static int look_at(const struct loading *l, struct expectation *e, const struct node *node)
{
	const struct node *names = node_get(node, "column_names");

	if (node_is(node, "class", "PARAMETER"))
		return expectation_mistake(e, e->spec->sql_line, l->err,
		                           "has a parameter, and there is nobody to give its value");
	if (node_is(node, "type", "TABLE_FUNCTION") && look_at_table_function(l, e, node))
		return -1;
	if (node_is(node, "class", "FUNCTION") && look_at_function(l, e, node))
		return -1;
	e->varies |= node_varies(l->functions, node);
	if (node_is(node, "class", "COLUMN_REF"))
		e->by_rowid |= node_count(names) &&
		               !strcasecmp(node_text(node_at(names, node_count(names) - 1), NULL), "rowid");
	for (int i = 0; i < node_count(node); i++)
		if (look_at(l, e, node_at(node, i)))
			return -1;
	return 0;
}

static int parse(const struct loading *l, struct expectation *e, const char *sql, struct tree **ret_tree)
{
	struct error why = {0};
	int line = 0;

	*ret_tree = tree_parse(l->connection, sql, &line, &why);
	if (*ret_tree)
		return 0;
	*l->err = why;
	return expectation_wrap(e, e->spec->sql_line + (line ? line - 1 : 0), l->err);
}

/* Without what ends it, so that it can stand in brackets. */
static int take_sql(const struct loading *l, struct expectation *e)
{
	OWNED_TREE struct tree *tree = NULL;
	OWNED_BUFFER struct buffer within = {0};
	size_t size = strlen(e->spec->sql);
	struct error ignored;
	int line = 0;

	while (size && strchr(" \t\r\n;", e->spec->sql[size - 1]))
		size--;
	e->sql = strndup(e->spec->sql, size);
	if (!e->sql)
		return error_no_memory(l->err);
	buffer_init(&within, SQL_MAXIMUM_BYTES);
	buffer_printf(&within, "SELECT * FROM (\n%s\n)", e->sql);
	tree = tree_parse(l->connection, buffer_string(&within), &line, &ignored);
	if (tree)
		return 0;
	return expectation_mistake(
	        e, e->spec->sql_line, l->err,
	        "cannot stand in brackets, SELECT * FROM (...); leave out the ';' and what is behind it");
}

static int open_parser(struct loading *l)
{
	static const struct duck_setting settings[] = {{"threads", "1"}};

	if (l->functions)
		return 0;
	l->parser = duck_open(NULL, settings, (int)COUNT_OF(settings), l->err);
	l->connection = l->parser ? duck_connect(l->parser, l->err) : NULL;
	l->functions = l->connection ? functions_load(l->connection, l->err) : NULL;
	return l->functions ? 0 : -1;
}

static void close_parser(struct loading *l)
{
	functions_free(l->functions);
	duck_disconnect(l->connection);
	duck_close(l->parser);
}

static int read_sql(struct loading *l, struct expectation *e)
{
	OWNED_TREE struct tree *tree = NULL;

	if (open_parser(l) || parse(l, e, e->spec->sql, &tree))
		return -1;
	if (node_is(node_get(tree_root(tree), "from_table"), "type", "SHOW_REF"))
		return expectation_mistake(e, e->spec->sql_line, l->err, "is not a SELECT; would be one SELECT");
	if (take_sql(l, e) || look_at(l, e, tree_root(tree)) ||
	    references_find(tree, e->spec->sql, &e->reads, &e->read_count, l->err))
		return -1;
	for (int i = 0; i < e->read_count; i++) {
		e->reads[i].line = e->spec->sql_line + (e->reads[i].line ? e->reads[i].line - 1 : 0);
		e->reads[i].model = models_find(l->models, e->reads[i].schema, e->reads[i].table);
	}
	return 0;
}

/* ---- one of them */

static int check_bounds(const struct loading *l, const struct expectation *e)
{
	const struct spec_expectation *spec = e->spec;

	if (spec->check != CHECK_RANGE && spec->check != CHECK_ROW_COUNT_CHANGE)
		return 0;
	if (!spec->minimum && !spec->maximum)
		return expectation_mistake(e, 0, l->err, "has no bound; would have minimum, maximum or both");
	if (spec->minimum && spec->maximum && strtod(spec->minimum, NULL) > strtod(spec->maximum, NULL))
		return expectation_mistake(e, 0, l->err, "minimum %.40s is above maximum %.40s: no number is right",
		                           spec->minimum, spec->maximum);
	return 0;
}

static int make_name(const struct loading *l, struct expectation *e)
{
	const struct spec_expectation *spec = e->spec;
	OWNED_BUFFER struct buffer name = {0};

	buffer_init(&name, 1 << 20);
	buffer_text(&name, spec->name ? spec->name : check_name(spec->check));
	for (int i = 0; !spec->name && i < spec->column_count; i++)
		buffer_printf(&name, "%s%s", i ? ", " : "(", spec->columns[i]);
	buffer_text(&name, !spec->name && spec->column_count ? ")" : "");
	e->name = strdup(buffer_string(&name));
	return e->name ? 0 : error_no_memory(l->err);
}

static const struct expectation *find_twin(const struct loading *l, const struct expectation *e, const char *name)
{
	for (int i = 0; i < l->set->count; i++) {
		const struct expectation *other = &l->set->items[i];

		if (other != e && other->spec->check == e->spec->check && !strcmp(other->table, e->table) &&
		    !strcmp(other->name, name))
			return other;
	}
	return NULL;
}

/* INVARIANT 1. A second one without a name of its own gets a number. */
static int tell_apart(const struct loading *l, struct expectation *e)
{
	const struct expectation *twin = find_twin(l, e, e->name);
	OWNED_FREE char *numbered = NULL;

	if (!twin)
		return 0;
	if (e->spec->name)
		return expectation_mistake(e, 0, l->err, "has the name of the one at %.200s:%d; would have another one",
		                           twin->file ? twin->file : "line", twin->spec->line);
	for (int number = 2; number < 10000; number++) {
		free(TAKE(numbered));
		if (asprintf(&numbered, "%s %d", e->name, number) < 0) {
			numbered = NULL;
			return error_no_memory(l->err);
		}
		if (find_twin(l, e, numbered))
			continue;
		free(e->name);
		e->name = TAKE(numbered);
		return 0;
	}
	return expectation_mistake(e, 0, l->err, "is there more than 10,000 times; give it a name");
}

static int read_one(struct loading *l, struct expectation *e)
{
	const struct spec_expectation *spec = e->spec;
	bool of_columns = spec->check != CHECK_SQL && spec->check != CHECK_ROW_COUNT_CHANGE;

	if (make_name(l, e))
		return -1;
	if (of_columns && !spec->column_count)
		return expectation_mistake(e, 0, l->err, "has no columns; would be the names of one column or more");
	if (check_bounds(l, e))
		return -1;
	if (spec->check == CHECK_SQL ? read_sql(l, e) : add_table(l, e, spec->table ? spec->table : e->model->name))
		return -1;
	if (spec->check == CHECK_RELATIONSHIP && add_table(l, e, spec->to))
		return -1;
	e->varies |= spec->check == CHECK_FRESHNESS;
	e->comparisons = calloc((size_t)spec->column_count + 1, sizeof *e->comparisons);
	if (!e->comparisons)
		return error_no_memory(l->err);
	return name_table(l, e) || tell_apart(l, e) ? -1 : 0;
}

/* The next one; there is room for it. */
static struct expectation *next_one(const struct loading *l, const struct model *model)
{
	struct expectation *e = &l->set->items[l->set->count++];

	e->model = model;
	e->file = model ? model->file : l->manifest ? l->manifest->file : NULL;
	return e;
}

/* ---- all of them */

static int read_all(struct loading *l, const struct spec_expectation *specs, int count, const struct model *model)
{
	for (int i = 0; i < count; i++) {
		struct expectation *e = next_one(l, model);

		e->spec = &specs[i];
		if (read_one(l, e))
			return -1;
	}
	return 0;
}

static int read_key(struct loading *l, const struct model *model)
{
	static const enum check checks[] = {CHECK_NOT_NULL, CHECK_UNIQUE};
	static char name[] = "key";

	for (size_t i = 0; i < COUNT_OF(checks) && model->options.key_count; i++) {
		struct expectation *e = next_one(l, model);

		e->made = (struct spec_expectation){.check = checks[i],
		                                    .name = name,
		                                    .columns = model->options.key,
		                                    .column_count = model->options.key_count,
		                                    .severity = SEVERITY_ERROR,
		                                    .line = model->options.key_line};
		e->spec = &e->made;
		if (read_one(l, e))
			return -1;
	}
	return 0;
}

static int count_all(const struct model_set *models, const struct spec_pipeline *pipeline)
{
	int count = pipeline->expectation_count;

	for (int i = 0; i < models->count; i++)
		count += 2 + models->models[i].options.test_count;
	return count;
}

struct expectation_set *expectations_load(const struct model_set *models, const struct spec_pipeline *pipeline,
                                          const struct manifest *manifest, struct error *err)
{
	OWNED_BY(expectations_freep) struct expectation_set *set = calloc(1, sizeof *set);
	OWNED_BY(close_parser) struct loading l = {.models = models, .manifest = manifest, .set = set, .err = err};
	int failed = 0;

	if (set)
		set->items = calloc((size_t)count_all(models, pipeline) + 1, sizeof *set->items);
	if (!set || !set->items) {
		error_no_memory(err);
		return NULL;
	}
	for (int i = 0; i < models->count && !failed; i++) {
		const struct model *model = &models->models[i];

		failed = read_key(&l, model) || read_all(&l, model->options.tests, model->options.test_count, model);
	}
	failed = failed || read_all(&l, pipeline->expectations, pipeline->expectation_count, NULL);
	return failed ? NULL : TAKE(set);
}
