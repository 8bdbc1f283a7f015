/*
 * failure.h - why a query failed, in the few ways that whoever asked can do something about.
 */
#ifndef TARN_LAKE_FAILURE_H
#define TARN_LAKE_FAILURE_H

#include "base/error.h"

enum query_failure {
	FAILURE_SYNTAX, /* it does not parse */
	FAILURE_NAMES, /* a table, column, function or type that it does not fit */
	FAILURE_VALUE, /* a value that it does not fit, or a limit of what can be computed */
	FAILURE_SNAPSHOT, /* there is no such snapshot, or no more */
	FAILURE_MEMORY,
	FAILURE_INTERRUPTED,
	FAILURE_FORBIDDEN, /* DuckDB's own lock */
	FAILURE_LATER, /* a file or a server that cannot be read just now */
	FAILURE_INTERNAL, /* DuckDB is broken, or nobody knows */
};

/* Of an error that came from DuckDB. */
enum query_failure query_failure_of(const struct error *err);

#endif
