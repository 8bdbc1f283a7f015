/*
 * json_columns.c - columns that grow row by row. They leave as one block of memory, cut by slice.c like a message that
 * came in Arrow.
 */
#include <stdlib.h>

#include "base/owned.h"
#include "batch/json_private.h"

#define TEXT_MAX ((size_t)INT32_MAX - 1) /* bytes of a column's texts: its offsets are int32 */
#define ROWS_MAX ((int64_t)1 << 27) /* of a column, and of the texts of its lists */

static const struct {
	enum kind kind;
	const char *zone;
} types[JSON_TYPE_COUNT] = {
#define JSON_TYPE(id, name, duckdb, kind, zone, what) [JSON_##id] = {KIND_##kind, zone},
#include "batch/json_types.def"
#undef JSON_TYPE
};

static void growing_init(struct growing *column, enum kind kind)
{
	*column = (struct growing){.kind = kind, .width = kind == KIND_BOOL ? 1 : kinds[kind].width};
	buffer_init(&column->texts, TEXT_MAX);
}

static void growing_release(struct growing *column)
{
	buffer_release(&column->texts);
	free(column->valid);
	free(column->fixed);
	free(column->ends);
	if (column->elements)
		growing_release(column->elements);
	free(column->elements);
}

void columns_init(struct columns *columns)
{
	*columns = (struct columns){
	        .root = {.kind = KIND_STRUCT, .out = KIND_STRUCT, .name = "", .timezone = "", .extension = ""}};
}

static void field_release(struct field *field)
{
	free(field->children);
	free((char *)(uintptr_t)field->name);
}

void columns_release(struct columns *columns)
{
	for (int i = 0; i < columns->count; i++) {
		growing_release(&columns->data[i]);
		field_release(&columns->root.children[i]);
	}
	batch_schema_release(columns->schema);
	free(columns->root.children);
	free(columns->data);
	columns_init(columns);
}

static void forget_schema(struct columns *columns)
{
	batch_schema_release(TAKE(columns->schema));
}

/* Twice the rows. */
static bool growing_room(struct growing *column)
{
	int64_t room = column->room ? 2 * column->room : 64;
	uint8_t *valid = room > ROWS_MAX ? NULL : realloc(column->valid, (size_t)room), *fixed;
	int32_t *ends;

	if (!valid)
		return false;
	column->valid = valid;
	if (column->width) {
		fixed = realloc(column->fixed, (size_t)(room * column->width));
		if (!fixed)
			return false;
		column->fixed = fixed;
	} else {
		ends = realloc(column->ends, (size_t)room * sizeof *ends);
		if (!ends)
			return false;
		column->ends = ends;
	}
	column->room = room;
	return true;
}

static int make_room(struct columns *columns, struct error *err)
{
	int capacity = columns->capacity ? 2 * columns->capacity : 16;
	struct field *fields;
	struct growing *data;

	if (columns->count < columns->capacity)
		return 0;
	fields = realloc(columns->root.children, (size_t)capacity * sizeof *fields);
	if (!fields)
		return error_no_memory(err);
	columns->root.children = fields;
	data = realloc(columns->data, (size_t)capacity * sizeof *data);
	if (!data)
		return error_no_memory(err);
	columns->data = data;
	columns->capacity = capacity;
	return 0;
}

static int add(struct columns *columns, struct field field, struct error *err)
{
	struct growing *column;

	if (make_room(columns, err))
		return -1;
	field.out = field.kind;
	field.nullable = true;
	field.name = strdup(field.name);
	if (!field.name)
		return error_no_memory(err);
	columns->root.children[columns->count] = field;
	column = &columns->data[columns->count];
	growing_init(column, field.kind);
	columns->root.child_count = ++columns->count;
	forget_schema(columns);
	/* One more than there are: the row at hand. */
	while (column->room <= columns->rows)
		if (!growing_room(column))
			return error_no_memory(err);
	if (columns->room > column->room)
		columns->room = column->room;
	for (int64_t row = 0; row < columns->rows; row++)
		grow_null(column);
	return columns->count - 1;
}

int columns_add(struct columns *columns, const char *name, enum json_type type, int precision, int scale,
                struct error *err)
{
	return add(columns,
	           (struct field){.kind = types[type].kind,
	                          .name = name,
	                          .timezone = types[type].zone,
	                          .extension = type == JSON_JSON ? "arrow.json" : "",
	                          .precision = precision,
	                          .scale = scale},
	           err);
}

int columns_add_list(struct columns *columns, const char *name, struct error *err)
{
	struct field *element = calloc(1, sizeof *element);
	struct growing *elements = calloc(1, sizeof *elements);
	int column;

	if (!element || !elements) {
		free(element);
		free(elements);
		return error_no_memory(err);
	}
	*element = (struct field){
	        .kind = KIND_UTF8, .out = KIND_UTF8, .name = "item", .timezone = "", .extension = "", .nullable = true};
	growing_init(elements, KIND_UTF8);
	column = add(columns, (struct field){.kind = KIND_LIST, .name = name, .timezone = "", .extension = ""}, err);
	if (column < 0) {
		growing_release(elements);
		free(elements);
		free(element);
		return -1;
	}
	columns->root.children[column].children = element;
	columns->root.children[column].child_count = 1;
	columns->data[column].elements = elements;
	return column;
}

static void set_kind(struct columns *columns, int column, enum kind kind)
{
	columns->data[column].kind = kind;
	columns->root.children[column].kind = columns->root.children[column].out = kind;
	forget_schema(columns);
}

bool columns_widen(struct columns *columns, int column)
{
	struct growing *data = &columns->data[column];
	uint8_t *end = data->fixed + data->rows * (int64_t)sizeof(int64_t);

	for (const uint8_t *at = data->fixed; at < end; at += sizeof(int64_t))
		if (load_i64(at) > JSON_EXACT_MAX || load_i64(at) < -JSON_EXACT_MAX)
			return false;
	for (uint8_t *at = data->fixed; at < end; at += sizeof(int64_t)) {
		double number = (double)load_i64(at);

		memcpy(at, &number, sizeof number);
	}
	columns->widened = data->widened = true;
	set_kind(columns, column, KIND_DOUBLE);
	return true;
}

/* What columns_widen did: its numbers are whole ones that a double holds. Those that came later are gone. */
static void narrow(struct columns *columns, int column)
{
	struct growing *data = &columns->data[column];

	for (int64_t row = 0; row < data->rows; row++) {
		uint8_t *at = data->fixed + row * (int64_t)sizeof(int64_t);
		double number;
		int64_t whole;

		memcpy(&number, at, sizeof number);
		whole = (int64_t)number;
		memcpy(at, &whole, sizeof whole);
	}
	set_kind(columns, column, KIND_INT64);
}

/* ---- rows */

bool columns_room(struct columns *columns)
{
	if (columns->rows < columns->room)
		return true;
	columns->room = INT64_MAX;
	for (int i = 0; i < columns->count; i++) {
		struct growing *column = &columns->data[i];

		if (column->room <= columns->rows && !growing_room(column))
			columns->room = 0;
		else if (column->room < columns->room)
			columns->room = column->room;
	}
	return columns->room;
}

bool grow_element(struct growing *column, const char *text, size_t size)
{
	struct growing *elements = column->elements;

	if (elements->rows == elements->room && !growing_room(elements))
		return false;
	grow_text(elements, text, size);
	return buffer_ok(&elements->texts);
}

bool columns_ok(const struct columns *columns)
{
	for (int i = 0; i < columns->count; i++)
		if (!buffer_ok(&columns->data[i].texts))
			return false;
	return true;
}

static void growing_truncate(struct growing *column, int64_t rows)
{
	int32_t end = 0;

	column->texts.failed = false;
	if (rows < column->rows)
		column->rows = rows;
	if (column->width)
		return;
	if (column->rows)
		end = column->ends[column->rows - 1];
	if (column->elements)
		growing_truncate(column->elements, end);
	else if ((size_t)end < column->texts.size)
		column->texts.size = (size_t)end;
}

/* Down to twice the rows, about. A realloc that fails to make less leaves what there is. */
static void growing_trim(struct growing *column)
{
	int64_t room = 64;
	void *less;

	while (room <= column->rows)
		room *= 2;
	if (column->elements)
		growing_trim(column->elements);
	buffer_trim(&column->texts);
	if (room >= column->room)
		return;
	if ((less = realloc(column->valid, (size_t)room)))
		column->valid = less;
	if (column->width && (less = realloc(column->fixed, (size_t)(room * column->width))))
		column->fixed = less;
	else if (!column->width && (less = realloc(column->ends, (size_t)room * sizeof *column->ends)))
		column->ends = less;
	column->room = room;
}

static int64_t growing_capacity(const struct growing *column)
{
	int64_t width = column->width ? column->width : (int64_t)sizeof *column->ends;

	return (int64_t)column->texts.capacity + (width + 1) * column->room +
	       (column->elements ? growing_capacity(column->elements) : 0);
}

static int64_t columns_capacity(const struct columns *columns)
{
	int64_t capacity = 0;

	for (int i = 0; i < columns->count; i++)
		capacity += growing_capacity(&columns->data[i]);
	return capacity;
}

void columns_trim(struct columns *columns)
{
	if (columns_capacity(columns) <= JSON_KEPT + 4 * columns_bytes(columns))
		return;
	columns->room = 0; /* columns_room looks again */
	for (int i = 0; i < columns->count; i++)
		growing_trim(&columns->data[i]);
}

static void truncate_rows(struct columns *columns, int64_t rows)
{
	for (int i = 0; i < columns->count; i++)
		growing_truncate(&columns->data[i], rows);
	columns->rows = rows;
}

void columns_keep(struct columns *columns)
{
	for (int i = 0; columns->widened && i < columns->count; i++)
		columns->data[i].widened = false;
	columns->widened = false;
}

void columns_restore(struct columns *columns, int count, int64_t rows)
{
	for (int i = count; i < columns->count; i++) {
		growing_release(&columns->data[i]);
		field_release(&columns->root.children[i]);
	}
	columns->root.child_count = columns->count = count;
	truncate_rows(columns, rows);
	for (int i = 0; columns->widened && i < count; i++)
		if (columns->data[i].widened)
			narrow(columns, i);
	columns_keep(columns);
}

static int64_t growing_bytes(const struct growing *column)
{
	int64_t width = column->width ? column->width : (int64_t)sizeof *column->ends;

	return (int64_t)column->texts.size + width * column->rows + column->rows / 8 +
	       (column->elements ? growing_bytes(column->elements) : 0);
}

int64_t columns_bytes(const struct columns *columns)
{
	int64_t bytes = 0;

	for (int i = 0; i < columns->count; i++)
		bytes += growing_bytes(&columns->data[i]);
	return bytes;
}

/* ---- out */

/* Bytes that are 0 or 1 as bits; NULL: out of memory. */
static uint8_t *make_bits(struct message *message, const uint8_t *bytes, int64_t count, int64_t *ret_zeros)
{
	size_t size = (size_t)count / 8 + 1;
	int64_t whole = 0;
	uint8_t *bits = message_alloc(message, size);

	if (!bits)
		return NULL;
	memset(bits, 0, size);
	*ret_zeros = 0;
	/* Eight at once: the product has the first byte's bit 56 places up, the second's 57... (a byte is 0 or 1). */
	for (; whole + 8 <= count; whole += 8) {
		uint64_t eight = (uint64_t)load_i64(bytes + whole);

		bits[whole / 8] = (uint8_t)((eight * 0x0102040810204080u) >> 56);
		*ret_zeros += 8 - __builtin_popcountll(eight);
	}
	for (int64_t i = whole; i < count; i++) {
		bits[i / 8] |= (uint8_t)((bytes[i] & 1) << (i % 8));
		*ret_zeros += !bytes[i];
	}
	return bits;
}

static uint8_t *make_copy(struct message *message, const void *bytes, size_t size, size_t before)
{
	uint8_t *copy = message_alloc(message, before + size + 1);

	if (!copy)
		return NULL;
	memset(copy, 0, before);
	if (size)
		memcpy(copy + before, bytes, size);
	return copy;
}

/* The node of one column, in memory of the message. -1: out of memory. */
static int make_node(struct message *message, const struct growing *column, struct node *node)
{
	int64_t zeros;
	uint8_t *valid = make_bits(message, column->valid, column->rows, &node->nulls);

	node->kind = column->kind;
	node->length = column->rows;
	if (!valid)
		return -1;
	if (node->nulls)
		node->valid = valid;
	if (column->kind == KIND_BOOL)
		node->first = make_bits(message, column->fixed, column->rows, &zeros);
	else if (column->width)
		node->first = make_copy(message, column->fixed, (size_t)(column->rows * column->width), 0);
	else /* offsets begin with 0 */
		node->first = make_copy(message, column->ends, (size_t)column->rows * sizeof *column->ends,
		                        sizeof *column->ends);
	if (!node->first)
		return -1;
	if (column->width || column->elements)
		return 0;
	node->second = make_copy(message, column->texts.data, column->texts.size, 0);
	node->second_size = (int64_t)column->texts.size;
	return node->second ? 0 : -1;
}

static int make_nodes(struct columns *columns, struct message *message, struct node *nodes)
{
	bool much = columns_capacity(columns) > JSON_KEPT; /* it goes as it is copied: all of it is never there twice */
	int next = 1;

	columns->root.index = 0;
	columns->room = much ? 0 : columns->room; /* columns_room looks again */
	for (int i = 0; i < columns->count; i++) {
		struct field *field = &columns->root.children[i];

		field->index = next++;
		if (make_node(message, &columns->data[i], &nodes[field->index]))
			return -1;
		if (columns->data[i].elements) {
			field->children[0].index = next++;
			if (make_node(message, columns->data[i].elements, &nodes[field->children[0].index]))
				return -1;
		}
		if (!much)
			continue;
		growing_truncate(&columns->data[i], 0);
		growing_trim(&columns->data[i]);
	}
	return 0;
}

static int slice(struct columns *columns, struct message *message, struct batch_set *set, struct error *err)
{
	OWNED_FREE struct node *nodes = calloc((size_t)columns->count * 2 + 1, sizeof *nodes);
	struct batch_decoder out = {.nodes = nodes, .made_max = INT64_MAX}; /* json_count has bounded it */
	struct decode decode = {.decoder = &out, .message = message, .err = err};
	int failed;

	if (!nodes || make_nodes(columns, message, nodes))
		return error_no_memory(err);
	out.root = columns->root;
	failed = slice_batch(&decode, columns->rows);
	set->arrays = decode.arrays;
	set->count = decode.array_count;
	set->rows = columns->rows;
	return failed;
}

int columns_take(struct columns *columns, void (*let_go)(void *), void *opaque, struct batch_set *ret_set,
                 struct error *err)
{
	struct batch_set set = {0};
	struct message *message = message_new((struct batch_bytes){.opaque = opaque});

	if (!columns->schema)
		columns->schema = schema_export(&columns->root);
	if (!message || !columns->schema) {
		free(message);
		return error_no_memory(err);
	}
	set.schema = batch_schema_retain(columns->schema);
	if (slice(columns, message, &set, err)) {
		batch_set_release(&set);
		message_unref(message);
		truncate_rows(columns, 0);
		return -1;
	}
	message->bytes.release = let_go;
	message_unref(message); /* the arrays have theirs; without one, this lets go at once */
	*ret_set = set;
	truncate_rows(columns, 0);
	return 0;
}
