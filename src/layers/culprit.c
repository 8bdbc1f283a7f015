/*
 * culprit.c - which row a statement failed for, where no CAST says so: a function that refuses its argument, numbers
 * that do not fit, an implicit conversion.
 *
 * The parts of the model are put together once more, with a TRY around each of them, over the same source: the first
 * row of which one fails is the culprit. It costs as much as the model does, and is done only after a refresh that
 * failed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers/layers_private.h"

struct spot {
	const char *what; /* the output, or the condition */
	int64_t location;
};

/* A shape of which every part is tried. */
struct tried_shape {
	struct shape shape; /* borrows what is not tried */
	struct spot *spots; /* numbered on from the CASTs of the shape */
	int spot_count;
};

static void release_stage(struct stage *stage)
{
	for (int i = 0; i < stage->output_count && stage->outputs; i++)
		checked_sql_release(&stage->outputs[i].sql);
	for (int i = 0; i < stage->condition_count && stage->conditions; i++)
		checked_sql_release(&stage->conditions[i].sql);
	free(stage->outputs);
	free(stage->conditions);
}

static void release_tried(struct tried_shape *tried)
{
	for (int i = 0; i < tried->shape.stage_count && tried->shape.stages; i++)
		release_stage(&tried->shape.stages[i]);
	release_stage(&tried->shape.result);
	free(tried->shape.stages);
	free(tried->spots);
}

/* ---- every part tried */

/* The shape's own failures count as before; this one comes first, and has a number that no CAST has. hash() of NULL is
 * none: IS NULL of a product would look at its factors, and not multiply. */
static int try_part(struct tried_shape *tried, struct checked_sql *sql, const char *what, int64_t location)
{
	struct spot *spots = realloc(tried->spots, (size_t)(tried->spot_count + 1) * sizeof *spots);
	struct checked_sql own = {0};
	int number = tried->shape.sites.count + tried->spot_count;

	if (!spots)
		return -1;
	tried->spots = spots;
	spots[tried->spot_count++] = (struct spot){.what = what, .location = location};
	if (asprintf(&own.value, "TRY(%s)", sql->value) < 0)
		own.value = NULL;
	if (asprintf(&own.failure,
	             "coalesce(CASE WHEN TRY(hash(%s)) IS NULL THEN {'site': %d, 'text': CAST(NULL AS VARCHAR)} "
	             "END%s%s%s)",
	             sql->value, number, sql->failure ? ", TRY(" : "", sql->failure ? sql->failure : "",
	             sql->failure ? ")" : "") < 0)
		own.failure = NULL;
	*sql = own;
	return own.value && own.failure ? 0 : -1;
}

static int keep_part(struct checked_sql *sql)
{
	sql->value = strdup(sql->value);
	sql->failure = sql->failure ? strdup(sql->failure) : NULL;
	return sql->value ? 0 : -1;
}

static int try_stage(struct tried_shape *tried, const struct stage *stage, struct stage *copy)
{
	*copy = *stage;
	copy->outputs = calloc((size_t)stage->output_count + 1, sizeof *copy->outputs);
	copy->conditions = calloc((size_t)stage->condition_count + 1, sizeof *copy->conditions);
	if (!copy->outputs || !copy->conditions)
		return -1;
	for (int i = 0; i < stage->output_count; i++) {
		const struct output *output = &stage->outputs[i];

		copy->outputs[i] = *output;
		/* A star is no expression. */
		if (output->name ? try_part(tried, &copy->outputs[i].sql, output->shown ? output->shown : output->name,
		                            output->location)
		                 : keep_part(&copy->outputs[i].sql))
			return -1;
	}
	for (int i = 0; i < stage->condition_count; i++) {
		copy->conditions[i] = stage->conditions[i];
		if (try_part(tried, &copy->conditions[i].sql, stage->conditions[i].text, stage->conditions[i].location))
			return -1;
	}
	return 0;
}

static int try_shape(const struct shape *shape, struct tried_shape *ret_tried)
{
	ret_tried->shape = *shape;
	ret_tried->shape.result = (struct stage){0};
	ret_tried->shape.stages = calloc((size_t)shape->stage_count + 1, sizeof *ret_tried->shape.stages);
	for (int i = 0; ret_tried->shape.stages && i < shape->stage_count; i++)
		if (try_stage(ret_tried, &shape->stages[i], &ret_tried->shape.stages[i]))
			return -1;
	return ret_tried->shape.stages ? try_stage(ret_tried, &shape->result, &ret_tried->shape.result) : -1;
}

/* ---- looking */

static int line_of(const struct model *model, int64_t location)
{
	int line = 1;

	for (int64_t i = 0; i < location && model->sql[i]; i++)
		line += model->sql[i] == '\n';
	return location < 0 ? 0 : line;
}

/* rows: a SELECT with the columns that every stage has. */
static int look(struct refresh *r, const struct tried_shape *tried, const struct model_run *run, const char *rows,
                struct culprit *ret_culprit)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows found = {0};
	int64_t spot;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql,
	              "SELECT CAST(to_json(\"" COLUMN_ROW "\") AS VARCHAR), struct_extract(\"" COLUMN_FAILED
	              "\", 'site') FROM (%s) WHERE struct_extract(\"" COLUMN_FAILED "\", 'site') >= %d LIMIT 1",
	              rows, tried->shape.sites.count);
	if (query_sql(r, &sql, &found))
		return -1;
	if (!found.row_count)
		return 0;
	spot = duck_cell_int(&found, 0, 1) - tried->shape.sites.count;
	ret_culprit->line = line_of(run->model, tried->spots[spot].location);
	snprintf(ret_culprit->what, sizeof ret_culprit->what, "%s", tried->spots[spot].what);
	snprintf(ret_culprit->row, sizeof ret_culprit->row, "%s", duck_cell(&found, 0, 0));
	return 0;
}

static int look_at_all(struct refresh *r, const struct model_run *run, struct culprit *ret_culprit)
{
	const struct shape *shape = &run->model->shape;
	OWNED_BY(release_tried) struct tried_shape tried = {0};
	OWNED_BUFFER struct buffer source = {0}, rows = {0}, groups = {0}, result = {0};

	buffer_init(&source, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	buffer_init(&groups, SQL_MAXIMUM_BYTES);
	buffer_init(&result, SQL_MAXIMUM_BYTES);
	if (try_shape(shape, &tried))
		return error_no_memory(r->err);
	if (shape->table)
		append_table(&source, shape->schema, shape->table);
	compose_rows(&tried.shape, buffer_string(&source), run->source.names, run->source.count, &rows);
	if (look(r, &tried, run, buffer_string(&rows), ret_culprit))
		return -1;
	if (*ret_culprit->row || shape->kind != SHAPE_GROUPS)
		return 0;
	buffer_clear(&rows);
	append_rows_of(run, buffer_string(&source), &rows);
	compose_groups(shape, buffer_string(&rows), &groups);
	compose_result(&tried.shape, buffer_string(&groups), &result);
	return look(r, &tried, run, buffer_string(&result), ret_culprit);
}

int culprit_find(struct refresh *r, const struct model_run *run, struct culprit *ret_culprit)
{
	int failed;

	*ret_culprit = (struct culprit){0};
	if (run->whole || run->model->shape.kind == SHAPE_WHOLE)
		return 0;
	/* DuckDB would compute what several TRYs have in common once, before them, where nothing tries it. */
	if (duck_exec(r->connection, "SET disabled_optimizers = 'common_subexpressions'", NULL, r->err))
		return -1;
	failed = look_at_all(r, run, ret_culprit);
	duck_exec(r->connection, "RESET disabled_optimizers", NULL, failed ? NULL : r->err);
	return failed;
}
