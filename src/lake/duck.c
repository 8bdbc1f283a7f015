#include "lake/duck.h"

#include <duckdb.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/log.h"
#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "lake/duck_private.h"

struct duck_appender {
	duckdb_appender handle;
	bool failed;
};

struct duck_stream {
	duckdb_result result;
	duckdb_arrow_options options;
	struct ArrowSchema schema;
};

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* Errors about rows quote them: their text is foreign and tells nothing. */
bool duck_is_about_rows(int type)
{
	return type == DUCKDB_ERROR_CONVERSION || type == DUCKDB_ERROR_CONSTRAINT ||
	       type == DUCKDB_ERROR_OUT_OF_RANGE || type == DUCKDB_ERROR_MISMATCH_TYPE ||
	       type == DUCKDB_ERROR_INVALID_TYPE;
}

/* What the user wrote, and names so: its words say nothing of the lake. (While a statement is prepared errors of files
 * and servers have the type BINDER as well, and those of DuckLake's own questions to its catalog are called so.) */
static bool is_about_statement(const char *message)
{
	bool said = has_prefix(message, "Binder Error: ") || has_prefix(message, "Parser Error: ") ||
	            has_prefix(message, "Catalog Error: ") ||
	            has_prefix(message, "Invalid Input Error: " DUCK_NOT_NULL);

	return said && !(has_prefix(strchr(message, ':'), ": Failed to ") && has(message, " DuckLake: "));
}

enum error_kind duck_kind(int type, const char *message)
{
	if (duck_is_about_rows(type) || is_about_statement(message))
		return ERROR_INVALID;
	/* All commit failures have the type TRANSACTION; only their text tells them apart. */
	if (has(message, "ransaction conflict") || has(message, "Conflict on") || has(message, "write-write conflict"))
		return ERROR_CONFLICT;
	if (has(message, "database is locked") || has(message, "maximum retry count") || has(message, "onnection") ||
	    has(message, "SSL") || has(message, "terminating") || has(message, "could not serialize") ||
	    has(message, "timed out") || has(message, "timeout") || has(message, "unsuccessful query result") ||
	    has(message, "from server") || has(message, "to server"))
		return ERROR_TRANSIENT;
	switch (type) {
	case DUCKDB_ERROR_INVALID_INPUT:
	case DUCKDB_INVALID_CONFIGURATION:
	case DUCKDB_ERROR_NOT_IMPLEMENTED:
	case DUCKDB_ERROR_PARSER:
	case DUCKDB_ERROR_SYNTAX:
	case DUCKDB_ERROR_BINDER:
	case DUCKDB_ERROR_CATALOG: return ERROR_INVALID;
	case DUCKDB_ERROR_INTERNAL:
	case DUCKDB_ERROR_FATAL: return ERROR_FATAL;
	default: return ERROR_TRANSIENT;
	}
}

/* A COMMIT's errors are all of type TRANSACTION. */
void duck_tell_memory(struct error *err)
{
	bool memory = err->code == DUCKDB_ERROR_OUT_OF_MEMORY ||
	              (err->code == DUCKDB_ERROR_TRANSACTION &&
	               (has(err->message, "failed to pin block") || has(err->message, "Out of Memory")));

	if (memory && err->kind == ERROR_TRANSIENT)
		err->kind = ERROR_MEMORY;
}

bool duck_is_about_catalog(int code)
{
	return code == DUCKDB_ERROR_CATALOG || code == DUCKDB_ERROR_BINDER || code == DUCKDB_ERROR_PARSER ||
	       code == DUCKDB_ERROR_SYNTAX;
}

/* Some IO errors come of the content, which may say to read beyond its end (too few bytes) or at no offset at all
 * (EINVAL): only the words tell. Of an error while a statement is prepared they tell the type, too. */
bool duck_is_about_system(const struct error *err)
{
	static const char *const said[] = {"IO Error: Cannot open file ", "IO Error: Could not read from file ",
	                                   "IO Error: No files found "};

	for (size_t i = 0; i < COUNT_OF(said); i++)
		if (has_prefix(err->message, said[i]))
			return !has(err->message, strerror(EINVAL));
	return false;
}

/* A PostgreSQL server's own words, and those that tell that it is gone, come behind the whole statement that it was
 * asked, of many lines: here instead of it. */
static void tell_server(char *text)
{
	char *statement = strstr(text, "Failed to execute query \""), *words = strstr(text, "ERROR:  ");

	if (!statement)
		statement = strstr(text, "Failed to prepare query \"");
	if (statement && !words)
		for (char *at = statement; (at = strstr(at, "\": "));)
			words = at += 3;
	if (statement && words && words > statement)
		memmove(statement, words, strlen(words) + 1);
}

int duck_fail(int type, const char *message, struct error *err)
{
	OWNED_FREE char *text = strdup(message ? message : "DuckDB gave no reason");

	if (!text)
		return error_no_memory(err);
	tell_server(text);
	/* The first line is the sentence; what follows is DuckDB's picture of the statement. Why a COMMIT failed
	 * DuckLake says on the second. */
	if (has(text, "Failed to commit DuckLake transaction.\n"))
		*strchr(text, '\n') = ' ';
	text[strcspn(text, "\n")] = 0;
	log_mask(text); /* before it is cut: of a secret that is cut in two nobody finds the first half */
	return error_set(err, duck_kind(type, message ? message : ""), type, "%s", text);
}

int duck_fail_data(duckdb_error_data data, struct error *err)
{
	duck_fail((int)duckdb_error_data_error_type(data), duckdb_error_data_message(data), err);
	duckdb_destroy_error_data(&data);
	return -1;
}

const char *duck_version(void)
{
	return duckdb_library_version();
}

struct duck *duck_open(const char *path, const struct duck_setting *settings, int count, struct error *err)
{
	OWNED_FREE struct duck *duck = calloc(1, sizeof *duck);
	duckdb_config config = NULL;
	char *reason = NULL;

	if (!duck || duckdb_create_config(&config) == DuckDBError) {
		error_no_memory(err);
		return NULL;
	}
	for (int i = 0; i < count; i++) {
		if (duckdb_set_config(config, settings[i].name, settings[i].value) == DuckDBError) {
			error_set(err, ERROR_FATAL, 0, "DuckDB refuses its setting %s = %s", settings[i].name,
			          settings[i].value);
			duckdb_destroy_config(&config);
			return NULL;
		}
	}
	if (duckdb_open_ext(path, &duck->database, config, &reason) == DuckDBError) {
		duck_fail(DUCKDB_ERROR_IO, reason, err);
		duckdb_free(reason);
		duckdb_destroy_config(&config);
		return NULL;
	}
	duckdb_destroy_config(&config);
	pthread_mutex_init(&duck->turn, NULL);
	return TAKE(duck);
}

void duck_close(struct duck *duck)
{
	if (!duck)
		return;
	duckdb_close(&duck->database);
	pthread_mutex_destroy(&duck->turn);
	free(duck);
}

struct duck_connection *duck_connect(struct duck *duck, struct error *err)
{
	OWNED_FREE struct duck_connection *connection = calloc(1, sizeof *connection);

	if (!connection || duckdb_connect(duck->database, &connection->handle) == DuckDBError) {
		error_no_memory(err);
		return NULL;
	}
	connection->duck = duck;
	return TAKE(connection);
}

void duck_take_turns(struct duck_connection *connection, bool takes_turns)
{
	connection->takes_turns = takes_turns;
}

void duck_turn_begin(struct duck_connection *connection)
{
	if (connection->takes_turns)
		pthread_mutex_lock(&connection->duck->turn);
}

void duck_turn_end(struct duck_connection *connection)
{
	if (connection->takes_turns)
		pthread_mutex_unlock(&connection->duck->turn);
}

bool duck_is_broken(struct duck_connection *connection)
{
	struct error err = {0};

	return duck_exec(connection, "SELECT 1", NULL, &err) && err.code == DUCKDB_ERROR_FATAL;
}

void duck_disconnect(struct duck_connection *connection)
{
	if (!connection)
		return;
	duckdb_destroy_prepare(&connection->parse);
	/* One with a transaction would roll it back; a broken DuckDB refuses, in a destructor, and that is the end of
	 * the process. It is left as it is. */
	if (!duck_is_broken(connection)) {
		duck_forget(connection);
		duckdb_disconnect(&connection->handle);
	}
	free(connection->asked);
	free(connection);
}

int duck_exec(struct duck_connection *connection, const char *sql, int64_t *ret_changed, struct error *err)
{
	duckdb_result result;
	duckdb_state state;
	int failed = 0;

	duck_turn_begin(connection);
	state = duckdb_query(connection->handle, sql, &result);
	duck_turn_end(connection);
	if (state == DuckDBError)
		failed = duck_fail((int)duckdb_result_error_type(&result), duckdb_result_error(&result), err);
	else if (ret_changed)
		*ret_changed = (int64_t)duckdb_rows_changed(&result);
	duckdb_destroy_result(&result);
	return failed;
}

/* The C API tells the type of a result's error alone. Of others the words: "Constraint Error: ...". */
static int type_in_words(const char *message)
{
	static const struct {
		const char *words;
		int type;
	} known[] = {
	        {"Invalid Error", DUCKDB_ERROR_INVALID},
	        {"Out of Range Error", DUCKDB_ERROR_OUT_OF_RANGE},
	        {"Conversion Error", DUCKDB_ERROR_CONVERSION},
	        {"Mismatch Type Error", DUCKDB_ERROR_MISMATCH_TYPE},
	        {"Invalid type Error", DUCKDB_ERROR_INVALID_TYPE},
	        {"Serialization Error", DUCKDB_ERROR_SERIALIZATION},
	        {"TransactionContext Error", DUCKDB_ERROR_TRANSACTION},
	        {"Not implemented Error", DUCKDB_ERROR_NOT_IMPLEMENTED},
	        {"Catalog Error", DUCKDB_ERROR_CATALOG},
	        {"Parser Error", DUCKDB_ERROR_PARSER},
	        {"Constraint Error", DUCKDB_ERROR_CONSTRAINT},
	        {"Binder Error", DUCKDB_ERROR_BINDER},
	        {"IO Error", DUCKDB_ERROR_IO},
	        {"HTTP Error", DUCKDB_ERROR_HTTP},
	        {"INTERRUPT Error", DUCKDB_ERROR_INTERRUPT},
	        {"FATAL Error", DUCKDB_ERROR_FATAL},
	        {"INTERNAL Error", DUCKDB_ERROR_INTERNAL},
	        {"Invalid Input Error", DUCKDB_ERROR_INVALID_INPUT},
	        {"Out of Memory Error", DUCKDB_ERROR_OUT_OF_MEMORY},
	        {"Invalid Configuration Error", DUCKDB_INVALID_CONFIGURATION},
	};

	for (size_t i = 0; message && i < COUNT_OF(known); i++)
		if (!strncasecmp(message, known[i].words, strlen(known[i].words)))
			return known[i].type;
	return DUCKDB_ERROR_UNKNOWN_TYPE;
}

int duck_fail_in_words(const char *message, struct error *err)
{
	return duck_fail(type_in_words(message), message, err);
}

int duck_check(struct duck_connection *connection, const char *sql, int *ret_line, struct error *err)
{
	duckdb_prepared_statement statement = NULL;
	duckdb_state state;
	int failed = 0;

	*ret_line = 0;
	duck_turn_begin(connection);
	state = duckdb_prepare(connection->handle, sql, &statement);
	duck_turn_end(connection);
	if (state == DuckDBError) {
		const char *message = duckdb_prepare_error(statement),
		           *line = message ? strstr(message, "\nLINE ") : NULL;

		*ret_line = line ? (int)strtol(line + strlen("\nLINE "), NULL, 10) : 0;
		failed = duck_fail_in_words(message, err);
	}
	duckdb_destroy_prepare(&statement);
	return failed;
}

int duck_exec_long(struct duck_connection *connection, const char *sql, int64_t *ret_changed, struct error *err)
{
	static const struct timespec pause = {.tv_nsec = 200000};
	duckdb_prepared_statement statement = NULL;
	duckdb_pending_result pending = NULL;
	duckdb_pending_state state = DUCKDB_PENDING_RESULT_NOT_READY;
	duckdb_result result = {0};
	int failed = 0;

	if (duckdb_prepare(connection->handle, sql, &statement) == DuckDBError) {
		duck_fail_in_words(duckdb_prepare_error(statement), err);
		duckdb_destroy_prepare(&statement);
		return -1;
	}
	if (duckdb_pending_prepared(statement, &pending) == DuckDBError)
		state = DUCKDB_PENDING_ERROR;
	while (!duckdb_pending_execution_is_finished(state) && state != DUCKDB_PENDING_ERROR) {
		if (state == DUCKDB_PENDING_NO_TASKS_AVAILABLE)
			nanosleep(&pause, NULL);
		state = duckdb_pending_execute_task(pending);
	}
	if (state == DUCKDB_PENDING_ERROR)
		failed = duck_fail_in_words(duckdb_pending_error(pending), err);
	else if (duckdb_execute_pending(pending, &result) == DuckDBError)
		failed = duck_fail((int)duckdb_result_error_type(&result), duckdb_result_error(&result), err);
	else if (ret_changed)
		*ret_changed = (int64_t)duckdb_rows_changed(&result);
	duckdb_destroy_result(&result);
	duckdb_destroy_pending(&pending);
	duckdb_destroy_prepare(&statement);
	return failed;
}

int duck_execf(struct duck_connection *connection, struct error *err, const char *format, ...)
{
	OWNED_FREE char *sql = NULL;
	va_list args;
	int size;

	va_start(args, format);
	size = vasprintf(&sql, format, args);
	va_end(args);
	if (size < 0) {
		sql = NULL;
		return error_no_memory(err);
	}
	return duck_exec(connection, sql, NULL, err);
}

static int describe_stream(struct duck_stream *stream, struct error *err)
{
	idx_t count = duckdb_column_count(&stream->result);
	OWNED_FREE duckdb_logical_type *types = calloc(count + 1, sizeof *types);
	OWNED_FREE const char **names = calloc(count + 1, sizeof *names);
	duckdb_error_data failure;

	if (!types || !names)
		return error_no_memory(err);
	for (idx_t i = 0; i < count; i++) {
		types[i] = duckdb_column_logical_type(&stream->result, i);
		names[i] = duckdb_column_name(&stream->result, i);
	}
	stream->options = duckdb_result_get_arrow_options(&stream->result);
	failure = duckdb_to_arrow_schema(stream->options, types, names, count, &stream->schema);
	for (idx_t i = 0; i < count; i++)
		duckdb_destroy_logical_type(&types[i]);
	return failure ? duck_fail_data(failure, err) : 0;
}

struct duck_stream *duck_stream_of(duckdb_result result, struct error *err)
{
	struct duck_stream *stream = calloc(1, sizeof *stream);

	if (!stream) {
		duckdb_destroy_result(&result);
		error_no_memory(err);
		return NULL;
	}
	stream->result = result;
	if (!describe_stream(stream, err))
		return stream;
	duck_stream_close(stream);
	return NULL;
}

struct duck_stream *duck_stream_open(struct duck_connection *connection, const char *sql, struct error *err)
{
	duckdb_prepared_statement statement = NULL;
	duckdb_result result = {0};
	int failed;

	if (duckdb_prepare(connection->handle, sql, &statement) == DuckDBError) {
		duck_fail(DUCKDB_ERROR_BINDER, duckdb_prepare_error(statement), err);
		duckdb_destroy_prepare(&statement);
		return NULL;
	}
	failed = duckdb_execute_prepared_streaming(statement, &result) == DuckDBError;
	duckdb_destroy_prepare(&statement);
	if (!failed)
		return duck_stream_of(result, err);
	duck_fail((int)duckdb_result_error_type(&result), duckdb_result_error(&result), err);
	duckdb_destroy_result(&result);
	return NULL;
}

const struct ArrowSchema *duck_stream_schema(struct duck_stream *stream)
{
	return &stream->schema;
}

int duck_stream_next(struct duck_stream *stream, struct ArrowArray *ret_array, struct error *err)
{
	duckdb_data_chunk chunk = duckdb_fetch_chunk(stream->result);
	duckdb_error_data failure;

	if (!chunk) {
		const char *reason = duckdb_result_error(&stream->result);

		return reason ? duck_fail((int)duckdb_result_error_type(&stream->result), reason, err) : 0;
	}
	failure = duckdb_data_chunk_to_arrow(stream->options, chunk, ret_array);
	duckdb_destroy_data_chunk(&chunk);
	return failure ? duck_fail_data(failure, err) : 1;
}

void duck_stream_close(struct duck_stream *stream)
{
	if (!stream)
		return;
	if (stream->schema.release)
		stream->schema.release(&stream->schema);
	if (stream->options)
		duckdb_destroy_arrow_options(&stream->options);
	duckdb_destroy_result(&stream->result);
	free(stream);
}

struct duck_appender *duck_appender_open(struct duck_connection *connection, const char *catalog, const char *schema,
                                         const char *table, struct error *err)
{
	struct duck_appender *appender = calloc(1, sizeof *appender);

	if (!appender) {
		error_no_memory(err);
		return NULL;
	}
	if (duckdb_appender_create_ext(connection->handle, catalog, schema, table, &appender->handle) == DuckDBError) {
		duck_fail(DUCKDB_ERROR_CATALOG, duckdb_appender_error(appender->handle), err);
		duck_appender_free(appender);
		return NULL;
	}
	return appender;
}

/* A failed append sticks, and duck_append_row reports it. */
static void note(struct duck_appender *appender, duckdb_state state)
{
	appender->failed |= state == DuckDBError;
}

void duck_append_int(struct duck_appender *appender, int64_t value)
{
	note(appender, duckdb_append_int64(appender->handle, value));
}

/* Of foreign bytes DuckDB would find out when somebody reads them, and then nobody could read the file. */
static duckdb_state append_foreign(struct duck_appender *appender, const char *text)
{
	OWNED_FREE char *copy = strdup(text);

	if (!copy)
		return DuckDBError;
	text_make_utf8(copy);
	return duckdb_append_varchar(appender->handle, copy);
}

void duck_append_text(struct duck_appender *appender, const char *text)
{
	if (!text)
		note(appender, duckdb_append_null(appender->handle));
	else if (text_is_utf8(text, strlen(text)))
		note(appender, duckdb_append_varchar(appender->handle, text));
	else
		note(appender, append_foreign(appender, text));
}

void duck_append_blob(struct duck_appender *appender, const void *bytes, size_t size)
{
	note(appender,
	     bytes ? duckdb_append_blob(appender->handle, bytes, size) : duckdb_append_null(appender->handle));
}

void duck_append_timestamp_ms(struct duck_appender *appender, int64_t ms)
{
	if (ms < 0)
		note(appender, duckdb_append_null(appender->handle));
	else
		note(appender, duckdb_append_timestamp(appender->handle, (duckdb_timestamp){.micros = ms * 1000}));
}

/* What kind it is decides whether the row is to blame: a full disk may be met here as well. */
static int fail_append(struct duck_appender *appender, struct error *err)
{
	duck_fail_data(duckdb_appender_error_data(appender->handle), err);
	duck_tell_memory(err);
	return -1;
}

int duck_append_row(struct duck_appender *appender, struct error *err)
{
	note(appender, duckdb_appender_end_row(appender->handle));
	if (appender->failed)
		return fail_append(appender, err);
	return 0;
}

int duck_appender_finish(struct duck_appender *appender, struct error *err)
{
	int failed = 0;

	if (appender->failed || duckdb_appender_close(appender->handle) == DuckDBError)
		failed = fail_append(appender, err);
	duck_appender_free(appender);
	return failed;
}

void duck_appender_free(struct duck_appender *appender)
{
	if (!appender)
		return;
	if (appender->handle) {
		/* After a failure the rows must not be flushed on the way out. */
		duckdb_appender_clear(appender->handle);
		duckdb_appender_destroy(&appender->handle);
	}
	free(appender);
}
