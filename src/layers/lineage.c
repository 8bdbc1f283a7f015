#include "layers/lineage_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/references.h"

const char *lineage_kind_name(enum lineage_kind kind)
{
	static const char *const names[LINEAGE_KINDS] = {[LINEAGE_STREAM] = "stream",
	                                                 [LINEAGE_TABLE] = "table",
	                                                 [LINEAGE_MODEL] = "model",
	                                                 [LINEAGE_TRAINED] = "trained_model",
	                                                 [LINEAGE_SCORES] = "scores"};

	return names[kind];
}

const char *lineage_edge_name(enum lineage_edge_kind kind)
{
	static const char *const names[LINEAGE_EDGE_KINDS] = {[LINEAGE_WRITES] = "writes",
	                                                      [LINEAGE_READS] = "reads",
	                                                      [LINEAGE_TRAINS] = "trains",
	                                                      [LINEAGE_SCORES_ROWS] = "is_scored",
	                                                      [LINEAGE_PREDICTS] = "predicts"};

	return names[kind];
}

const char *lineage_place_name(enum lineage_place place)
{
	static const char *const names[PLACE_COUNT] = {
	        [PLACE_SOURCE] = "source", [PLACE_BRONZE] = "bronze",   [PLACE_SILVER] = "silver",
	        [PLACE_GOLD] = "gold",     [PLACE_TRAINED] = "trained", [PLACE_SCORES] = "scores"};

	return names[place];
}

void lineage_free(struct lineage *lineage)
{
	if (!lineage)
		return;
	for (int i = 0; i < lineage->node_count; i++) {
		if (lineage->nodes[i].made)
			made_columns_release(lineage->nodes[i].made);
		free(lineage->nodes[i].made);
	}
	for (int i = 0; lineage->sets && i < lineage->manifest->pipeline_count; i++)
		models_free(lineage->sets[i]);
	free(lineage->sets);
	functions_free(lineage->functions);
	duck_disconnect(lineage->connection);
	duck_close(lineage->duck);
	arena_release(&lineage->arena);
	free(lineage);
}

void lineage_freep(struct lineage **lineage)
{
	lineage_free(*lineage);
}

const struct lineage_node *lineage_nodes(const struct lineage *lineage, int *ret_count)
{
	*ret_count = lineage->node_count;
	return lineage->nodes;
}

const struct lineage_edge *lineage_edges(const struct lineage *lineage, int *ret_count)
{
	*ret_count = lineage->edge_count;
	return lineage->edges;
}

int lineage_find(const struct lineage *lineage, const struct spec_catalog *catalog, const char *schema,
                 const char *table)
{
	for (int i = 0; i < lineage->node_count; i++) {
		const struct lineage_node *node = &lineage->nodes[i];

		if (node->table && node->catalog == catalog && !strcasecmp(node->schema, schema) &&
		    !strcasecmp(node->table, table))
			return i;
	}
	return -1;
}

/* ---- nodes and edges: each gives an index, or -1 where memory ran out */

static int add_node(struct lineage *lineage, enum lineage_kind kind, enum lineage_place place,
                    const struct spec_catalog *catalog, const char *name)
{
	struct lineage_node *nodes = arena_grow(&lineage->arena, lineage->nodes, lineage->node_count,
	                                        &lineage->node_capacity, sizeof *nodes);

	if (!nodes)
		return error_no_memory(lineage->err);
	lineage->nodes = nodes;
	nodes[lineage->node_count] = (struct lineage_node){.kind = kind,
	                                                   .place = place,
	                                                   .catalog = catalog,
	                                                   .name = arena_text(&lineage->arena, name),
	                                                   .rows = -1};
	return lineage->node_count++;
}

static int add_edge(struct lineage *lineage, int from, int to, enum lineage_edge_kind kind)
{
	struct lineage_edge *edges;

	for (int i = 0; i < lineage->edge_count; i++)
		if (lineage->edges[i].from == from && lineage->edges[i].to == to && lineage->edges[i].kind == kind)
			return 0;
	edges = arena_grow(&lineage->arena, lineage->edges, lineage->edge_count, &lineage->edge_capacity,
	                   sizeof *edges);
	if (!edges)
		return error_no_memory(lineage->err);
	lineage->edges = edges;
	edges[lineage->edge_count++] = (struct lineage_edge){.from = from, .to = to, .kind = kind};
	return 0;
}

/* The table's node, made where there is none. */
static int table_node(struct lineage *lineage, const struct spec_catalog *catalog, const char *schema,
                      const char *table, enum lineage_kind kind, enum lineage_place place)
{
	bool main = !strcasecmp(schema, "main");
	int index = lineage_find(lineage, catalog, schema, table);
	struct lineage_node *node;

	if (index >= 0)
		return index;
	index = add_node(lineage, kind, place, catalog, table);
	if (index < 0)
		return -1;
	node = &lineage->nodes[index];
	node->schema = arena_text(&lineage->arena, schema);
	node->table = arena_text(&lineage->arena, table);
	node->id = arena_printf(&lineage->arena, "table:%s/%s.%s", catalog->name, schema, table);
	if (!main)
		node->name = arena_printf(&lineage->arena, "%s.%s", schema, table);
	return lineage->arena.failed ? error_no_memory(lineage->err) : index;
}

int lineage_add_column(struct lineage *lineage, struct lineage_node *node, const char *name)
{
	const char **columns;

	for (int i = 0; i < node->column_count; i++)
		if (!strcasecmp(node->columns[i], name))
			return 0;
	columns =
	        arena_grow(&lineage->arena, node->columns, node->column_count, &node->column_capacity, sizeof *columns);
	if (!columns)
		return -1;
	node->columns = columns;
	columns[node->column_count] = arena_text(&lineage->arena, name);
	return columns[node->column_count++] ? 0 : -1;
}

/* ---- streams */

/* Those that the manifest declares; where they are inferred only the lake knows them. */
static int add_declared(struct lineage *lineage, const struct spec_stream *stream, int table)
{
	const char *const more[] = {stream->json.raw, stream->json.score, stream->json.reasons,
	                            stream->json.ingested_at};
	struct lineage_node *node = &lineage->nodes[table];

	for (int i = 0; i < stream->json.column_count; i++)
		if (stream->json.columns[i].stored && lineage_add_column(lineage, node, stream->json.columns[i].name))
			return error_no_memory(lineage->err);
	for (size_t i = 0; stream->json.column_count && i < COUNT_OF(more); i++)
		if (more[i] && lineage_add_column(lineage, node, more[i]))
			return error_no_memory(lineage->err);
	return 0;
}

static int add_stream(struct lineage *lineage, const struct spec_stream *stream)
{
	int from = add_node(lineage, LINEAGE_STREAM, PLACE_SOURCE, stream->catalog, stream->name), to;

	if (from < 0)
		return -1;
	lineage->nodes[from].stream = stream;
	lineage->nodes[from].id = arena_printf(&lineage->arena, "stream:%s", stream->name);
	to = table_node(lineage, stream->catalog, stream->schema, stream->table, LINEAGE_TABLE, PLACE_BRONZE);
	if (to < 0 || add_edge(lineage, from, to, LINEAGE_WRITES))
		return -1;
	return add_declared(lineage, stream, to);
}

/* ---- pipelines */

static int add_models(struct lineage *lineage, int pipeline)
{
	static const enum lineage_place places[LAYER_COUNT] = {
	        [LAYER_BRONZE] = PLACE_BRONZE, [LAYER_SILVER] = PLACE_SILVER, [LAYER_GOLD] = PLACE_GOLD};
	const struct spec_pipeline *spec = &lineage->manifest->pipelines[pipeline];
	struct model_set *set = models_load(spec->models, spec->models, lineage->err);

	lineage->sets[pipeline] = set;
	if (!set)
		return error_wrap(lineage->err, "pipeline %s", spec->name);
	for (int i = 0; i < set->count; i++) {
		const struct model *model = &set->models[i];
		int index =
		        table_node(lineage, spec->catalog, "main", model->name, LINEAGE_MODEL, places[model->layer]);
		struct lineage_node *node;

		if (index < 0)
			return -1;
		node = &lineage->nodes[index];
		node->kind = LINEAGE_MODEL;
		node->place = places[model->layer];
		node->pipeline = spec;
		node->model = model;
		model_why_never(set, model, spec->catalog->backend.type != BACKEND_FILE, node->why, sizeof node->why);
	}
	return 0;
}

static int add_reads(struct lineage *lineage, const struct spec_catalog *catalog, const struct reference *reads,
                     int count, int to, enum lineage_edge_kind kind)
{
	for (int i = 0; i < count; i++) {
		int from = table_node(lineage, catalog, reads[i].schema, reads[i].table, LINEAGE_TABLE, PLACE_BRONZE);

		if (from < 0 || add_edge(lineage, from, to, kind))
			return -1;
	}
	return 0;
}

static int add_edges_of_models(struct lineage *lineage, int pipeline)
{
	const struct spec_pipeline *spec = &lineage->manifest->pipelines[pipeline];
	const struct model_set *set = lineage->sets[pipeline];

	for (int i = 0; i < set->count; i++) {
		const struct model *model = &set->models[i];
		int to = lineage_find(lineage, spec->catalog, "main", model->name);

		if (add_reads(lineage, spec->catalog, model->reads, model->read_count, to, LINEAGE_READS))
			return -1;
	}
	return 0;
}

/* The tables that a SELECT of the manifest reads. */
static int add_reads_of_sql(struct lineage *lineage, const struct spec_pipeline *spec, const char *field,
                            const char *sql, int to, enum lineage_edge_kind kind)
{
	OWNED_TREE struct tree *tree = NULL;
	struct reference *reads = NULL;
	int count = 0, line = 0, failed;

	tree = tree_parse(lineage->connection, sql, &line, lineage->err);
	if (!tree)
		return error_wrap(lineage->err, "pipeline %s: spec.model.%s", spec->name, field);
	failed = references_find(tree, sql, &reads, &count, lineage->err) ||
	         add_reads(lineage, spec->catalog, reads, count, to, kind);
	references_release(reads, count);
	return failed ? -1 : 0;
}

/* SCHEMA.TABLE, or TABLE. */
static int scores_node(struct lineage *lineage, const struct spec_pipeline *spec)
{
	const char *dot = strchr(spec->model.scores, '.');
	OWNED_FREE char *schema =
	        dot ? strndup(spec->model.scores, (size_t)(dot - spec->model.scores)) : strdup("main");
	int index;

	if (!schema)
		return error_no_memory(lineage->err);
	index = table_node(lineage, spec->catalog, schema, dot ? dot + 1 : spec->model.scores, LINEAGE_SCORES,
	                   PLACE_SCORES);
	if (index >= 0) {
		lineage->nodes[index].kind = LINEAGE_SCORES;
		lineage->nodes[index].place = PLACE_SCORES;
		lineage->nodes[index].pipeline = spec;
	}
	return index;
}

static int add_trained(struct lineage *lineage, const struct spec_pipeline *spec)
{
	const char *scoring = spec->model.scoring ? spec->model.scoring : spec->model.training;
	int trained, scores;

	if (!spec->model.name)
		return 0;
	trained = add_node(lineage, LINEAGE_TRAINED, PLACE_TRAINED, spec->catalog, spec->model.name);
	if (trained < 0)
		return -1;
	lineage->nodes[trained].pipeline = spec;
	lineage->nodes[trained].id = arena_printf(&lineage->arena, "trained_model:%s/%s", spec->name, spec->model.name);
	if (add_reads_of_sql(lineage, spec, "training", spec->model.training, trained, LINEAGE_TRAINS))
		return -1;
	if (!spec->model.scores)
		return 0;
	scores = scores_node(lineage, spec);
	if (scores < 0 || add_edge(lineage, trained, scores, LINEAGE_PREDICTS))
		return -1;
	return add_reads_of_sql(lineage, spec, spec->model.scoring ? "scoring" : "training", scoring, scores,
	                        LINEAGE_SCORES_ROWS);
}

/* ---- all of it */

/* It needs no extension and no file, and may look for neither. */
static int open_duck(struct lineage *lineage)
{
	static const struct duck_setting settings[] = {{"autoinstall_known_extensions", "false"},
	                                               {"autoload_known_extensions", "false"},
	                                               {"threads", "1"},
	                                               {"temp_directory", ""}};

	lineage->duck = duck_open(NULL, settings, COUNT_OF(settings), lineage->err);
	lineage->connection = lineage->duck ? duck_connect(lineage->duck, lineage->err) : NULL;
	lineage->functions = lineage->connection ? functions_load(lineage->connection, lineage->err) : NULL;
	return lineage->functions ? 0 : -1;
}

/* Models first: what another pipeline reads of them is then known to be a model's. */
static int read_manifest(struct lineage *lineage)
{
	const struct manifest *manifest = lineage->manifest;

	for (int i = 0; i < manifest->stream_count; i++)
		if (add_stream(lineage, &manifest->streams[i]))
			return -1;
	for (int i = 0; i < manifest->pipeline_count; i++)
		if (add_models(lineage, i))
			return -1;
	for (int i = 0; i < manifest->pipeline_count; i++)
		if (add_edges_of_models(lineage, i))
			return -1;
	for (int i = 0; i < manifest->pipeline_count; i++)
		if (add_trained(lineage, &manifest->pipelines[i]))
			return -1;
	return lineage->arena.failed ? error_no_memory(lineage->err) : 0;
}

struct lineage *lineage_new(const struct manifest *manifest, struct error *err)
{
	OWNED_BY(lineage_freep) struct lineage *lineage = calloc(1, sizeof *lineage);

	if (!lineage) {
		error_no_memory(err);
		return NULL;
	}
	lineage->manifest = manifest;
	lineage->err = err;
	lineage->sets = calloc((size_t)manifest->pipeline_count + 1, sizeof *lineage->sets);
	if (!lineage->sets) {
		error_no_memory(err);
		return NULL;
	}
	return open_duck(lineage) || read_manifest(lineage) ? NULL : TAKE(lineage);
}
