/* lineage_json.c - a lineage for programs. */
#include <inttypes.h>
#include <string.h>

#include "cli/lineage.h"

static void append_text(struct buffer *out, const char *key, const char *text)
{
	buffer_printf(out, ",\"%s\":", key);
	if (text)
		buffer_json_text(out, text, strlen(text));
	else
		buffer_text(out, "null");
}

/* ---- columns */

static void append_source(const struct lineage *lineage, const struct spec_catalog *catalog,
                          const struct column_source *source, struct buffer *out)
{
	int count, index = lineage_find(lineage, catalog, source->schema, source->table);
	const struct lineage_node *nodes = lineage_nodes(lineage, &count);

	buffer_text(out, "\"table\":");
	if (index >= 0)
		buffer_json_text(out, nodes[index].name, strlen(nodes[index].name));
	else
		buffer_json_text(out, source->table, strlen(source->table));
	append_text(out, "column", source->column);
	append_text(out, "part", source->part);
}

static void append_sources(const struct lineage *lineage, const struct spec_catalog *catalog, const char *key,
                           const struct made_column *column, unsigned uses, bool followed, struct buffer *out)
{
	bool any = false;

	buffer_printf(out, ",\"%s\":[", key);
	for (int i = 0; i < column->sources.count; i++) {
		const struct column_source *source = &column->sources.items[i];

		if (!(source->uses & uses))
			continue;
		buffer_text(out, any ? ",{" : "{");
		append_source(lineage, catalog, source, out);
		if (followed)
			buffer_printf(out, ",\"conditions\":%d", source->through);
		buffer_text(out, "}");
		any = true;
	}
	buffer_text(out, "]");
}

static void append_columns(const struct lineage *lineage, const struct lineage_node *node, struct buffer *out)
{
	const struct made_columns *made = node->made;

	buffer_text(out, ",\"columns\":[");
	for (int i = 0; i < made->count; i++) {
		const struct made_column *column = &made->columns[i];

		buffer_text(out, i ? ",\n   {\"name\":" : "\n   {\"name\":");
		buffer_json_text(out, column->name, strlen(column->name));
		append_sources(lineage, node->catalog, "made_of", column, USE_VALUE, false, out);
		append_sources(lineage, node->catalog, "filters_by", column, USE_CONDITION, false, out);
		append_sources(lineage, node->catalog, "comes_from", &node->roots[i], USE_VALUE | USE_CONDITION, true,
		               out);
		append_text(out, "unknown", node->roots[i].unknown);
		buffer_text(out, "}");
	}
	buffer_text(out, "]");
	append_text(out, "columns_unknown", made->open);
	append_sources(lineage, node->catalog, "rows_filter_by", &made->rows, USE_VALUE | USE_CONDITION, false, out);
	append_text(out, "rows_unknown", made->rows.unknown);
	if (node->kind != LINEAGE_TRAINED)
		return;
	buffer_text(out, ",\"leaks\":[");
	for (int i = 0; i < node->leak_count; i++) {
		buffer_text(out, i ? ",{\"feature\":" : "{\"feature\":");
		buffer_json_text(out, node->leaks[i].feature, strlen(node->leaks[i].feature));
		buffer_text(out, ",");
		append_source(lineage, node->catalog, &node->leaks[i].shared, out);
		buffer_text(out, "}");
	}
	buffer_text(out, "]");
}

/* ---- nodes and edges */

static void append_model(const struct lineage_node *node, struct buffer *out)
{
	const struct model *model = node->model;

	append_text(out, "pipeline", node->pipeline->name);
	append_text(out, "layer", layer_names[model->layer]);
	append_text(out, "materialized", materialized_name(model->options.materialized));
	buffer_printf(out, ",\"incremental\":%s", *node->why ? "false" : "true");
	append_text(out, "why_not", *node->why ? node->why : NULL);
	append_text(out, "description", model->options.description);
	append_text(out, "file", model->file);
	append_text(out, "last_how", node->how);
	append_text(out, "last_why", node->how_why && *node->how_why ? node->how_why : NULL);
	append_text(out, "refreshed_at", node->refreshed_at);
}

static void append_table(const struct lineage_node *node, struct buffer *out)
{
	append_text(out, "schema", node->schema);
	append_text(out, "table", node->table);
	buffer_printf(out, ",\"there\":%s", node->there ? "true" : "false");
	if (node->rows >= 0)
		buffer_printf(out, ",\"rows\":%" PRId64, node->rows);
	else
		buffer_text(out, ",\"rows\":null");
}

static void append_node(const struct lineage *lineage, const struct lineage_node *node, bool columns,
                        struct buffer *out)
{
	buffer_text(out, "{\"id\":");
	buffer_json_text(out, node->id, strlen(node->id));
	append_text(out, "kind", lineage_kind_name(node->kind));
	append_text(out, "name", node->name);
	append_text(out, "place", lineage_place_name(node->place));
	append_text(out, "catalog", node->catalog->name);
	if (node->stream && node->stream->source.files)
		append_text(out, "files", node->stream->source.files);
	else if (node->stream)
		append_text(out, "topic", node->stream->kafka.topic);
	if (node->table)
		append_table(node, out);
	if (node->model)
		append_model(node, out);
	if (node->kind == LINEAGE_TRAINED) {
		append_text(out, "pipeline", node->pipeline->name);
		append_text(out, "label", node->pipeline->model.label);
		append_text(out, "file", node->pipeline->model.file);
	}
	if (node->kind == LINEAGE_SCORES)
		append_text(out, "pipeline", node->pipeline->name);
	if (columns && node->made)
		append_columns(lineage, node, out);
	buffer_text(out, "}");
}

void lineage_json(const struct lineage *lineage, bool columns, struct buffer *out)
{
	int node_count, edge_count;
	const struct lineage_node *nodes = lineage_nodes(lineage, &node_count);
	const struct lineage_edge *edges = lineage_edges(lineage, &edge_count);

	buffer_text(out, "{\"nodes\":[");
	for (int i = 0; i < node_count; i++) {
		buffer_text(out, i ? ",\n  " : "\n  ");
		append_node(lineage, &nodes[i], columns, out);
	}
	buffer_text(out, "],\n \"edges\":[");
	for (int i = 0; i < edge_count; i++) {
		buffer_text(out, i ? ",\n  {\"from\":" : "\n  {\"from\":");
		buffer_json_text(out, nodes[edges[i].from].id, strlen(nodes[edges[i].from].id));
		append_text(out, "to", nodes[edges[i].to].id);
		append_text(out, "kind", lineage_edge_name(edges[i].kind));
		buffer_text(out, "}");
	}
	buffer_text(out, "]}\n");
}
