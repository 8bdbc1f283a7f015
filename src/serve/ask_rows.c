/*
 * ask_rows.c - the rows of an answer: read from a worker, written as JSON, taken apart into cells.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/owned.h"
#include "serve/ask_private.h"
#include "serve/problem.h"

/* ---- from a worker */

/* Counts the rows that have come. True: one is beyond the bound of bytes; `seen` is where it begins. */
static bool is_full(const struct ask_question *question, struct ask_answer *answer, size_t *seen)
{
	struct buffer *rows = &answer->rows;
	const char *end;

	/* In NDJSON a line's end ends a row, and stands nowhere within one. */
	while (*seen < rows->size && (end = memchr(rows->data + *seen, '\n', rows->size - *seen))) {
		size_t next = (size_t)(end + 1 - rows->data);

		if (next > question->max_bytes)
			return true;
		answer->row_count++;
		*seen = next;
	}
	return rows->size > question->max_bytes;
}

static void keep_facts(struct answer *rows, struct ask_answer *answer)
{
	struct answer_facts facts = answer_facts(rows);

	answer->snapshot = facts.snapshot;
	buffer_clear(&answer->columns);
	buffer_clear(&answer->tables);
	buffer_text(&answer->columns, facts.columns ? facts.columns : "[]");
	buffer_text(&answer->tables, facts.tables ? facts.tables : "[]");
}

int ask_read_rows(struct answer *rows, const struct ask_question *question, struct ask_answer *answer,
                  struct service_refusal *refusal)
{
	OWNED_BUFFER struct buffer block = {0};
	size_t seen = 0;
	int got = 1;

	if (!rows)
		return -1;
	buffer_init(&block, FRAME_BYTES_MAX);
	buffer_clear(&answer->rows);
	answer->row_count = 0;
	answer->truncated = false;
	keep_facts(rows, answer);
	while (got == 1 && !answer->truncated) {
		buffer_clear(&block);
		got = answer_next(rows, &block, refusal);
		buffer_append(&answer->rows, block.data, block.size);
		answer->truncated = is_full(question, answer, &seen);
	}
	answer->truncated |= answer_facts(rows).more;
	answer_close(rows);
	if (!buffer_ok(&answer->rows)) {
		*refusal = (struct service_refusal){.kind = REFUSAL_INTERNAL,
		                                    .status = refusal_status(REFUSAL_INTERNAL),
		                                    .name = refusal_name(REFUSAL_INTERNAL),
		                                    .title = refusal_title(REFUSAL_INTERNAL)};
		snprintf(refusal->detail, sizeof refusal->detail, "There is no room for the rows of the answer.");
		got = -1;
	}
	answer->rows.size = seen;
	if (seen)
		answer->rows.data[seen] = 0;
	return got < 0 ? -1 : 0;
}

/* ---- as JSON */

static void add_text(struct buffer *out, const char *name, const struct buffer *text)
{
	buffer_printf(out, "\"%s\":", name);
	buffer_json_text(out, buffer_string(text), text->size);
}

static void add_number(struct buffer *out, const char *name, int64_t number)
{
	if (number < 0)
		buffer_printf(out, ",\"%s\":null", name);
	else
		buffer_printf(out, ",\"%s\":%" PRId64, name, number);
}

/* What is told of an answer and of a refusal alike. */
static void add_figures(const struct ask_answer *answer, struct buffer *out)
{
	buffer_text(out, ",\"model\":");
	if (answer->model)
		buffer_json_text(out, answer->model, strlen(answer->model));
	else
		buffer_text(out, "null");
	add_number(out, "attempts", answer->attempts);
	buffer_printf(out, ",\"tokens\":{\"input\":");
	buffer_printf(out, answer->input_tokens < 0 ? "null" : "%" PRId64, answer->input_tokens);
	buffer_printf(out, ",\"output\":");
	buffer_printf(out, answer->output_tokens < 0 ? "null" : "%" PRId64, answer->output_tokens);
	buffer_printf(out,
	              "},\"ms\":{\"describe\":%" PRId64 ",\"model\":%" PRId64 ",\"query\":%" PRId64
	              ",\"total\":%" PRId64 "}",
	              answer->describe_ms, answer->model_ms, answer->query_ms, answer->total_ms);
}

static void write_problem(const struct ask_answer *answer, const char *instance, struct buffer *out)
{
	problem_json(out, answer->status, answer->name, answer->title, answer->detail, instance);
	if (!buffer_ok(out))
		return;
	/* Members of our own (RFC 9457 section 3.2) go before the object's end. */
	while (out->size && out->data[out->size - 1] != '}')
		out->size--;
	out->size -= out->size > 0;
	buffer_char(out, ',');
	if (answer->sql.size) {
		add_text(out, "sql", &answer->sql);
		buffer_text(out, ",\"reason\":");
	} else {
		buffer_text(out, "\"sql\":null,\"reason\":");
	}
	buffer_json_text(out, answer->detail, strlen(answer->detail));
	add_figures(answer, out);
	buffer_text(out, "}\n");
}

void ask_write_json(const struct ask_answer *answer, const char *instance, struct buffer *out)
{
	const struct buffer *rows = &answer->rows;

	if (answer->status != 200) {
		write_problem(answer, instance, out);
		return;
	}
	buffer_char(out, '{');
	add_text(out, "sql", &answer->sql);
	buffer_printf(out, ",\"snapshot\":");
	buffer_printf(out, answer->snapshot < 0 ? "null" : "%" PRId64, answer->snapshot);
	buffer_printf(out, ",\"tables\":%s,\"columns\":%s,\"rows\":%" PRId64 ",\"truncated\":%s",
	              buffer_string(&answer->tables), buffer_string(&answer->columns), answer->row_count,
	              answer->truncated ? "true" : "false");
	add_figures(answer, out);
	buffer_text(out, ",\"results\":[");
	for (size_t at = 0; at < rows->size;) {
		const char *end = memchr(rows->data + at, '\n', rows->size - at);
		size_t size = end ? (size_t)(end - rows->data) - at : rows->size - at;

		buffer_text(out, at ? ",\n" : "");
		buffer_append(out, rows->data + at, size);
		at += size + 1;
	}
	buffer_text(out, "]}\n");
}

/* ---- as cells */

static void free_document(yyjson_doc **document)
{
	yyjson_doc_free(*document);
}

int ask_columns(const struct ask_answer *answer, int (*each)(void *context, const char *const *names, int count),
                void *context, struct error *err)
{
	OWNED_BY(free_document)
	yyjson_doc *document = yyjson_read(buffer_string(&answer->columns), answer->columns.size, 0);
	yyjson_val *list = yyjson_doc_get_root(document), *column;
	OWNED_FREE const char **names = calloc(yyjson_arr_size(list) + 1, sizeof *names);
	size_t i, count;

	if (!names)
		return error_no_memory(err);
	yyjson_arr_foreach(list, i, count, column)
	{
		names[i] = yyjson_get_str(yyjson_obj_get(column, "name"));
		if (!names[i])
			return error_set(err, ERROR_CORRUPT, 0, "a column of the answer has no name");
	}
	if (!yyjson_arr_size(list))
		return error_set(err, ERROR_CORRUPT, 0, "the answer has no columns");
	return each(context, names, (int)yyjson_arr_size(list)) ? error_no_memory(err) : 0;
}

struct row {
	struct ask_cell *cells; /* owned */
	char **texts; /* owned: nested values as JSON */
	int count, capacity;
};

static void row_clear(struct row *row)
{
	for (int i = 0; i < row->count; i++)
		free(row->texts[i]);
	row->count = 0;
}

static void row_release(struct row *row)
{
	row_clear(row);
	free(row->cells);
	free(row->texts);
}

static int row_reserve(struct row *row, int count, struct error *err)
{
	if (count <= row->capacity)
		return 0;
	row_release(row);
	row->cells = calloc((size_t)count, sizeof *row->cells);
	row->texts = calloc((size_t)count, sizeof *row->texts);
	row->capacity = row->cells && row->texts ? count : 0;
	return row->capacity ? 0 : error_no_memory(err);
}

static int add_cell(struct row *row, yyjson_val *name, yyjson_val *value, struct error *err)
{
	struct ask_cell cell = {.name = yyjson_get_str(name)};

	row->texts[row->count] = NULL;
	if (yyjson_is_raw(value)) {
		cell.text = yyjson_get_raw(value);
		cell.size = yyjson_get_len(value);
		cell.number = true;
	} else if (yyjson_is_str(value)) {
		cell.text = yyjson_get_str(value);
		cell.size = yyjson_get_len(value);
	} else if (!yyjson_is_null(value)) {
		cell.text = row->texts[row->count] = yyjson_val_write(value, 0, &cell.size);
		if (!cell.text)
			return error_no_memory(err);
	}
	row->cells[row->count++] = cell;
	return 0;
}

static int read_row(struct row *row, const char *json, size_t size, yyjson_doc **document, struct error *err)
{
	yyjson_val *root, *name;
	yyjson_obj_iter iter;

	/* Raw: a DECIMAL of 38 digits is no double. */
	*document = yyjson_read(json, size, YYJSON_READ_NUMBER_AS_RAW);
	root = yyjson_doc_get_root(*document);
	if (!yyjson_is_obj(root))
		return error_set(err, ERROR_CORRUPT, 0, "a row of the answer is no JSON object");
	if (row_reserve(row, (int)yyjson_obj_size(root) + 1, err))
		return -1;
	row_clear(row);
	iter = yyjson_obj_iter_with(root);
	while ((name = yyjson_obj_iter_next(&iter)))
		if (add_cell(row, name, yyjson_obj_iter_get_val(name), err))
			return -1;
	return 0;
}

int ask_each_row(const struct ask_answer *answer, int (*each)(void *context, const struct ask_cell *cells, int count),
                 void *context, struct error *err)
{
	OWNED_BY(row_release) struct row row = {0};

	for (size_t at = 0; at < answer->rows.size;) {
		OWNED_BY(free_document) yyjson_doc *document = NULL;
		const char *end = memchr(answer->rows.data + at, '\n', answer->rows.size - at);
		size_t size = end ? (size_t)(end - answer->rows.data) - at : answer->rows.size - at;
		int status = read_row(&row, answer->rows.data + at, size, &document, err);

		if (!status)
			status = each(context, row.cells, row.count);
		if (status)
			return status;
		at += size + 1;
	}
	return 0;
}
