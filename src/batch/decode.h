/*
 * decode.h - what the files of the IPC decoder share; nothing outside batch/ includes it.
 *
 * The path of a message: ipc.c (framing) -> schema.c (fields) -> body.c (buffers, decompression) -> validate.c and
 * utf8.c
 * -> convert.c (what DuckDB would not take as it is) -> slice.c (arrays of at most BATCH_ROWS_MAX rows).
 *
 * Invariants:
 *  1. A node's pointers are inside the message's bytes or inside a block that the message owns.
 *  2. Values are read with memcpy: a payload lies at any alignment.
 *  3. What one message makes the process allocate for its values and their arrays is at most the decoder's made_max.
 */
#ifndef TARN_BATCH_DECODE_H
#define TARN_BATCH_DECODE_H

#include <string.h>

#include "batch/arrow_abi.h"
#include "batch/batch.h"
#include "batch/flat.h"

/* DuckDB's first timestamp, 290309-12-22 BC, and its last, one before infinity; in microseconds. */
#define FIRST_TIMESTAMP (-INT64_C(9223372022400000000))
#define LAST_TIMESTAMP (INT64_MAX - 1)

#define IPC_FIELDS_MAX 10000 /* columns and nested fields of one schema */
#define IPC_DEPTH_MAX 64 /* of nested types */
#define IPC_BATCHES_MAX 10000 /* record batches of one message */
#define IPC_ROWS_MAX ((int64_t)1 << 24) /* values of one column (or nested field) of one message */
#define IPC_FIXED_LIST_MAX 100000 /* elements of nested fixed size lists, multiplied: DuckDB's own limit */

enum layout {
	LAYOUT_NONE, /* no buffers */
	LAYOUT_BITS, /* validity, bits */
	LAYOUT_FIXED, /* validity, values */
	LAYOUT_STRING32, /* validity, offsets, bytes */
	LAYOUT_STRING64,
	LAYOUT_VIEW, /* validity, views, any number of byte buffers */
	LAYOUT_LIST32, /* validity, offsets; one child */
	LAYOUT_LIST64,
	LAYOUT_LIST_VIEW32, /* validity, offsets, sizes; one child */
	LAYOUT_LIST_VIEW64,
	LAYOUT_FIXED_LIST, /* validity; one child */
	LAYOUT_STRUCT, /* validity; children */
	LAYOUT_UNION, /* type ids; children */
	LAYOUT_RUN_END, /* none; run ends, values */
};

enum kind {
#define KIND(id, layout, width, format, name) KIND_##id,
#include "batch/kinds.def"
#undef KIND
	KIND_COUNT
};

struct kind_row {
	enum layout layout;
	int width;
	const char *format;
	const char *name;
};

extern const struct kind_row kinds[KIND_COUNT];

/* Memory that is freed all at once. */
struct pool {
	struct pool_chunk *chunks;
};

void *pool_alloc(struct pool *pool, size_t size); /* zeroed; NULL: out of memory */
void pool_release(struct pool *pool);

/* One column or nested field of a schema message. A dictionary-encoded field has the kind of its indices and a `value`.
 */
struct field {
	enum kind kind; /* on the wire */
	enum kind out; /* what leaves batch/: see convert.c */
	int width; /* bytes of one value on the wire, of LAYOUT_FIXED and LAYOUT_VIEW */
	int list_size;
	int precision, scale;
	bool nullable, keys_sorted;
	const char *name;
	const char *timezone; /* "" without one */
	const char *extension; /* ARROW:extension:name, "" without one */
	struct field *parent;
	struct field *children;
	int child_count;
	struct field *value;
	int64_t dictionary_id;
	int dictionary; /* index of the decoder's dictionaries */
	int8_t members[128]; /* of a union: type id -> child, -1 where there is none */
	bool members_in_order; /* ... type id i is child i */
	int index; /* of its node */
};

struct view_buffer {
	const uint8_t *data;
	int64_t size;
};

/* The values of one field in one record batch. */
struct node {
	enum kind kind; /* the field's kind until convert.c made it its `out` */
	int64_t length;
	int64_t nulls; /* exact; 0: valid is NULL */
	const uint8_t *valid;
	const uint8_t *first; /* bits, values, offsets, views or type ids */
	int64_t first_size;
	const uint8_t *second; /* bytes of strings, sizes of list views */
	int64_t second_size;
	struct view_buffer *views; /* byte buffers of LAYOUT_VIEW */
	int64_t view_count;
};

/* A dictionary (or the values of runs) as one array that indices can look into. */
struct values {
	enum kind kind; /* strings and binaries are kept as views */
	int width;
	int64_t length, capacity;
	uint8_t *data; /* width bytes a value; of bools one byte */
	uint8_t *valid; /* one byte a value */
	bool any_null;
	struct view_buffer *views;
	int64_t view_count;
};

struct dictionary {
	int64_t id;
	struct field *value;
	struct values values;
};

/* A message's bytes and what was made from them; freed with the last array. */
struct message {
	atomic_int references;
	struct batch_bytes bytes; /* release NULL: not armed yet */
	struct message_block *blocks;
};

struct message *message_new(struct batch_bytes bytes);
void message_unref(struct message *message);
void *message_alloc(struct message *message,
                    size_t size); /* 64-byte aligned, not zeroed, lives as long as the message */

struct batch_decoder {
	struct batch_counters *counters;
	int64_t made_max; /* bytes decompressed, converted or cut into slices for one message */
	struct pool pool; /* of the fields below */
	struct field root; /* struct of the columns */
	struct dictionary *dictionaries;
	int dictionary_count;
	int field_count;
	struct node *nodes; /* field_count */
	uint8_t *schema_bytes; /* the schema message that `root` was read from */
	size_t schema_size;
	struct batch_schema *schema;
	char fingerprint[33]; /* of the last message; "" where it had no schema */
	struct batch_counters uncounted;
};

/* One message being decoded. */
struct decode {
	struct batch_decoder *decoder;
	struct message *message;
	struct error *err;
	size_t at; /* byte offset of the encapsulated message at hand, for reasons */
	char place[64]; /* "schema", "record batch 2" */
	int64_t made; /* bytes so far, against made_max */
	int64_t heads; /* of these, the slices' */
	int batches;
	/* the record batch at hand */
	struct flat flat;
	const uint8_t *body;
	int64_t body_size;
	int codec; /* -1 none, 0 LZ4_FRAME, 1 ZSTD */
	uint32_t nodes_at, nodes_left;
	uint32_t buffers_at, buffers_left;
	uint32_t variadic_at, variadic_left;
	/* what came out */
	struct ArrowArray *arrays;
	int array_count, array_capacity;
	int64_t rows;
};

/* CORRUPT with "at byte N: PLACE: column 'a.b': " before the reason; field may be NULL. Returns -1. */
int decode_error(struct decode *decode, const struct field *field, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* What helps where a message would take more than made_max. */
const char *decode_advice(const struct decode *decode);
/* Counts bytes against made_max; CORRUPT where they are more. */
int decode_count(struct decode *decode, const struct field *field, int64_t size);
/* Room for values that the message must own, inside made_max. NULL: *err is set. */
void *decode_make(struct decode *decode, const struct field *field, int64_t size, _Atomic int64_t *counter);

/* What an empty buffer points at: enough for one offset of a column without rows. */
extern const uint8_t empty_buffer[16];

/* schema.c: fills decoder->root and what hangs on it from the Schema table; CORRUPT says which column. */
int schema_read(struct decode *decode, struct flat *flat, uint32_t table);
/* arrow_schema.c: the schema as its users see it, from decoder->root. NULL: out of memory. */
struct batch_schema *schema_export(const struct field *root);

/* body.c: reads, validates and converts the columns of a RecordBatch table into decoder->nodes. */
int body_read(struct decode *decode, uint32_t table, const struct field *fields, int count);
/* codec.c: exactly `size` bytes into `to`, or -1. codec: 0 LZ4_FRAME, 1 ZSTD. */
int codec_decompress(int codec, const uint8_t *from, size_t from_size, uint8_t *to, size_t size);

/* validate.c: after a node's buffers are there and its children are validated. */
int validate_node(struct decode *decode, const struct field *field, struct node *node);
/* utf8.c */
bool utf8_valid(const uint8_t *text, size_t size);
/* The whole text is UTF-8 and each of the strings cut by `count` + 1 offsets begins a character. width: 4 or 8 bytes.
 */
bool utf8_valid_strings(const uint8_t *data, const uint8_t *offsets, int width, int64_t count);

/* convert.c: turns a validated node into its field's `out`. */
int convert_node(struct decode *decode, const struct field *field, struct node *node);
/* Adds a validated node's values behind those that are there (a delta); strings stay where they are. */
int values_append(struct decode *decode, const struct field *field, struct values *values, const struct node *node);

/* slice.c: the columns at hand as arrays of at most BATCH_ROWS_MAX rows, appended to decode->arrays. */
int slice_batch(struct decode *decode, int64_t rows);

static inline struct node *node_of(const struct decode *decode, const struct field *field)
{
	return &decode->decoder->nodes[field->index];
}

static inline bool bit_get(const uint8_t *bits, int64_t i)
{
	return bits[i >> 3] >> (i & 7) & 1;
}

static inline bool node_valid(const struct node *node, int64_t row)
{
	return !node->valid || bit_get(node->valid, row);
}

static inline int32_t load_i32(const uint8_t *at)
{
	int32_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

static inline int64_t load_i64(const uint8_t *at)
{
	int64_t value;

	memcpy(&value, at, sizeof value);
	return value;
}

/* Offset i of a column whose offsets are `width` (4 or 8) bytes. */
static inline int64_t load_offset(const uint8_t *offsets, int width, int64_t i)
{
	return width == 4 ? load_i32(offsets + 4 * i) : load_i64(offsets + 8 * i);
}

/* A value of one of the integer kinds; of uint64 above INT64_MAX a negative one. */
static inline int64_t load_integer(const uint8_t *at, enum kind kind)
{
	uint64_t value = 0;
	int bits = 8 * kinds[kind].width;
	bool is_signed = kind == KIND_INT8 || kind == KIND_INT16 || kind == KIND_INT32 || kind == KIND_INT64;

	memcpy(&value, at, (size_t)bits / 8);
	return is_signed ? (int64_t)(value << (64 - bits)) >> (64 - bits) : (int64_t)value;
}

static inline int offset_width(enum kind kind)
{
	enum layout layout = kinds[kind].layout;

	return layout == LAYOUT_STRING64 || layout == LAYOUT_LIST64 || layout == LAYOUT_LIST_VIEW64 ? 8 : 4;
}

static inline bool kind_is_text(enum kind kind)
{
	return kind == KIND_UTF8 || kind == KIND_LARGE_UTF8 || kind == KIND_UTF8_VIEW;
}

#endif
