/*
 * pool.h - warm workers of one lake, to be borrowed: a request acquires a lease, sends what it wants, reads the answer.
 *
 * A worker is a process of its own: `tarn worker`, with its catalog attached READ_ONLY, in a sandbox (sandbox.h), with
 * a query run already. If it crashes, hangs or leaks it is replaced, its request answered with an error, and nobody
 * else's touched.
 *
 * Invariants:
 *  1. What a lease got from its worker is whole frames in their order (frame.h); after a release nothing of the old
 *     answer is ever read by the next one: a worker whose answer was not read to its END is cancelled, and killed where
 *     the END does not come in time.
 *  2. A query that takes longer than max_ms is cancelled then, and its worker killed GRACE_MS later.
 *  3. A worker that is larger than its limit of memory while it has no query, or says that it can take no further one
 *     (FRAME_LAST), is replaced.
 *  4. A lease that waits notices within 100 ms that its client went away.
 *  5. Who goes away frees his worker within a second: it ends its query, or it is killed.
 *
 * Threads: one of the pool's own runs the machine (machine.h) and waits for processes; any thread may acquire. A lease
 * is one thread's.
 *
 * Life cycle: pool_new -> pool_acquire -> lease_send -> lease_next... -> lease_release ... -> pool_stop -> pool_free.
 */
#ifndef TARN_POOL_POOL_H
#define TARN_POOL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "pool/frame.h"
#include "pool/machine.h"
#include "pool/request.h"
#include "spec/spec.h"

struct pool;
struct lease;

/* How workers come to be: processes of this machine (process.c) or, in a cluster, pods. */
struct pool_driver {
	/* A socket that is connected to a new worker, which says READY when it is warm; -1: it could not be started.
	 * ret_handle: what `ended` and `kill` know it by. */
	int (*start)(void *context, bool one_shot, int64_t *ret_handle, struct error *err);
	void (*kill)(void *context, int64_t handle);
	/* True once it is gone; reaps it. ret_why: a few words, such as "killed by signal 9". */
	bool (*ended)(void *context, int64_t handle, char ret_why[64]);
	int64_t (*memory_bytes)(void *context, int64_t handle); /* resident; 0: not known */
	void *context;
};

/* spec and driver are borrowed until pool_free. */
struct pool *pool_new(const struct spec_pool *spec, const struct pool_driver *driver, struct error *err);
/* The lake is another one: a lease from here on is one of a worker that starts from here on. */
void pool_renew(struct pool *pool);
/* No lease is given any more; those that wait are refused, those that run may end until the time, then are killed. */
void pool_stop(struct pool *pool, int64_t patience_ms);
void pool_free(struct pool *pool);

enum pool_answer { POOL_GIVEN, POOL_FULL, POOL_WAITED, POOL_CLIENT_GONE, POOL_STOPPED, POOL_FAILED };

struct pool_ask {
	const char *holder; /* whose turn it is: a token's name */
	int64_t max_ms; /* of the query; the pool's own bound holds, too */
	int client_fd; /* -1: there is none whose going away would matter */
};

/* GIVEN: *ret_lease is the caller's to release. retry_after_s: for FULL, WAITED and STOPPED. FAILED fills *err. */
enum pool_answer pool_acquire(struct pool *pool, const struct pool_ask *ask, struct lease **ret_lease,
                              int *ret_retry_after_s, struct error *err);

int lease_send(struct lease *lease, const struct request *request, struct error *err);

enum lease_event {
	LEASE_START, /* the payload is FRAME_START's */
	LEASE_DATA,
	LEASE_END, /* FRAME_END's */
	LEASE_LOST, /* the worker ended: *err says how */
	LEASE_LATE, /* max_ms are over; the answer ends here */
	LEASE_CLIENT_GONE, /* so it does here */
};

/* The next frame of the answer; waits for it. */
enum lease_event lease_next(struct lease *lease, struct buffer *payload, struct error *err);
/* Whether the worker has said something that lease_next has not read; waits for that at most so long. */
bool lease_ready(const struct lease *lease, int wait_ms);
void lease_release(struct lease *lease);

struct lease_facts {
	int64_t worker; /* its number */
	bool one_shot;
	int64_t waited_us;
};

struct lease_facts lease_facts(const struct lease *lease);

struct pool_facts {
	struct machine_facts machine;
	int64_t queries, lost, late;
};

struct pool_facts pool_facts(struct pool *pool);
const struct spec_pool *pool_spec(const struct pool *pool);
/* Writes the workers for the console: [{"id", "state", "queries", "age_ms", "memory"}]. */
void pool_describe(struct pool *pool, struct buffer *json);

#endif
