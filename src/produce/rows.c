#include "produce/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct cells {
	char *data; /* owned; of texts */
	size_t size, capacity;
	int32_t *offsets; /* owned; of texts: rows_max + 1 */
	int64_t *numbers; /* owned */
	uint8_t *valid; /* owned; bits, of a nullable column */
	int64_t nulls;
	const void *buffers[3];
};

struct rows {
	const struct rows_column *columns;
	int column_count, rows_max, count;
	struct cells cells[ROWS_COLUMNS_MAX];
	const void *no_buffer[1];
	struct ArrowSchema schema, schema_columns[ROWS_COLUMNS_MAX], *schema_pointers[ROWS_COLUMNS_MAX];
	struct ArrowArray array, array_columns[ROWS_COLUMNS_MAX], *array_pointers[ROWS_COLUMNS_MAX];
};

/* ---- cells */

void rows_clear(struct rows *rows)
{
	rows->count = 0;
	for (int i = 0; i < rows->column_count; i++) {
		rows->cells[i].size = 0;
		rows->cells[i].nulls = 0;
		if (rows->cells[i].valid)
			memset(rows->cells[i].valid, 0, (size_t)rows->rows_max / 8 + 1);
	}
}

int rows_begin(struct rows *rows, struct error *err)
{
	assert(rows->count < rows->rows_max);
	for (int i = 0; i < rows->column_count; i++) {
		struct cells *cells = &rows->cells[i];
		size_t need = cells->size + (size_t)rows->columns[i].text_max;
		char *data;

		if (need <= cells->capacity)
			continue;
		need += cells->capacity / 2;
		data = realloc(cells->data, need);
		if (!data)
			return error_no_memory(err);
		cells->data = data;
		cells->capacity = need;
	}
	rows->count++;
	return 0;
}

char *rows_text(const struct rows *rows, int column)
{
	return rows->cells[column].data + rows->cells[column].size;
}

static void set_valid(struct cells *cells, int row)
{
	if (cells->valid)
		cells->valid[row / 8] |= (uint8_t)(1 << row % 8);
}

void rows_text_end(struct rows *rows, int column, const char *p)
{
	struct cells *cells = &rows->cells[column];

	cells->size = (size_t)(p - cells->data);
	assert(cells->size <= cells->capacity);
	cells->offsets[rows->count] = (int32_t)cells->size;
	set_valid(cells, rows->count - 1);
}

void rows_number(struct rows *rows, int column, int64_t number)
{
	rows->cells[column].numbers[rows->count - 1] = number;
	set_valid(&rows->cells[column], rows->count - 1);
}

void rows_null(struct rows *rows, int column)
{
	struct cells *cells = &rows->cells[column];

	assert(cells->valid);
	cells->nulls++;
	if (cells->offsets)
		cells->offsets[rows->count] = (int32_t)cells->size;
}

/* ---- as Arrow */

const struct ArrowArray *rows_array(struct rows *rows)
{
	for (int i = 0; i < rows->column_count; i++) {
		rows->array_columns[i].length = rows->count;
		rows->array_columns[i].null_count = rows->cells[i].nulls;
		if (rows->columns[i].text_max)
			rows->cells[i].buffers[2] = rows->cells[i].data;
	}
	rows->array.length = rows->count;
	return &rows->array;
}

const struct ArrowSchema *rows_schema(const struct rows *rows)
{
	return &rows->schema;
}

/* The structs belong to *rows: there is nothing to let go of. */
static void release_schema(struct ArrowSchema *schema)
{
	schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
	array->release = NULL;
}

static void describe(struct rows *rows)
{
	for (int i = 0; i < rows->column_count; i++) {
		struct cells *cells = &rows->cells[i];
		bool text = rows->columns[i].text_max;

		cells->buffers[0] = cells->valid;
		cells->buffers[1] = text ? (const void *)cells->offsets : (const void *)cells->numbers;
		rows->schema_columns[i] =
		        (struct ArrowSchema){.format = text ? "u" : "l",
		                             .name = rows->columns[i].name,
		                             .flags = rows->columns[i].nullable ? ARROW_FLAG_NULLABLE : 0,
		                             .release = release_schema};
		rows->schema_pointers[i] = &rows->schema_columns[i];
		rows->array_columns[i] = (struct ArrowArray){
		        .n_buffers = text ? 3 : 2, .buffers = cells->buffers, .release = release_array};
		rows->array_pointers[i] = &rows->array_columns[i];
	}
	rows->schema = (struct ArrowSchema){.format = "+s",
	                                    .name = "",
	                                    .n_children = rows->column_count,
	                                    .children = rows->schema_pointers,
	                                    .release = release_schema};
	rows->array = (struct ArrowArray){.n_buffers = 1,
	                                  .buffers = rows->no_buffer,
	                                  .n_children = rows->column_count,
	                                  .children = rows->array_pointers,
	                                  .release = release_array};
}

/* ---- life */

static bool make_cells(struct cells *cells, const struct rows_column *column, size_t rows_max)
{
	if (column->nullable && !(cells->valid = calloc(rows_max / 8 + 1, 1)))
		return false;
	if (column->text_max)
		return (cells->offsets = calloc(rows_max + 1, sizeof *cells->offsets));
	return (cells->numbers = calloc(rows_max, sizeof *cells->numbers));
}

struct rows *rows_new(const struct rows_column *columns, int column_count, int rows_max, struct error *err)
{
	struct rows *rows = calloc(1, sizeof *rows);

	assert(column_count <= ROWS_COLUMNS_MAX && rows_max > 0);
	if (!rows) {
		error_no_memory(err);
		return NULL;
	}
	rows->columns = columns;
	rows->column_count = column_count;
	rows->rows_max = rows_max;
	for (int i = 0; i < column_count; i++) {
		if (make_cells(&rows->cells[i], &columns[i], (size_t)rows_max))
			continue;
		error_no_memory(err);
		rows_free(rows);
		return NULL;
	}
	describe(rows);
	return rows;
}

void rows_free(struct rows *rows)
{
	if (!rows)
		return;
	for (int i = 0; i < rows->column_count; i++) {
		free(rows->cells[i].data);
		free(rows->cells[i].offsets);
		free(rows->cells[i].numbers);
		free(rows->cells[i].valid);
	}
	free(rows);
}
