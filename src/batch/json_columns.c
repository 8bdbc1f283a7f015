/*
 * json_columns.c - columns that grow row by row. They leave as one block of memory, cut by slice.c like a message that
 * came in Arrow.
 */
#include <stdlib.h>

#include "base/owned.h"
#include "batch/json_private.h"

#define TEXT_MAX ((size_t)INT32_MAX - 1) /* bytes of a column's texts: its offsets are int32 */

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
	buffer_init(&column->values, TEXT_MAX);
	buffer_init(&column->ends, TEXT_MAX);
	buffer_init(&column->valid, TEXT_MAX);
}

static void growing_release(struct growing *column)
{
	buffer_release(&column->values);
	buffer_release(&column->ends);
	buffer_release(&column->valid);
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
	for (int64_t row = 0; row < columns->rows; row++)
		grow_null(column);
	return columns_ok(columns) ? columns->count - 1 : error_no_memory(err);
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

int columns_widen(struct columns *columns, int column, struct error *err)
{
	struct growing *data = &columns->data[column];

	for (size_t at = 0; at < data->values.size; at += sizeof(int64_t)) {
		int64_t whole = load_i64((const uint8_t *)data->values.data + at);
		double number = (double)whole;

		memcpy(data->values.data + at, &number, sizeof number);
	}
	data->kind = columns->root.children[column].kind = columns->root.children[column].out = KIND_DOUBLE;
	forget_schema(columns);
	return 0;
}

/* ---- rows */

static inline void append(struct buffer *buffer, const void *bytes, size_t size)
{
	if (buffer->size + size >= buffer->capacity) {
		buffer_append(buffer, bytes, size);
		return;
	}
	memcpy(buffer->data + buffer->size, bytes, size);
	buffer->size += size;
	buffer->data[buffer->size] = 0;
}

static inline void append_end(struct growing *column)
{
	int32_t end = (int32_t)(column->elements ? column->elements->valid.size : column->values.size);

	append(&column->ends, &end, sizeof end);
}

void grow_null(struct growing *column)
{
	static const char zeros[16];

	if (!column)
		return;
	append(&column->valid, "\0", 1);
	if (column->width)
		append(&column->values, zeros, (size_t)column->width);
	else
		append_end(column);
}

void grow_fixed(struct growing *column, const void *value)
{
	if (!column)
		return;
	append(&column->valid, "\1", 1);
	append(&column->values, value, (size_t)column->width);
}

void grow_text(struct growing *column, const char *text, size_t size)
{
	if (!column)
		return;
	append(&column->valid, "\1", 1);
	append(&column->values, text, size);
	append_end(column);
}

void grow_list_end(struct growing *column)
{
	append(&column->valid, "\1", 1);
	append_end(column);
}

static bool growing_ok(const struct growing *column)
{
	return buffer_ok(&column->values) && buffer_ok(&column->ends) && buffer_ok(&column->valid) &&
	       (!column->elements || growing_ok(column->elements));
}

bool columns_ok(const struct columns *columns)
{
	for (int i = 0; i < columns->count; i++)
		if (!growing_ok(&columns->data[i]))
			return false;
	return true;
}

static void growing_truncate(struct growing *column, int64_t rows)
{
	size_t end = 0, ends = (size_t)rows * sizeof(int32_t);

	column->values.failed = column->ends.failed = column->valid.failed = false;
	if ((size_t)rows < column->valid.size)
		column->valid.size = (size_t)rows;
	if (column->width) {
		end = (size_t)(rows * column->width);
	} else {
		if (ends < column->ends.size)
			column->ends.size = ends;
		if (column->ends.size)
			end = (size_t)load_i32((const uint8_t *)column->ends.data + column->ends.size -
			                       sizeof(int32_t));
	}
	if (column->elements)
		growing_truncate(column->elements, (int64_t)end);
	else if (end < column->values.size)
		column->values.size = end;
}

void columns_truncate(struct columns *columns, int64_t rows)
{
	for (int i = 0; i < columns->count; i++)
		growing_truncate(&columns->data[i], rows);
	columns->rows = rows;
}

static int64_t growing_bytes(const struct growing *column)
{
	return (int64_t)(column->values.size + column->ends.size + column->valid.size / 8) +
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
static uint8_t *make_bits(struct message *message, const struct buffer *bytes, int64_t *ret_zeros)
{
	size_t size = bytes->size / 8 + 1, whole = 0;
	uint8_t *bits = message_alloc(message, size);

	if (!bits)
		return NULL;
	memset(bits, 0, size);
	*ret_zeros = 0;
	/* Eight at once: the product has the first byte's bit 56 places up, the second's 57... (a byte is 0 or 1). */
	for (; whole + 8 <= bytes->size; whole += 8) {
		uint64_t eight = (uint64_t)load_i64((const uint8_t *)bytes->data + whole);

		bits[whole / 8] = (uint8_t)((eight * 0x0102040810204080u) >> 56);
		*ret_zeros += 8 - __builtin_popcountll(eight);
	}
	for (size_t i = whole; i < bytes->size; i++) {
		bits[i / 8] |= (uint8_t)((bytes->data[i] & 1) << (i % 8));
		*ret_zeros += !bytes->data[i];
	}
	return bits;
}

static uint8_t *make_copy(struct message *message, const struct buffer *bytes, size_t before)
{
	uint8_t *copy = message_alloc(message, before + bytes->size + 1);

	if (!copy)
		return NULL;
	memset(copy, 0, before);
	if (bytes->size)
		memcpy(copy + before, bytes->data, bytes->size);
	return copy;
}

/* The node of one column, in memory of the message. -1: out of memory. */
static int make_node(struct message *message, const struct growing *column, struct node *node)
{
	int64_t zeros;
	uint8_t *valid = make_bits(message, &column->valid, &node->nulls);

	node->kind = column->kind;
	node->length = (int64_t)column->valid.size;
	if (!valid)
		return -1;
	if (node->nulls)
		node->valid = valid;
	if (column->kind == KIND_BOOL)
		node->first = make_bits(message, &column->values, &zeros);
	else if (column->width)
		node->first = make_copy(message, &column->values, 0);
	else
		node->first = make_copy(message, &column->ends, sizeof(int32_t)); /* offsets begin with 0 */
	if (!node->first)
		return -1;
	if (column->width || column->elements)
		return 0;
	node->second = make_copy(message, &column->values, 0);
	node->second_size = (int64_t)column->values.size;
	return node->second ? 0 : -1;
}

static int make_nodes(struct columns *columns, struct message *message, struct node *nodes)
{
	int next = 1;

	columns->root.index = 0;
	for (int i = 0; i < columns->count; i++) {
		struct field *field = &columns->root.children[i];

		field->index = next++;
		if (make_node(message, &columns->data[i], &nodes[field->index]))
			return -1;
		if (!columns->data[i].elements)
			continue;
		field->children[0].index = next++;
		if (make_node(message, columns->data[i].elements, &nodes[field->children[0].index]))
			return -1;
	}
	return 0;
}

static int slice(struct columns *columns, struct message *message, struct batch_set *set, struct error *err)
{
	OWNED_FREE struct node *nodes = calloc((size_t)columns->count * 2 + 1, sizeof *nodes);
	struct batch_decoder out = {.nodes = nodes};
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
		return -1;
	}
	message->bytes.release = let_go;
	message_unref(message); /* the arrays have theirs; without one, this lets go at once */
	*ret_set = set;
	columns_truncate(columns, 0);
	return 0;
}
