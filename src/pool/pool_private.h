/*
 * pool_private.h - the inside of a pool, for pool*.c.
 *
 *     pool.c         acquiring and giving back: what the machine decides, done; the workers as they are
 *     pool_lease.c   an answer, frame by frame
 *     pool_manage.c  the pool's own thread: starting, waiting for READY, noticing deaths, reaping
 *
 * One lock guards all. Nothing that waits happens under it.
 */
#ifndef TARN_POOL_POOL_PRIVATE_H
#define TARN_POOL_POOL_PRIVATE_H

#include <pthread.h>

#include "pool/pool.h"

#define GRACE_MS 800 /* from a CANCEL to its END; then the worker is killed (pool.h, invariant 5) */
#define SEND_MS 2000 /* for a worker to take a request: one that does not read hangs */
#define START_MS 60000 /* of a worker to be READY */
#define LATE_MS 100 /* the worker ends a query that takes too long itself, and says so; only then the pool does */
#define READY_BYTES_MAX 4096

enum member_state {
	MEMBER_UNBORN, /* the manager has to start it */
	MEMBER_STARTING, /* it is not READY yet, or not even a process */
	MEMBER_IDLE,
	MEMBER_LEASED, /* its socket is the lease's */
	MEMBER_CEDED, /* its lease is over and its answer is not: the manager reads on to the END */
	MEMBER_ENDING, /* its socket is closed; once the process is gone, so is the member */
};

/* A frame of which a part has come. */
struct incoming {
	unsigned char header[5];
	size_t got; /* of the header and the payload */
	size_t size; /* of the payload, once the header is there */
};

struct member { /* a worker */
	int64_t id;
	enum member_state state;
	bool one_shot;
	bool told; /* the machine knows that it died */
	bool in_birth; /* somebody starts it, without the lock */
	bool doomed; /* it was told to end while a lease has its socket */
	bool has_process;
	int64_t handle;
	int fd; /* -1 */
	int64_t born_ms, queries, memory;
	int64_t kill_ms; /* CEDED: when its patience is over */
	struct incoming incoming;
	struct buffer ready; /* what came before it was READY */
	struct member *next;
};

enum asker_state { ASKER_WAITS, ASKER_GIVEN, ASKER_ONE_SHOT, ASKER_FULL, ASKER_WAITED, ASKER_STOPPED };

struct asker { /* a thread in pool_acquire; on its stack */
	int64_t request, worker;
	enum asker_state state;
	int event; /* an eventfd, once it has to wait; -1 */
	struct asker *next;
};

struct pool {
	const struct spec_pool *spec; /* borrowed */
	struct pool_driver driver;
	pthread_mutex_t lock;
	struct machine *machine;
	struct member *members; /* owned */
	struct asker *askers;
	int64_t next_request;
	int64_t average_ms; /* of a lease, for Retry-After */
	int64_t queries, lost, late;
	bool draining, ending; /* ending: the manager ends */
	int wake; /* an eventfd: the manager has something to do */
	int64_t sleeps_until_ms; /* the manager */
	pthread_t manager;
	bool has_manager;
};

struct lease {
	struct pool *pool; /* borrowed */
	int64_t worker, handle;
	int fd; /* borrowed of its member */
	int client_fd;
	bool one_shot;
	bool sent, ended, broken, cancelled;
	int64_t waited_us, sent_ms, max_ms;
	struct incoming incoming;
};

/* Under the lock, after each event of the machine: does what it wants; the manager starts and reaps. */
void pool_do_actions(struct pool *pool);
struct member *pool_member(struct pool *pool, int64_t worker);
void pool_wake_manager(struct pool *pool);
/* Closes its socket; the manager notices its end. */
void pool_end_member(struct member *member);
/* Whether a worker, which has no query now, became larger than it may be. */
bool pool_is_too_large(const struct pool *pool, int64_t handle);
void *pool_manage(void *pool);

enum frame_progress { FRAME_WHOLE, FRAME_PART, FRAME_LOST, FRAME_NONSENSE };
/*
 * Reads what there is without waiting. WHOLE: *ret_type, and the payload is complete; the next call begins a new frame.
 * payload NULL: it is thrown away.
 */
enum frame_progress incoming_read(struct incoming *incoming, int fd, enum frame_type *ret_type, struct buffer *payload);

#endif
