/*
 * service.h - from a request to rows: rights, bounds, a worker, an answer. No protocol: http knows nothing of SQL, and
 * service nothing of HTTP's bytes.
 *
 *     handler (query.c, endpoints.c, ask.c, console.c), behind routes.h: who is it (401), its rate (429)
 *       -> service_run           its rights to the catalog (403), a lease of the catalog's pool (503), the worker's
 *                                guard (400, 403), its first frame
 *       -> the answer            a stream of frames; each ending is one line of the audit log (audit.h)
 *
 * Invariants:
 *  1. One way to a worker: whoever asks, from whatever route, passes service_run.
 *  2. A QUERY_START in the audit log has its QUERY_END, or the process died with it.
 *  3. A refusal tells one sentence; never a path, a key or a stack.
 *
 * Life cycle: service_new -> (service_run...) -> service_stop -> service_free. Any thread.
 */
#ifndef TARN_SERVE_SERVICE_H
#define TARN_SERVE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "lake/version.h"
#include "pool/pool.h"
#include "serve/token.h"
#include "spec/spec.h"

struct service;
struct answer;

#define SERVICE_NOT_SERVED_RETRY_S 60

struct service_options {
	const struct manifest *manifest; /* borrowed until service_free */
	const char *audit; /* a file to append to; NULL: the log */
	/* This process writes the catalogs of the manifest's streams and pipelines; those that one process holds alone
	 * (backends duckdb and file) are not served then. */
	bool writes;
};

struct service *service_new(const struct service_options *options, struct error *err);
void service_stop(struct service *service, int64_t patience_ms);
void service_free(struct service *service);

const struct manifest *service_manifest(const struct service *service);
/* The catalog of that name, or the only one. NULL: there is none. */
const struct spec_catalog *service_catalog(const struct service *service, const char *name);
/* NULL, both: it is not served (service_why_not). */
struct pool *service_pool(const struct service *service, const struct spec_catalog *catalog);
struct version *service_version(const struct service *service, const struct spec_catalog *catalog);
struct audit;
struct audit *service_audit(const struct service *service);
/* Brings the gauges of the pools up to date. */
void service_metrics(struct service *service);
/* Whether each pool that keeps warm workers has one; appends which has none. */
bool service_ready(struct service *service, struct buffer *reason);
/* NULL: it is served; else why not, a sentence. */
const char *service_why_not(const struct service *service, const struct spec_catalog *catalog);

/* A request to a worker, for whoever holds the token. The texts of `request` are borrowed for the call. */
struct service_ask {
	const struct spec_catalog *catalog;
	const struct token *token; /* NULL: an endpoint for everybody */
	bool own_rights; /* an endpoint's SQL: the request's tables count, not the token's; its bounds do */
	struct request *request; /* its tables and bounds are narrowed to the token's here */
	const char *route; /* for the audit log: "POST /query", an endpoint's name... */
	int client_fd; /* -1: none */
	const char *client; /* its address, for the audit log; NULL: none */
};

struct service_refusal {
	enum refusal kind; /* REFUSAL_NONE: it is one of the service's own */
	int status; /* HTTP's */
	int retry_after_s; /* 0: none */
	const char *name, *title; /* constants: the problem's (problem.def, pool/request.h) */
	char detail[512];
	bool about_names; /* the detail repeats names and words of the statement, and no value of a table */
	bool about_page; /* the detail is of the page's key or cursor, in words of ours */
	int64_t query; /* its id in the audit log; 0: it has none */
};

/* Up to the worker's START. NULL with *ret_refusal. */
struct answer *service_run(struct service *service, const struct service_ask *ask, struct service_refusal *ret_refusal);

struct answer_facts {
	int64_t query; /* its id in the audit log */
	int64_t snapshot, worker, waited_us, started_us; /* started: from the request to START */
	int64_t took_us; /* from the request until now, or to its end */
	bool one_shot;
	int64_t rows, bytes; /* so far; rows are known at the end */
	bool more; /* known at the end: there are more rows than the request's first_rows */
	const char *content_type; /* borrowed, as the next ones */
	const char *columns, *tables; /* of START, as JSON: [{"name", "type"}], ["main.t"]; NULL: not told */
	const char *next; /* of END, of a page: the last row's key (query/page.h); NULL: no next page */
};

/* 1: *block has the next bytes, instead of what was in it; 0: the end; -1: it failed after it began: *ret_refusal. */
int answer_next(struct answer *answer, struct buffer *block, struct service_refusal *ret_refusal);
/* Whether answer_next would answer at once; waits for that at most so long. */
bool answer_ready(struct answer *answer, int wait_ms);
struct answer_facts answer_facts(const struct answer *answer);
/* Also where it was not read to its end: the worker is told. */
void answer_close(struct answer *answer);
/* All of it into memory, at most max_bytes (ROWS where it is more); closes it. */
int answer_collect(struct answer *answer, struct buffer *out, size_t max_bytes, struct answer_facts *ret_facts,
                   struct service_refusal *ret_refusal);

#endif
