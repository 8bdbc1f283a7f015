#include "lake/failure.h"

#include <string.h>

#include "lake/duck_private.h"

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static bool is_out_of_memory(const char *message)
{
	return has(message, "Out of Memory") || has(message, "failed to pin block") || has(message, "bad_alloc") ||
	       has(message, "could not allocate block") || has(message, "failed to allocate") ||
	       has(message, "Allocation failure");
}

static bool is_about_snapshot(const char *message)
{
	return has(message, "No snapshot found") || has(message, "snapshot found at");
}

/* Some have one type whatever they are about: only their words tell them apart. */
enum query_failure query_failure_of(const struct error *err)
{
	if (err->kind == ERROR_MEMORY || is_out_of_memory(err->message))
		return FAILURE_MEMORY;
	if (is_about_snapshot(err->message))
		return FAILURE_SNAPSHOT;
	switch (err->code) {
	case DUCKDB_ERROR_OUT_OF_MEMORY: return FAILURE_MEMORY;
	case DUCKDB_ERROR_INTERRUPT: return FAILURE_INTERRUPTED;
	case DUCKDB_ERROR_PARSER:
	case DUCKDB_ERROR_SYNTAX: return FAILURE_SYNTAX;
	case DUCKDB_ERROR_BINDER:
	case DUCKDB_ERROR_CATALOG:
	case DUCKDB_ERROR_PARAMETER_NOT_RESOLVED:
	case DUCKDB_ERROR_PARAMETER_NOT_ALLOWED:
	case DUCKDB_ERROR_NOT_IMPLEMENTED: return FAILURE_NAMES;
	case DUCKDB_ERROR_OUT_OF_RANGE:
	case DUCKDB_ERROR_CONVERSION:
	case DUCKDB_ERROR_UNKNOWN_TYPE:
	case DUCKDB_ERROR_DECIMAL:
	case DUCKDB_ERROR_MISMATCH_TYPE:
	case DUCKDB_ERROR_DIVIDE_BY_ZERO:
	case DUCKDB_ERROR_OBJECT_SIZE:
	case DUCKDB_ERROR_INVALID_TYPE:
	case DUCKDB_ERROR_INVALID_INPUT:
	case DUCKDB_ERROR_EXPRESSION:
	case DUCKDB_ERROR_STAT:
	case DUCKDB_ERROR_CONSTRAINT: return FAILURE_VALUE;
	case DUCKDB_ERROR_PERMISSION: return FAILURE_FORBIDDEN;
	case DUCKDB_ERROR_INTERNAL:
	case DUCKDB_ERROR_FATAL: return FAILURE_INTERNAL;
	default: return err->kind == ERROR_TRANSIENT ? FAILURE_LATER : FAILURE_INTERNAL;
	}
}
