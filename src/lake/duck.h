/*
 * duck.h - DuckDB behind a few words; duck.c and duck_source.c alone see duckdb.h. Private to lake/.
 *
 * Invariants:
 *  1. Every failure carries DuckDB's own text, and a kind by which callers decide (duck_kind).
 *  2. A connection is used by one thread at a time, except duck_interrupt.
 *
 * Life cycle: duck_open -> duck_connect... -> duck_disconnect... -> duck_close.
 */
#ifndef TARN_LAKE_DUCK_H
#define TARN_LAKE_DUCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "batch/batch.h"

struct duck;
struct duck_connection;

struct duck_setting {
	const char *name, *value;
};

/* "v1.5.5" */
const char *duck_version(void);

/* path NULL: in memory. */
struct duck *duck_open(const char *path, const struct duck_setting *settings, int count, struct error *err);
void duck_close(struct duck *duck);

struct duck_connection *duck_connect(struct duck *duck, struct error *err);
void duck_disconnect(struct duck_connection *connection);
/*
 * Of the connections that take turns one at a time runs a statement of duck_exec, duck_query, duck_ask and duck_check.
 *
 * DuckLake up to 1.5.5 keeps the tables of a version of the schema in a cache of all connections. Two that miss there
 * at once load them both, and what the later puts in puts the earlier's out; a transaction that has made or altered a
 * table with it points into memory that is freed by then, and its COMMIT writes what it reads there (ducklake issue
 * 1248).
 */
void duck_take_turns(struct duck_connection *connection, bool takes_turns);

/* An internal error ended this DuckDB: it refuses everything, on each of its connections, until it is opened anew. */
bool duck_is_broken(struct duck_connection *connection);

/* Parses and binds one statement; nothing runs. ret_line: of a mistake, 0 where DuckDB does not say. */
int duck_check(struct duck_connection *connection, const char *sql, int *ret_line, struct error *err);
/* Runs one statement. ret_changed (may be NULL): rows inserted, updated or deleted. */
int duck_exec(struct duck_connection *connection, const char *sql, int64_t *ret_changed, struct error *err);
/* The same for a statement that takes long: duckdb_query spins while only DuckDB's other threads have work left. */
int duck_exec_long(struct duck_connection *connection, const char *sql, int64_t *ret_changed, struct error *err);
int duck_execf(struct duck_connection *connection, struct error *err, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* A small result held as text: every column is cast to VARCHAR by duck_query itself. NULL is NULL. */
struct duck_rows {
	int64_t row_count;
	int column_count;
	char **cells; /* row_count * column_count; owned */
};

int duck_query(struct duck_connection *connection, const char *sql, struct duck_rows *ret_rows, struct error *err);
/* The same of a statement with one parameter, $1, whose result is one row of texts, asked again and again: the
 * connection keeps the last one prepared. */
int duck_ask(struct duck_connection *connection, const char *sql, const char *parameter, struct duck_rows *ret_rows,
             struct error *err);
void duck_rows_release(struct duck_rows *rows);
const char *duck_cell(const struct duck_rows *rows, int64_t row, int column);
int64_t duck_cell_int(const struct duck_rows *rows, int64_t row, int column); /* 0 for NULL */

#define OWNED_DUCK_ROWS OWNED_BY(duck_rows_release)

/* The parsed tree of the SELECTs of a text, as json_serialize_sql gives it, added to `out`. A text that does not parse
 * is no error here: the JSON says what is wrong. */
int duck_parse(struct duck_connection *connection, const char *sql, struct buffer *out, struct error *err);

/* A result as a stream of Arrow arrays. Life cycle: duck_stream_open -> next... -> close. */
struct duck_stream;
struct ArrowSchema;
struct ArrowArray;
struct duck_stream *duck_stream_open(struct duck_connection *connection, const char *sql, struct error *err);
/* Borrowed until close. */
const struct ArrowSchema *duck_stream_schema(struct duck_stream *stream);
/* 1: *ret_array is the caller's to release; 0: the end; -1: error. */
int duck_stream_next(struct duck_stream *stream, struct ArrowArray *ret_array, struct error *err);
void duck_stream_close(struct duck_stream *stream);

/* Rows of plain values into a table, inside the connection's transaction. */
struct duck_appender;
struct duck_appender *duck_appender_open(struct duck_connection *connection, const char *catalog, const char *schema,
                                         const char *table, struct error *err);
void duck_append_int(struct duck_appender *appender, int64_t value);
void duck_append_text(struct duck_appender *appender, const char *text); /* NULL: NULL */
void duck_append_blob(struct duck_appender *appender, const void *bytes, size_t size); /* NULL: NULL */
void duck_append_timestamp_ms(struct duck_appender *appender, int64_t ms); /* -1: NULL */
int duck_append_row(struct duck_appender *appender, struct error *err);
/* Flushes and frees. The appender is freed in either case. */
int duck_appender_finish(struct duck_appender *appender, struct error *err);
void duck_appender_free(struct duck_appender *appender);

/*
 * The table function NAME(), through which an INSERT ... SELECT pulls Arrow arrays from `pull` on all of DuckDB's
 * threads at once. Vectors are referenced, never copied; an array is released when the thread that took it asks for its
 * next one (or its scan ends).
 */
struct duck_source;

struct duck_pull {
	void *context;
	/* Moves the next array (at most BATCH_ROWS_MAX rows) out. 1: an array; 0: this scan is at its end. May block.
	 */
	int (*next)(void *context, struct ArrowArray *ret_array);
};

/* Registers the function for as long as the database is open. `idle` is a connection that nothing else uses: arrays are
 * converted on it. */
struct duck_source *duck_source_new(struct duck_connection *idle, const char *name, struct error *err);
void duck_source_free(struct duck_source *source);
/* Sets what the next bind sees. pull NULL: the source is empty (to describe
 * its columns). INVALID where DuckDB does not take the schema. */
int duck_source_set(struct duck_source *source, struct batch_schema *schema, const struct duck_pull *pull,
                    struct error *err);

/* The kind of a DuckDB failure by its error type and text: CONFLICT (a logical conflict, final for this transaction),
 * TRANSIENT (locked, connection lost, retries used up, I/O), INVALID (binder, parser, conversion, constraint). */
enum error_kind duck_kind(int duckdb_error_type, const char *message);
/* Where DuckDB reached its bound of memory, writing rows the same again will not help: TRANSIENT becomes MEMORY. */
void duck_tell_memory(struct error *err);
/* The statement does not fit the catalog (a table was dropped or altered meanwhile), rather than the data the table.
 * code: of an error that came from here. */
bool duck_is_about_catalog(int code);
/* The system did not open or read a file, whatever is in it. */
bool duck_is_about_system(const struct error *err);
/* A value of the rows is what the statement failed on, for certain. */
bool duck_is_about_rows(int code);
/* How SQL of Tarn's own says so by error(), before the column. */
#define DUCK_NOT_NULL "NOT NULL constraint failed: "

#endif
