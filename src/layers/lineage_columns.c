/*
 * lineage_columns.c - what the columns of a lineage's models come from.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/lineage_private.h"

/* Pipelines that read each other in a circle would never end. */
#define FOLLOWED_MAX 4096

enum { READING_NOT_YET, READING_NOW, READING_DONE };

struct finding {
	const struct lineage *lineage;
	const struct spec_catalog *catalog;
};

/* What a model's file says of its columns, as far as it is all of them; else what the lake says of its table. */
static bool find_columns(void *context, const char *schema, const char *table, const char *const **ret_names,
                         int *ret_count)
{
	const struct finding *finding = context;
	int index = lineage_find(finding->lineage, finding->catalog, schema, table);
	const struct lineage_node *node = index < 0 ? NULL : &finding->lineage->nodes[index];

	if (!node || !node->column_count)
		return false;
	*ret_names = node->columns;
	*ret_count = node->column_count;
	return true;
}

static int read_sql(struct lineage *lineage, const struct spec_catalog *catalog, const char *sql,
                    struct made_columns *ret_columns)
{
	struct finding finding = {.lineage = lineage, .catalog = catalog};
	const struct table_finder tables = {.find = find_columns, .context = &finding};

	return columns_read(lineage->connection, lineage->functions, sql, &tables, ret_columns, lineage->err);
}

/* ---- followed through models */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcasecmp(a, b) : a == b;
}

/* A column of a model that passes on all that a table has, whose columns are not known. */
static struct made_column passed_column(struct lineage *lineage, const struct made_columns *made,
                                        const struct column_source *source)
{
	struct column_source passed = {
	        .schema = made->open_schema, .table = made->open_table, .column = source->column, .uses = USE_VALUE};
	struct made_column column = {.name = source->column, .plain = true};

	source_add(&lineage->arena, &column.sources, &passed);
	return column;
}

/* Adds what the source is made of. ret_model: its table is one that a model makes. */
static int add_nearer(struct lineage *lineage, const struct spec_catalog *catalog, const struct column_source *source,
                      struct made_column *all, bool *ret_model)
{
	int index = lineage_find(lineage, catalog, source->schema, source->table);
	const struct lineage_node *node = index < 0 ? NULL : &lineage->nodes[index];
	const struct made_column *made;
	struct made_column passed;

	*ret_model = node && node->model;
	if (!*ret_model)
		return 0;
	made = node->made ? made_columns_find(node->made, source->column) : NULL;
	if (!made && node->made && node->made->open_table) {
		passed = passed_column(lineage, node->made, source);
		made = &passed;
	}
	if (!made && !all->unknown)
		all->unknown =
		        arena_printf(&lineage->arena, "%s.%s: %s", node->name, source->column,
		                     node->made && node->made->open ? node->made->open : "there is no such column");
	if (made && made->unknown && !all->unknown)
		all->unknown = arena_printf(&lineage->arena, "%s.%s: %s", node->name, source->column, made->unknown);
	for (int i = 0; made && i < made->sources.count; i++) {
		struct column_source farther = made->sources.items[i];

		farther.uses = source->uses == USE_CONDITION ? USE_CONDITION : farther.uses;
		farther.through += source->through;
		if (made->plain)
			farther.part = part_join(&lineage->arena, farther.part, source->part);
		if (source_add(&lineage->arena, &all->sources, &farther))
			return -1;
	}
	return 0;
}

/* Changes with each source that is added, used in another way, or found to be nearer. */
static int64_t mark_of(const struct source_list *list)
{
	int64_t mark = list->count;

	for (int i = 0; i < list->count; i++)
		mark = mark * 31 + list->items[i].uses * 7 + list->items[i].through;
	return mark;
}

int lineage_follow(struct lineage *lineage, const struct spec_catalog *catalog, const struct made_column *column,
                   struct made_column *ret_all, struct error *err)
{
	struct made_column all = {.name = column->name, .unknown = column->unknown};
	int64_t before;

	lineage->err = err;
	for (int i = 0; i < column->sources.count; i++)
		if (source_add(&lineage->arena, &all.sources, &column->sources.items[i]))
			return error_no_memory(err);
	/* A source that a shorter way leads to makes all behind it nearer. */
	do {
		before = mark_of(&all.sources);
		for (int i = 0; i < all.sources.count && all.sources.count < FOLLOWED_MAX; i++) {
			struct column_source source = all.sources.items[i];
			bool model;

			if (add_nearer(lineage, catalog, &source, &all, &model))
				return error_no_memory(err);
		}
	} while (mark_of(&all.sources) != before && all.sources.count < FOLLOWED_MAX);
	if (all.sources.count >= FOLLOWED_MAX && !all.unknown)
		all.unknown = "it is made of too many columns";
	*ret_all = all;
	return 0;
}

/* Those of all that no model makes. */
static int keep_roots(struct lineage *lineage, const struct spec_catalog *catalog, const struct made_column *all,
                      struct made_column *ret_roots)
{
	*ret_roots = (struct made_column){.name = all->name, .unknown = all->unknown};
	for (int i = 0; i < all->sources.count; i++) {
		const struct column_source *source = &all->sources.items[i];
		int index = lineage_find(lineage, catalog, source->schema, source->table);

		if ((index < 0 || !lineage->nodes[index].model) &&
		    source_add(&lineage->arena, &ret_roots->sources, source))
			return error_no_memory(lineage->err);
	}
	return 0;
}

/* ---- a label that is made of what the features are made of */

static bool is_feature(const struct spec_pipeline *pipeline, const char *column)
{
	for (int i = 0; i < pipeline->model.key_count; i++)
		if (!strcasecmp(pipeline->model.key[i], column))
			return false;
	return strcasecmp(pipeline->model.label, column) != 0 && !same_text(pipeline->model.split_by, column);
}

/* The nearest that both are made of, and nothing else decides. */
static const struct column_source *shared_source(const struct made_column *label, const struct made_column *feature)
{
	for (int i = 0; i < label->sources.count; i++)
		for (int k = 0; k < feature->sources.count; k++) {
			const struct column_source *a = &label->sources.items[i], *b = &feature->sources.items[k];

			if (!a->through && !b->through && same_text(a->column, b->column) &&
			    same_text(a->table, b->table) && same_text(a->schema, b->schema) &&
			    same_text(a->part, b->part))
				return a;
		}
	return NULL;
}

static int find_leaks(struct lineage *lineage, struct lineage_node *node)
{
	const struct made_column *label = made_columns_find(node->made, node->pipeline->model.label);
	struct made_column of_label = {0};
	int capacity = 0;

	if (!label)
		return 0;
	if (lineage_follow(lineage, node->catalog, label, &of_label, lineage->err))
		return -1;
	for (int i = 0; i < node->made->count; i++) {
		const struct made_column *column = &node->made->columns[i];
		struct made_column of_feature = {0};
		const struct column_source *shared;

		if (!is_feature(node->pipeline, column->name))
			continue;
		if (lineage_follow(lineage, node->catalog, column, &of_feature, lineage->err))
			return -1;
		shared = shared_source(&of_label, &of_feature);
		if (!shared)
			continue;
		node->leaks =
		        arena_grow(&lineage->arena, node->leaks, node->leak_count, &capacity, sizeof *node->leaks);
		if (!node->leaks)
			return error_no_memory(lineage->err);
		node->leaks[node->leak_count++] = (struct lineage_leak){.feature = column->name, .shared = *shared};
	}
	return 0;
}

/* ---- each node, behind those that it reads */

static int take_columns(struct lineage *lineage, struct lineage_node *node)
{
	if (!node->model || node->made->open)
		return 0;
	node->column_count = 0;
	for (int i = 0; i < node->made->count; i++)
		if (lineage_add_column(lineage, node, node->made->columns[i].name))
			return error_no_memory(lineage->err);
	return 0;
}

static int read_made(struct lineage *lineage, struct lineage_node *node)
{
	const char *sql = node->model ? node->model->sql : node->pipeline->model.training;

	node->made = calloc(1, sizeof *node->made);
	if (!node->made)
		return error_no_memory(lineage->err);
	if (read_sql(lineage, node->catalog, sql, node->made))
		return error_wrap(lineage->err, "%.200s", node->model ? node->model->file : node->name);
	node->roots = arena_alloc(&lineage->arena, (size_t)(node->made->count + 1) * sizeof *node->roots);
	if (!node->roots || take_columns(lineage, node))
		return error_no_memory(lineage->err);
	for (int i = 0; i < node->made->count; i++) {
		struct made_column all = {0};

		if (lineage_follow(lineage, node->catalog, &node->made->columns[i], &all, lineage->err) ||
		    keep_roots(lineage, node->catalog, &all, &node->roots[i]))
			return -1;
	}
	return node->kind == LINEAGE_TRAINED ? find_leaks(lineage, node) : 0;
}

/* Of pipelines that read each other in a circle one is read without the other. */
static int read_node(struct lineage *lineage, int index)
{
	struct lineage_node *node = &lineage->nodes[index];

	if (node->reading != READING_NOT_YET)
		return 0;
	node->reading = READING_NOW;
	for (int i = 0; i < lineage->edge_count; i++)
		if (lineage->edges[i].to == index && read_node(lineage, lineage->edges[i].from))
			return -1;
	node->reading = READING_DONE;
	return node->model || node->kind == LINEAGE_TRAINED ? read_made(lineage, node) : 0;
}

int lineage_read_columns(struct lineage *lineage, struct error *err)
{
	lineage->err = err;
	for (int i = 0; i < lineage->node_count; i++)
		if (read_node(lineage, i))
			return -1;
	return lineage->arena.failed ? error_no_memory(err) : 0;
}

int lineage_columns(struct lineage *lineage, const struct spec_catalog *catalog, const char *sql,
                    struct made_columns *ret_columns, struct error *err)
{
	lineage->err = err;
	return read_sql(lineage, catalog, sql, ret_columns);
}
