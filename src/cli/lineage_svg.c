/*
 * lineage_svg.c - a lineage as a picture.
 *
 * Everything is in it: no script, no font, no address. Text is of whoever wrote the manifest, and is escaped.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/display.h"
#include "cli/lineage.h"
#include "cli/lineage_layout.h"

#define NAME_WIDTH 7.9 /* of a character of 13 px, monospaced */
#define WORDS_WIDTH 6.3 /* of one of 11 px, about */
#define NAME_MAX 40 /* characters; the tooltip has all of them */
#define WORDS_MAX 50
#define PADDING 14.0
#define LINE_HEIGHT 17.0
#define COLUMN_GAP 84.0
#define ROW_GAP 22.0
#define MARGIN 28.0
#define HEADER 44.0 /* above the boxes: what the columns are */
#define BAND 16.0 /* a band is so much wider than its boxes */
#define PORT_GAP 9.0 /* between lines at one side of a box */
#define LANE 14.0 /* below all boxes, of a line that goes back to the left */
#define SWING 0.5 /* of the way: how far a line goes on before it turns */

#define MONO "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
#define SANS "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"

static const char style[] =
        "text{font-family:" SANS ";fill:#1f2328}\n"
        ".name{font-family:" MONO ";font-size:13px;font-weight:600}\n"
        ".words{font-size:11px;fill:#57606a}\n"
        ".head{font-size:12px;font-weight:600;fill:#57606a;letter-spacing:0.6px}\n"
        ".ground{fill:#ffffff}\n.band{fill:#f6f8fa}\n"
        ".line{fill:none;stroke:#8c959f;stroke-width:1.5}\n.tip{fill:#8c959f}\n"
        ".box{stroke-width:1.4}\n"
        ".source{fill:#ffffff;stroke:#6e7781}\n.bronze{fill:#fbeee3;stroke:#b0703a}\n"
        ".silver{fill:#eef1f5;stroke:#7d8a98}\n.gold{fill:#fdf3cf;stroke:#b58900}\n"
        ".trained{fill:#f1ebfd;stroke:#7a52c7}\n.scores{fill:#e3f6ea;stroke:#2d8a57}\n"
        "@media (prefers-color-scheme:dark){\n"
        "text{fill:#e6edf3}\n.words,.head{fill:#9da7b3}\n.ground{fill:#0d1117}\n.band{fill:#151b23}\n"
        ".line{stroke:#6e7681}\n.tip{fill:#6e7681}\n"
        ".source{fill:#0d1117;stroke:#8b949e}\n.bronze{fill:#2d1d10;stroke:#c98a54}\n"
        ".silver{fill:#1c232c;stroke:#93a1b0}\n.gold{fill:#2b2407;stroke:#d4a72c}\n"
        ".trained{fill:#211a33;stroke:#a78bea}\n.scores{fill:#0f2a1b;stroke:#4cb782}\n}\n";

struct box_text {
	char *name, *words, *rows; /* owned; rows NULL: none */
};

struct picture {
	const struct lineage *lineage;
	const struct lineage_node *nodes;
	const struct lineage_edge *edges;
	int node_count, edge_count;
	bool columns;
	struct box_text *texts; /* one a node; owned */
	int *subcolumns; /* one a node: within its place; owned */
	struct layout layout; /* its boxes and lines are owned */
	struct buffer *out;
};

static void release_picture(struct picture *p)
{
	for (int i = 0; p->texts && i < p->node_count; i++) {
		free(p->texts[i].name);
		free(p->texts[i].words);
		free(p->texts[i].rows);
	}
	free(p->texts);
	free(p->subcolumns);
	free(p->layout.boxes);
	free(p->layout.lines);
	lineage_layout_release(&p->layout);
}

/* ---- text in XML */

/* Bytes of the UTF-8 character; 0: it is none, or none that XML may have. */
static int character_size(const unsigned char *text, size_t left)
{
	int size = text[0] < 0x80                      ? 1
	           : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
	           : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
	                                               : 4;
	uint32_t code = text[0] & (size == 1 ? 0x7f : 0xff >> (size + 1));
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if ((text[0] >= 0x80 && text[0] < 0xc2) || text[0] > 0xf4 || (size_t)size > left)
		return 0;
	for (int i = 1; i < size; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || (code & 0xfffe) == 0xfffe)
		return 0;
	return code >= 0x20 || code == '\n' || code == '\t' ? size : 0;
}

static void append_xml(struct buffer *out, const char *text)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size;) {
		int length = character_size((const unsigned char *)text + i, size - i);

		if (!length)
			buffer_text(out, "\xef\xbf\xbd");
		else if (text[i] == '<')
			buffer_text(out, "&lt;");
		else if (text[i] == '>')
			buffer_text(out, "&gt;");
		else if (text[i] == '&')
			buffer_text(out, "&amp;");
		else if (text[i] == '"')
			buffer_text(out, "&quot;");
		else
			buffer_append(out, text + i, (size_t)length);
		i += length ? (size_t)length : 1;
	}
}

static void append_text(struct picture *p, const char *class, double x, double y, const char *text)
{
	buffer_printf(p->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
	append_xml(p->out, text);
	buffer_text(p->out, "</text>\n");
}

/* ---- boxes */

/* As a terminal would show it, so that nothing in it breaks a line. */
static char *cut_text(const char *text, int width)
{
	OWNED_BUFFER struct buffer shown = {0};

	buffer_init(&shown, 65536);
	display_text(&shown, text);
	display_cut(&shown, width, true);
	return buffer_ok(&shown) ? strdup(buffer_string(&shown)) : NULL;
}

static int make_text(struct picture *p, int index, struct error *err)
{
	const struct lineage_node *node = &p->nodes[index];
	OWNED_BUFFER struct buffer words = {0}, rows = {0};
	struct box_text *text = &p->texts[index];
	struct layout_box *box = &p->layout.boxes[index];
	double widths[3];

	buffer_init(&words, 65536);
	buffer_init(&rows, 4096);
	lineage_words(node, " \xc2\xb7 ", &words);
	lineage_rows(node, &rows);
	text->name = cut_text(node->name, NAME_MAX);
	text->words = cut_text(buffer_string(&words), WORDS_MAX);
	text->rows = rows.size ? strdup(buffer_string(&rows)) : NULL;
	if (!text->name || !text->words || (rows.size && !text->rows))
		return error_no_memory(err);
	widths[0] = NAME_WIDTH * display_width(text->name);
	widths[1] = WORDS_WIDTH * display_width(text->words);
	widths[2] = text->rows ? WORDS_WIDTH * display_width(text->rows) : 0;
	for (int i = 0; i < 3; i++)
		box->width = widths[i] > box->width ? widths[i] : box->width;
	box->width += 2 * PADDING;
	box->height = LINE_HEIGHT * (text->rows ? 3 : 2) + PADDING;
	return 0;
}

/* What a place's nodes read of each other decides in which of its columns they are. */
static void make_subcolumns(struct picture *p)
{
	bool changed = true;

	for (int round = 0; changed && round < p->node_count; round++) {
		changed = false;
		for (int i = 0; i < p->edge_count; i++) {
			int from = p->edges[i].from, to = p->edges[i].to;

			if (p->nodes[from].place != p->nodes[to].place || p->subcolumns[to] > p->subcolumns[from])
				continue;
			p->subcolumns[to] = p->subcolumns[from] + 1;
			changed = true;
		}
	}
	for (int i = 0; i < p->node_count; i++)
		p->layout.boxes[i].column = (int)p->nodes[i].place * (p->node_count + 1) + p->subcolumns[i];
}

/* NAME: what it is made of, if what it filters by */
static void append_tooltip_column(struct picture *p, const struct lineage_node *node, const struct made_column *column)
{
	OWNED_BUFFER struct buffer values = {0}, conditions = {0};

	buffer_init(&values, 1 << 20);
	buffer_init(&conditions, 1 << 20);
	lineage_sources(p->lineage, node->catalog, column, USE_VALUE, &values);
	lineage_sources(p->lineage, node->catalog, column, USE_CONDITION, &conditions);
	append_xml(p->out, "\n");
	append_xml(p->out, column->name);
	append_xml(p->out, values.size || conditions.size ? ": " : "");
	append_xml(p->out, buffer_string(&values));
	append_xml(p->out, values.size && conditions.size ? " if " : conditions.size ? "if " : "");
	append_xml(p->out, buffer_string(&conditions));
}

static void append_tooltip_columns(struct picture *p, const struct lineage_node *node)
{
	for (int i = 0; i < node->made->count; i++)
		append_tooltip_column(p, node, &node->made->columns[i]);
	append_xml(p->out, node->made->open ? "\n? " : "");
	append_xml(p->out, node->made->open ? node->made->open : "");
}

static void append_tooltip(struct picture *p, const struct lineage_node *node)
{
	OWNED_BUFFER struct buffer words = {0};

	buffer_init(&words, 65536);
	lineage_words(node, ", ", &words);
	buffer_text(p->out, "<title>");
	append_xml(p->out, node->name);
	append_xml(p->out, ": ");
	append_xml(p->out, buffer_string(&words));
	if (node->model && *node->why && node->model->options.materialized == MATERIALIZED_INCREMENTAL) {
		append_xml(p->out, "\nmade anew: ");
		append_xml(p->out, node->why);
	}
	if (node->model && node->model->options.description) {
		append_xml(p->out, "\n");
		append_xml(p->out, node->model->options.description);
	}
	if (p->columns && node->made)
		append_tooltip_columns(p, node);
	buffer_text(p->out, "</title>\n");
}

static void append_box(struct picture *p, int index)
{
	const struct layout_box *box = &p->layout.boxes[index];
	const struct box_text *text = &p->texts[index];
	double x = MARGIN + box->x + PADDING, y = MARGIN + HEADER + box->y + PADDING / 2;

	buffer_text(p->out, "<g>\n");
	append_tooltip(p, &p->nodes[index]);
	buffer_printf(p->out,
	              "<rect class=\"box %s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"8\"/>\n",
	              lineage_place_name(p->nodes[index].place), MARGIN + box->x, MARGIN + HEADER + box->y, box->width,
	              box->height);
	append_text(p, "name", x, y + LINE_HEIGHT - 4, text->name);
	append_text(p, "words", x, y + 2 * LINE_HEIGHT - 4, text->words);
	if (text->rows)
		append_text(p, "words", x, y + 3 * LINE_HEIGHT - 5, text->rows);
	buffer_text(p->out, "</g>\n");
}

/* ---- lines */

/* Lines at one side of a box, from above: in the order of where they come from, or go to. */
static double port(const struct picture *p, int index, bool at_end)
{
	const struct layout *layout = &p->layout;
	const struct layout_line *line = &layout->lines[index];
	int box = at_end ? line->to : line->from, before = 0, count = 0;
	double gap, other = layout->stops[line->first + (at_end ? line->count - 2 : 1)].y;

	for (int i = 0; i < layout->line_count; i++) {
		const struct layout_line *next = &layout->lines[i];
		double y = layout->stops[next->first + (at_end ? next->count - 2 : 1)].y;

		if ((at_end ? next->to : next->from) != box)
			continue;
		count++;
		before += y < other || (y == other && i < index);
	}
	gap = (layout->boxes[box].height - 2 * PADDING) / count;
	return (before - (count - 1) / 2.0) * (gap < PORT_GAP ? gap : PORT_GAP);
}

static bool goes_back(const struct picture *p, const struct layout_line *line)
{
	return p->layout.boxes[line->to].column <= p->layout.boxes[line->from].column;
}

static int count_back(const struct picture *p, int before)
{
	int count = 0;

	for (int i = 0; i < before; i++)
		count += goes_back(p, &p->layout.lines[i]);
	return count;
}

/* Around below, for a line straight back would pass behind what is between. */
static void append_line_back(struct picture *p, int index)
{
	const struct layout_line *line = &p->layout.lines[index];
	const struct layout_stop *from = &p->layout.stops[line->first], *to = from + line->count - 1;
	double x = MARGIN + from->right, y = MARGIN + HEADER + from->y + port(p, index, false);
	double to_x = MARGIN + to->left, to_y = MARGIN + HEADER + to->y + port(p, index, true);
	double lane = MARGIN + HEADER + p->layout.height + (count_back(p, index) + 1) * LANE, turn = BAND - 2;

	buffer_printf(
	        p->out,
	        "<path class=\"line\" marker-end=\"url(#tarn-tip)\" d=\"M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f "
	        "H%.1f C%.1f %.1f %.1f %.1f %.1f %.1f\"/>\n",
	        x, y, x + 2 * turn, y, x + 2 * turn, lane, x, lane, to_x, to_x - 2 * turn, lane, to_x - 2 * turn, to_y,
	        to_x - 2, to_y);
}

static void append_line(struct picture *p, int index)
{
	const struct layout_line *line = &p->layout.lines[index];
	const struct layout_stop *stops = &p->layout.stops[line->first];
	double x = MARGIN + stops[0].right, y = MARGIN + HEADER + stops[0].y + port(p, index, false);

	buffer_printf(p->out, "<path class=\"line\" marker-end=\"url(#tarn-tip)\" d=\"M%.1f %.1f", x, y);
	for (int i = 1; i < line->count; i++) {
		bool end = i == line->count - 1;
		double to_x = MARGIN + stops[i].left - (end ? 2 : 0), to_y = MARGIN + HEADER + stops[i].y, swing;

		to_y += end ? port(p, index, true) : 0;
		swing = (to_x - x) * SWING;
		buffer_printf(p->out, " C%.1f %.1f %.1f %.1f %.1f %.1f", x + swing, y, to_x - swing, to_y, to_x, to_y);
		if (!end)
			buffer_printf(p->out, " H%.1f", MARGIN + stops[i].right);
		x = MARGIN + stops[i].right;
		y = to_y;
	}
	buffer_text(p->out, "\"/>\n");
}

/* ---- what the columns are */

static void append_bands(struct picture *p, double height)
{
	static const char *const heads[PLACE_COUNT] = {
	        [PLACE_SOURCE] = "SOURCES", [PLACE_BRONZE] = "BRONZE", [PLACE_SILVER] = "SILVER",
	        [PLACE_GOLD] = "GOLD",      [PLACE_TRAINED] = "MODEL", [PLACE_SCORES] = "SCORES"};

	for (int place = 0; place < PLACE_COUNT; place++) {
		double left = -1, right = 0;

		for (int i = 0; i < p->node_count; i++) {
			const struct layout_box *box = &p->layout.boxes[i];

			if ((int)p->nodes[i].place != place)
				continue;
			left = left < 0 || box->x < left ? box->x : left;
			right = box->x + box->width > right ? box->x + box->width : right;
		}
		if (left < 0)
			continue;
		buffer_printf(p->out,
		              "<rect class=\"band\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"10\"/>\n",
		              MARGIN + left - BAND, MARGIN - 8, right - left + 2 * BAND, height - 2 * MARGIN + 16);
		append_text(p, "head", MARGIN + left, MARGIN + 16, heads[place]);
	}
}

static void append_picture(struct picture *p)
{
	double width = p->layout.width + 2 * MARGIN, height = p->layout.height + 2 * MARGIN + HEADER;

	height += count_back(p, p->layout.line_count) * LANE;
	buffer_printf(
	        p->out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
	        "role=\"img\">\n<title>The tables of a lake, and what they are made of</title>\n<style>\n%s</style>\n",
	        width, height, width, height, style);
	buffer_text(p->out,
	            "<defs><marker id=\"tarn-tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"6\" "
	            "markerHeight=\"6\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8Z\"/></marker></defs>\n"
	            "<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n");
	append_bands(p, height);
	for (int i = 0; i < p->layout.line_count; i++) {
		if (goes_back(p, &p->layout.lines[i]))
			append_line_back(p, i);
		else
			append_line(p, i);
	}
	for (int i = 0; i < p->node_count; i++)
		append_box(p, i);
	buffer_text(p->out, "</svg>\n");
}

/* ---- all of it */

/* Of two edges between the same two, as where a model both trains on rows and scores them, one is drawn. */
static void make_lines(struct picture *p)
{
	for (int i = 0; i < p->edge_count; i++) {
		bool drawn = p->edges[i].from == p->edges[i].to;

		for (int k = 0; k < i; k++)
			drawn |= p->edges[k].from == p->edges[i].from && p->edges[k].to == p->edges[i].to;
		if (!drawn)
			p->layout.lines[p->layout.line_count++] =
			        (struct layout_line){.from = p->edges[i].from, .to = p->edges[i].to};
	}
}

int lineage_svg(const struct lineage *lineage, bool columns, struct buffer *out, struct error *err)
{
	OWNED_BY(release_picture) struct picture p = {.lineage = lineage, .columns = columns, .out = out};

	p.nodes = lineage_nodes(lineage, &p.node_count);
	p.edges = lineage_edges(lineage, &p.edge_count);
	p.texts = calloc((size_t)p.node_count + 1, sizeof *p.texts);
	p.subcolumns = calloc((size_t)p.node_count + 1, sizeof *p.subcolumns);
	p.layout.boxes = calloc((size_t)p.node_count + 1, sizeof *p.layout.boxes);
	p.layout.lines = calloc((size_t)p.edge_count + 1, sizeof *p.layout.lines);
	if (!p.texts || !p.subcolumns || !p.layout.boxes || !p.layout.lines)
		return error_no_memory(err);
	p.layout.box_count = p.node_count;
	p.layout.column_gap = COLUMN_GAP;
	p.layout.row_gap = ROW_GAP;
	for (int i = 0; i < p.node_count; i++)
		if (make_text(&p, i, err))
			return -1;
	make_subcolumns(&p);
	make_lines(&p);
	if (lineage_layout_make(&p.layout, err))
		return -1;
	append_picture(&p);
	return 0;
}
