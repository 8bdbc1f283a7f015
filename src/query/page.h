/*
 * page.h - one page of a SELECT's rows: those behind a row, in the order of its key, at most so many.
 *
 * The SELECT becomes a subquery of one that has the order, the place and the LIMIT; what is behind the last row of one
 * page is the next one, however many rows there are before. NULL is the last value of a key's column, as a NaN is the
 * last number. One row more than a page has is asked for: whether it is there says whether there is a next page.
 *
 * Invariants:
 *  1. The place is given by parameters ($tarn_after_1...), as texts that DuckDB takes for what the key's columns are
 *     (QUERY_VALUE_TEXT), and never stands in SQL.
 *  2. Two rows of one key on both sides of a page's end are an error: one of them would never be seen.
 *
 * Life cycle: page_sql, then page_row for each row that the query has, then page_next.
 */
#ifndef TARN_QUERY_PAGE_H
#define TARN_QUERY_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "lake/query.h"

#define PAGE_PARAMETER "tarn_after_" /* and a number from 1 */

struct page_key {
	const char *name; /* as in the SELECT, case aside */
	int column; /* its place among the SELECT's */
	bool is_number; /* the column's type is one */
	const char *after; /* the value's text; NULL: it is null there */
};

/* begins: there is no place yet, it is the first page. A NULL of the place has no parameter. Without keys: the first
 * rows, in the SELECT's own order. */
int page_sql(const char *sql, const struct page_key *keys, int key_count, bool begins, int64_t rows, struct buffer *out,
             struct error *err);

struct page {
	const struct page_key *keys; /* borrowed */
	int key_count;
	int64_t rows; /* of a page */
	int64_t seen;
	bool more; /* there is a row behind the page */
	struct buffer last; /* the key of the last row of the page, as a JSON list */
};

void page_begin(struct page *page, const struct page_key *keys, int key_count, int64_t rows);
void page_release(struct page *page);
/* 1: the row is one of the page; 0: it is behind it; -1: invariant 2, INVALID. */
int page_row(struct page *page, const struct query_cell *cells, struct error *err);
/* The key of the last row, as a JSON list of texts and nulls; NULL: there is no next page. Borrowed. */
const char *page_next(const struct page *page);

#endif
