#include "produce/posthog.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "produce/event.h"

#define UUID_SIZE 36
#define ROW_BYTES_TYPICAL 1000

enum column { UUID, EVENT, DISTINCT_ID, PROPERTIES, TIMESTAMP, TEAM_ID, PROJECT_ID, ELEMENTS_CHAIN, COLUMN_COUNT };

struct text_column {
	char *data; /* owned */
	size_t size, capacity;
	int32_t *offsets; /* owned; rows_max + 1 */
};

struct posthog {
	uint64_t seed;
	int rows_max;
	struct text_column texts[COLUMN_COUNT];
	int64_t *teams, *projects;
	uint8_t *has_elements; /* validity bits */
	struct event_kinds kinds;
	struct ArrowSchema schema, schema_columns[COLUMN_COUNT], *schema_pointers[COLUMN_COUNT];
	struct ArrowArray array, columns[COLUMN_COUNT], *column_pointers[COLUMN_COUNT];
	const void *buffers[COLUMN_COUNT][3], *no_buffer[1];
};

/* ---- columns */

static int column_room(struct text_column *column, size_t more, struct error *err)
{
	size_t capacity = column->capacity;
	char *data;

	if (column->size + more <= capacity)
		return 0;
	capacity = column->size + more + capacity / 2;
	data = realloc(column->data, capacity);
	if (!data)
		return error_no_memory(err);
	column->data = data;
	column->capacity = capacity;
	return 0;
}

/* Ends the text that was written at the column's end, up to p. */
static void column_end(struct text_column *column, int index, const char *p)
{
	column->size = (size_t)(p - column->data);
	assert(column->size <= column->capacity);
	column->offsets[index + 1] = (int32_t)column->size;
}

static char *column_at(const struct text_column *column)
{
	return column->data + column->size;
}

static int write_row(struct posthog *posthog, int64_t number, int index, struct error *err)
{
	struct text_column *texts = posthog->texts;
	struct event event;
	char *p;

	if (column_room(&texts[UUID], UUID_SIZE, err) || column_room(&texts[EVENT], EVENT_SHORT_MAX, err) ||
	    column_room(&texts[DISTINCT_ID], EVENT_SHORT_MAX, err) ||
	    column_room(&texts[PROPERTIES], EVENT_PROPERTIES_MAX, err) ||
	    column_room(&texts[TIMESTAMP], EVENT_SHORT_MAX, err) ||
	    column_room(&texts[ELEMENTS_CHAIN], EVENT_ELEMENTS_MAX, err))
		return -1;
	event_begin(&event, &posthog->kinds, posthog->seed, number);
	p = event_uuid(column_at(&texts[UUID]), &event, posthog->seed);
	column_end(&texts[UUID], index, p);
	column_end(&texts[EVENT], index, event_text(column_at(&texts[EVENT]), &pool_kinds[event.kind].name));
	memcpy(column_at(&texts[DISTINCT_ID]), event.distinct_id, event.distinct_id_size);
	column_end(&texts[DISTINCT_ID], index, column_at(&texts[DISTINCT_ID]) + event.distinct_id_size);
	column_end(&texts[PROPERTIES], index, event_properties(column_at(&texts[PROPERTIES]), &event));
	column_end(&texts[TIMESTAMP], index, event_time(column_at(&texts[TIMESTAMP]), &event));
	posthog->teams[index] = event.site->team;
	posthog->projects[index] = event.site->project;
	p = column_at(&texts[ELEMENTS_CHAIN]);
	if (event.kind == KIND_AUTOCAPTURE) {
		p = event_elements(p, &event);
		posthog->has_elements[index / 8] |= (uint8_t)(1 << index % 8);
	}
	column_end(&texts[ELEMENTS_CHAIN], index, p);
	return 0;
}

const struct ArrowArray *posthog_fill(struct posthog *posthog, int64_t first_row, int rows, struct error *err)
{
	int nulls = 0;

	if (rows < 1 || rows > posthog->rows_max || first_row < 0) {
		error_set(err, ERROR_INVALID, 0, "a message has 1 to %d rows", posthog->rows_max);
		return NULL;
	}
	for (int i = 0; i < COLUMN_COUNT; i++)
		posthog->texts[i].size = 0;
	memset(posthog->has_elements, 0, (size_t)posthog->rows_max / 8 + 1);
	for (int i = 0; i < rows; i++)
		if (write_row(posthog, first_row + i, i, err))
			return NULL;
	for (int i = 0; i < rows; i++)
		nulls += !(posthog->has_elements[i / 8] >> i % 8 & 1);
	for (int i = 0; i < COLUMN_COUNT; i++) {
		posthog->columns[i].length = rows;
		posthog->buffers[i][2] = posthog->texts[i].data;
	}
	posthog->columns[ELEMENTS_CHAIN].null_count = nulls;
	posthog->array.length = rows;
	return &posthog->array;
}

/* ---- life */

/* The structs belong to *posthog: there is nothing to let go of. */
static void release_schema(struct ArrowSchema *schema)
{
	schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
	array->release = NULL;
}

static void describe(struct posthog *posthog)
{
	static const char *const names[COLUMN_COUNT] = {"uuid",      "event",   "distinct_id", "properties",
	                                                "timestamp", "team_id", "project_id",  "elements_chain"};

	for (int i = 0; i < COLUMN_COUNT; i++) {
		bool text = i != TEAM_ID && i != PROJECT_ID;

		posthog->schema_columns[i] =
		        (struct ArrowSchema){.format = text ? "u" : "l",
		                             .name = names[i],
		                             .flags = i == ELEMENTS_CHAIN ? ARROW_FLAG_NULLABLE : 0,
		                             .release = release_schema};
		posthog->schema_pointers[i] = &posthog->schema_columns[i];
		posthog->columns[i] = (struct ArrowArray){
		        .n_buffers = text ? 3 : 2, .buffers = posthog->buffers[i], .release = release_array};
		posthog->column_pointers[i] = &posthog->columns[i];
		posthog->buffers[i][1] = posthog->texts[i].offsets;
	}
	posthog->buffers[TEAM_ID][1] = posthog->teams;
	posthog->buffers[PROJECT_ID][1] = posthog->projects;
	posthog->buffers[ELEMENTS_CHAIN][0] = posthog->has_elements;
	posthog->schema = (struct ArrowSchema){.format = "+s",
	                                       .name = "",
	                                       .n_children = COLUMN_COUNT,
	                                       .children = posthog->schema_pointers,
	                                       .release = release_schema};
	posthog->array = (struct ArrowArray){.n_buffers = 1,
	                                     .buffers = posthog->no_buffer,
	                                     .n_children = COLUMN_COUNT,
	                                     .children = posthog->column_pointers,
	                                     .release = release_array};
}

struct posthog *posthog_new(uint64_t seed, int rows_max, struct error *err)
{
	struct posthog *posthog = calloc(1, sizeof *posthog);
	size_t rows = (size_t)(rows_max > 0 ? rows_max : 1);
	bool whole;

	if (!posthog) {
		error_no_memory(err);
		return NULL;
	}
	posthog->seed = seed;
	posthog->rows_max = (int)rows;
	posthog->teams = calloc(rows, sizeof *posthog->teams);
	posthog->projects = calloc(rows, sizeof *posthog->projects);
	posthog->has_elements = calloc(rows / 8 + 1, 1);
	whole = posthog->teams && posthog->projects && posthog->has_elements;
	for (int i = 0; i < COLUMN_COUNT && whole; i++) {
		posthog->texts[i].offsets = calloc(rows + 1, sizeof(int32_t));
		whole = posthog->texts[i].offsets &&
		        !column_room(&posthog->texts[i], i == PROPERTIES ? rows * ROW_BYTES_TYPICAL : rows, err);
	}
	if (!whole) {
		error_no_memory(err);
		posthog_free(posthog);
		return NULL;
	}
	event_kinds_init(&posthog->kinds);
	describe(posthog);
	return posthog;
}

void posthog_free(struct posthog *posthog)
{
	if (!posthog)
		return;
	for (int i = 0; i < COLUMN_COUNT; i++) {
		free(posthog->texts[i].data);
		free(posthog->texts[i].offsets);
	}
	free(posthog->teams);
	free(posthog->projects);
	free(posthog->has_elements);
	free(posthog);
}

const struct ArrowSchema *posthog_schema(const struct posthog *posthog)
{
	return &posthog->schema;
}
