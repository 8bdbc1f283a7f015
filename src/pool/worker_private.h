/*
 * worker_private.h - the inside of a worker, for worker*.c.
 *
 *     worker.c           getting warm, locked and confined; one request after the other
 *     worker_watch.c     the second thread: while a query runs it hears CANCEL, and ends what takes too much
 *     worker_query.c     guard, pin, run, write
 *     worker_statement.c statements that were asked before
 *     worker_refuse.c    what whoever asked is told of an error
 *     worker_parameters.c its parameters
 *     worker_lake.c      the tables, for a language model (describe.c); the lake, for the console (overview.c)
 *     hot.c              tables in memory
 */
#ifndef TARN_POOL_WORKER_PRIVATE_H
#define TARN_POOL_WORKER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "lake/lake.h"
#include "lake/query.h"
#include "pool/frame.h"
#include "pool/request.h"
#include "pool/worker.h"
#include "query/guard.h"

#define HOT_CATALOG "hot"

struct hot;
struct statements;
struct duck_connection;

enum stop { STOP_NONE, STOP_CANCELLED, STOP_TIME, STOP_MEMORY };

/* What the second thread watches. */
struct watch {
	pthread_mutex_t lock;
	pthread_cond_t begun;
	pthread_t thread;
	struct duck_connection *connection, *parser; /* what is interrupted */
	int fd; /* the server's */
	int statm; /* /proc/self/statm, opened before the sandbox; -1: there is none */
	bool running;
	enum stop stop;
	atomic_bool ended; /* `stop` is one; for who looks without the lock */
	int64_t deadline_ms; /* monotonic; INT64_MAX: none */
	int64_t memory_bytes, base_bytes; /* of the query, beyond the base; 0: no bound */
};

struct worker {
	const struct worker_options *options;
	const struct spec_catalog *catalog;
	struct lake *lake;
	struct lake_session *session,
	        *parser; /* parser: the guard's and the pin's, while `session` may be in a query */
	struct duck_connection *connection; /* session's */
	struct score_models *models;
	struct hot *hot;
	struct statements *statements;
	struct watch watch;
	int64_t begun_ms; /* of the process */
	bool broken; /* it answers what it does, and ends */
};

/* ---- worker_watch.c */

/* Its connections, and statm, are filled in already. */
int watch_start(struct watch *watch, int fd, struct error *err);
/* 0: no bound. */
void watch_begin(struct watch *watch, int64_t max_ms, int64_t memory_bytes);
/* From here on nothing is interrupted. Why it was, if it was. */
enum stop watch_end(struct watch *watch);
int64_t watch_memory(const struct watch *watch); /* the process's own; 0: not known */

/* ---- worker_refuse.c */

/* What *err is to whoever asked; its message becomes one that may be told. */
enum refusal worker_refusal(const struct worker *worker, enum stop stop, struct error *err);
/* So that no path or name that is nobody's business stands in it. */
void worker_clean(const struct worker *worker, struct error *err);

/* ---- worker_statement.c */

struct statement { /* that was looked at; owned by the statements */
	char *key;
	enum guard_verdict verdict;
	struct error refusal; /* of a verdict that is none */
	struct guard_found found;
	int64_t pinned_at; /* the snapshot that `pinned` is for; -2: none */
	int64_t pinned_hot; /* which copies it was made with (hot_generation) */
	struct buffer pinned;
	struct statement *newer, *older;
};

struct statements *statements_new(void);
void statements_free(struct statements *statements);
/* Guarded, now or before. NULL: out of memory. Borrowed until the next call. */
struct statement *statements_get(struct statements *statements, struct duck_connection *parser,
                                 const struct request *request, struct error *err);

/* ---- worker_parameters.c */

/* INVALID: they do not fit the statement. */
int worker_bind(struct query *query, const struct request *request, struct error *err);

/* ---- worker_query.c and worker_lake.c: answer the request but for its END */

struct answer_end {
	enum refusal refusal; /* REFUSAL_NONE */
	struct error err; /* its message */
	bool more; /* rows than were asked for */
	bool about_names; /* the message repeats words of the statement and names, no value of a table */
	int64_t rows;
	bool lost; /* the server is gone */
};

void worker_query(struct worker *worker, const struct request *request, struct answer_end *end);
void worker_describe(struct worker *worker, const struct request *request, struct answer_end *end);
void worker_overview(struct worker *worker, const struct request *request, struct answer_end *end);
/* The newest snapshot; 0 where the catalog has none. */
int worker_newest(struct worker *worker, int64_t *ret_snapshot, struct error *err);

#endif
