#include "cli/lineage_layout.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"

#define SWEEPS 12
#define PASS_HEIGHT 12.0 /* of a line that passes a column */

/* A box, or the place where a line passes. */
struct item {
	int column, box; /* box -1: a line's place */
	double height;
	double order; /* among those of its column */
	double middle; /* y */
};

struct link { /* between neighbouring columns */
	int left, right;
};

struct work {
	struct layout *layout;
	struct item *items;
	int item_count;
	struct link *links;
	int link_count;
	int *sorted; /* the items of a column in order; room for all */
	double *wanted, *space; /* room for all */
	int *weights;
};

static void release_work(struct work *w)
{
	free(w->items);
	free(w->links);
	free(w->sorted);
	free(w->wanted);
	free(w->space);
	free(w->weights);
}

void lineage_layout_release(struct layout *layout)
{
	free(layout->column_x);
	free(layout->stops);
	layout->column_x = NULL;
	layout->stops = NULL;
}

/* ---- columns, and the places where lines pass them */

/* Columns without boxes go away. */
static int close_gaps(struct layout *layout)
{
	int last = 0, next = 0;

	for (int i = 0; i < layout->box_count; i++)
		last = layout->boxes[i].column > last ? layout->boxes[i].column : last;
	for (int column = 0; column <= last; column++) {
		bool any = false;

		for (int i = 0; i < layout->box_count; i++)
			if (layout->boxes[i].column == column) {
				layout->boxes[i].column = next;
				any = true;
			}
		next += any;
	}
	return next;
}

static int span(const struct layout *layout, const struct layout_line *line)
{
	int columns = layout->boxes[line->to].column - layout->boxes[line->from].column;

	return columns > 1 ? columns : 1;
}

static int allocate(struct work *w, struct error *err)
{
	struct layout *layout = w->layout;
	size_t places = 0, items;

	for (int i = 0; i < layout->line_count; i++)
		places += (size_t)span(layout, &layout->lines[i]) - 1;
	items = (size_t)layout->box_count + places + 1;
	w->items = calloc(items, sizeof *w->items);
	w->links = calloc((size_t)layout->line_count + places + 1, sizeof *w->links);
	w->sorted = calloc(items, sizeof *w->sorted);
	w->wanted = calloc(items, sizeof *w->wanted);
	w->space = calloc(items, sizeof *w->space);
	w->weights = calloc(items, sizeof *w->weights);
	layout->stops = calloc((size_t)2 * (size_t)layout->line_count + places + 1, sizeof *layout->stops);
	layout->column_x = calloc((size_t)layout->column_count + 1, sizeof *layout->column_x);
	return w->items && w->links && w->sorted && w->wanted && w->space && w->weights && layout->stops &&
	                       layout->column_x
	               ? 0
	               : error_no_memory(err);
}

static void add_line(struct work *w, struct layout_line *line)
{
	struct layout *layout = w->layout;
	int columns = span(layout, line), left = line->from;

	line->first = layout->stop_count;
	line->count = columns + 1;
	layout->stop_count += line->count;
	for (int i = 1; i < columns; i++) {
		int place = w->item_count++;

		w->items[place] = (struct item){.column = layout->boxes[line->from].column + i,
		                                .box = -1,
		                                .height = PASS_HEIGHT,
		                                .order = place};
		w->links[w->link_count++] = (struct link){left, place};
		left = place;
	}
	if (layout->boxes[line->to].column > layout->boxes[line->from].column)
		w->links[w->link_count++] = (struct link){left, line->to};
}

static void make_items(struct work *w)
{
	struct layout *layout = w->layout;

	for (int i = 0; i < layout->box_count; i++)
		w->items[i] = (struct item){
		        .column = layout->boxes[i].column, .box = i, .height = layout->boxes[i].height, .order = i};
	w->item_count = layout->box_count;
	for (int i = 0; i < layout->line_count; i++)
		add_line(w, &layout->lines[i]);
}

/* ---- the order within columns */

/* The items of a column, by their order. Few: sorted by insertion, so that equal ones stay as they are. */
static int sort_column(struct work *w, int column)
{
	int count = 0;

	for (int i = 0; i < w->item_count; i++) {
		int at = count;

		if (w->items[i].column != column)
			continue;
		for (; at && w->items[w->sorted[at - 1]].order > w->items[i].order; at--)
			w->sorted[at] = w->sorted[at - 1];
		w->sorted[at] = i;
		count++;
	}
	return count;
}

static void order_column(struct work *w, int column, bool by_left)
{
	int count;

	for (int i = 0; i < w->item_count; i++) {
		double sum = 0;
		int neighbours = 0;

		if (w->items[i].column != column)
			continue;
		for (int k = 0; k < w->link_count; k++)
			if ((by_left ? w->links[k].right : w->links[k].left) == i) {
				sum += w->items[by_left ? w->links[k].left : w->links[k].right].order;
				neighbours++;
			}
		if (neighbours)
			w->items[i].order = sum / neighbours;
	}
	count = sort_column(w, column);
	for (int i = 0; i < count; i++)
		w->items[w->sorted[i]].order = i;
}

/* Two links cross where their ends stand in another order on each side. */
static int64_t count_crossings(const struct work *w)
{
	int64_t crossings = 0;

	for (int i = 0; i < w->link_count; i++)
		for (int k = 0; k < i; k++) {
			const struct link *a = &w->links[i], *b = &w->links[k];
			double left = w->items[a->left].order - w->items[b->left].order;
			double right = w->items[a->right].order - w->items[b->right].order;

			crossings += w->items[a->left].column == w->items[b->left].column && left * right < 0;
		}
	return crossings;
}

static void take_orders(struct work *w, double *orders, bool back)
{
	for (int i = 0; i < w->item_count; i++) {
		if (back)
			w->items[i].order = orders[i];
		else
			orders[i] = w->items[i].order;
	}
}

static void order_items(struct work *w)
{
	int columns = w->layout->column_count;
	int64_t best;

	for (int column = 0; column < columns; column++) {
		int count = sort_column(w, column);

		for (int i = 0; i < count; i++)
			w->items[w->sorted[i]].order = i;
	}
	best = count_crossings(w);
	take_orders(w, w->wanted, false);
	for (int sweep = 0; sweep < SWEEPS && best; sweep++) {
		int64_t crossings;

		for (int i = 1; i < columns; i++)
			order_column(w, sweep % 2 ? columns - 1 - i : i, sweep % 2 == 0);
		crossings = count_crossings(w);
		if (crossings < best)
			take_orders(w, w->wanted, false);
		best = crossings < best ? crossings : best;
	}
	take_orders(w, w->wanted, true);
}

/* ---- heights */

/* Where its neighbours would have it. */
static double wanted_middle(const struct work *w, int item, bool left, bool right)
{
	double sum = 0;
	int count = 0;

	for (int i = 0; i < w->link_count; i++) {
		if (left && w->links[i].right == item) {
			sum += w->items[w->links[i].left].middle;
			count++;
		}
		if (right && w->links[i].left == item) {
			sum += w->items[w->links[i].right].middle;
			count++;
		}
	}
	return count ? sum / count : w->items[item].middle;
}

/*
 * Each as near to where it is wanted as the order and the distances allow: less what must stand above it, that is a
 * rising sequence nearest to a given one. Those that would fall become one block at their mean.
 */
static void place_column(struct work *w, int column, bool left, bool right)
{
	int count = sort_column(w, column), blocks = 0, item = 0;
	double above = 0;

	for (int i = 0; i < count; i++) {
		const struct item *it = &w->items[w->sorted[i]];

		above += i ? it->height / 2 : 0;
		w->space[i] = above;
		w->wanted[blocks] = wanted_middle(w, w->sorted[i], left, right) - above;
		w->weights[blocks++] = 1;
		above += it->height / 2 + w->layout->row_gap;
		while (blocks > 1 && w->wanted[blocks - 2] > w->wanted[blocks - 1]) {
			int weight = w->weights[blocks - 2] + w->weights[blocks - 1];

			w->wanted[blocks - 2] = (w->wanted[blocks - 2] * w->weights[blocks - 2] +
			                         w->wanted[blocks - 1] * w->weights[blocks - 1]) /
			                        weight;
			w->weights[blocks - 2] = weight;
			blocks--;
		}
	}
	for (int block = 0; block < blocks; block++)
		for (int i = 0; i < w->weights[block]; i++, item++)
			w->items[w->sorted[item]].middle = w->wanted[block] + w->space[item];
}

static void place_items(struct work *w)
{
	int columns = w->layout->column_count;
	double top = 0, bottom = 0;

	for (int column = 0; column < columns; column++)
		place_column(w, column, false, false);
	for (int sweep = 0; sweep < SWEEPS; sweep++)
		for (int i = 0; i < columns; i++)
			place_column(w, sweep % 2 ? columns - 1 - i : i, sweep % 2 == 0 || sweep > SWEEPS / 2,
			             sweep % 2 == 1 || sweep > SWEEPS / 2);
	for (int i = 0; i < w->item_count; i++) {
		double middle = w->items[i].middle, half = w->items[i].height / 2;

		top = !i || middle - half < top ? middle - half : top;
		bottom = !i || middle + half > bottom ? middle + half : bottom;
	}
	for (int i = 0; i < w->item_count; i++)
		w->items[i].middle -= top;
	w->layout->height = bottom - top;
}

/* ---- all of it */

static double column_width(const struct layout *layout, int column)
{
	double width = 0;

	for (int i = 0; i < layout->box_count; i++)
		if (layout->boxes[i].column == column && layout->boxes[i].width > width)
			width = layout->boxes[i].width;
	return width;
}

/* Boxes of a column are as wide as its widest. */
static void place_columns(struct layout *layout)
{
	double x = 0;

	for (int column = 0; column < layout->column_count; column++) {
		double width = column_width(layout, column);

		layout->column_x[column] = x;
		for (int i = 0; i < layout->box_count; i++)
			if (layout->boxes[i].column == column) {
				layout->boxes[i].x = x;
				layout->boxes[i].width = width;
			}
		layout->width = x + width;
		x += width + layout->column_gap;
	}
}

static void make_stops(struct work *w)
{
	struct layout *layout = w->layout;
	int place = layout->box_count;

	for (int i = 0; i < layout->box_count; i++)
		layout->boxes[i].y = w->items[i].middle - layout->boxes[i].height / 2;
	for (int i = 0; i < layout->line_count; i++) {
		const struct layout_line *line = &layout->lines[i];
		const struct layout_box *from = &layout->boxes[line->from], *to = &layout->boxes[line->to];
		struct layout_stop *stops = &layout->stops[line->first];

		stops[0] = (struct layout_stop){from->x, from->x + from->width, w->items[line->from].middle};
		for (int k = 1; k < line->count - 1; k++, place++) {
			double x = layout->column_x[w->items[place].column];

			stops[k] = (struct layout_stop){x, x + column_width(layout, w->items[place].column),
			                                w->items[place].middle};
		}
		stops[line->count - 1] = (struct layout_stop){to->x, to->x + to->width, w->items[line->to].middle};
	}
}

int lineage_layout_make(struct layout *layout, struct error *err)
{
	OWNED_BY(release_work) struct work w = {.layout = layout};

	layout->column_count = close_gaps(layout);
	if (allocate(&w, err)) {
		lineage_layout_release(layout);
		return -1;
	}
	make_items(&w);
	order_items(&w);
	place_columns(layout);
	place_items(&w);
	make_stops(&w);
	return 0;
}
