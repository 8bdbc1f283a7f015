/*
 * shed.h - what DuckDB keeps of every commit is given back.
 *
 * For each snapshot DuckLake puts the statistics of the tables that changed into DuckDB's object cache, and nothing
 * takes them out but a want of memory. DuckDB counts a fourth of what an entry takes: a stream that commits each second
 * grew by 25 KB a commit, past its bound within days. Lowering memory_limit does not empty the cache, a statement that
 * does not find the memory it asks for does (DuckDB 1.5.5: tried). So one is run: with a limit a little above what is
 * in use, and while no transaction is open in this DuckDB, which would not find memory either.
 */
#ifndef TARN_LAKE_SHED_H
#define TARN_LAKE_SHED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct lake_session;

/* Who may not meet: transactions, of which several run at once, and shedding. */
struct shed {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int transactions;
	bool shedding;
};

void shed_init(struct shed *shed);
void shed_release(struct shed *shed);
/* Around each transaction. Enter waits while it is shed. */
void shed_enter(struct shed *shed);
void shed_leave(struct shed *shed);

/* As DuckDB counts it: 4 MiB are about 20 in truth. */
#define SHED_ABOVE_BYTES ((int64_t)4 << 20)

/*
 * Empties the cache where it has more than `above` bytes and no transaction is open; outside one of the session's.
 * *ret_shed: by how many bytes it is smaller. Where DuckDB has no bound of memory (lake_options) nothing is done.
 */
int lake_shed(struct lake_session *session, int64_t above, int64_t *ret_shed, struct error *err);

/*
 * Gives back what DuckDB has freed. Its allocator keeps that for seconds, each thread its own, where another thread's
 * next statement does not find it. Setting memory_limit, also to what it is, empties all of them (DuckDB 1.5.5:
 * BufferPool::SetLimit). Any time; where DuckDB has no bound nothing is done.
 */
int lake_purge(struct lake_session *session, struct error *err);

#endif
