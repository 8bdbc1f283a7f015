/* lineage_text.c - a lineage for people. */
#include <stdlib.h>
#include <string.h>

#include "cli/display.h"
#include "cli/lineage.h"
#include "cli/table.h"

/* ---- words, which the picture has too */

static const char *materialization(const struct lineage_node *node)
{
	if (node->model->options.materialized == MATERIALIZED_VIEW)
		return "view";
	return *node->why ? "made anew" : "incremental";
}

/* Files are named as the manifest does, as far as they are below its folder. */
static const char *source_of(const struct spec_stream *stream)
{
	const char *folder = stream->source.folder, *files = stream->source.files;
	size_t size = folder ? strlen(folder) : 0;

	if (!files)
		return stream->kafka.topic;
	return size && !strncmp(files, folder, size) && files[size] == '/' ? files + size + 1 : files;
}

void lineage_words(const struct lineage_node *node, const char *between, struct buffer *out)
{
	switch (node->kind) {
	case LINEAGE_STREAM:
		buffer_text(out, node->stream->source.files ? "files " : "Kafka topic ");
		buffer_text(out, source_of(node->stream));
		break;
	case LINEAGE_TABLE: buffer_text(out, "table"); break;
	case LINEAGE_MODEL:
		buffer_printf(out, "%s%s%s", layer_names[node->model->layer], between, materialization(node));
		break;
	case LINEAGE_TRAINED: buffer_printf(out, "model%slabel %s", between, node->pipeline->model.label); break;
	case LINEAGE_SCORES: buffer_printf(out, "scores%sof %s", between, node->pipeline->model.name); break;
	case LINEAGE_KINDS: break;
	}
}

void lineage_rows(const struct lineage_node *node, struct buffer *out)
{
	char text[HUMAN_SIZE];

	if (node->rows >= 0)
		buffer_printf(out, "%s row%s", human_count(node->rows, text), node->rows == 1 ? "" : "s");
}

void lineage_source(const struct lineage *lineage, const struct spec_catalog *catalog,
                    const struct column_source *source, struct buffer *out)
{
	int count, index = lineage_find(lineage, catalog, source->schema, source->table);
	const struct lineage_node *nodes = lineage_nodes(lineage, &count);

	buffer_printf(out, "%s.%s", index >= 0 ? nodes[index].name : source->table, source->column);
	if (source->part)
		buffer_printf(out, "->%s", source->part);
}

void lineage_sources(const struct lineage *lineage, const struct spec_catalog *catalog,
                     const struct made_column *column, unsigned uses, struct buffer *out)
{
	size_t before = out->size;

	for (int i = 0; i < column->sources.count; i++) {
		if (!(column->sources.items[i].uses & uses))
			continue;
		buffer_text(out, out->size > before ? ", " : "");
		lineage_source(lineage, catalog, &column->sources.items[i], out);
	}
	if (column->unknown && (uses & USE_VALUE || !column->name))
		buffer_printf(out, "%s? %s", out->size > before ? ", " : "", column->unknown);
}

/* ---- the tree */

struct drawing {
	const struct lineage *lineage;
	const struct lineage_node *nodes;
	const struct lineage_edge *edges;
	int node_count, edge_count;
	bool *drawn; /* one a node; owned */
	bool unicode;
	struct buffer indent;
	struct buffer *out;
};

/* Each node once, whatever it reads. */
static bool is_edge(const struct drawing *d, int index, int from)
{
	const struct lineage_edge *edge = &d->edges[index];

	for (int i = 0; i < index; i++)
		if (d->edges[i].from == edge->from && d->edges[i].to == edge->to)
			return false;
	return edge->from == from;
}

static int next_edge(const struct drawing *d, int from, int after)
{
	int index = after + 1;

	while (index < d->edge_count && !is_edge(d, index, from))
		index++;
	return index;
}

static void append_others(const struct drawing *d, int node, int parent)
{
	bool any = false;

	for (int i = 0; i < d->edge_count && parent >= 0; i++) {
		if (d->edges[i].to != node || d->edges[i].from == parent || !is_edge(d, i, d->edges[i].from))
			continue;
		buffer_text(d->out, any ? ", " : "; also reads ");
		display_text(d->out, d->nodes[d->edges[i].from].name);
		any = true;
	}
}

static void append_line(struct drawing *d, int index, int parent)
{
	const struct lineage_node *node = &d->nodes[index];
	OWNED_BUFFER struct buffer words = {0};

	display_text(d->out, node->name);
	if (d->drawn[index]) {
		buffer_text(d->out, ", as above\n");
		return;
	}
	buffer_init(&words, 65536);
	lineage_words(node, ", ", &words);
	if (node->model && *node->why && node->model->options.materialized == MATERIALIZED_INCREMENTAL)
		buffer_printf(&words, " (%s)", node->why);
	if (node->rows >= 0)
		buffer_text(&words, ", ");
	lineage_rows(node, &words);
	buffer_text(d->out, ": ");
	display_text(d->out, buffer_string(&words));
	append_others(d, index, parent);
	buffer_text(d->out, "\n");
}

static void cut_indent(struct drawing *d, size_t size)
{
	d->indent.size = size;
	if (d->indent.data)
		d->indent.data[size] = 0;
}

static void draw(struct drawing *d, int index, int parent)
{
	static const char *const lines[2][4] = {{"|- ", "`- ", "|  ", "   "}, {"├─ ", "└─ ", "│  ", "   "}};
	const char *const *line = lines[d->unicode];
	size_t before = d->indent.size;
	bool again = d->drawn[index];

	append_line(d, index, parent);
	d->drawn[index] = true;
	for (int i = next_edge(d, index, -1); !again && i < d->edge_count;) {
		int next = next_edge(d, index, i);
		bool last = next >= d->edge_count;

		buffer_text(d->out, buffer_string(&d->indent));
		buffer_text(d->out, line[last]);
		buffer_text(&d->indent, line[2 + last]);
		draw(d, d->edges[i].to, index);
		cut_indent(d, before);
		i = next;
	}
}

static bool is_root(const struct drawing *d, int node)
{
	for (int i = 0; i < d->edge_count; i++)
		if (d->edges[i].to == node)
			return false;
	return true;
}

static void draw_all(struct drawing *d)
{
	for (int i = 0; i < d->node_count; i++)
		if (is_root(d, i))
			draw(d, i, -1);
	/* Pipelines that read each other in a circle. */
	for (int i = 0; i < d->node_count; i++)
		if (!d->drawn[i])
			draw(d, i, -1);
}

/* ---- columns */

static void add_column(const struct lineage *lineage, const struct lineage_node *node, struct table *table,
                       const struct made_column *column)
{
	OWNED_BUFFER struct buffer made = {0}, filters = {0};

	buffer_init(&made, 1 << 20);
	buffer_init(&filters, 1 << 20);
	lineage_sources(lineage, node->catalog, column, USE_VALUE, &made);
	lineage_sources(lineage, node->catalog, column, USE_CONDITION, &filters);
	table_cell(table, node->name);
	table_cell(table, column->name ? column->name : "(all rows)");
	table_cell(table, column->name ? buffer_string(&made) : "");
	table_cell(table, buffer_string(&filters));
}

static int append_columns(const struct lineage *lineage, struct buffer *out, struct error *err)
{
	static const char *const headers[] = {"table", "column", "made of", "filters by"};
	OWNED_TABLE struct table *table = table_new(COUNT_OF(headers), headers);
	struct table_style style = table_style_of(stdout);
	int count;
	const struct lineage_node *nodes = lineage_nodes(lineage, &count);

	for (int i = 0; i < count; i++) {
		const struct made_columns *made = nodes[i].made;

		for (int k = 0; made && k < made->count; k++)
			add_column(lineage, &nodes[i], table, &made->columns[k]);
		if (made && made->open) {
			table_cell(table, nodes[i].name);
			table_cell(table, "*");
			table_cellf(table, "? %s", made->open);
			table_cell(table, "");
		}
		if (made && (made->rows.sources.count || made->rows.unknown))
			add_column(lineage, &nodes[i], table, &made->rows);
	}
	buffer_text(out, "\n");
	return table_row_count(table) ? table_render(table, &style, out, err) : 0;
}

static void append_leak(const struct lineage *lineage, const struct lineage_node *node, const struct lineage_leak *leak,
                        struct buffer *out)
{
	OWNED_BUFFER struct buffer line = {0};

	buffer_init(&line, 65536);
	buffer_printf(&line, "  %s: ", leak->feature);
	lineage_source(lineage, node->catalog, &leak->shared, &line);
	display_text(out, buffer_string(&line));
	buffer_text(out, "\n");
}

static void append_leaks(const struct lineage *lineage, struct buffer *out)
{
	int count;
	const struct lineage_node *nodes = lineage_nodes(lineage, &count);

	for (int i = 0; i < count; i++) {
		if (nodes[i].leak_count)
			buffer_printf(
			        out,
			        "\n%s: its label %s is made of the same columns as these features, so that it may "
			        "learn a rule:\n",
			        nodes[i].name, nodes[i].pipeline->model.label);
		for (int k = 0; k < nodes[i].leak_count; k++)
			append_leak(lineage, &nodes[i], &nodes[i].leaks[k], out);
	}
}

int lineage_text(const struct lineage *lineage, bool columns, bool unicode, struct buffer *out, struct error *err)
{
	struct drawing d = {.lineage = lineage, .unicode = unicode, .out = out};

	d.nodes = lineage_nodes(lineage, &d.node_count);
	d.edges = lineage_edges(lineage, &d.edge_count);
	d.drawn = calloc((size_t)d.node_count + 1, sizeof *d.drawn);
	if (!d.drawn)
		return error_no_memory(err);
	buffer_init(&d.indent, 1 << 20);
	draw_all(&d);
	buffer_release(&d.indent);
	free(d.drawn);
	if (columns && append_columns(lineage, out, err))
		return -1;
	if (columns)
		append_leaks(lineage, out);
	return 0;
}
