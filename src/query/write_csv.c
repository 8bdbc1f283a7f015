#include <string.h>

#include "query/write_private.h"

static bool is_quoted(const char *text, size_t size)
{
	if (!size)
		return true;
	for (const char *c = text; c < text + size; c++)
		if (*c == '"' || *c == ',' || *c == '\n' || *c == '\r')
			return true;
	return false;
}

void write_csv_field(struct buffer *out, const struct query_cell *cell)
{
	const char *text = cell->text, *end = text + cell->size;

	if (!text)
		return;
	if (!is_quoted(text, cell->size)) {
		buffer_append(out, text, cell->size);
		return;
	}
	buffer_char(out, '"');
	while (text < end) {
		const char *quote = memchr(text, '"', (size_t)(end - text));
		size_t size = (size_t)((quote ? quote + 1 : end) - text);

		buffer_append(out, text, size);
		if (quote)
			buffer_char(out, '"');
		text += size;
	}
	buffer_char(out, '"');
}

static void write_header(struct write *w)
{
	for (int i = 0; i < query_column_count(w->query); i++) {
		const char *name = query_columns(w->query)[i].name;

		if (i)
			buffer_char(&w->out, ',');
		write_csv_field(&w->out, &(struct query_cell){name, strlen(name)});
	}
	if (query_column_count(w->query))
		buffer_char(&w->out, '\n');
}

static void write_row(struct write *w, const struct query_cell *cells, int count)
{
	const struct query_column *columns = query_columns(w->query);

	for (int i = 0; i < count; i++) {
		if (i)
			buffer_char(&w->out, ',');
		/* A number has nothing to quote. */
		if (columns[i].type != QUERY_NUMBER)
			write_csv_field(&w->out, &cells[i]);
		else if (cells[i].text)
			buffer_append(&w->out, cells[i].text, cells[i].size);
	}
	/* One empty line would be no row at all. */
	if (count == 1 && !cells[0].text)
		buffer_text(&w->out, "\"\"");
	buffer_char(&w->out, '\n');
}

int write_csv(struct write *w, struct error *err)
{
	const struct query_cell *cells;
	int got, count;

	if (query_start(w->query, false, err))
		return -1;
	write_header(w);
	count = query_column_count(w->query);
	while ((got = write_next(w, &cells, err)) == 1) {
		if (write_count(w, 1, err))
			return -1;
		write_row(w, cells, count);
		if (write_drain(w, false, err))
			return -1;
	}
	return got < 0 ? -1 : write_drain(w, true, err);
}
