/*
 * json.h - JSON events to columns: typed, checked and scored where columns are declared, inferred where none are.
 *
 * A payload holds one document (RFC 8259), or one a line. A document is a JSON object, and becomes a row. Rows of many
 * payloads are gathered until json_take makes one batch of them: arrays of a row each would cost more than their
 * values.
 *
 * Declared columns: a document's values are found by JSON pointers (RFC 6901); what no pointer names is left out. A
 * rule is broken by a required value that is missing or null, a value of another type, or one outside the range or the
 * enumeration. With a score, the row is kept: a value of another type becomes null, each broken rule takes its points
 * from 100, and the reasons are kept beside. Without one, the payload is refused with the reason. A column that is not
 * stored is checked like the others; its name, too, is its own, for reasons name it.
 *
 * Inferred columns: every key of a document is a column. Those that the table has are of the table's types
 * (json_learn); others get one from the first value that is not null. true and false: BOOLEAN; whole numbers: BIGINT;
 * other numbers: DOUBLE; text: VARCHAR; objects and arrays: JSON. A column of whole numbers becomes DOUBLE with its
 * first other number, where none of them is beyond JSON_EXACT_MAX, neither in the rows at hand nor in the table
 * (holds_large). A value that its column's type does not hold refuses the payload.
 *
 * Invariants:
 *  1. A payload is added whole or not at all: after an error there are the columns that were there before, of the
 *     types that they had, and they hold what they held.
 *  2. Numbers keep their digits in JSON columns. In others a number that the type does not hold exactly (beyond an
 *     integer's range or a decimal's scale) is of the wrong type; of DOUBLE the nearest one is taken, as everywhere.
 *     But nobody chose the DOUBLE of an inferred column: a whole number, written as such, that it would round is
 *     refused there, and no column becomes DOUBLE over such numbers. Ids would become each other's. So is a value in
 *     a list, struct or map of the table where DuckDB's cast to it would change a number or a time, and a time that is
 *     finer than the table's column.
 *  3. Text is UTF-8, checked by yyjson.
 *  4. What one payload makes the process allocate for reading it is at most JSON_ROOM_MAX, and what its rows take
 *     beside its own texts (values with a width, nulls, reasons) at most the rules' made_max: lines of `{}` are small.
 *  5. Between payloads the decoder keeps little memory beyond the rows that wait (JSON_KEPT, and a column's least).
 *
 * Life cycle: json_decoder_new -> (json_learn, json_add... -> json_take)... -> json_decoder_free. One thread.
 */
#ifndef TARN_BATCH_JSON_H
#define TARN_BATCH_JSON_H

#include "batch/batch.h"

#define JSON_COLUMNS_MAX 1000
#define JSON_ROOM_MAX ((size_t)128 << 20)
#define JSON_MADE_MAX ((int64_t)512 << 20)
#define JSON_KEPT ((int64_t)16 << 20)
#define JSON_EXACT_MAX ((int64_t)1 << 53) /* up to here, and down to its negative, DOUBLE holds each whole number */

enum json_type {
#define JSON_TYPE(id, name, duckdb, kind, zone, what) JSON_##id,
#include "batch/json_types.def"
#undef JSON_TYPE
	JSON_TYPE_COUNT
};

/* One declared column. Texts are borrowed for as long as the decoder lives. */
struct json_column {
	bool unstored; /* its rules count, and no column holds the value: the arrays are without it */
	const char *name;
	const char *pointer; /* "/payload/plan" */
	enum json_type type;
	int precision, scale; /* of JSON_DECIMAL */
	bool required;
	bool has_minimum, has_maximum;
	double minimum, maximum; /* of numbers, both included */
	const char *const *allowed; /* of VARCHAR; of INTEGER and BIGINT their digits; NULL: any */
	int allowed_count;
	double weight; /* multiplies the points of a rule that this column breaks */
};

struct json_rules {
	const struct json_column *columns;
	int column_count; /* 0: inferred */
	/* Names of further columns; NULL: left out. */
	const char *raw; /* JSON: the document as it came */
	const char *score; /* DOUBLE: 100 less the points of broken rules, at least 0 */
	const char *reasons; /* VARCHAR[]: a sentence a broken rule */
	const char *ingested_at; /* TIMESTAMP WITH TIME ZONE */
	double missing, wrong_type, out_of_range; /* points */
	int64_t made_max; /* bytes that one payload may take, for reading it and for its rows; 0: JSON_MADE_MAX */
	/* Inferred columns: does the table have numbers beyond JSON_EXACT_MAX in its BIGINT column of that name? Asked
	 * once a column until json_learn, before it becomes DOUBLE. NULL: it has none. */
	bool (*holds_large)(void *context, const char *column);
	void *context;
};

struct json_decoder;

/* Errors: INVALID (two columns of one name, none that is stored, a pointer that is none), FATAL (memory). */
struct json_decoder *json_decoder_new(const struct json_rules *rules, struct batch_counters *counters,
                                      struct error *err);
void json_decoder_free(struct json_decoder *decoder);

/* Inferred columns alone: forgets what was inferred and goes on with the table's columns, whose types are DuckDB's
 * names. Nothing may be waiting for json_take. Errors: INVALID (too many columns), FATAL (memory). */
int json_learn(struct json_decoder *decoder, const char *const *names, const char *const *types, int count,
               struct error *err);

/* Payloads since json_learn brought columns, or other types of them, that it was not told of. */
bool json_has_news(const struct json_decoder *decoder);

/* Adds the rows of one payload. ingested_us: microseconds since 1970, UTC.
 * Errors: CORRUPT (what is wrong, in which line and at which byte of the payload, a mark of byte order and blank lines
 * among them), FATAL (memory). */
int json_add(struct json_decoder *decoder, const uint8_t *payload, size_t size, int64_t ingested_us, struct error *err);

/* What was added since the last json_take. Bytes: of values and of the arrays that they will be, about. */
int64_t json_rows(const struct json_decoder *decoder);
int64_t json_bytes(const struct json_decoder *decoder);
/* What the last payload's rows take at most, beside its own texts. Bytes. */
int64_t json_made(const struct json_decoder *decoder);

/* Gives what was added, as one set. let_go runs once, on any thread, after the set's last array is released (at once
 * where there are no rows); where this fails it was not called, and the rows are gone. Errors: FATAL (memory). */
int json_take(struct json_decoder *decoder, void (*let_go)(void *opaque), void *opaque, struct batch_set *ret_set,
              struct error *err);

/* "decimal(10,2)" and the other names of json_types.def; false where there is no such type. */
bool json_type_parse(const char *text, enum json_type *ret_type, int *ret_precision, int *ret_scale);

/* An inferred column of DuckDB type `inferred` is what json_learn makes of a table's column of type `table`: its values
 * are cast to that when they are inserted. */
bool json_fills(const char *table, const char *inferred);

#endif
