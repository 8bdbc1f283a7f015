/*
 * machine.h - the pool's decisions: who gets which worker, who waits, who is turned away, when workers start and end.
 *
 * Pure: no clock, no process, no thread, no I/O. Something happened (an event, with the time); what is to be done is
 * taken out as actions. pool.c does them with processes, the operator with pods, the tests with nothing.
 *
 * A worker's states, and what moves it:
 *
 *     STARTING -> IDLE -> ACQUIRING -> BUSY -> IDLE ...    machine_ready, (handed), machine_began, machine_released
 *     ACQUIRING | BUSY -> DRAINING                         it has to go, and ends its query first
 *     any but gone -> TERMINATING                          ACTION_STOP (it ends by itself) or ACTION_KILL
 *     any -> gone                                          machine_died
 *
 * A worker that is old (max_lifetime_ms, max_queries) goes when its successor is warm, and is handed out until then
 * where no other is idle; where max_size leaves no room for both it goes first. They go one at a time, and none while
 * no worker can be started.
 *
 * Size. A pool needs as many workers as keep target_utilization: (busy + waiting) / target, within min_size and
 * max_size. It grows towards that at once, by at most scale_up in an interval (the first worker of an empty pool is
 * free), and shrinks by at most scale_down in an interval; workers that were idle for max_idle_ms beyond what is needed
 * go at once.
 *
 * Invariants, checked at each move (machine_check) and each broken by a test:
 *  1. Workers that are not TERMINATING, one-shot ones with them, are at most max_size.
 *  2. A worker has at most one request, and a request at most one worker; as many were acquired and not yet released
 * as serve one. One that died with a request is released, too.
 *  3. First come, first served within a holder (a token); between holders in turns, one request each. Where the queue
 * is full, the last one of the holder with the most waiting is refused, if that is more than the newcomer would have.
 *  4. A request is answered by exactly one of: handed, refused (full, waited, stopped), gone.
 *  5. While a request waits, no worker is IDLE.
 *  6. A pool shrinks to no less than it would have needed at any time within the stabilization window, and never below
 *     min_size.
 *  7. After MACHINE_STARTS starts that failed in a row the circuit opens: no start for a while that doubles, up to a
 *     bound. While it is open, or while a start failed and no warm worker is there, requests that wait get one-shot
 *     workers (ACTION_ONE_SHOT). A worker that ended before it had answered anything, soon after it was ready, is a
 *     start that failed, too; one that a query killed is not.
 *
 * Life cycle: machine_new -> events... with machine_next after each until it says no more -> machine_free. One thread.
 */
#ifndef TARN_POOL_MACHINE_H
#define TARN_POOL_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct machine;

enum worker_state { WORKER_STARTING, WORKER_IDLE, WORKER_ACQUIRING, WORKER_BUSY, WORKER_DRAINING, WORKER_TERMINATING };

#define MACHINE_STARTS 3 /* that fail in a row open the circuit */
#define MACHINE_PAUSE_MS 1000 /* of the circuit at first */
#define MACHINE_PAUSE_MAX_MS 60000
#define MACHINE_SOUND_MS 5000 /* so long after READY a worker is a good one, though nobody asked it anything */
#define MACHINE_STOP_MS 5000 /* one that was told to end and is there after it is killed */

struct machine_limits { /* from spec_pool */
	int min_size, max_size;
	double target_utilization;
	int64_t max_idle_ms, max_lifetime_ms;
	int max_queries;
	int queue_length;
	int64_t queue_wait_ms;
	int scale_up, scale_down;
	int64_t scale_interval_ms, stabilization_ms;
	int64_t start_ms; /* a worker that is not ready by then is killed */
	int64_t drain_ms; /* a DRAINING one that is not through by then is killed */
};

enum action_type {
	ACTION_NONE,
	ACTION_START, /* worker: a new one's id */
	ACTION_STOP, /* worker: it has no request; close its socket, it ends by itself */
	ACTION_KILL, /* worker: it does not end, or does not get ready */
	ACTION_HAND, /* request to worker */
	ACTION_ONE_SHOT, /* request to `worker`, a new one, which has to be started for it and ends with it */
	ACTION_REFUSE_FULL, /* request: the queue is full */
	ACTION_REFUSE_WAITED, /* request: it waited too long */
	ACTION_REFUSE_STOPPED, /* request: the server ends */
};

struct action {
	enum action_type type;
	int64_t worker, request;
};

enum release { RELEASE_GOOD, RELEASE_BROKEN /* it hangs, talks nonsense, or its DuckDB is broken: never used again */ };

struct machine *machine_new(const struct machine_limits *limits, int64_t now_ms, struct error *err);
void machine_free(struct machine *machine);

/* 1: *ret_action is to be done; 0: nothing. */
int machine_next(struct machine *machine, struct action *ret_action);

void machine_tick(struct machine *machine, int64_t now_ms);
/* When machine_tick has something to do at the latest. */
int64_t machine_due_ms(const struct machine *machine);
void machine_ready(struct machine *machine, int64_t worker, int64_t now_ms);
void machine_began(struct machine *machine, int64_t worker, int64_t now_ms); /* the handed request was sent */
void machine_released(struct machine *machine, int64_t worker, enum release how, int64_t now_ms);
void machine_died(struct machine *machine, int64_t worker, int64_t now_ms); /* also one that could not be started */
/* holder: borrowed for the call. wait_ms: the pool's own bound holds, too. -1: out of memory. */
int machine_request(struct machine *machine, int64_t request, const char *holder, int64_t wait_ms, int64_t now_ms);
/* Whoever waited went away. False: it has a worker already, which it must release. */
bool machine_request_gone(struct machine *machine, int64_t request, int64_t now_ms);
/* No worker of now is to be handed out any more: idle ones stop, busy ones are through first, others start. */
void machine_renew(struct machine *machine, int64_t now_ms);
/* The server ends: whoever waits is refused, idle workers stop, busy ones are through first. */
void machine_drain_all(struct machine *machine, int64_t now_ms);

struct machine_facts {
	int workers[WORKER_TERMINATING + 1]; /* by state */
	int size; /* that are not TERMINATING */
	int desired, waiting;
	bool circuit_open;
	int64_t created, deleted, acquired, released, scaled_up, scaled_down, circuit_opened, refused_full,
	        refused_waited, refused_stopped, gone, one_shots, replaced;
};

struct machine_facts machine_facts(const struct machine *machine);
const char *worker_state_name(enum worker_state state);
/* Walks everything and returns what is broken of the invariants, or NULL. Called after each event where TARN_CHECK is
 * set, and by the tests. */
const char *machine_check(const struct machine *machine);

#endif
