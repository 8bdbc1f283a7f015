#include "cli/query_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "batch/batch.h"
#include "cli/table.h"
#include "lake/duck.h"

#define BLOCK_BYTES (64 << 10) /* of a write */

static int put(struct output_file *output, const void *bytes, size_t size)
{
	errno = 0;
	if (!size || fwrite(bytes, 1, size, output->file) == size)
		return 0;
	output->code = errno ? errno : EIO;
	return -1;
}

/* Writes the buffer once it is a block, or where `all`. */
static int drain(struct output_file *output, struct buffer *buffer, bool all, struct error *err)
{
	if (!buffer_ok(buffer))
		return error_set(err, ERROR_FATAL, 0, "a row is too large to be written");
	if (buffer->size < BLOCK_BYTES && !all)
		return 0;
	if (put(output, buffer_string(buffer), buffer->size))
		return -1;
	buffer_clear(buffer);
	return 0;
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

	if (query_start(query, false, err))
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

/* ---- CSV */

void csv_field(struct buffer *out, const struct query_cell *cell)
{
	const char *text = cell->text, *end = text + cell->size;
	bool quote = text && !cell->size;

	if (!text)
		return;
	for (const char *c = text; c < end && !quote; c++)
		quote = *c == '"' || *c == ',' || *c == '\n' || *c == '\r';
	if (!quote) {
		buffer_append(out, text, cell->size);
		return;
	}
	buffer_char(out, '"');
	for (const char *c = text; c < end; c++) {
		if (*c == '"')
			buffer_char(out, '"');
		buffer_char(out, *c);
	}
	buffer_char(out, '"');
}

int query_write_csv(struct query *query, struct output_file *output, struct error *err)
{
	OWNED_BUFFER struct buffer out = {0};
	const struct query_cell *cells;
	int got = 0;

	buffer_init(&out, BUFFER_DEFAULT_MAXIMUM);
	if (query_start(query, false, err))
		return -1;
	for (int i = 0; i < query_column_count(query); i++) {
		const char *name = query_columns(query)[i].name;

		buffer_text(&out, i ? "," : "");
		csv_field(&out, &(struct query_cell){name, strlen(name)});
	}
	if (query_column_count(query))
		buffer_char(&out, '\n');
	while ((got = query_next(query, &cells, err)) == 1) {
		for (int i = 0; i < query_column_count(query); i++) {
			buffer_text(&out, i ? "," : "");
			csv_field(&out, &cells[i]);
		}
		/* One empty line would be no row at all. */
		if (query_column_count(query) == 1 && !cells[0].text)
			buffer_text(&out, "\"\"");
		buffer_char(&out, '\n');
		if (drain(output, &out, false, err))
			return -1;
	}
	return got < 0 ? -1 : drain(output, &out, true, err);
}

/* ---- JSON */

void json_value(struct buffer *out, const struct query_cell *cell, enum query_type type)
{
	const char *digits = cell->text ? cell->text + (cell->size && *cell->text == '-') : NULL;

	if (!cell->text || (type == QUERY_NUMBER && (*digits < '0' || *digits > '9')))
		buffer_text(out, "null"); /* nan and inf are no JSON numbers */
	else if (type == QUERY_TEXT)
		buffer_json_text(out, cell->text, cell->size);
	else
		buffer_append(out, cell->text, cell->size);
}

static bool is_taken(const struct query *query, int column, const char *key, const struct buffer *keys)
{
	for (int i = 0; i < query_column_count(query); i++)
		if (i != column && !strcmp(i < column ? buffer_string(&keys[i]) : query_columns(query)[i].name, key))
			return true;
	return false;
}

/* An object must not have one key twice: the second `a` becomes a_2. */
static void append_key(const struct query *query, int column, struct buffer *keys)
{
	struct buffer *key = &keys[column];
	const char *name = query_columns(query)[column].name;
	bool again = false;

	for (int i = 0; i < column; i++)
		again |= !strcmp(buffer_string(&keys[i]), name);
	buffer_text(key, name);
	for (int n = 2; again && buffer_ok(key) && is_taken(query, column, buffer_string(key), keys); n++) {
		buffer_clear(key);
		buffer_printf(key, "%s_%d", name, n);
	}
}

static struct buffer *new_keys(const struct query *query)
{
	int count = query_column_count(query);
	struct buffer *keys = calloc((size_t)count + 1, sizeof *keys);

	for (int i = 0; keys && i < count; i++) {
		buffer_init(&keys[i], 1 << 20);
		append_key(query, i, keys);
	}
	return keys;
}

static void free_keys(struct buffer *keys, int count)
{
	for (int i = 0; keys && i < count; i++)
		buffer_release(&keys[i]);
	free(keys);
}

static int write_objects(struct query *query, const struct buffer *keys, struct output_file *output, struct error *err)
{
	OWNED_BUFFER struct buffer out = {0};
	const struct query_cell *cells;
	int64_t rows = 0;
	int got;

	buffer_init(&out, BUFFER_DEFAULT_MAXIMUM);
	buffer_char(&out, '[');
	while ((got = query_next(query, &cells, err)) == 1) {
		buffer_text(&out, rows++ ? ",\n {" : "{");
		for (int i = 0; i < query_column_count(query); i++) {
			buffer_text(&out, i ? ", " : "");
			buffer_json_text(&out, buffer_string(&keys[i]), keys[i].size);
			buffer_text(&out, ": ");
			json_value(&out, &cells[i], query_columns(query)[i].type);
		}
		buffer_char(&out, '}');
		if (drain(output, &out, false, err))
			return -1;
	}
	if (got < 0)
		return -1;
	buffer_text(&out, "]\n");
	return drain(output, &out, true, err);
}

int query_write_json(struct query *query, struct output_file *output, struct error *err)
{
	struct buffer *keys;
	int failed;

	if (query_start(query, true, err))
		return -1;
	keys = new_keys(query);
	failed = keys ? write_objects(query, keys, output, err) : error_no_memory(err);
	free_keys(keys, query_column_count(query));
	return failed;
}

/* ---- Arrow and Parquet */

static int put_bytes(void *output, const void *bytes, size_t size)
{
	return put(output, bytes, size);
}

int query_write_arrow(struct query *query, struct output_file *output, struct error *err)
{
	struct duck_stream *stream = query_arrow(query, err);
	struct ipc_writer *writer;
	struct ArrowArray array = {0};
	int got = -1;

	if (!stream)
		return -1;
	writer = ipc_writer_new(duck_stream_schema(stream), put_bytes, output, err);
	while (writer && (got = duck_stream_next(stream, &array, err)) == 1) {
		int failed = ipc_writer_write(writer, &array, err);

		array.release(&array);
		if (failed) {
			got = -1;
			break;
		}
	}
	if (writer && !got)
		got = ipc_writer_finish(writer, err);
	else
		ipc_writer_free(writer);
	duck_stream_close(stream);
	return got;
}

static int copy_out(int fd, struct output_file *output, struct error *err)
{
	OWNED_FREE char *block = malloc(BLOCK_BYTES);
	ssize_t got;

	if (!block)
		return error_no_memory(err);
	while ((got = read(fd, block, BLOCK_BYTES)) > 0)
		if (put(output, block, (size_t)got))
			return -1;
	return got < 0 ? error_set(err, ERROR_TRANSIENT, errno, "cannot read a temporary file: %s", strerror(errno))
	               : 0;
}

/* DuckDB writes Parquet to files only. */
int query_write_parquet(struct query *query, struct output_file *output, struct error *err)
{
	const char *folder = getenv("TMPDIR");
	OWNED_FREE char *path = NULL;
	OWNED_FD int fd = -1;
	int failed;

	if (output->temporary)
		return query_copy_parquet(query, output->temporary, err);
	if (asprintf(&path, "%s/tarn-XXXXXX", folder && *folder ? folder : "/tmp") < 0) {
		path = NULL;
		return error_no_memory(err);
	}
	fd = mkstemp(path);
	if (fd < 0)
		return error_set(err, ERROR_TRANSIENT, errno,
		                 "cannot make a temporary file %s: %s (TMPDIR names the folder)", path,
		                 strerror(errno));
	failed = query_copy_parquet(query, path, err) || copy_out(fd, output, err);
	unlink(path);
	return failed ? -1 : 0;
}
