/*
 * schema.c - a Schema table of the IPC format becomes fields, or a reason why its columns cannot be taken.
 * Source: Schema.fbs of Arrow format 1.5 (https://github.com/apache/arrow/blob/main/format/Schema.fbs); the numbers
 * below are its field ids.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/owned.h"
#include "batch/decode.h"

const struct kind_row kinds[KIND_COUNT] = {
#define KIND(id, layout, width, format, name) [KIND_##id] = {LAYOUT_##layout, width, format, name},
#include "batch/kinds.def"
#undef KIND
};

/* Values of the union `Type`, in their order. */
enum wire_type {
	WIRE_NONE,
	WIRE_NULL,
	WIRE_INT,
	WIRE_FLOAT,
	WIRE_BINARY,
	WIRE_UTF8,
	WIRE_BOOL,
	WIRE_DECIMAL,
	WIRE_DATE,
	WIRE_TIME,
	WIRE_TIMESTAMP,
	WIRE_INTERVAL,
	WIRE_LIST,
	WIRE_STRUCT,
	WIRE_UNION,
	WIRE_FIXED_BINARY,
	WIRE_FIXED_LIST,
	WIRE_MAP,
	WIRE_DURATION,
	WIRE_LARGE_BINARY,
	WIRE_LARGE_UTF8,
	WIRE_LARGE_LIST,
	WIRE_RUN_END,
	WIRE_BINARY_VIEW,
	WIRE_UTF8_VIEW,
	WIRE_LIST_VIEW,
	WIRE_LARGE_LIST_VIEW,
};

struct reader {
	struct decode *decode;
	struct flat *flat;
	struct pool *pool;
	int fields;
};

struct pool_chunk {
	struct pool_chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

void *pool_alloc(struct pool *pool, size_t size)
{
	struct pool_chunk *chunk = pool->chunks;
	size_t room;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->used < size) {
		room = size > 4096 ? size : 4096;
		chunk = calloc(1, sizeof *chunk + room);
		if (!chunk)
			return NULL;
		chunk->size = room;
		chunk->next = pool->chunks;
		pool->chunks = chunk;
	}
	chunk->used += size;
	return chunk->data + chunk->used - size;
}

void pool_release(struct pool *pool)
{
	struct pool_chunk *next;

	for (struct pool_chunk *chunk = pool->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	pool->chunks = NULL;
}

/* A string field as C text in the pool, "" where it is absent. */
static int read_text(struct reader *reader, const struct field *field, uint32_t table, int id, const char *what,
                     const char **ret_text)
{
	uint32_t size, at = flat_vector(reader->flat, table, id, 1, &size);
	const uint8_t *bytes = reader->flat->data + at;
	char *text = pool_alloc(reader->pool, (size_t)size + 1);

	if (!text)
		return error_no_memory(reader->decode->err);
	if (size && memchr(bytes, 0, size))
		return decode_error(reader->decode, field, "%s holds a 0 byte", what);
	if (size && !utf8_valid(bytes, size))
		return decode_error(reader->decode, field, "%s is not UTF-8", what);
	if (size)
		memcpy(text, bytes, size);
	*ret_text = text;
	return 0;
}

static int read_int(struct reader *reader, struct field *field, uint32_t type, enum kind *ret_kind)
{
	static const enum kind ints[] = {KIND_UINT8,  KIND_INT8,  KIND_UINT16, KIND_INT16,
	                                 KIND_UINT32, KIND_INT32, KIND_UINT64, KIND_INT64};
	int bits = flat_field_i32(reader->flat, type, 0, 0);
	bool is_signed = flat_field_u8(reader->flat, type, 1, 0);

	for (int i = 0; i < 4; i++) {
		if (bits == 8 << i) {
			*ret_kind = ints[2 * i + is_signed];
			return 0;
		}
	}
	return decode_error(reader->decode, field, "an integer of %d bits", bits);
}

static int read_decimal(struct reader *reader, struct field *field, uint32_t type)
{
	int bits = flat_field_i32(reader->flat, type, 2, 128);
	int digits = bits == 32 ? 9 : bits == 64 ? 18 : 38;

	field->precision = flat_field_i32(reader->flat, type, 0, 0);
	field->scale = flat_field_i32(reader->flat, type, 1, 0);
	field->kind = bits == 32 ? KIND_DECIMAL32 : bits == 64 ? KIND_DECIMAL64 : KIND_DECIMAL128;
	if (bits == 256)
		return decode_error(reader->decode, field,
		                    "decimal256(%d, %d) cannot be stored: at most 38 digits in 128 bits can",
		                    field->precision, field->scale);
	if (bits != 32 && bits != 64 && bits != 128)
		return decode_error(reader->decode, field, "a decimal of %d bits", bits);
	if (field->precision < 1 || field->precision > digits || field->scale < 0 || field->scale > field->precision)
		return decode_error(reader->decode, field,
		                    "%s(%d, %d): digits are 1 to %d, and the scale is 0 to the digits",
		                    kinds[field->kind].name, field->precision, field->scale, digits);
	return 0;
}

/* Kinds with a unit stand in kinds.def in the order of TimeUnit: seconds, milli-, micro-, nanoseconds. */
static int read_unit(struct reader *reader, struct field *field, uint32_t type, enum kind seconds, int otherwise)
{
	int unit = flat_field_i16(reader->flat, type, 0, (int16_t)otherwise);

	if (unit < 0 || unit > 3)
		return decode_error(reader->decode, field, "a time unit numbered %d", unit);
	field->kind = seconds + (enum kind)unit;
	return 0;
}

static int read_time(struct reader *reader, struct field *field, uint32_t type)
{
	int bits = flat_field_i32(reader->flat, type, 1, 32);

	if (read_unit(reader, field, type, KIND_TIME_S, 1))
		return -1;
	if (bits != 8 * kinds[field->kind].width)
		return decode_error(reader->decode, field, "a time of %d bits in its unit", bits);
	return 0;
}

static int read_small_enum(struct reader *reader, struct field *field, uint32_t type, int otherwise,
                           const enum kind *of, int count, const char *what)
{
	int number = flat_field_i16(reader->flat, type, 0, (int16_t)otherwise);

	if (number < 0 || number >= count)
		return decode_error(reader->decode, field, "%s numbered %d", what, number);
	field->kind = of[number];
	return 0;
}

static int read_union(struct reader *reader, struct field *field, uint32_t type)
{
	uint32_t count, ids = flat_vector(reader->flat, type, 1, 4, &count);
	uint32_t children;

	field->kind = KIND_UNION;
	memset(field->members, -1, sizeof field->members);
	field->members_in_order = true;
	if (flat_field_i16(reader->flat, type, 0, 0) != 0)
		return decode_error(reader->decode, field, "a dense union cannot be stored: send a sparse union");
	children = (uint32_t)field->child_count;
	if (children == 0 || children > 127 || (ids && count != children))
		return decode_error(reader->decode, field, "a union of %u members with %u type ids", children, count);
	for (uint32_t i = 0; i < children; i++) {
		int id = ids ? flat_i32(reader->flat, ids + 4 * i) : (int)i;

		if (id < 0 || id > 127 || field->members[id] >= 0)
			return decode_error(reader->decode, field,
			                    "type id %d of a union member is double or not 0 to 127", id);
		field->members[id] = (int8_t)i;
		field->members_in_order &= id == (int)i;
	}
	return 0;
}

static int read_sized(struct reader *reader, struct field *field, uint32_t type, enum kind kind)
{
	int size = flat_field_i32(reader->flat, type, 0, 0);

	field->kind = kind;
	if (kind == KIND_FIXED_BINARY) {
		field->width = size;
		return size >= 1 ? 0 : decode_error(reader->decode, field, "a fixed size binary of %d bytes", size);
	}
	field->list_size = size;
	if (size < 1 || size > IPC_FIXED_LIST_MAX)
		return decode_error(reader->decode, field, "a fixed size list of %d elements: 1 to %d can be stored",
		                    size, IPC_FIXED_LIST_MAX);
	return 0;
}

static int read_type(struct reader *reader, struct field *field, int wire, uint32_t type)
{
	static const enum kind floats[] = {KIND_HALF, KIND_FLOAT, KIND_DOUBLE};
	static const enum kind dates[] = {KIND_DATE32, KIND_DATE64};
	static const enum kind intervals[] = {KIND_INTERVAL_MONTHS, KIND_INTERVAL_DAY_TIME,
	                                      KIND_INTERVAL_MONTH_DAY_NANO};

	field->timezone = "";
	switch ((enum wire_type)wire) {
	case WIRE_NULL: field->kind = KIND_NULL; return 0;
	case WIRE_BOOL: field->kind = KIND_BOOL; return 0;
	case WIRE_BINARY: field->kind = KIND_BINARY; return 0;
	case WIRE_LARGE_BINARY: field->kind = KIND_LARGE_BINARY; return 0;
	case WIRE_BINARY_VIEW: field->kind = KIND_BINARY_VIEW; return 0;
	case WIRE_UTF8: field->kind = KIND_UTF8; return 0;
	case WIRE_LARGE_UTF8: field->kind = KIND_LARGE_UTF8; return 0;
	case WIRE_UTF8_VIEW: field->kind = KIND_UTF8_VIEW; return 0;
	case WIRE_LIST: field->kind = KIND_LIST; return 0;
	case WIRE_LARGE_LIST: field->kind = KIND_LARGE_LIST; return 0;
	case WIRE_LIST_VIEW: field->kind = KIND_LIST_VIEW; return 0;
	case WIRE_LARGE_LIST_VIEW: field->kind = KIND_LARGE_LIST_VIEW; return 0;
	case WIRE_STRUCT: field->kind = KIND_STRUCT; return 0;
	case WIRE_RUN_END: field->kind = KIND_RUN_END; return 0;
	case WIRE_INT: return read_int(reader, field, type, &field->kind);
	case WIRE_FLOAT:
		return read_small_enum(reader, field, type, 0, floats, COUNT_OF(floats), "a floating point precision");
	case WIRE_DECIMAL: return read_decimal(reader, field, type);
	case WIRE_DATE: return read_small_enum(reader, field, type, 1, dates, COUNT_OF(dates), "a date unit");
	case WIRE_TIME: return read_time(reader, field, type);
	case WIRE_INTERVAL:
		return read_small_enum(reader, field, type, 0, intervals, COUNT_OF(intervals), "an interval unit");
	case WIRE_DURATION: return read_unit(reader, field, type, KIND_DURATION_S, 1);
	case WIRE_UNION: return read_union(reader, field, type);
	case WIRE_FIXED_BINARY: return read_sized(reader, field, type, KIND_FIXED_BINARY);
	case WIRE_FIXED_LIST: return read_sized(reader, field, type, KIND_FIXED_LIST);
	case WIRE_MAP:
		field->kind = KIND_MAP;
		field->keys_sorted = flat_field_u8(reader->flat, type, 0, 0);
		return 0;
	case WIRE_TIMESTAMP:
		if (read_unit(reader, field, type, KIND_TIMESTAMP_S, 0))
			return -1;
		return read_text(reader, field, type, 1, "the time zone", &field->timezone);
	case WIRE_NONE: break;
	}
	return decode_error(reader->decode, field, "has a type numbered %d, which this Arrow version does not know",
	                    wire);
}

/* ARROW:extension:name of the field's custom metadata; other metadata does not matter here. */
static int read_extension(struct reader *reader, struct field *field, uint32_t table)
{
	static const char wanted[] = "ARROW:extension:name";
	uint32_t count, pairs = flat_vector(reader->flat, table, 6, 4, &count), size, key;

	field->extension = "";
	for (uint32_t i = 0; i < count && !reader->flat->bad; i++) {
		uint32_t pair = flat_follow(reader->flat, pairs + 4 * i);

		key = flat_vector(reader->flat, pair, 0, 1, &size);
		if (!key || size != sizeof wanted - 1 || memcmp(reader->flat->data + key, wanted, size))
			continue;
		if (read_text(reader, field, pair, 1, "the extension's name", &field->extension))
			return -1;
	}
	return 0;
}

/* What a kind demands of its children. */
static int check_children(struct reader *reader, const struct field *field)
{
	const struct field *child = field->children;
	int wanted;

	switch (kinds[field->kind].layout) {
	case LAYOUT_LIST32:
	case LAYOUT_LIST64:
	case LAYOUT_LIST_VIEW32:
	case LAYOUT_LIST_VIEW64:
	case LAYOUT_FIXED_LIST: wanted = 1; break;
	case LAYOUT_RUN_END: wanted = 2; break;
	case LAYOUT_UNION:
	case LAYOUT_STRUCT: wanted = field->child_count ? field->child_count : 1; break;
	default: wanted = 0;
	}
	if (field->child_count != wanted)
		return decode_error(reader->decode, field, "a %s with %d children", kinds[field->kind].name,
		                    field->child_count);
	if (field->kind == KIND_MAP && (child->kind != KIND_STRUCT || child->value || child->child_count != 2))
		return decode_error(reader->decode, field, "a map whose entries are not a struct of a key and a value");
	if (field->kind == KIND_RUN_END &&
	    (child->value || (child->kind != KIND_INT16 && child->kind != KIND_INT32 && child->kind != KIND_INT64)))
		return decode_error(reader->decode, field, "run ends that are not int16, int32 or int64");
	if (field->kind == KIND_RUN_END && (child[1].value || child[1].child_count))
		return decode_error(reader->decode, field, "run-end encoded %s cannot be stored: send the column plain",
		                    child[1].value ? "dictionary" : kinds[child[1].kind].name);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcasecmp((*(const struct field *const *)a)->name, (*(const struct field *const *)b)->name);
}

/* DuckDB's catalogs compare names without case: two such columns would be one. */
static int check_names(struct reader *reader, const struct field *field)
{
	OWNED_FREE const struct field **sorted = NULL;
	int count = field->child_count;

	if (field->kind != KIND_STRUCT && field->kind != KIND_UNION)
		return 0;
	if (field->parent && field->parent->kind == KIND_MAP)
		return 0;
	sorted = calloc((size_t)count + 1, sizeof *sorted);
	if (!sorted)
		return error_no_memory(reader->decode->err);
	for (int i = 0; i < count; i++) {
		sorted[i] = &field->children[i];
		if (!*sorted[i]->name)
			return decode_error(reader->decode, field->parent ? field : NULL, "%s %d has an empty name",
			                    field->parent ? "field" : "column", i);
	}
	qsort(sorted, (size_t)count, sizeof *sorted, compare_names);
	for (int i = 1; i < count; i++)
		if (!compare_names(&sorted[i - 1], &sorted[i]))
			return decode_error(reader->decode, field->parent ? field : NULL,
			                    "the names '%s' and '%s' are the same without case: rename one",
			                    sorted[i - 1]->name, sorted[i]->name);
	return 0;
}

static int read_fields(struct reader *reader, struct field *parent, uint32_t table, int id, int depth, int lists);

/* Turns the field just read into indices into a dictionary whose values have the type that was read. */
static int read_dictionary(struct reader *reader, struct field *field, uint32_t encoding)
{
	struct field *value = pool_alloc(reader->pool, sizeof *value);

	if (!value)
		return error_no_memory(reader->decode->err);
	if (field->child_count || field->kind == KIND_RUN_END || kinds[field->kind].layout == LAYOUT_STRUCT)
		return decode_error(reader->decode, field, "a dictionary of %s cannot be stored: send the column plain",
		                    kinds[field->kind].name);
	*value = *field;
	value->name = "";
	value->parent = field;
	value->index = reader->fields++;
	field->value = value;
	field->dictionary_id = flat_field_i64(reader->flat, encoding, 0, 0);
	field->kind = KIND_INT32;
	if (flat_slot(reader->flat, encoding, 1) &&
	    read_int(reader, field, flat_table(reader->flat, encoding, 1), &field->kind))
		return -1;
	if (flat_field_i16(reader->flat, encoding, 3, 0) != 0)
		return decode_error(reader->decode, field,
		                    "a dictionary of a kind that this Arrow version does not know");
	field->width = kinds[field->kind].width;
	field->precision = field->scale = 0;
	return 0;
}

static int read_field(struct reader *reader, struct field *field, uint32_t table, int depth, int lists)
{
	uint32_t count, encoding;

	if (depth > IPC_DEPTH_MAX)
		return decode_error(reader->decode, field->parent, "types are nested more than %d deep", IPC_DEPTH_MAX);
	field->index = reader->fields++;
	if (read_text(reader, NULL, table, 0, "a column's name", &field->name) || read_extension(reader, field, table))
		return -1;
	field->nullable = flat_field_u8(reader->flat, table, 1, 0);
	flat_vector(reader->flat, table, 5, 4, &count);
	field->child_count = (int)(count > IPC_FIELDS_MAX ? IPC_FIELDS_MAX : count);
	if (read_type(reader, field, flat_field_u8(reader->flat, table, 2, 0), flat_table(reader->flat, table, 3)))
		return -1;
	if (field->kind != KIND_FIXED_BINARY)
		field->width = kinds[field->kind].width;
	if (field->kind == KIND_FIXED_LIST && (lists *= field->list_size) > IPC_FIXED_LIST_MAX)
		return decode_error(reader->decode, field, "nested fixed size lists of more than %d elements",
		                    IPC_FIXED_LIST_MAX);
	if (read_fields(reader, field, table, 5, depth, lists) || check_children(reader, field) ||
	    check_names(reader, field))
		return -1;
	encoding = flat_table(reader->flat, table, 4);
	return encoding ? read_dictionary(reader, field, encoding) : 0;
}

static int read_fields(struct reader *reader, struct field *parent, uint32_t table, int id, int depth, int lists)
{
	uint32_t count, children = flat_vector(reader->flat, table, id, 4, &count);

	if (reader->fields + (int64_t)count > IPC_FIELDS_MAX)
		return decode_error(reader->decode, NULL, "more than %d columns and nested fields", IPC_FIELDS_MAX);
	parent->child_count = (int)count;
	parent->children = pool_alloc(reader->pool, count * sizeof *parent->children + 1);
	if (!parent->children)
		return error_no_memory(reader->decode->err);
	for (uint32_t i = 0; i < count; i++) {
		parent->children[i].parent = parent;
		parent->children[i].name = "";
		if (read_field(reader, &parent->children[i], flat_follow(reader->flat, children + 4 * i), depth + 1,
		               lists))
			return -1;
		if (reader->flat->bad)
			return decode_error(reader->decode, NULL, "the metadata points outside itself");
	}
	return 0;
}

static bool same_type(const struct field *a, const struct field *b)
{
	return a->kind == b->kind && a->width == b->width && a->precision == b->precision && a->scale == b->scale &&
	       !strcmp(a->timezone, b->timezone);
}

/* Gives each dictionary-encoded field its row in decoder->dictionaries; fields with one id share one. */
static int bind_dictionaries(struct reader *reader, struct batch_decoder *decoder, struct field *field)
{
	struct dictionary *dictionary;
	int i;

	for (int c = 0; c < field->child_count; c++)
		if (bind_dictionaries(reader, decoder, &field->children[c]))
			return -1;
	if (!field->value)
		return 0;
	for (i = 0; i < decoder->dictionary_count && decoder->dictionaries[i].id != field->dictionary_id; i++)
		;
	dictionary = &decoder->dictionaries[i];
	field->dictionary = i;
	if (i == decoder->dictionary_count) {
		dictionary->id = field->dictionary_id;
		dictionary->value = field->value;
		decoder->dictionary_count++;
	}
	if (!same_type(dictionary->value, field->value))
		return decode_error(reader->decode, field, "dictionary %lld is shared by columns of different types",
		                    (long long)field->dictionary_id);
	return 0;
}

static enum kind kind_out(enum kind kind)
{
	switch (kind) {
	case KIND_HALF: return KIND_FLOAT;
	case KIND_INTERVAL_DAY_TIME: return KIND_INTERVAL_MONTH_DAY_NANO;
	case KIND_LIST_VIEW: return KIND_LIST;
	case KIND_LARGE_LIST_VIEW: return KIND_LARGE_LIST;
	default: return kind;
	}
}

/* What a looked-up value leaves as: text and binaries as views of the dictionary's bytes. */
static enum kind kind_looked_up(enum kind kind)
{
	switch (kinds[kind].layout) {
	case LAYOUT_STRING32:
	case LAYOUT_STRING64:
	case LAYOUT_VIEW: return kind_is_text(kind) ? KIND_UTF8_VIEW : KIND_BINARY_VIEW;
	default: return kind_out(kind);
	}
}

static void set_out(struct field *field)
{
	for (int i = 0; i < field->child_count; i++)
		set_out(&field->children[i]);
	field->out = kind_out(field->kind);
	if (field->value) {
		field->value->out = kind_out(field->value->kind);
		field->out = kind_looked_up(field->value->kind);
	} else if (field->kind == KIND_INT8 && !strcmp(field->extension, "arrow.bool8"))
		field->out = KIND_BOOL;
	if (field->kind == KIND_RUN_END)
		field->out = kind_looked_up(field->children[1].kind);
}

int schema_read(struct decode *decode, struct flat *flat, uint32_t table)
{
	struct batch_decoder *decoder = decode->decoder;
	struct reader reader = {.decode = decode, .flat = flat, .pool = &decoder->pool};
	struct field *root = &decoder->root;

	*root = (struct field){.kind = KIND_STRUCT, .out = KIND_STRUCT, .name = "", .timezone = "", .extension = ""};
	root->index = reader.fields++;
	if (flat_field_i16(flat, table, 0, 0) != 0)
		return decode_error(decode, NULL, "the data is big-endian: send it little-endian");
	if (read_fields(&reader, root, table, 1, 0, 1))
		return -1;
	if (flat->bad)
		return decode_error(decode, NULL, "the metadata points outside itself");
	if (!root->child_count)
		return decode_error(decode, NULL, "there are no columns");
	if (check_names(&reader, root))
		return -1;
	decoder->field_count = reader.fields;
	decoder->dictionary_count = 0;
	decoder->dictionaries = pool_alloc(&decoder->pool, sizeof *decoder->dictionaries * (size_t)(reader.fields + 1));
	decoder->nodes = pool_alloc(&decoder->pool, sizeof *decoder->nodes * (size_t)reader.fields);
	if (!decoder->dictionaries || !decoder->nodes)
		return error_no_memory(decode->err);
	set_out(root);
	if (root->children[0].out == KIND_NULL)
		root->children[0].out = KIND_INT32;
	return bind_dictionaries(&reader, decoder, root);
}
