/*
 * answers.h - answers of one endpoint that are kept in memory, and questions that are being asked.
 *
 * Each is known by a key (the values of the parameters, the form) and by a version: a number that grows when what it
 * was made from changes. An answer is as good as the question where its version is the question's or a later one.
 *
 * Invariants:
 *  1. Two equal questions at once are asked once; the second waits, and gets the first one's answer.
 *  2. An answer is never given for a question of a later version.
 *  3. What failed is not kept, and is nobody else's failure: who waited for it asks on its own.
 *  4. At most so many answers and bytes (keys and a fixed size each counted) are kept; what was used longest ago goes
 *     first.
 *
 * Threads: any. Life cycle: answers_new -> answers_take (-> answers_finish) ... -> answers_free.
 */
#ifndef TARN_SERVE_ANSWERS_H
#define TARN_SERVE_ANSWERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

struct answers;

struct kept { /* not changed once others know it */
	atomic_int references;
	int64_t version, snapshot, rows;
	struct buffer body;
	char *content_type;
	char at[48]; /* when the version came to be, in whatever words; the caller's */
	char *next; /* the cursor of the next page; NULL: there is none */
};

/* NULL: out of memory. One reference, the caller's. */
struct kept *kept_new(void);
void kept_release(struct kept *kept); /* NULL is fine */

/* most 0: none is kept; equal questions at once are still asked once. NULL: out of memory. */
struct answers *answers_new(int most, int64_t most_bytes);
void answers_free(struct answers *answers);

enum answers_found {
	ANSWERS_KEPT, /* *ret_kept is the caller's to release */
	ANSWERS_ASK, /* the caller asks, and ends with answers_finish in any case */
	ANSWERS_ALONE, /* the caller asks, without answers_finish: what it waited for failed, or there is no memory */
	ANSWERS_GONE, /* the time is over, or `gone` said so */
};

struct answers_wait {
	int64_t most_ms;
	bool (*gone)(void *context); /* asked every 100 ms while waiting; may be NULL */
	void *context;
};

enum answers_found answers_take(struct answers *answers, const char *key, int64_t version,
                                const struct answers_wait *wait, struct kept **ret_kept);
/* key and version: of the answers_take that said ASK. kept NULL: it failed, or is too large. Borrowed. */
void answers_finish(struct answers *answers, const char *key, int64_t version, struct kept *kept);

struct answers_facts {
	int64_t count, bytes;
	int64_t hits, misses, waits; /* so far */
};

struct answers_facts answers_facts(struct answers *answers);

#endif
