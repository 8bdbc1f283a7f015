/*
 * lineage_layout.h - where the boxes and lines of a layered picture stand.
 *
 * Columns from left to right; a line that passes a column has a place of its own there, between the boxes (the way of
 * Sugiyama, Tagawa and Toda, 1981): the order within a column follows the neighbours' (barycentres), and the heights
 * are those nearest to the neighbours' that keep order and distance (isotonic regression).
 *
 * Invariants:
 *  1. Boxes of a column do not overlap, nor does a line that passes it overlap them.
 *
 * Life cycle: fill in boxes and lines -> lineage_layout_make -> look -> lineage_layout_release.
 */
#ifndef TARN_CLI_LINEAGE_LAYOUT_H
#define TARN_CLI_LINEAGE_LAYOUT_H

#include "base/error.h"

struct layout_box {
	int column; /* given; in the end without gaps between columns */
	double width, height; /* given */
	double x, y; /* found: its upper left corner */
};

/* A line goes from right to left of these in turn: boxes, and between them places where it passes a column. */
struct layout_line {
	int from, to; /* given: boxes */
	int first, count; /* found: of `stops` */
};

struct layout_stop {
	double left, right, y; /* a line is straight between left and right */
};

struct layout {
	struct layout_box *boxes; /* given; borrowed */
	int box_count;
	struct layout_line *lines; /* given; borrowed */
	int line_count;
	double column_gap, row_gap; /* given */

	double width, height; /* found: of all, from 0,0 */
	double *column_x; /* found, one a column; owned */
	int column_count;
	struct layout_stop *stops; /* found; owned */
	int stop_count;
};

int lineage_layout_make(struct layout *layout, struct error *err);
void lineage_layout_release(struct layout *layout);

#endif
