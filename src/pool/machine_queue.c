#include <stdlib.h>
#include <string.h>

#include "pool/machine_private.h"

/* ---- holders, in the order of their turns */

static void append_holder(struct machine *machine, struct holder *holder)
{
	struct holder **last = &machine->holders;

	while (*last)
		last = &(*last)->next;
	holder->next = NULL;
	holder->turn = machine->next_turn++;
	*last = holder;
}

static void unlink_holder(struct machine *machine, struct holder *holder)
{
	struct holder **at = &machine->holders;

	while (*at && *at != holder)
		at = &(*at)->next;
	if (*at)
		*at = holder->next;
}

static struct holder *find_holder(struct machine *machine, const char *name)
{
	struct holder *holder = machine->holders;

	while (holder && strcmp(holder->name, name) != 0)
		holder = holder->next;
	return holder;
}

static struct holder *new_holder(struct machine *machine, const char *name)
{
	struct holder *holder = calloc(1, sizeof *holder);

	if (!holder || !(holder->name = strdup(name))) {
		free(holder);
		return NULL;
	}
	append_holder(machine, holder);
	return holder;
}

static void free_if_empty(struct machine *machine, struct holder *holder)
{
	if (holder->count)
		return;
	unlink_holder(machine, holder);
	free(holder->name);
	free(holder);
}

/* `before` is what stands before it, NULL where it is the first. The holder may be gone afterwards. */
static void remove_wait(struct machine *machine, struct wait *wait, struct wait *before)
{
	struct holder *holder = wait->holder;

	*(before ? &before->next : &holder->first) = wait->next;
	if (holder->last == wait)
		holder->last = before;
	holder->count--;
	machine->waiting--;
	free(wait);
	free_if_empty(machine, holder);
	if (!machine->waiting)
		machine->deadline_ms = NEVER;
}

/* ---- the queue */

/* Who has the most waiting: of several the one whose turn is last. */
static struct holder *greediest(const struct machine *machine)
{
	struct holder *most = machine->holders;

	for (struct holder *holder = machine->holders; holder; holder = holder->next)
		if (holder->count >= most->count)
			most = holder;
	return most;
}

static void refuse_last_of(struct machine *machine, struct holder *holder)
{
	struct wait *before = NULL, *last = holder->first;

	for (; last->next; last = last->next)
		before = last;
	machine_push(machine, ACTION_REFUSE_FULL, NOBODY, last->id);
	machine->counts.refused_full++;
	remove_wait(machine, last, before);
}

/* Somebody idle takes the request at once; then the queue's length does not matter. Where it is 0 one request may wait
 * all the same, while a worker starts or may start for it: else an empty pool would stay empty. */
static bool is_full(const struct machine *machine)
{
	int length = machine->limits.queue_length;

	if (machine_count(machine, WORKER_IDLE))
		return false;
	if (!length && (machine_count(machine, WORKER_STARTING) || machine_held(machine) < machine->limits.max_size))
		length = 1;
	return machine->waiting >= length;
}

/* True: there is room now, or was. */
static bool find_room(struct machine *machine, const char *name, int64_t request)
{
	struct holder *own, *most;

	if (!is_full(machine))
		return true;
	own = find_holder(machine, name);
	most = greediest(machine);
	if (most && most != own && most->count > (own ? own->count : 0) + 1) {
		refuse_last_of(machine, most);
		return true;
	}
	machine_push(machine, ACTION_REFUSE_FULL, NOBODY, request);
	machine->counts.refused_full++;
	return false;
}

static int64_t deadline(const struct machine *machine, int64_t wait_ms)
{
	int64_t most = machine->limits.queue_wait_ms;

	return machine->now_ms + (wait_ms < most ? wait_ms : most);
}

int machine_queue_add(struct machine *machine, int64_t request, const char *name, int64_t wait_ms)
{
	struct wait *wait;
	struct holder *holder;

	if (!find_room(machine, name, request))
		return 0;
	wait = calloc(1, sizeof *wait);
	holder = find_holder(machine, name);
	if (wait && !holder)
		holder = new_holder(machine, name);
	if (!wait || !holder) {
		free(wait);
		return -1;
	}
	*wait = (struct wait){request, machine->next_arrival++, deadline(machine, wait_ms), holder, NULL};
	*(holder->last ? &holder->last->next : &holder->first) = wait;
	holder->last = wait;
	holder->count++;
	machine->waiting++;
	if (wait->deadline_ms < machine->deadline_ms)
		machine->deadline_ms = wait->deadline_ms;
	return 0;
}

bool machine_queue_remove(struct machine *machine, int64_t request)
{
	for (struct holder *holder = machine->holders; holder; holder = holder->next) {
		struct wait *before = NULL;

		for (struct wait *wait = holder->first; wait; before = wait, wait = wait->next) {
			if (wait->id != request)
				continue;
			remove_wait(machine, wait, before);
			return true;
		}
	}
	return false;
}

int64_t machine_queue_take(struct machine *machine)
{
	struct holder *holder = machine->holders;
	int64_t request;

	if (!holder)
		return NOBODY;
	request = holder->first->id;
	unlink_holder(machine, holder);
	append_holder(machine, holder);
	remove_wait(machine, holder->first, NULL);
	return request;
}

/* Those of one holder whose time is over; the holder may be gone afterwards. */
static void expire(struct machine *machine, struct holder *holder)
{
	struct wait *before = NULL, *wait = holder->first;

	while (wait) {
		struct wait *next = wait->next;

		if (wait->deadline_ms <= machine->now_ms) {
			machine_push(machine, ACTION_REFUSE_WAITED, NOBODY, wait->id);
			machine->counts.refused_waited++;
			remove_wait(machine, wait, before);
		} else {
			before = wait;
			if (wait->deadline_ms < machine->deadline_ms)
				machine->deadline_ms = wait->deadline_ms;
		}
		wait = next;
	}
}

void machine_queue_expire(struct machine *machine)
{
	if (machine->now_ms < machine->deadline_ms)
		return;
	machine->deadline_ms = NEVER;
	for (struct holder *holder = machine->holders, *next; holder; holder = next) {
		next = holder->next;
		expire(machine, holder);
	}
}

void machine_queue_refuse_all(struct machine *machine)
{
	int64_t request;

	while ((request = machine_queue_take(machine)) != NOBODY) {
		machine_push(machine, ACTION_REFUSE_STOPPED, NOBODY, request);
		machine->counts.refused_stopped++;
	}
}

void machine_queue_free(struct machine *machine)
{
	while (machine_queue_take(machine) != NOBODY)
		;
}

/* ---- handing out */

/* The one that was used last, so that those too many stay idle; one that has to go only where there is no other. */
static struct seat *idle_seat(struct machine *machine)
{
	struct seat *best = NULL;

	for (int i = 0; i < machine->seat_count; i++) {
		struct seat *seat = &machine->seats[i];

		if (seat->state != WORKER_IDLE)
			continue;
		if (!best || (best->retiring && !seat->retiring) ||
		    (best->retiring == seat->retiring && seat->since_ms > best->since_ms))
			best = seat;
	}
	return best;
}

void machine_hand_out(struct machine *machine)
{
	struct seat *seat;

	while (machine->waiting && (seat = idle_seat(machine))) {
		seat->request = machine_queue_take(machine);
		machine_push(machine, ACTION_HAND, seat->id, seat->request);
		machine_move(machine, seat, WORKER_ACQUIRING);
		machine->handed++;
		machine->counts.acquired++;
	}
}
