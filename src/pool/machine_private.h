/*
 * machine_private.h - the inside of the machine, for machine*.c, and for the test that breaks its invariants.
 *
 *     machine.c         what happens: events, moves between states
 *     machine_queue.c   who waits, whose turn it is, handing out
 *     machine_scale.c   how many workers there should be; starting, shrinking, replacing; the circuit
 *     machine_check.c   the invariants
 *
 * Each event ends in machine_settle (machine_scale.c), which does all that has become possible.
 */
#ifndef TARN_POOL_MACHINE_PRIVATE_H
#define TARN_POOL_MACHINE_PRIVATE_H

#include "pool/machine.h"

#define NOBODY ((int64_t)-1)
#define NEVER INT64_MAX

struct seat { /* a worker */
	int64_t id, request; /* NOBODY */
	enum worker_state state;
	bool one_shot;
	bool retiring; /* it goes when its successor is warm */
	bool sound; /* a good start: it answered something, or lived for a while */
	int queries;
	int64_t born_ms, since_ms; /* since: in its state */
	int64_t kill_ms; /* TERMINATING: when it is killed (again) */
};

struct wait { /* a request in the queue */
	int64_t id, arrival, deadline_ms;
	struct holder *holder;
	struct wait *next; /* of its holder, in the order of arrival */
};

struct holder { /* whoever has requests that wait */
	char *name; /* owned */
	struct wait *first, *last; /* owned */
	int count;
	int64_t turn; /* the lowest is next */
	struct holder *next; /* in the order of turns */
};

/* What was needed until a time; in the order of time, each less than the one before it. The last one is now. */
struct peak {
	int needed;
	int64_t until_ms;
};

struct machine {
	struct machine_limits limits;
	int64_t now_ms;
	bool stopping;

	struct seat *seats; /* room for seat_room */
	int seat_count, seat_room;
	int64_t next_worker;

	struct holder *holders; /* owned */
	int waiting;
	int64_t next_arrival, next_turn;
	int64_t deadline_ms; /* no request's is earlier */

	int target; /* the size that it grows or shrinks to */
	struct peak *peaks; /* room for max_size + 2 */
	int peak_count;
	int64_t origin_ms, interval; /* intervals are counted from the origin */
	int ups, downs; /* in this interval */
	int shrunk_to, shrink_floor; /* the last time */

	int failures; /* of starts, in a row */
	int64_t pause_ms, open_until_ms;
	int64_t opened_ms, started_ms; /* the last time; NOBODY: never */

	struct action *actions; /* a ring of action_room */
	int action_first, action_count, action_room;

	int64_t asked, handed;
	struct machine_facts counts; /* its counters alone */
	const char *broken; /* the first forbidden move, or turn out of its order */
};

/* machine.c */
struct seat *machine_seat(struct machine *machine, int64_t worker);
void machine_move(struct machine *machine, struct seat *seat, enum worker_state state);
void machine_push(struct machine *machine, enum action_type type, int64_t worker, int64_t request);
/* A new one in that state; NULL: there is no room. */
struct seat *machine_seat_add(struct machine *machine, enum worker_state state);
void machine_end(struct machine *machine, struct seat *seat, enum action_type how); /* ACTION_STOP, ACTION_KILL */
int machine_count(const struct machine *machine, enum worker_state state);
int machine_held(const struct machine *machine); /* that are not TERMINATING */

/* machine_queue.c */
int machine_queue_add(struct machine *machine, int64_t request, const char *holder, int64_t wait_ms);
bool machine_queue_remove(struct machine *machine, int64_t request);
/* Whose turn it is leaves the queue; NOBODY: nobody waits. */
int64_t machine_queue_take(struct machine *machine);
void machine_queue_expire(struct machine *machine);
void machine_queue_refuse_all(struct machine *machine);
void machine_queue_free(struct machine *machine);
void machine_hand_out(struct machine *machine);

/* machine_scale.c */
void machine_settle(struct machine *machine);
int64_t machine_scale_due_ms(const struct machine *machine);
void machine_start_failed(struct machine *machine);
void machine_start_good(struct machine *machine, struct seat *seat);
bool machine_circuit_is_open(const struct machine *machine);

#endif
