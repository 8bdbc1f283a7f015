#include "pool/machine.h"

#include <stdlib.h>
#include <string.h>

#include "pool/machine_private.h"

/* Workers that were told to end and are there all the same take a seat each; beyond that nothing starts. */
#define SEATS(max_size) (4 * (max_size) + 8)
#define ACTIONS_PER_SEAT 4

static const char *const state_names[] = {
        [WORKER_STARTING] = "starting", [WORKER_IDLE] = "idle",         [WORKER_ACQUIRING] = "acquiring",
        [WORKER_BUSY] = "busy",         [WORKER_DRAINING] = "draining", [WORKER_TERMINATING] = "terminating",
};

/* To which states one may move, as bits. */
#define TO(state) (1u << WORKER_##state)
static const unsigned allowed[] = {
        [WORKER_STARTING] = TO(IDLE) | TO(TERMINATING),
        [WORKER_IDLE] = TO(ACQUIRING) | TO(TERMINATING),
        [WORKER_ACQUIRING] = TO(BUSY) | TO(IDLE) | TO(DRAINING) | TO(TERMINATING),
        [WORKER_BUSY] = TO(IDLE) | TO(DRAINING) | TO(TERMINATING),
        [WORKER_DRAINING] = TO(TERMINATING),
        [WORKER_TERMINATING] = 0,
};

const char *worker_state_name(enum worker_state state)
{
	return state_names[state];
}

struct machine *machine_new(const struct machine_limits *limits, int64_t now_ms, struct error *err)
{
	struct machine *machine = calloc(1, sizeof *machine);

	if (!machine)
		goto no_memory;
	machine->limits = *limits;
	machine->now_ms = machine->origin_ms = now_ms;
	machine->seat_room = SEATS(limits->max_size);
	machine->action_room = ACTIONS_PER_SEAT * machine->seat_room;
	machine->seats = calloc((size_t)machine->seat_room, sizeof *machine->seats);
	machine->peaks = calloc((size_t)limits->max_size + 2, sizeof *machine->peaks);
	machine->actions = calloc((size_t)machine->action_room, sizeof *machine->actions);
	if (!machine->seats || !machine->peaks || !machine->actions)
		goto no_memory;
	machine->next_worker = machine->next_arrival = machine->next_turn = 1;
	machine->deadline_ms = NEVER;
	machine->target = limits->min_size;
	machine->pause_ms = MACHINE_PAUSE_MS;
	machine->opened_ms = machine->started_ms = NOBODY;
	machine->peaks[machine->peak_count++] = (struct peak){limits->min_size, NEVER};
	machine_settle(machine);
	return machine;
no_memory:
	machine_free(machine);
	error_no_memory(err);
	return NULL;
}

void machine_free(struct machine *machine)
{
	if (!machine)
		return;
	machine_queue_free(machine);
	free(machine->seats);
	free(machine->peaks);
	free(machine->actions);
	free(machine);
}

int machine_next(struct machine *machine, struct action *ret_action)
{
	if (!machine->action_count)
		return 0;
	*ret_action = machine->actions[machine->action_first];
	machine->action_first = (machine->action_first + 1) % machine->action_room;
	machine->action_count--;
	return 1;
}

/* ---- what the files of the machine share */

void machine_push(struct machine *machine, enum action_type type, int64_t worker, int64_t request)
{
	int at = (machine->action_first + machine->action_count) % machine->action_room;

	if (machine->action_count == machine->action_room) {
		machine->broken = "actions were not taken out after an event";
		return;
	}
	machine->actions[at] = (struct action){type, worker, request};
	machine->action_count++;
}

struct seat *machine_seat(struct machine *machine, int64_t worker)
{
	for (int i = 0; i < machine->seat_count; i++)
		if (machine->seats[i].id == worker)
			return &machine->seats[i];
	return NULL;
}

int machine_count(const struct machine *machine, enum worker_state state)
{
	int count = 0;

	for (int i = 0; i < machine->seat_count; i++)
		count += machine->seats[i].state == state;
	return count;
}

int machine_held(const struct machine *machine)
{
	return machine->seat_count - machine_count(machine, WORKER_TERMINATING);
}

void machine_move(struct machine *machine, struct seat *seat, enum worker_state state)
{
	if (!(allowed[seat->state] & 1u << state) && !machine->broken)
		machine->broken = "a worker moved to a state that does not follow its own";
	seat->state = state;
	seat->since_ms = machine->now_ms;
}

struct seat *machine_seat_add(struct machine *machine, enum worker_state state)
{
	struct seat *seat;

	if (machine->seat_count == machine->seat_room)
		return NULL;
	seat = &machine->seats[machine->seat_count++];
	*seat = (struct seat){.id = machine->next_worker++, .request = NOBODY, .state = state};
	seat->born_ms = seat->since_ms = machine->now_ms;
	machine->counts.created++;
	return seat;
}

/* The worker serves its request no longer. */
static void part(struct machine *machine, struct seat *seat)
{
	machine->counts.released += seat->request != NOBODY;
	seat->request = NOBODY;
}

void machine_end(struct machine *machine, struct seat *seat, enum action_type how)
{
	machine_push(machine, how, seat->id, NOBODY);
	part(machine, seat);
	machine_move(machine, seat, WORKER_TERMINATING);
	seat->kill_ms = machine->now_ms + MACHINE_STOP_MS;
}

/* ---- what happens */

/* Two threads may have read their clocks in the other order. */
static void at(struct machine *machine, int64_t now_ms)
{
	if (now_ms > machine->now_ms)
		machine->now_ms = now_ms;
}

static void check_time_of(struct machine *machine, struct seat *seat)
{
	int64_t past_ms = machine->now_ms - seat->since_ms;

	if (seat->state == WORKER_STARTING && past_ms >= machine->limits.start_ms) {
		machine_start_failed(machine);
		machine->counts.replaced++;
		machine_end(machine, seat, ACTION_KILL);
	} else if (seat->state == WORKER_DRAINING && past_ms >= machine->limits.drain_ms) {
		machine_end(machine, seat, ACTION_KILL);
	} else if (seat->state == WORKER_TERMINATING && machine->now_ms >= seat->kill_ms) {
		machine_push(machine, ACTION_KILL, seat->id, NOBODY);
		seat->kill_ms = machine->now_ms + MACHINE_STOP_MS;
	} else if (seat->state == WORKER_IDLE && !seat->sound && past_ms >= MACHINE_SOUND_MS) {
		machine_start_good(machine, seat);
	}
}

void machine_tick(struct machine *machine, int64_t now_ms)
{
	at(machine, now_ms);
	machine_queue_expire(machine);
	for (int i = 0; i < machine->seat_count; i++)
		check_time_of(machine, &machine->seats[i]);
	machine_settle(machine);
}

static int64_t seat_due_ms(const struct machine *machine, const struct seat *seat)
{
	switch (seat->state) {
	case WORKER_STARTING: return seat->since_ms + machine->limits.start_ms;
	case WORKER_IDLE: return seat->sound ? NEVER : seat->since_ms + MACHINE_SOUND_MS;
	case WORKER_DRAINING: return seat->since_ms + machine->limits.drain_ms;
	case WORKER_TERMINATING: return seat->kill_ms;
	default: return NEVER;
	}
}

int64_t machine_due_ms(const struct machine *machine)
{
	int64_t due = machine->deadline_ms, scale = machine_scale_due_ms(machine);

	for (int i = 0; i < machine->seat_count; i++) {
		int64_t own = seat_due_ms(machine, &machine->seats[i]);

		due = own < due ? own : due;
	}
	return scale < due ? scale : due;
}

void machine_ready(struct machine *machine, int64_t worker, int64_t now_ms)
{
	struct seat *seat = machine_seat(machine, worker);

	at(machine, now_ms);
	if (seat && seat->state == WORKER_STARTING)
		machine_move(machine, seat, WORKER_IDLE);
	machine_settle(machine);
}

void machine_began(struct machine *machine, int64_t worker, int64_t now_ms)
{
	struct seat *seat = machine_seat(machine, worker);

	at(machine, now_ms);
	if (seat && seat->state == WORKER_ACQUIRING)
		machine_move(machine, seat, WORKER_BUSY);
}

void machine_released(struct machine *machine, int64_t worker, enum release how, int64_t now_ms)
{
	struct seat *seat = machine_seat(machine, worker);

	at(machine, now_ms);
	if (!seat || seat->request == NOBODY)
		return;
	if (how == RELEASE_BROKEN) {
		machine->counts.replaced++;
		machine_end(machine, seat, ACTION_KILL);
	} else if (seat->one_shot || seat->state == WORKER_DRAINING) {
		machine_end(machine, seat, ACTION_STOP);
	} else {
		part(machine, seat);
		seat->queries += seat->state == WORKER_BUSY;
		if (seat->state == WORKER_BUSY)
			machine_start_good(machine, seat);
		machine_move(machine, seat, WORKER_IDLE);
	}
	machine_settle(machine);
}

void machine_died(struct machine *machine, int64_t worker, int64_t now_ms)
{
	struct seat *seat = machine_seat(machine, worker);

	at(machine, now_ms);
	if (!seat)
		return;
	if (seat->state == WORKER_STARTING || (seat->state == WORKER_IDLE && !seat->sound))
		machine_start_failed(machine);
	machine->counts.replaced += seat->state != WORKER_TERMINATING;
	machine->counts.deleted++;
	part(machine, seat);
	*seat = machine->seats[--machine->seat_count];
	machine_settle(machine);
}

/* So that no event has to fail for want of room: each request may be refused, and each seat may move a few times. */
static int make_room(struct machine *machine)
{
	int needed = ACTIONS_PER_SEAT * machine->seat_room + machine->waiting + 1, room = 2 * needed;
	struct action *actions;

	if (machine->action_room >= needed)
		return 0;
	actions = calloc((size_t)room, sizeof *actions);
	if (!actions)
		return -1;
	for (int i = 0; i < machine->action_count; i++)
		actions[i] = machine->actions[(machine->action_first + i) % machine->action_room];
	free(machine->actions);
	machine->actions = actions;
	machine->action_first = 0;
	machine->action_room = room;
	return 0;
}

int machine_request(struct machine *machine, int64_t request, const char *holder, int64_t wait_ms, int64_t now_ms)
{
	at(machine, now_ms);
	if (make_room(machine))
		return -1;
	if (machine->stopping) {
		machine->asked++;
		machine->counts.refused_stopped++;
		machine_push(machine, ACTION_REFUSE_STOPPED, NOBODY, request);
		return 0;
	}
	if (machine_queue_add(machine, request, holder, wait_ms))
		return -1;
	machine->asked++;
	machine_settle(machine);
	return 0;
}

bool machine_request_gone(struct machine *machine, int64_t request, int64_t now_ms)
{
	at(machine, now_ms);
	for (int i = 0; i < machine->seat_count; i++)
		if (machine->seats[i].request == request)
			return false;
	if (machine_queue_remove(machine, request))
		machine->counts.gone++;
	machine_settle(machine);
	return true;
}

static void part_with_all(struct machine *machine)
{
	for (int i = 0; i < machine->seat_count; i++) {
		struct seat *seat = &machine->seats[i];

		if (seat->state == WORKER_STARTING || seat->state == WORKER_IDLE)
			machine_end(machine, seat, ACTION_STOP);
		else if (seat->state == WORKER_ACQUIRING || seat->state == WORKER_BUSY)
			machine_move(machine, seat, WORKER_DRAINING);
	}
}

void machine_renew(struct machine *machine, int64_t now_ms)
{
	at(machine, now_ms);
	if (machine->stopping)
		return;
	part_with_all(machine);
	machine_settle(machine);
}

void machine_drain_all(struct machine *machine, int64_t now_ms)
{
	at(machine, now_ms);
	machine->stopping = true;
	machine->target = 0;
	machine_queue_refuse_all(machine);
	part_with_all(machine);
}

struct machine_facts machine_facts(const struct machine *machine)
{
	struct machine_facts facts = machine->counts;

	for (int i = 0; i < machine->seat_count; i++)
		facts.workers[machine->seats[i].state]++;
	facts.size = machine_held(machine);
	facts.desired = machine->target;
	facts.waiting = machine->waiting;
	facts.circuit_open = machine_circuit_is_open(machine);
	return facts;
}
