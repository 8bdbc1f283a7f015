/*
 * queue.h - what lies between reading and committing: decoded messages in arrival order, and the window that a commit
 * takes from their front.
 *
 * The reader pushes units. The committer opens a window; DuckDB's threads pull arrays out of it (queue_pull) until it
 * closes by time, bytes, a schema that is not allowed, or a request to drain. What was taken is a prefix of the queue,
 * on message boundaries, so the offsets that commit are exactly those of the rows that commit.
 *
 * Rows of several schemas cannot be pulled as one. Units of another schema than the window's own are taken all the same
 * where it is allowed (their table is prepared): they stand aside, and are given schema by schema when the window is
 * closed. Else two producers of two versions, message about message, would make a commit of each message.
 *
 * Invariants:
 *  1. A unit is taken under the lock that also tests "window closed".
 *  2. A window closes between units only: once one array of a unit is given, all of them are.
 *  3. A unit whose lane changed hands (its generation is old) is dropped, never taken.
 *  4. Bytes in flight = bytes pushed and not yet released, each message with what was decoded of it (held_grow) and
 * what is kept beside it (HELD_BYTES); queue_wait_room holds the reader at the bound, so that they are at most the
 * bound and one message. A window that has taken all there is, and keeps the bound from what could come, closes.
 *  5. Only lanes that were fenced when the window opened are taken.
 *
 * Life cycle: queue_init -> (queue_push | queue_window_begin -> queue_window_allow... ->
 * queue_window_open -> queue_pull... -> queue_window_close -> (queue_window_turn -> queue_pull...)... ->
 * queue_window_clear)... -> queue_release.
 */
#ifndef TARN_STREAM_QUEUE_H
#define TARN_STREAM_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "batch/batch.h"
#include "wire/source.h"

struct held_message;

/* One message, several JSON messages, or a stretch of offsets without one. */
struct unit {
	struct unit *next;
	int lane; /* index into the stream's lanes */
	uint64_t generation; /* of the lane when it was read */
	int64_t from, to; /* offsets [from, to) are settled by this unit */
	int64_t messages; /* accepted: how many */
	int64_t skipped, lost; /* of these offsets, how many hold no message, and how many retention took */
	int64_t bytes;
	int64_t arrived_ms;
	int64_t asked; /* queue.asked when it was pushed */
	struct batch_set set; /* an accepted message's rows; schema NULL otherwise */
	int next_array;
	char *reason; /* a quarantined message's; NULL otherwise */
	char fingerprint[33];
	struct held_message *held; /* the message itself: its bytes may still have to go to quarantine; NULL: several */
};

/* A held message's part of the heap beside its payload and what was decoded of it: the unit, the library's message. */
#define HELD_BYTES 1024

void unit_free(struct unit *unit);

#define WINDOW_OTHERS 7

/* What a window took from one lane. */
struct window_lane {
	bool fenced; /* may be taken from */
	uint64_t generation;
	int64_t from, to; /* equal: nothing was taken */
	int64_t messages, rows, quarantined, skipped, lost;
};

struct window {
	bool busy; /* from queue_window_begin to queue_window_clear: a transaction may be open */
	bool open; /* units may be taken */
	struct batch_schema *schema; /* of its rows, but those that stand aside; NULL: no rows */
	char others[WINDOW_OTHERS][33]; /* fingerprints of schemas that may stand aside */
	int other_count;
	struct unit *aside, **aside_tail; /* taken, of other schemas; owned */
	int64_t aside_bytes;
	struct unit *turn; /* of those, the ones whose arrays are given now */
	struct window_lane *lanes; /* one a lane of the stream; owned */
	int lane_count;
	int64_t bytes, rows;
	int64_t max_bytes, max_units;
	int64_t units; /* messages, and stretches without one */
	int64_t asked; /* the highest of its units */
	int64_t deadline_ms; /* it ends then, */
	int64_t latest_ms; /* or where the stream is behind at the latest then, */
	int64_t taken_ms; /* or when nothing was taken for WINDOW_PAUSE_MS since this */
	struct unit *current; /* arrays of it are being given out */
	struct unit *quarantined; /* taken, to be written; owned */
	struct unit **quarantined_tail;
	int64_t quarantined_bytes;
	int64_t first_arrived_ms;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* units, window and lanes */
	pthread_cond_t room; /* bytes were released */
	struct unit *head, **tail;
	int64_t queued_bytes;
	_Atomic int64_t in_flight;
	_Atomic int64_t waiting; /* messages that the source has and that are not read yet, about */
	int64_t bound; /* bytes */
	int64_t asked; /* how often the topic was asked for its id (confirm.c) */
	int drain; /* how many want windows to close at the queue's end instead of waiting */
	struct window window;
	const uint64_t *generations; /* by lane; borrowed; changed under `lock` */
};

int queue_init(struct queue *queue, int64_t bound, const uint64_t *generations, int lane_count, struct error *err);
void queue_release(struct queue *queue);

/* Takes the unit. */
void queue_push(struct queue *queue, struct unit *unit);
/* True where there is room; false after timeout_ms. */
bool queue_wait_room(struct queue *queue, int timeout_ms);
/* The same, without waiting: false where there is room. */
static inline bool queue_is_full(struct queue *queue)
{
	return atomic_load_explicit(&queue->in_flight, memory_order_relaxed) >= queue->bound;
}
/* Called by whoever lets go of a message. */
void queue_bytes_released(struct queue *queue, int64_t bytes);

/*
 * Waits up to timeout_ms until a window is worth opening: there is a unit, and either enough_bytes are queued, the
 * oldest is linger_ms old, or somebody drains. Stale units are dropped on the way. ret_schema: of the first unit that
 * has one before any other schema, retained for the caller; NULL where the next units hold no rows.
 */
bool queue_wait_work(struct queue *queue, int timeout_ms, int64_t enough_bytes, int64_t linger_ms,
                     struct batch_schema **ret_schema);

/* Fixes which lanes the window may take from, before the lake transaction that fences them begins. Call with the lock
 * held. */
void queue_window_begin(struct queue *queue, const bool *fenced);
/* Units of that schema may stand aside. Between queue_window_begin and queue_window_open; at most WINDOW_OTHERS. */
void queue_window_allow(struct queue *queue, const char *fingerprint);
/* More waits than half of what the last window took: its rows cannot be fresh whatever is done. With the lock held. */
bool queue_is_behind(const struct queue *queue);

/* The window takes fenced lanes' units whose schema is `schema` (or that hold no rows). Takes the reference. A queue
 * that is behind goes on for up to WINDOW_BEHIND times as long, which makes larger files; not beyond WINDOW_BEHIND_MS.
 */
#define WINDOW_BEHIND 8
#define WINDOW_BEHIND_MS 10000
#define WINDOW_PAUSE_MS 200
void queue_window_open(struct queue *queue, struct batch_schema *schema, int64_t max_bytes, int64_t max_units,
                       int64_t freshness_ms);
/* append_pull's and duck_pull's next: 1 and an array, or 0 when the window is closed. Any thread. */
int queue_pull(void *queue, struct ArrowArray *ret_array);
/* Ends the window: no further pull gives anything. Units without rows at the front are taken first. */
void queue_window_close(struct queue *queue);
/* After queue_window_close: the next schema of the units that stand aside, whose arrays queue_pull gives from now on. A
 * reference of the caller's; NULL: there are none left. */
struct batch_schema *queue_window_turn(struct queue *queue);
/* Frees what the window holds, wakes whoever waits for it. */
void queue_window_clear(struct queue *queue);

/* Bytes of an average queued row of this schema; 0 where there is none. */
int64_t queue_row_bytes(struct queue *queue, const struct batch_schema *schema);
/* Turns every queued message of this schema into quarantine with the reason. Of several messages in one unit the bytes
 * are gone: ret_again[lane] is then the offset before which that lane must be read again, a unit a message, and true is
 * returned. ret_again has room for every lane, of zeros. */
bool queue_refuse_schema(struct queue *queue, const struct batch_schema *schema, const char *reason,
                         int64_t *ret_again);
/* Drops every unit. */
void queue_drop_all(struct queue *queue);
/* Closes the open window early and lets no new one wait, until queue_drain_end. */
void queue_drain_begin(struct queue *queue);
void queue_drain_end(struct queue *queue);
/* True when no unit is queued and no window is busy; waits up to timeout_ms. */
bool queue_wait_empty(struct queue *queue, int timeout_ms);
/* True when no window is busy; waits up to timeout_ms. */
bool queue_wait_no_window(struct queue *queue, int timeout_ms);

/* A message that somebody still reads - its unit, and the arrays that lie in it: released with the last of them, and
 * counted as in flight until then. */
struct held_message {
	struct message message; /* of rows that were made from messages: none */
	int64_t bytes;
	struct queue *queue;
	atomic_int references;
};

/* Moves the message out of *message; one reference. NULL when out of memory (the message stays). */
struct held_message *held_new(struct queue *queue, struct message *message);
/* The same for `bytes` that were made from messages. */
struct held_message *held_made(struct queue *queue, int64_t bytes);
/* `bytes` more were made of it. Before anybody else has a reference. */
void held_grow(struct held_message *held, int64_t bytes);
struct held_message *held_retain(struct held_message *held);
void held_release(void *held);

#endif
