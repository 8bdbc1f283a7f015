#include "stream/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"
#include "batch/arrow_abi.h"

struct held_message *held_made(struct queue *queue, int64_t bytes)
{
	struct held_message *held = calloc(1, sizeof *held);

	if (!held)
		return NULL;
	held->message.offset = -1;
	held->bytes = bytes;
	held->queue = queue;
	atomic_init(&held->references, 1);
	atomic_fetch_add(&queue->in_flight, bytes);
	return held;
}

struct held_message *held_new(struct queue *queue, struct message *message)
{
	struct held_message *held = held_made(queue, (int64_t)message->size + HELD_BYTES);

	if (!held)
		return NULL;
	held->message = *message;
	*message = (struct message){.offset = -1};
	return held;
}

void held_grow(struct held_message *held, int64_t bytes)
{
	held->bytes += bytes;
	atomic_fetch_add(&held->queue->in_flight, bytes);
}

struct held_message *held_retain(struct held_message *held)
{
	atomic_fetch_add(&held->references, 1);
	return held;
}

void held_release(void *opaque)
{
	struct held_message *held = opaque;
	struct queue *queue = held->queue;
	int64_t bytes = held->bytes;

	if (atomic_fetch_sub(&held->references, 1) > 1)
		return;
	message_release(&held->message);
	free(held);
	queue_bytes_released(queue, bytes);
}

void unit_free(struct unit *unit)
{
	if (!unit)
		return;
	batch_set_release(&unit->set);
	if (unit->held)
		held_release(unit->held);
	free(unit->reason);
	free(unit);
}

int queue_init(struct queue *queue, int64_t bound, const uint64_t *generations, int lane_count, struct error *err)
{
	*queue = (struct queue){.bound = bound, .generations = generations};
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->changed, NULL);
	pthread_cond_init(&queue->room, NULL);
	queue->tail = &queue->head;
	queue->window.lanes = calloc((size_t)lane_count + 1, sizeof *queue->window.lanes);
	queue->window.lane_count = lane_count;
	queue->window.quarantined_tail = &queue->window.quarantined;
	queue->window.aside_tail = &queue->window.aside;
	return queue->window.lanes ? 0 : error_no_memory(err);
}

void queue_release(struct queue *queue)
{
	queue_drop_all(queue);
	queue_window_clear(queue);
	free(queue->window.lanes);
	pthread_cond_destroy(&queue->room);
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->lock);
}

void queue_push(struct queue *queue, struct unit *unit)
{
	unit->next = NULL;
	unit->arrived_ms = clock_monotonic_ms();
	pthread_mutex_lock(&queue->lock);
	unit->asked = queue->asked;
	*queue->tail = unit;
	queue->tail = &unit->next;
	queue->queued_bytes += unit->bytes;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

void queue_bytes_released(struct queue *queue, int64_t bytes)
{
	atomic_fetch_sub(&queue->in_flight, bytes);
	/* The lock orders this wake-up after the waiter's test; without it the waiter may sleep through it. */
	pthread_mutex_lock(&queue->lock);
	pthread_cond_signal(&queue->room);
	pthread_mutex_unlock(&queue->lock);
}

bool queue_wait_room(struct queue *queue, int timeout_ms)
{
	struct timespec until = clock_deadline(timeout_ms);
	bool room;

	pthread_mutex_lock(&queue->lock);
	while (!(room = atomic_load(&queue->in_flight) < queue->bound)) {
		if (pthread_cond_clockwait(&queue->room, &queue->lock, CLOCK_MONOTONIC, &until))
			break;
	}
	pthread_mutex_unlock(&queue->lock);
	return room;
}

/* ---- with the lock held */

static struct unit *pop(struct queue *queue)
{
	struct unit *unit = queue->head;

	queue->head = unit->next;
	if (!queue->head)
		queue->tail = &queue->head;
	queue->queued_bytes -= unit->bytes;
	unit->next = NULL;
	pthread_cond_signal(&queue->room);
	return unit;
}

/* Freeing releases the message, which takes the lock: so outside of it. */
static void free_unlocked(struct queue *queue, struct unit *unit)
{
	pthread_mutex_unlock(&queue->lock);
	unit_free(unit);
	pthread_mutex_lock(&queue->lock);
}

/* The first unit that still counts; stale ones are dropped. NULL: none. */
static struct unit *front(struct queue *queue)
{
	while (queue->head && queue->head->generation != queue->generations[queue->head->lane])
		free_unlocked(queue, pop(queue));
	return queue->head;
}

/* What stands aside is in flight until the window is closed: more of it would hold the reader. */
static bool may_stand_aside(const struct queue *queue, const struct unit *unit)
{
	const struct window *window = &queue->window;

	if (!window->schema || window->aside_bytes >= queue->bound / 4)
		return false;
	for (int i = 0; i < window->other_count; i++)
		if (!strcmp(window->others[i], unit->set.schema->fingerprint))
			return true;
	return false;
}

static bool is_own(const struct window *window, const struct unit *unit)
{
	return window->schema && !strcmp(window->schema->fingerprint, unit->set.schema->fingerprint);
}

static bool wants(const struct queue *queue, const struct unit *unit)
{
	const struct window *window = &queue->window;
	const struct window_lane *lane = &window->lanes[unit->lane];

	if (!lane->fenced || lane->generation != unit->generation)
		return false;
	if (window->bytes >= window->max_bytes || window->units >= window->max_units)
		return false;
	/* They are written when the window is closed, and in memory until then. */
	if (unit->reason)
		return window->quarantined_bytes < queue->bound / 2;
	return !unit->set.schema || is_own(window, unit) || may_stand_aside(queue, unit);
}

/* Books the unit into the window. */
static void take(struct queue *queue, struct unit *unit)
{
	struct window *window = &queue->window;
	struct window_lane *lane = &window->lanes[unit->lane];

	if (lane->from == lane->to)
		lane->from = unit->from;
	lane->to = unit->to;
	lane->skipped += unit->skipped;
	lane->lost += unit->lost;
	window->taken_ms = clock_monotonic_ms();
	window->bytes += unit->bytes;
	window->units += unit->messages > 1 ? unit->messages : 1;
	if (window->asked < unit->asked)
		window->asked = unit->asked;
	if (window->first_arrived_ms == 0)
		window->first_arrived_ms = unit->arrived_ms;
	if (unit->reason) {
		/* Its arrays, if it has any, go with it: letting go of them here could want the lock. */
		lane->quarantined++;
		window->quarantined_bytes += unit->held->bytes;
		*window->quarantined_tail = unit;
		window->quarantined_tail = &unit->next;
	} else if (unit->set.schema) {
		lane->messages += unit->messages;
		lane->rows += unit->set.rows;
		window->rows += unit->set.rows;
	}
}

static void stand_aside(struct window *window, struct unit *unit)
{
	*window->aside_tail = unit;
	window->aside_tail = &unit->next;
	window->aside_bytes += unit->bytes;
}

/* Takes what stands at the front. False: nothing to take now. */
static bool take_front(struct queue *queue)
{
	struct unit *unit = front(queue);

	/* While stale units were freed without the lock, another thread may have taken one, or closed the window. */
	if (queue->window.current)
		return true;
	if (!queue->window.open || !unit || !wants(queue, unit))
		return false;
	unit = pop(queue);
	take(queue, unit);
	if (unit->reason)
		return true;
	if (!unit->set.schema)
		free_unlocked(queue, unit);
	else if (is_own(&queue->window, unit))
		queue->window.current = unit;
	else
		stand_aside(&queue->window, unit);
	return true;
}

static int give_array(struct queue *queue, struct ArrowArray *ret_array)
{
	struct unit *unit = queue->window.current;

	while (unit && unit->next_array < unit->set.count) {
		struct ArrowArray *array = &unit->set.arrays[unit->next_array++];

		*ret_array = *array;
		array->release = NULL;
		if (ret_array->length > 0)
			return 1;
		pthread_mutex_unlock(&queue->lock);
		ret_array->release(ret_array);
		pthread_mutex_lock(&queue->lock);
		unit = queue->window.current;
	}
	return 0;
}

bool queue_is_behind(const struct queue *queue)
{
	return queue->queued_bytes >= queue->bound / 4 || atomic_load(&queue->waiting) > queue->window.units / 2;
}

static bool open_and_in_time(const struct queue *queue)
{
	const struct window *window = &queue->window;
	int64_t now = clock_monotonic_ms();

	if (!window->open || now < window->deadline_ms)
		return window->open;
	return now < window->latest_ms && now < window->taken_ms + WINDOW_PAUSE_MS && !queue->drain &&
	       queue_is_behind(queue);
}

/*
 * Nothing is left to take, and the reader waits for room. What was taken keeps it: each of DuckDB's threads holds the
 * array that it had last until it gets another, and the rest is written when the window is closed.
 */
static bool is_starved(const struct queue *queue)
{
	return !queue->head && atomic_load(&queue->in_flight) >= queue->bound;
}

/* When to look again whether there is something to take. */
static int64_t look_ms(const struct window *window)
{
	int64_t left = window->deadline_ms - clock_monotonic_ms();

	return left > 0 ? left : 20;
}

int queue_pull(void *opaque, struct ArrowArray *ret_array)
{
	struct queue *queue = opaque;
	struct window *window = &queue->window;
	int given = 0;

	pthread_mutex_lock(&queue->lock);
	while (window->open || window->current || window->turn) {
		struct unit *done;
		struct timespec until;

		if ((given = give_array(queue, ret_array)))
			break;
		done = window->current;
		window->current = NULL;
		if (done) {
			free_unlocked(queue, done);
			continue;
		}
		if (window->turn) {
			window->current = window->turn;
			window->turn = window->current->next;
			window->current->next = NULL;
			continue;
		}
		if (!window->open)
			break;
		if (open_and_in_time(queue) && take_front(queue))
			continue;
		if (front(queue) || queue->drain || is_starved(queue) || !open_and_in_time(queue)) {
			/* The next unit is not for this window, or cannot come, or its time is over. */
			window->open = false;
			pthread_cond_broadcast(&queue->changed);
			break;
		}
		until = clock_deadline(look_ms(window));
		pthread_cond_clockwait(&queue->changed, &queue->lock, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&queue->lock);
	return given;
}

/* ---- the committer's side */

int64_t queue_row_bytes(struct queue *queue, const struct batch_schema *schema)
{
	int64_t bytes = 0, rows = 0;

	pthread_mutex_lock(&queue->lock);
	for (const struct unit *unit = queue->head; unit; unit = unit->next) {
		if (unit->set.schema != schema)
			continue;
		bytes += unit->bytes;
		rows += unit->set.rows;
	}
	pthread_mutex_unlock(&queue->lock);
	return rows ? bytes / rows : 0;
}

bool queue_wait_work(struct queue *queue, int timeout_ms, int64_t enough_bytes, int64_t linger_ms,
                     struct batch_schema **ret_schema)
{
	int64_t end_ms = clock_monotonic_ms() + timeout_ms;
	bool work = false;

	*ret_schema = NULL;
	pthread_mutex_lock(&queue->lock);
	for (;;) {
		struct unit *unit = front(queue);
		int64_t now = clock_monotonic_ms(), wake = end_ms;
		struct timespec until;

		work = unit &&
		       (queue->drain || queue->queued_bytes >= enough_bytes || now - unit->arrived_ms >= linger_ms);
		if (work || now >= end_ms)
			break;
		if (unit && unit->arrived_ms + linger_ms < wake)
			wake = unit->arrived_ms + linger_ms;
		until = clock_deadline(wake - now + 1);
		pthread_cond_clockwait(&queue->changed, &queue->lock, CLOCK_MONOTONIC, &until);
	}
	for (struct unit *unit = work ? queue->head : NULL; unit; unit = unit->next) {
		if (unit->set.schema && !unit->reason && unit->generation == queue->generations[unit->lane]) {
			*ret_schema = batch_schema_retain(unit->set.schema);
			break;
		}
	}
	pthread_mutex_unlock(&queue->lock);
	return work;
}

void queue_window_begin(struct queue *queue, const bool *fenced)
{
	struct window *window = &queue->window;

	window->busy = true;
	window->other_count = 0;
	for (int i = 0; i < window->lane_count; i++)
		window->lanes[i] = (struct window_lane){.fenced = fenced[i], .generation = queue->generations[i]};
}

void queue_window_allow(struct queue *queue, const char *fingerprint)
{
	struct window *window = &queue->window;

	pthread_mutex_lock(&queue->lock);
	if (window->other_count < WINDOW_OTHERS)
		snprintf(window->others[window->other_count++], sizeof window->others[0], "%s", fingerprint);
	pthread_mutex_unlock(&queue->lock);
}

void queue_window_open(struct queue *queue, struct batch_schema *schema, int64_t max_bytes, int64_t max_units,
                       int64_t freshness_ms)
{
	struct window *window = &queue->window;
	int64_t longest_ms =
	        freshness_ms * WINDOW_BEHIND < WINDOW_BEHIND_MS ? freshness_ms * WINDOW_BEHIND : WINDOW_BEHIND_MS;

	pthread_mutex_lock(&queue->lock);
	window->schema = schema;
	window->max_bytes = max_bytes;
	window->max_units = max_units;
	window->bytes = window->rows = window->units = window->asked = window->first_arrived_ms = 0;
	window->deadline_ms = clock_monotonic_ms() + freshness_ms;
	window->latest_ms = clock_monotonic_ms() + longest_ms;
	window->open = true;
	pthread_mutex_unlock(&queue->lock);
}

void queue_window_close(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	if (!queue->window.schema) {
		while (queue->window.open && take_front(queue))
			;
	}
	queue->window.open = false;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

struct batch_schema *queue_window_turn(struct queue *queue)
{
	struct window *window = &queue->window;
	struct unit **turn_tail = &window->turn, **from = &window->aside;
	struct batch_schema *schema = NULL;

	pthread_mutex_lock(&queue->lock);
	if (window->aside)
		schema = batch_schema_retain(window->aside->set.schema);
	while (*from) {
		struct unit *unit = *from;

		if (strcmp(unit->set.schema->fingerprint, schema->fingerprint) != 0) {
			from = &unit->next;
			continue;
		}
		*from = unit->next;
		unit->next = NULL;
		*turn_tail = unit;
		turn_tail = &unit->next;
	}
	window->aside_tail = from;
	pthread_mutex_unlock(&queue->lock);
	return schema;
}

static void free_units(struct unit *unit)
{
	while (unit) {
		struct unit *next = unit->next;

		unit_free(unit);
		unit = next;
	}
}

void queue_window_clear(struct queue *queue)
{
	struct window *window = &queue->window;
	struct unit *current, *quarantined, *aside, *turn;

	pthread_mutex_lock(&queue->lock);
	window->open = window->busy = false;
	current = TAKE(window->current);
	turn = TAKE(window->turn);
	quarantined = TAKE(window->quarantined);
	window->quarantined_tail = &window->quarantined;
	aside = TAKE(window->aside);
	window->aside_tail = &window->aside;
	window->quarantined_bytes = 0;
	window->aside_bytes = 0;
	batch_schema_release(window->schema);
	window->schema = NULL;
	for (int i = 0; i < window->lane_count; i++)
		window->lanes[i] = (struct window_lane){0};
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
	unit_free(current);
	free_units(turn);
	free_units(quarantined);
	free_units(aside);
}

bool queue_refuse_schema(struct queue *queue, const struct batch_schema *schema, const char *reason, int64_t *ret_again)
{
	bool again = false;

	pthread_mutex_lock(&queue->lock);
	for (struct unit *unit = queue->head; unit; unit = unit->next) {
		if (!unit->set.schema || unit->reason ||
		    strcmp(unit->set.schema->fingerprint, schema->fingerprint) != 0)
			continue;
		if (unit->held) {
			unit->reason = strdup(reason);
			continue;
		}
		ret_again[unit->lane] = unit->to;
		again = true;
	}
	pthread_mutex_unlock(&queue->lock);
	return again;
}

void queue_drop_all(struct queue *queue)
{
	struct unit *unit;

	pthread_mutex_lock(&queue->lock);
	unit = queue->head;
	queue->head = NULL;
	queue->tail = &queue->head;
	queue->queued_bytes = 0;
	pthread_cond_broadcast(&queue->changed);
	pthread_cond_signal(&queue->room);
	pthread_mutex_unlock(&queue->lock);
	free_units(unit);
}

void queue_drain_begin(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->drain++;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

void queue_drain_end(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->drain--;
	pthread_mutex_unlock(&queue->lock);
}

static bool wait_for(struct queue *queue, int timeout_ms, bool and_empty)
{
	struct timespec until = clock_deadline(timeout_ms);
	bool done;

	pthread_mutex_lock(&queue->lock);
	while (!(done = !queue->window.busy && !(and_empty && front(queue)))) {
		if (pthread_cond_clockwait(&queue->changed, &queue->lock, CLOCK_MONOTONIC, &until))
			break;
	}
	pthread_mutex_unlock(&queue->lock);
	return done;
}

bool queue_wait_empty(struct queue *queue, int timeout_ms)
{
	return wait_for(queue, timeout_ms, true);
}

bool queue_wait_no_window(struct queue *queue, int timeout_ms)
{
	return wait_for(queue, timeout_ms, false);
}
