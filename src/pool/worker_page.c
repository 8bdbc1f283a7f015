/* worker_page.c - a page of a statement's rows (query/page.h): what the request says of it, as keys and parameters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "pool/worker_private.h"

#define SQL_BYTES_MAX ((size_t)17 << 20)

static int not_a_cursor(struct worker_page *page, struct error *err)
{
	page->wrong = true;
	return error_set(err, ERROR_INVALID, 0, "the cursor is none of this endpoint's");
}

/* A parameter for each value of the place that is not NULL, as the text that it is. */
static int take_place(struct worker_page *page, struct error *err)
{
	const struct request *request = page->request;
	yyjson_val *values = yyjson_doc_get_root(page->place);

	if (!yyjson_is_arr(values) || (int)yyjson_arr_size(values) != request->page_key_count)
		return not_a_cursor(page, err);
	for (int i = 0; i < request->page_key_count; i++) {
		yyjson_val *value = yyjson_arr_get(values, (size_t)i);
		struct request_parameter *parameter = &page->bound.parameters[page->bound.parameter_count];

		page->keys[i].after = yyjson_get_str(value);
		if (yyjson_is_null(value))
			continue;
		if (!yyjson_is_str(value))
			return not_a_cursor(page, err);
		parameter->type = -1;
		parameter->json = yyjson_val_write(value, 0, NULL);
		if (!parameter->json || asprintf(&parameter->name, PAGE_PARAMETER "%d", i + 1) < 0) {
			free(parameter->json);
			return error_no_memory(err);
		}
		page->bound.parameter_count++;
	}
	return 0;
}

int worker_page_begin(struct worker_page *page, const struct request *request, const char *sql, struct error *err)
{
	size_t most = (size_t)request->parameter_count + (size_t)request->page_key_count;

	*page = (struct worker_page){.request = request, .bound = *request};
	buffer_init(&page->sql, SQL_BYTES_MAX);
	page->keys = calloc((size_t)request->page_key_count + 1, sizeof *page->keys);
	page->bound.parameters = calloc(most + 1, sizeof *page->bound.parameters);
	if (!page->keys || !page->bound.parameters)
		return error_no_memory(err);
	for (int i = 0; i < request->parameter_count; i++)
		page->bound.parameters[i] = request->parameters[i];
	for (int i = 0; i < request->page_key_count; i++)
		page->keys[i] = (struct page_key){.name = request->page_key[i], .column = -1};
	if (request->page_after) {
		page->place = yyjson_read(request->page_after, strlen(request->page_after), 0);
		if (take_place(page, err))
			return -1;
	}
	page_begin(&page->page, page->keys, request->page_key_count, request->page_rows);
	return page_sql(sql, page->keys, request->page_key_count, !request->page_after, request->page_rows, &page->sql,
	                err);
}

/* Which columns the keys are, known when the query runs. */
static int find_columns(struct worker_page *page, struct error *err)
{
	const struct query_column *columns = query_columns(page->query);

	for (int i = 0; i < page->request->page_key_count; i++) {
		for (int k = 0; k < query_column_count(page->query) && page->keys[i].column < 0; k++)
			if (!strcasecmp(columns[k].name, page->keys[i].name))
				page->keys[i].column = k;
		if (page->keys[i].column < 0)
			return error_set(err, ERROR_INVALID, 0, "the page's key %.64s is none of the columns",
			                 page->keys[i].name);
		page->keys[i].is_number = columns[page->keys[i].column].type == QUERY_NUMBER;
	}
	page->found = true;
	return 0;
}

int worker_page_row(void *context, const struct query_cell *cells, struct error *err)
{
	struct worker_page *page = context;

	int one = page->found || !find_columns(page, err) ? page_row(&page->page, cells, err) : -1;

	page->wrong = one < 0;
	return one;
}

void worker_page_end(struct worker_page *page)
{
	for (int i = page->request ? page->request->parameter_count : 0; i < page->bound.parameter_count; i++) {
		free(page->bound.parameters[i].name);
		free(page->bound.parameters[i].json);
	}
	free(page->bound.parameters);
	free(page->keys);
	yyjson_doc_free(page->place);
	page_release(&page->page);
	buffer_release(&page->sql);
}
