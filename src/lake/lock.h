/*
 * lock.h - advisory file locks (flock), for catalogs that have one writer at a time.
 *
 * Invariant: a lock lives on an open file description, so it ends with its process, however that ends.
 */
#ifndef TARN_LAKE_LOCK_H
#define TARN_LAKE_LOCK_H

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

/* Opens (and makes) the lock file. The fd, or -1 with *err. */
int lock_open(const char *path, struct error *err);
/* Takes it or fails at once: CONFLICT that names the process that holds it. Writes our pid into the file. */
int lock_take_or_tell(int fd, const char *path, const char *what, struct error *err);
/* Waits for it. */
int lock_wait(int fd, struct error *err);
void lock_drop(int fd);

/*
 * flock wakes who waits, and who let go may be faster: a stream that begins anew at once would keep a refresh waiting
 * for ever. Within a process turns are taken in the order of asking.
 */
struct turns {
	pthread_mutex_t lock;
	pthread_cond_t next;
	uint64_t asked, served;
};

void turns_init(struct turns *turns);
void turns_release(struct turns *turns);
/* Waits for all that asked before. */
void turns_enter(struct turns *turns);
void turns_leave(struct turns *turns);

#endif
