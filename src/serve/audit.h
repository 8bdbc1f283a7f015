/*
 * audit.h - a line of JSON for each query that begins and for each that ends: who, what, snapshot, rows, bytes, time,
 * outcome. A QueryStart without its QueryEnd was lost with its server.
 *
 *     {"ts", "event": "QueryStart", "id", "token", "route", "catalog", "sql", "client"}
 *     {"ts", "event": "QueryEnd", "id", "outcome": "ok" or a refusal's name, "snapshot", "rows", "bytes", "ms",
 * "queue_ms", "worker"}
 *
 * SQL is cut after 4 KiB; parameters' values are not written. A write that fails is told in the log, and once a minute
 * again; the query goes on.
 */
#ifndef TARN_SERVE_AUDIT_H
#define TARN_SERVE_AUDIT_H

#include <stdint.h>

#include "base/error.h"

struct audit;

struct audit_start {
	const char *token, *route, *catalog, *sql, *client;
};

struct audit_end {
	const char *outcome;
	int64_t snapshot, rows, bytes, ms, queue_ms, worker;
};

/* file NULL: to the log, as events query_start and query_end. */
struct audit *audit_open(const char *file, struct error *err);
void audit_close(struct audit *audit);
/* The query's id. */
int64_t audit_begin(struct audit *audit, const struct audit_start *start);
void audit_finish(struct audit *audit, int64_t id, const struct audit_end *end);

#endif
