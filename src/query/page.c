#include "query/page.h"

#include <inttypes.h>
#include <string.h>

#include "base/owned.h"
#include "spec/sql_text.h"

#define LAST_BYTES_MAX ((size_t)6000) /* a cursor stands in a URL */

/* Behind the place, by key `at` and those after it. */
static void append_behind(struct buffer *out, const struct page_key *keys, int key_count, int at)
{
	bool last = at == key_count - 1;

	if (!keys[at].after && last) {
		buffer_text(out, "false");
		return;
	}
	buffer_char(out, '(');
	if (keys[at].after) {
		buffer_sql_name(out, keys[at].name);
		buffer_text(out, " > ");
		buffer_printf(out, "$" PAGE_PARAMETER "%d OR ", at + 1);
	}
	buffer_sql_name(out, keys[at].name);
	buffer_text(out, " IS NULL");
	if (!last && keys[at].after) {
		buffer_text(out, " OR (");
		buffer_sql_name(out, keys[at].name);
		buffer_printf(out, " = $" PAGE_PARAMETER "%d", at + 1);
	}
	if (!last) {
		buffer_text(out, " AND ");
		append_behind(out, keys, key_count, at + 1);
		buffer_text(out, keys[at].after ? ")" : "");
	}
	buffer_char(out, ')');
}

int page_sql(const char *sql, const struct page_key *keys, int key_count, bool begins, int64_t rows, struct buffer *out,
             struct error *err)
{
	buffer_text(out, "SELECT * FROM (\n");
	buffer_append(out, sql, sql_statement_size(sql));
	buffer_text(out, "\n) AS tarn_page");
	if (!begins) {
		buffer_text(out, " WHERE ");
		append_behind(out, keys, key_count, 0);
	}
	for (int i = 0; i < key_count; i++) {
		buffer_text(out, i ? ", " : " ORDER BY ");
		buffer_sql_name(out, keys[i].name);
		buffer_text(out, " ASC NULLS LAST");
	}
	buffer_printf(out, " LIMIT %" PRId64, key_count ? rows + 1 : rows);
	return buffer_ok(out) ? 0 : error_no_memory(err);
}

/* ---- rows */

void page_begin(struct page *page, const struct page_key *keys, int key_count, int64_t rows)
{
	*page = (struct page){.keys = keys, .key_count = key_count, .rows = rows};
	buffer_init(&page->last, LAST_BYTES_MAX);
}

void page_release(struct page *page)
{
	buffer_release(&page->last);
}

/* Of -0.0 the text of 0.0: DuckDB takes them for one value, where it compares and where it orders. */
static struct query_cell one_zero(const struct query_cell *cell)
{
	if (cell->size < 2 || *cell->text != '-')
		return *cell;
	for (size_t i = 1; i < cell->size; i++)
		if (cell->text[i] != '0' && cell->text[i] != '.')
			return *cell;
	return (struct query_cell){cell->text + 1, cell->size - 1};
}

static void append_key(const struct page *page, const struct query_cell *cells, struct buffer *out)
{
	buffer_char(out, '[');
	for (int i = 0; i < page->key_count; i++) {
		const struct page_key *key = &page->keys[i];
		struct query_cell cell = key->is_number ? one_zero(&cells[key->column]) : cells[key->column];

		buffer_text(out, i ? "," : "");
		if (cell.text)
			buffer_json_text(out, cell.text, cell.size);
		else
			buffer_text(out, "null");
	}
	buffer_char(out, ']');
}

int page_row(struct page *page, const struct query_cell *cells, struct error *err)
{
	OWNED_BUFFER struct buffer key = {0};

	page->seen++;
	if (page->seen < page->rows)
		return 1;
	buffer_init(&key, LAST_BYTES_MAX);
	append_key(page, cells, page->seen == page->rows ? &page->last : &key);
	if (!buffer_ok(&key) || !buffer_ok(&page->last))
		return error_set(err, ERROR_INVALID, 0, "a row's key has more than %zu bytes, too many for a cursor",
		                 LAST_BYTES_MAX);
	if (page->seen == page->rows)
		return 1;
	if (!strcmp(buffer_string(&page->last), buffer_string(&key)))
		return error_set(err, ERROR_INVALID, 0,
		                 "two rows have one key, so that pages cannot tell them apart; spec.page.key must name "
		                 "a row");
	page->more = true;
	return 0;
}

const char *page_next(const struct page *page)
{
	return page->more ? buffer_string(&page->last) : NULL;
}
