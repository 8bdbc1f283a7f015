/* write_json.c - JSON, NDJSON, and one row as an object. */
#include <string.h>
#include <strings.h>
#include <yyjson.h>

#include "base/owned.h"
#include "query/write_private.h"

struct member { /* of each row's object */
	struct buffer key; /* as JSON, with its colon */
	const char *null_as;
	size_t null_as_size;
};

/* nan and inf are no JSON numbers. */
static bool is_nothing(const struct query_cell *cell, enum query_type type)
{
	const char *digit = cell->text;

	if (!digit || type != QUERY_NUMBER)
		return !digit;
	digit += cell->size > 1 && *digit == '-';
	return (*digit < '0' || *digit > '9') && *digit != '.';
}

/* DuckDB writes DECIMAL(3,3) as .123, and JSON has 0.123. */
static void write_number(struct buffer *out, const struct query_cell *cell)
{
	size_t sign = *cell->text == '-';

	buffer_append(out, cell->text, sign);
	if (cell->text[sign] == '.')
		buffer_char(out, '0');
	buffer_append(out, cell->text + sign, cell->size - sign);
}

/* What is no JSON, and could look like the end of a row, is a text. What is some goes as it is, with all of its digits,
 * but on one line: within its strings a line's end cannot stand, and elsewhere it is a space. */
static void write_stored(struct buffer *out, const struct query_cell *cell)
{
	yyjson_read_err mistake = {0};
	yyjson_doc *document =
	        yyjson_read_opts((char *)(uintptr_t)cell->text, cell->size, YYJSON_READ_NUMBER_AS_RAW, NULL, &mistake);
	size_t from = out->size;

	yyjson_doc_free(document);
	out->failed |= mistake.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
	if (mistake.code != YYJSON_READ_SUCCESS) {
		buffer_json_text(out, cell->text, cell->size);
		return;
	}
	buffer_append(out, cell->text, cell->size);
	if (!memchr(cell->text, '\n', cell->size) && !memchr(cell->text, '\r', cell->size))
		return;
	for (size_t i = from; i < out->size; i++)
		if (out->data[i] == '\n' || out->data[i] == '\r')
			out->data[i] = ' ';
}

void write_json_value(struct buffer *out, const struct query_cell *cell, enum query_type type)
{
	if (is_nothing(cell, type))
		buffer_text(out, "null");
	else if (type == QUERY_TEXT)
		buffer_json_text(out, cell->text, cell->size);
	else if (type == QUERY_NUMBER)
		write_number(out, cell);
	else if (type == QUERY_JSON)
		write_stored(out, cell);
	else
		buffer_append(out, cell->text, cell->size);
}

/* ---- keys */

static bool is_taken(const struct query *query, int column, const char *key, const struct buffer *names)
{
	for (int i = 0; i < query_column_count(query); i++)
		if (i != column && !strcmp(i < column ? buffer_string(&names[i]) : query_columns(query)[i].name, key))
			return true;
	return false;
}

/* An object must not have one key twice: the second `a` becomes a_2. */
static void name_key(const struct query *query, int column, struct buffer *names)
{
	struct buffer *key = &names[column];
	const char *name = query_columns(query)[column].name;
	bool again = false;

	for (int i = 0; i < column; i++)
		again |= !strcmp(buffer_string(&names[i]), name);
	buffer_text(key, name);
	for (int n = 2; again && buffer_ok(key) && is_taken(query, column, buffer_string(key), names); n++) {
		buffer_clear(key);
		buffer_printf(key, "%s_%d", name, n);
	}
}

/* The column's own, in whatever case it is written, else that of *. */
static const char *null_of(const struct write_options *options, const char *name)
{
	const char *all = NULL;

	for (int i = 0; i < options->null_as_count; i++) {
		if (!strcasecmp(options->null_as[i].name, name))
			return options->null_as[i].value;
		if (!strcmp(options->null_as[i].name, "*"))
			all = options->null_as[i].value;
	}
	return all ? all : "null";
}

static struct member *new_members(const struct write *w)
{
	int count = query_column_count(w->query);
	struct member *members = calloc((size_t)count + 1, sizeof *members);
	struct buffer *names = calloc((size_t)count + 1, sizeof *names);

	for (int i = 0; members && names && i < count; i++) {
		buffer_init(&names[i], 1 << 20);
		buffer_init(&members[i].key, 1 << 23);
		name_key(w->query, i, names);
		buffer_text(&members[i].key, i ? ", " : "");
		buffer_json_text(&members[i].key, buffer_string(&names[i]), names[i].size);
		buffer_text(&members[i].key, ": ");
		members[i].null_as = null_of(w->options, query_columns(w->query)[i].name);
		members[i].null_as_size = strlen(members[i].null_as);
	}
	for (int i = 0; names && i < count; i++)
		buffer_release(&names[i]);
	free(names);
	return members;
}

static void free_members(struct member *members, int count)
{
	for (int i = 0; members && i < count; i++)
		buffer_release(&members[i].key);
	free(members);
}

/* ---- rows */

static void write_object(struct write *w, const struct member *members, const struct query_cell *cells)
{
	const struct query_column *columns = query_columns(w->query);

	buffer_char(&w->out, '{');
	for (int i = 0, count = query_column_count(w->query); i < count; i++) {
		buffer_append(&w->out, members[i].key.data, members[i].key.size);
		if (is_nothing(&cells[i], columns[i].type))
			buffer_append(&w->out, members[i].null_as, members[i].null_as_size);
		else
			write_json_value(&w->out, &cells[i], columns[i].type);
	}
	buffer_char(&w->out, '}');
}

struct layout { /* of the objects */
	const char *first, *between, *after, *end;
};

static int write_list(struct write *w, const struct member *members, const struct layout *layout, struct error *err)
{
	const struct query_cell *cells;
	int got;

	buffer_text(&w->out, layout->first);
	while ((got = write_next(w, &cells, err)) == 1) {
		w->result->more = w->options->first_rows && w->result->rows == w->options->first_rows;
		if (w->result->more)
			break;
		buffer_text(&w->out, w->result->rows ? layout->between : "");
		if (write_count(w, 1, err))
			return -1;
		write_object(w, members, cells);
		buffer_text(&w->out, layout->after);
		if (write_drain(w, false, err))
			return -1;
	}
	if (got < 0)
		return -1;
	buffer_text(&w->out, layout->end ? layout->end : "");
	return write_drain(w, true, err);
}

/* Further rows are not asked for. */
static int write_first(struct write *w, const struct member *members, struct error *err)
{
	const struct query_cell *cells;
	int got = write_next(w, &cells, err);

	if (got <= 0)
		return got;
	if (write_count(w, 1, err))
		return -1;
	write_object(w, members, cells);
	buffer_char(&w->out, '\n');
	return write_drain(w, true, err);
}

static int start(struct write *w, const struct layout *layout, bool first_alone, struct error *err)
{
	struct member *members;
	bool complete = true;
	int failed;

	if (query_start(w->query, true, err))
		return -1;
	members = new_members(w);
	for (int i = 0; members && i < query_column_count(w->query); i++)
		complete &= buffer_ok(&members[i].key) && members[i].key.size > 0;
	if (!members || !complete)
		failed = error_no_memory(err);
	else
		failed = first_alone ? write_first(w, members, err) : write_list(w, members, layout, err);
	free_members(members, query_column_count(w->query));
	return failed;
}

int write_json(struct write *w, struct error *err)
{
	return start(w, &(struct layout){.first = "[", .between = ",\n ", .after = "", .end = "]\n"},
	             w->options->object, err);
}

int write_ndjson(struct write *w, struct error *err)
{
	return start(w, &(struct layout){.first = "", .between = "", .after = "\n"}, false, err);
}
