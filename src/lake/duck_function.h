/*
 * duck_function.h - SQL functions written in C: for the arguments of each row a number, a text or a list of structs.
 * Private to lake/ and score/.
 *
 * DuckDB binds a function once for each place in a statement where it stands: `bind` sees which of the arguments are
 * constant, and the fields of those that are structs, and makes a state for `call`, which gets chunks of rows.
 *
 * Invariants:
 *  1. `call` runs on all of DuckDB's threads at once, with one state, which it only reads.
 *  2. Vectors of a call are flat, and so are the fields of structs: row i stands at i. DuckDB's C API sees to that;
 *     tests/unit/test_lake_function.c holds it to it.
 *  3. An argument that is a bare NULL makes the result NULL, and neither bind nor call is asked.
 *
 * Life cycle: duck_function_register; from then on DuckDB has the function until its last connection is closed, and
 * then gives the context back (release_context).
 */
#ifndef TARN_LAKE_DUCK_FUNCTION_H
#define TARN_LAKE_DUCK_FUNCTION_H

#include <stddef.h>

#include "base/error.h"
#include "base/owned.h"
#include "lake/duck_vector.h"

#define DUCK_ARGUMENTS_MAX 4

struct duck_connection;
struct duck_bind;
struct duck_call;

struct duck_function {
	const char *name;
	const char *arguments[DUCK_ARGUMENTS_MAX]; /* SQL types, or "ANY"; NULL: no more */
	const char *result; /* an SQL type */
	void *context;
	void (*release_context)(void *context);
	/* INVALID, say, refuses the statement. The state is DuckDB's to release, and to share: it is counted. */
	int (*bind)(void *context, const struct duck_bind *bind, void **ret_state, struct error *err);
	void *(*retain_state)(void *state);
	void (*release_state)(void *state);
	int (*call)(const void *state, struct duck_call *call, struct error *err);
};

/* For every connection of the connection's DuckDB. The struct is copied; its texts must live on. On failure the context
 * is still the caller's. */
int duck_function_register(struct duck_connection *connection, const struct duck_function *function, struct error *err);

/* ---- in bind */

/* The constant text that the argument is; NULL (and no error) where it is none. The caller's to free. */
int duck_bind_text(const struct duck_bind *bind, int argument, char **ret_text, struct error *err);

struct duck_field {
	char *name; /* owned; "" in a struct without names */
	enum duck_class class;
};

struct duck_fields {
	struct duck_field *fields; /* owned */
	int count; /* -1: the argument is no struct */
};

int duck_bind_fields(const struct duck_bind *bind, int argument, struct duck_fields *ret_fields, struct error *err);
void duck_fields_release(struct duck_fields *fields);

#define OWNED_DUCK_FIELDS OWNED_BY(duck_fields_release)

/* ---- in call */

size_t duck_call_rows(const struct duck_call *call);
const struct duck_vector *duck_call_argument(const struct duck_call *call, int argument);

/* The result of one row; each row needs one of these. */
void duck_call_null(struct duck_call *call, size_t row);
void duck_call_number(struct duck_call *call, size_t row, double number); /* where the result is a DOUBLE */
void duck_call_text(struct duck_call *call, size_t row, const char *text); /* where it is a VARCHAR */

/* Where it is a list of structs: room for the elements of all rows, then each row's share of them and their fields. */
int duck_call_reserve(struct duck_call *call, size_t elements, struct error *err);
void duck_call_list(struct duck_call *call, size_t row, size_t first, size_t count);
void duck_call_field_text(struct duck_call *call, size_t element, int field, const char *text);
void duck_call_field_number(struct duck_call *call, size_t element, int field, double number);
void duck_call_field_null(struct duck_call *call, size_t element, int field);

#endif
