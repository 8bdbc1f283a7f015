#include "cli/query_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/owned.h"
#include "cli/table.h"
#include "query/write.h"

static int put(struct output_file *output, const void *bytes, size_t size)
{
	errno = 0;
	if (!size || fwrite(bytes, 1, size, output->file) == size)
		return 0;
	output->code = errno ? errno : EIO;
	return -1;
}

static int refuse_parameters(const struct query *query, struct error *err)
{
	return query_parameter_count(query)
	               ? error_set(err, ERROR_INVALID, 0, "the statement has parameters: write their values into it")
	               : 0;
}

/* ---- table */

static struct table *new_table(const struct query *query)
{
	int count = query_column_count(query);
	OWNED_FREE const char **headers = calloc((size_t)count + 1, sizeof *headers);
	struct table *table;

	if (!headers)
		return NULL;
	for (int i = 0; i < count; i++)
		headers[i] = query_columns(query)[i].name;
	table = table_new(count, headers);
	for (int i = 0; i < count; i++)
		if (query_columns(query)[i].type == QUERY_NUMBER)
			table_number(table, i);
	return table;
}

static void add_cell(struct table *table, const struct query_cell *cell)
{
	OWNED_FREE char *text = NULL;

	/* A 0 byte, which DuckDB's text may hold, would end the cell here. */
	if (cell->text && (text = malloc(cell->size + 1))) {
		for (size_t i = 0; i < cell->size; i++)
			text[i] = cell->text[i] ? cell->text[i] : '?';
		text[cell->size] = 0;
	}
	table_cell(table, text);
}

/* EXPLAIN's picture as it is: lines of a box would break it. */
static int write_pictures(struct query *query, struct output_file *output, struct error *err)
{
	const struct query_cell *cells;
	int last = query_column_count(query) - 1, got;

	while ((got = query_next(query, &cells, err)) == 1)
		if (last >= 0 && cells[last].text &&
		    (put(output, cells[last].text, cells[last].size) || put(output, "\n", 1)))
			return -1;
	return got;
}

static int write_footer(struct output_file *output, int64_t rows, bool more)
{
	char count[HUMAN_SIZE], text[256];

	if (more)
		snprintf(text, sizeof text, "the first %s rows; there are more: add LIMIT, or --format csv for all\n",
		         human_count(rows, count));
	else
		snprintf(text, sizeof text, "%s %s\n", human_count(rows, count), rows == 1 ? "row" : "rows");
	return put(output, text, strlen(text));
}

int query_write_table(struct query *query, struct output_file *output, struct error *err)
{
	bool shown_to_person = isatty(fileno(output->file));
	OWNED_TABLE struct table *table = NULL;
	const struct query_cell *cells;
	int64_t rows = 0;
	int got = 0;

	if (refuse_parameters(query, err) || query_start(query, false, err))
		return -1;
	if (query_is_explain(query))
		return write_pictures(query, output, err);
	if (!query_column_count(query))
		return 0;
	table = new_table(query);
	if (!table)
		return error_no_memory(err);
	while ((got = query_next(query, &cells, err)) == 1) {
		if (shown_to_person && rows == QUERY_TABLE_ROWS)
			break;
		for (int i = 0; i < query_column_count(query); i++)
			add_cell(table, &cells[i]);
		rows++;
	}
	if (got < 0)
		return -1;
	errno = 0;
	if (table_print(table, output->file, err))
		return -1;
	if (ferror(output->file)) {
		output->code = errno ? errno : EIO;
		return -1;
	}
	return write_footer(output, rows, got == 1);
}

/* ---- the formats of query/write.h */

static int put_bytes(void *context, const void *bytes, size_t size, struct error *err)
{
	struct output_file *output = context;

	if (!put(output, bytes, size))
		return 0;
	return error_set(err, ERROR_TRANSIENT, output->code, "cannot write: %s", strerror(output->code));
}

static int write_as(struct query *query, struct output_file *output, enum answer_format format, struct error *err)
{
	struct write_sink sink = {.context = output, .put = put_bytes};
	struct write_result result;

	return refuse_parameters(query, err) ||
	                       write_rows(query, &(struct write_options){.format = format}, &sink, &result, err)
	               ? -1
	               : 0;
}

int query_write_csv(struct query *query, struct output_file *output, struct error *err)
{
	return write_as(query, output, ANSWER_CSV, err);
}

int query_write_json(struct query *query, struct output_file *output, struct error *err)
{
	return write_as(query, output, ANSWER_JSON, err);
}

int query_write_arrow(struct query *query, struct output_file *output, struct error *err)
{
	return write_as(query, output, ANSWER_ARROW, err);
}

/* A file that is new and whole at its end is DuckDB's to write. */
int query_write_parquet(struct query *query, struct output_file *output, struct error *err)
{
	int64_t rows;

	if (!output->temporary)
		return write_as(query, output, ANSWER_PARQUET, err);
	return refuse_parameters(query, err) || query_copy_parquet(query, output->temporary, 0, &rows, err) ? -1 : 0;
}
