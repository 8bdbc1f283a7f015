/*
 * json_private.h - what the files of the JSON decoder share; nothing outside batch/ includes it.
 *
 * The path of a payload: json.c (lines, documents) -> json_plain.c or yyjson's tree, and json_keys.c (keys to columns)
 * -> json_rows.c (rules) -> json_nested.c (what DuckDB's cast would change) -> json_values.c (a value as its column's
 * type) -> json_columns.c (columns that grow, and leave as arrays by slice.c).
 */
#ifndef TARN_BATCH_JSON_PRIVATE_H
#define TARN_BATCH_JSON_PRIVATE_H

#include <string.h>
#include <yyjson.h>

#include "base/buffer.h"
#include "batch/decode.h"
#include "batch/json.h"

/* ---- json_columns.c */

/* The values of one column (or of a list's elements) so far. */
struct growing {
	enum kind kind;
	int width; /* bytes of a value; 0: text or a list */
	int64_t rows, room; /* that there are, and that there is memory for: one more at least, see columns_room */
	uint8_t *valid; /* a byte a row */
	uint8_t *fixed; /* values with a width; bools are bytes here */
	bool widened; /* by columns_widen since columns_keep */
	int32_t *ends; /* of texts and lists: where the row ends in texts, or in `elements` */
	struct buffer texts;
	struct growing *elements; /* of a list, owned */
};

struct columns {
	struct field root; /* root.children[i] belongs to data[i] */
	struct growing *data;
	int count, capacity;
	int64_t rows; /* that are whole */
	int64_t room; /* the least of the columns' */
	bool widened; /* one of them is */
	struct batch_schema *schema; /* of root; NULL: it changed */
};

void columns_init(struct columns *columns);
void columns_release(struct columns *columns);
/* The new column's index, or -1 with *err. Rows that are there get null. Texts are borrowed. */
int columns_add(struct columns *columns, const char *name, enum json_type type, int precision, int scale,
                struct error *err);
/* ... of lists of texts. */
int columns_add_list(struct columns *columns, const char *name, struct error *err);
/* A BIGINT column becomes DOUBLE, with its values. False: one of them is beyond JSON_EXACT_MAX, and nothing changed. */
bool columns_widen(struct columns *columns, int column);
/* What was done stays, ... */
void columns_keep(struct columns *columns);
/* ... or is undone: all columns but the first `count`, all rows but the first `rows`, and columns_widen. */
void columns_restore(struct columns *columns, int count, int64_t rows);
int64_t columns_bytes(const struct columns *columns);
/* Gives back what is kept for more rows than there are, where it is far more than JSON_KEPT. */
void columns_trim(struct columns *columns);
int columns_take(struct columns *columns, void (*let_go)(void *), void *opaque, struct batch_set *ret_set,
                 struct error *err);

/* Memory for one more row; false: there is none. */
bool columns_room(struct columns *columns);

/* Each appends one row's value; where the column is NULL, to nothing. A text for which there is no memory sticks in the
 * buffer of texts: columns_ok. */
static inline void grow_end(struct growing *column, bool valid)
{
	column->valid[column->rows] = valid;
	column->ends[column->rows++] =
	        (int32_t)(column->elements ? column->elements->rows : (int64_t)column->texts.size);
}

/* size: the column's width, known where this is compiled. */
static inline void grow_fixed(struct growing *column, const void *value, size_t size)
{
	if (!column)
		return;
	memcpy(column->fixed + (int64_t)size * column->rows, value, size);
	column->valid[column->rows++] = 1;
}

static inline void grow_null(struct growing *column)
{
	static const uint8_t zeros[16];

	if (!column)
		return;
	switch (column->width) {
	case 0: grow_end(column, false); return;
	case 1: grow_fixed(column, zeros, 1); break;
	case 4: grow_fixed(column, zeros, 4); break;
	case 8: grow_fixed(column, zeros, 8); break;
	default: grow_fixed(column, zeros, 16); break;
	}
	column->valid[column->rows - 1] = 0;
}

static inline void grow_text(struct growing *column, const char *text, size_t size)
{
	struct buffer *texts;

	if (!column)
		return;
	texts = &column->texts;
	if (texts->size + size < texts->capacity) {
		memcpy(texts->data + texts->size, text, size);
		texts->size += size;
		texts->data[texts->size] = 0;
	} else {
		buffer_append(texts, text, size);
	}
	grow_end(column, true);
}

/* The elements appended since the last one are this row's. */
static inline void grow_list_end(struct growing *column)
{
	grow_end(column, true);
}

/* A text of the row at hand. False: out of memory. */
bool grow_element(struct growing *column, const char *text, size_t size);
bool columns_ok(const struct columns *columns);

/* ---- json_values.c */

/* How a value is called in reasons: "the text", "a whole number". */
const char *json_name(yyjson_val *value);
/* A value, and where it stands in its document's text; text NULL: that is not known. */
struct place {
	yyjson_val *value;
	const char *text;
	size_t size;
};

/* An object or array that is a member of the document is kept as its text. `key` is where its key stands there, behind
 * the quote. NULL: it is something else, or that cannot be told. */
const char *json_place_begin(const char *key, yyjson_val *name, yyjson_val *member);
/* `next`: the quote of the next key, or the end of the document. */
size_t json_place_size(const char *begin, const char *next);
static inline bool json_is_space(char c)
{
	return (unsigned char)c <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

/* Appends the value as the column's type; false (and nothing was appended) where it is not of it. column NULL: the
 * value is checked alone. ret_number: what was read as a number, whole ones exactly; NAN where nothing was. */
bool json_put(struct growing *column, const struct json_column *rule, const struct place *place,
              long double *ret_number);
/* The number of a raw value; false where no DOUBLE holds it. */
bool json_number(yyjson_val *value, double *ret_number);
/* Digits with or without '-' before them. */
bool json_is_whole(yyjson_val *value);
/* A raw value that is a whole number of 64 bits, also written as 5.0 or 1e3. */
bool json_whole(yyjson_val *value, int64_t *ret_whole);
/* A whole number, written as such, that DOUBLE does not hold exactly. */
bool json_is_rounded(yyjson_val *value);
/* DuckDB's cast of JSON to a decimal gives the very number: a double is between, but for whole numbers and texts. True
 * of what is neither a number nor a text. */
bool json_casts(yyjson_val *value, int scale);

/* ---- json_plain.c */

#define PLAIN_VALUES 64 /* of a document that is read so */

struct key;
/* A key's value; false: the document is not for this. */
typedef bool json_plain_found(void *context, const struct key *key, yyjson_val *value);

/* The values of keys with cells, in `values`, which has room for PLAIN_VALUES and points into the text. False: yyjson
 * must read the document; what was found until then is void. */
bool json_plain(const char *text, size_t size, struct key *root, yyjson_val *values, json_plain_found *found,
                void *context);

/* ---- json_types.c */

/* What a value should have been, for reasons: "a whole number of 64 bits". */
const char *json_type_right(enum json_type type);
/* The JSON type whose values DuckDB stores in a column of that type as they are or by a safe cast; JSON where it may
 * cast whatever JSON holds. precision and scale are of JSON_DECIMAL. */
enum json_type json_type_of_duckdb(const char *type, int *ret_precision, int *ret_scale);

/* Microseconds that a column of that type tells apart. */
int64_t json_unit_us(const char *type);

/* ---- json_nested.c */

#define JSON_LEAF_SIZE 64

/* What DuckDB's cast would change, and the type that it would be cast to. */
struct json_misfit {
	yyjson_val *value;
	char type[JSON_LEAF_SIZE];
};

/* DuckDB's cast of the JSON value to the type changes no number and no time in it, or fails. */
bool json_fits_table(const char *type, yyjson_val *value, struct json_misfit *ret_misfit);

/* ---- json_time.c */

/* ISO 8601 (RFC 3339, section 5.6, also with ' ' for 'T', without seconds, and without a zone, which is UTC then).
 * Digits behind the microseconds are cut; a leap second is the first one of the next minute. False where the text is
 * none. */
bool json_date(const char *text, size_t size, int32_t *ret_days);
bool json_time(const char *text, size_t size, int64_t *ret_us);

/* ---- json_keys.c */

/* What a key of an object leads to. The root is the document itself. */
struct key {
	char *name;
	size_t size;
	uint64_t head; /* the name's first 8 bytes */
	int cell; /* of the decoder, which is filled from here; -1: none */
	struct key *children;
	int child_count;
	int next; /* the child that is looked at first: keys mostly come in the order of the document before */
};

/* Of a text's first 8 bytes, or of all: texts of one size that differ there have others. */
static inline uint64_t text_head(const char *text, size_t size)
{
	uint64_t head = 0;
	uint32_t first, last;

	if (size >= sizeof head) {
		memcpy(&head, text, sizeof head);
	} else if (size >= sizeof first) {
		memcpy(&first, text, sizeof first);
		memcpy(&last, text + size - sizeof last, sizeof last);
		head = (uint64_t)last << 32 | first;
	} else {
		for (size_t i = 0; i < size; i++)
			head = head << 8 | (unsigned char)text[i];
	}
	return head;
}

void key_release(struct key *key);
/* The child of that name, which may hold any byte; NULL: none. */
struct key *key_find(struct key *parent, const char *name, size_t size);
struct key *key_add(struct key *parent, const char *name, size_t size, struct error *err);
/* Found or added; INVALID where it is no JSON pointer (RFC 6901). */
struct key *key_of_pointer(struct key *root, const char *pointer, struct error *err);

/* ---- json.c */

#define CELL_BYTES 17 /* of the widest value, and whether it is one */
#define REASON_BYTES 5 /* beside its text */

/* Of one allowed value: of a text what is compared first, or the whole number that it is. */
struct allowed {
	uint64_t head;
	size_t size;
	int64_t whole;
};

/* A value of each document, its rule, and the column that it fills. */
struct cell {
	struct json_column rule; /* its name is the column's own where there is one, else borrowed */
	int column; /* -1: the value is not stored */
	int also; /* another cell of the same key, -1: none */
	struct place place; /* in the document at hand; value NULL: it has none */
	struct allowed *allowed; /* the rule's, owned; NULL: any */
	char *table; /* the type of the table's column, owned, where DuckDB's cast to it may change a value; else NULL
	              */
	bool asked, large; /* rules.holds_large was asked of the column, and said so */
};

struct json_decoder {
	struct json_rules rules;
	struct batch_counters *counters;
	struct columns columns;
	struct cell *cells;
	int cell_count;
	struct key root;
	bool infers;
	bool news; /* columns came or were widened since json_learn */
	int raw, score, reasons, ingested_at; /* columns of Tarn's own, without cells; -1: none */
	char *room; /* of the reader */
	size_t room_size;
	double points; /* that the row at hand lost */
	int64_t made; /* bytes for the payload at hand, against the rules' made_max */
	const char *text, *end; /* of the document at hand */
	const char *copy; /* yyjson's, with its texts in place */
	yyjson_val plain[PLAIN_VALUES]; /* of the document at hand, where it is plain */
	int not_plain; /* documents that are not tried, after one that was not plain */
};

/* What helps, too, where a payload would take more than made_max. */
static inline const char *json_advice(const struct json_decoder *decoder)
{
	return decoder->rules.made_max < JSON_MADE_MAX ? ": send fewer lines a message, or raise spec.memory"
	                                               : ": send fewer lines a message";
}

/* Counts bytes that the payload at hand makes; CORRUPT where they are more than made_max. */
static inline int json_count(struct json_decoder *decoder, int64_t bytes, struct error *err)
{
	decoder->made += bytes;
	if (decoder->made <= decoder->rules.made_max)
		return 0;
	return error_set(err, ERROR_CORRUPT, 0, "the rows so far take more than %lld MiB of memory%s",
	                 (long long)(decoder->rules.made_max >> 20), json_advice(decoder));
}

/* ---- json_rows.c */

/* The values that the cells hold, as a row of the columns. Errors: CORRUPT (a broken rule, where none may be), FATAL.
 */
int json_fill_row(struct json_decoder *decoder, const char *text, size_t size, int64_t ingested_us, struct error *err);

#endif
