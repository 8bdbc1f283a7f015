/* duck_private.h - what the duck*.c share. Nobody else includes it. */
#ifndef TARN_LAKE_DUCK_PRIVATE_H
#define TARN_LAKE_DUCK_PRIVATE_H

#include <duckdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "lake/duck_vector.h"

struct duck {
	duckdb_database database;
	pthread_mutex_t turn; /* duck_take_turns */
};

struct duck_connection {
	duckdb_connection handle;
	struct duck *duck;
	bool takes_turns;
	char *asked; /* duck_ask's statement; NULL: none */
	duckdb_prepared_statement answer;
	duckdb_prepared_statement parse; /* of duck_parse; NULL until its first use */
	atomic_bool interrupted; /* by query_interrupt, since a query began */
};

/* Fill *err from DuckDB's words. Return -1. duck_fail_data frees `data`. */
int duck_fail(int type, const char *message, struct error *err);
int duck_fail_data(duckdb_error_data data, struct error *err);
/* Where all that DuckDB tells of the type is in the words: "Constraint Error: ...". */
int duck_fail_in_words(const char *message, struct error *err);

/* Around a statement of a connection that takes turns; nothing of others. */
void duck_turn_begin(struct duck_connection *connection);
void duck_turn_end(struct duck_connection *connection);

/* duck_query_reason.c. Was it interrupted, and by nobody here, a short while after it began? Then running the statement
 * once more, without its rows, may tell why; at most so often. */
#define REASON_TRIES 3
bool duck_reason_is_lost(const struct duck_connection *connection, int64_t began_ms, const struct error *err);
void duck_run_for_reason(duckdb_prepared_statement statement, struct error *err);

/* Lets go of what is prepared, before the connection is closed. */
void duck_forget(struct duck_connection *connection);

struct duck_stream;
/* Takes the result, of a streamed statement, also where it fails. */
struct duck_stream *duck_stream_of(duckdb_result result, struct error *err);

enum duck_class duck_class_of(duckdb_logical_type type);

#endif
