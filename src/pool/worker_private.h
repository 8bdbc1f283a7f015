/*
 * worker_private.h - the inside of a worker, for worker*.c.
 *
 *     worker.c           getting warm, locked and confined; one request after the other
 *     worker_watch.c     the second thread: while a query runs it hears CANCEL, and ends what takes too much
 *     worker_query.c     guard, pin, run, write
 *     worker_statement.c statements that were asked before
 *     worker_prepared.c  statements that are kept open
 *     worker_page.c      one page of a statement's rows
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
#include <yyjson.h>

#include "base/buffer.h"
#include "lake/lake.h"
#include "lake/query.h"
#include "pool/frame.h"
#include "pool/request.h"
#include "pool/schemas.h"
#include "pool/worker.h"
#include "query/guard.h"
#include "query/page.h"

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

#define PREPARED_MAX 32

struct prepared { /* statements that are kept open, the one that was used last first */
	struct query *queries[PREPARED_MAX];
	int count;
	int64_t generation; /* of the copies that they read (hot_generation) */
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
	struct prepared prepared;
	struct schemas schemas;
	struct watch watch;
	int64_t begun_ms; /* of the process */
	int64_t mapped_bytes; /* when its sandbox was entered, which bounds what is mapped beyond */
	bool broken, worn; /* either: it answers what it does, and ends (FRAME_LAST) */
};

/* ---- worker_watch.c */

/* Its connections, and statm, are filled in already. */
int watch_start(struct watch *watch, int fd, struct error *err);
/* 0: no bound. */
void watch_begin(struct watch *watch, int64_t max_ms, int64_t memory_bytes);
/* From here on nothing is interrupted. Why it was, if it was. */
enum stop watch_end(struct watch *watch);
int64_t watch_memory(const struct watch *watch); /* the process's own, resident; 0: not known */
int64_t watch_mapped(const struct watch *watch); /* what it may write and is its own, resident or not; 0: not known */

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
	bool light; /* pinned, it reads copies in memory alone, or nothing */
	bool differs; /* from one execution to the next, without a table's doing (query/volatile.h) */
	struct buffer pinned;
	struct statement *newer, *older;
};

struct statements *statements_new(void);
void statements_free(struct statements *statements);
/* Guarded, now or before. NULL: out of memory. Borrowed until the next call. */
struct statement *statements_get(struct statements *statements, struct duck_connection *parser,
                                 const struct request *request, struct error *err);

/* ---- worker_prepared.c */

/* One of that text, which is the caller's then, or NULL. Those of another generation are closed, for they hold what
 * they read. */
struct query *prepared_take(struct prepared *prepared, int64_t generation, const char *sql);
void prepared_give(struct prepared *prepared, struct query *query);
void prepared_clear(struct prepared *prepared);

/* ---- worker_parameters.c */

/* INVALID: they do not fit the statement. */
int worker_bind(struct query *query, const struct request *request, struct error *err);

/* ---- worker_query.c and worker_lake.c: answer the request but for its END */

struct answer_end {
	enum refusal refusal; /* REFUSAL_NONE */
	struct error err; /* its message */
	bool more; /* rows than were asked for */
	bool about_names; /* the message repeats words of the statement and names, no value of a table */
	bool about_page; /* the message is ours, of the page's key or cursor */
	int64_t rows;
	char *next; /* of a page: the last row's key, JSON; owned; NULL: there is no next page */
	bool lost; /* the server is gone */
};

/* ---- worker_page.c */

struct worker_page {
	const struct request *request; /* borrowed */
	struct request bound; /* the request with the place's parameters */
	struct buffer sql;
	struct page_key *keys;
	yyjson_doc *place;
	struct page page;
	const struct query *query; /* borrowed; set before the first row */
	bool found; /* the keys' columns */
	bool wrong; /* what failed is the page's, and *err says what */
};

/* Ended by the caller in any case. */
int worker_page_begin(struct worker_page *page, const struct request *request, const char *sql, struct error *err);
/* struct write_options.row */
int worker_page_row(void *context, const struct query_cell *cells, struct error *err);
void worker_page_end(struct worker_page *page);

void worker_query(struct worker *worker, const struct request *request, struct answer_end *end);
void worker_describe(struct worker *worker, const struct request *request, struct answer_end *end);
void worker_overview(struct worker *worker, const struct request *request, struct answer_end *end);
/* Before anything is read at the snapshot. request: what the server told; NULL: nothing. worker_learn for who reads
 * no copies: worker_follow may drop one, which a transaction that is READ ONLY does not survive. */
int worker_learn(struct worker *worker, const struct request *request, int64_t snapshot, struct error *err);
int worker_follow(struct worker *worker, const struct request *request, int64_t snapshot, struct error *err);
/* The newest snapshot; 0 where the catalog has none. */
int worker_newest(struct worker *worker, int64_t *ret_snapshot, struct error *err);

#endif
