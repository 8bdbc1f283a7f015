#include <math.h>
#include <stddef.h>

#include "pool/machine_private.h"

/* ---- how many are needed */

static bool is_warm(const struct seat *seat)
{
	return !seat->one_shot &&
	       (seat->state == WORKER_IDLE || seat->state == WORKER_ACQUIRING || seat->state == WORKER_BUSY);
}

/* Workers that stay, warm or about to be. */
static int size_of(const struct machine *machine)
{
	int size = 0;

	for (int i = 0; i < machine->seat_count; i++) {
		const struct seat *seat = &machine->seats[i];

		size += !seat->retiring && (is_warm(seat) || seat->state == WORKER_STARTING);
	}
	return size;
}

static int warm_count(const struct machine *machine, bool with_retiring)
{
	int count = 0;

	for (int i = 0; i < machine->seat_count; i++)
		count += is_warm(&machine->seats[i]) && (with_retiring || !machine->seats[i].retiring);
	return count;
}

static int needed_now(const struct machine *machine)
{
	int load = machine->waiting + machine_count(machine, WORKER_ACQUIRING) + machine_count(machine, WORKER_BUSY) +
	           machine_count(machine, WORKER_DRAINING);
	/* 4 / 0.8 is a little more than 5. */
	double needed = ceil(load / machine->limits.target_utilization - 1e-9);

	if (needed < machine->limits.min_size)
		return machine->limits.min_size;
	return needed > machine->limits.max_size ? machine->limits.max_size : (int)needed;
}

static void drop_first_peak(struct machine *machine)
{
	machine->peak_count--;
	for (int i = 0; i < machine->peak_count; i++)
		machine->peaks[i] = machine->peaks[i + 1];
}

/* Each peak that is lower than what comes later is forgotten: what is left falls, and its first is the highest within
 * the window. */
static void note_needed(struct machine *machine)
{
	struct peak *last = &machine->peaks[machine->peak_count - 1];
	int needed = needed_now(machine);

	if (needed != last->needed) {
		last->until_ms = machine->now_ms;
		while (machine->peak_count && machine->peaks[machine->peak_count - 1].needed <= needed)
			machine->peak_count--;
		machine->peaks[machine->peak_count++] = (struct peak){needed, NEVER};
	}
	while (machine->peaks[0].until_ms != NEVER &&
	       machine->peaks[0].until_ms + machine->limits.stabilization_ms < machine->now_ms)
		drop_first_peak(machine);
}

static int current_need(const struct machine *machine)
{
	return machine->peaks[machine->peak_count - 1].needed;
}

/* Below this the pool does not shrink. */
static int lowest(const struct machine *machine)
{
	return machine->peaks[0].needed;
}

/* ---- the circuit */

bool machine_circuit_is_open(const struct machine *machine)
{
	return machine->now_ms < machine->open_until_ms;
}

void machine_start_failed(struct machine *machine)
{
	if (++machine->failures < MACHINE_STARTS || machine_circuit_is_open(machine))
		return;
	if (machine->failures > MACHINE_STARTS)
		machine->pause_ms =
		        machine->pause_ms * 2 < MACHINE_PAUSE_MAX_MS ? machine->pause_ms * 2 : MACHINE_PAUSE_MAX_MS;
	machine->open_until_ms = machine->now_ms + machine->pause_ms;
	machine->opened_ms = machine->now_ms;
	machine->counts.circuit_opened++;
}

void machine_start_good(struct machine *machine, struct seat *seat)
{
	if (seat->sound || seat->one_shot)
		return;
	seat->sound = true;
	machine->failures = 0;
	machine->pause_ms = MACHINE_PAUSE_MS;
	machine->open_until_ms = machine->now_ms;
}

static bool may_start(const struct machine *machine)
{
	if (machine->stopping || machine_circuit_is_open(machine) || machine->seat_count == machine->seat_room ||
	    machine_held(machine) >= machine->limits.max_size)
		return false;
	/* After failures one is tried at a time. */
	return machine->failures < MACHINE_STARTS || !machine_count(machine, WORKER_STARTING);
}

static void start(struct machine *machine)
{
	while (size_of(machine) < machine->target && may_start(machine)) {
		struct seat *seat = machine_seat_add(machine, WORKER_STARTING);

		machine->started_ms = machine->now_ms;
		machine_push(machine, ACTION_START, seat->id, NOBODY);
	}
}

/* For whoever would wait for a warm worker in vain. Together with the workers they are at most max_size. */
static void start_one_shots(struct machine *machine)
{
	bool wanted = machine_circuit_is_open(machine) || (machine->failures && !warm_count(machine, true));

	while (wanted && machine->waiting && machine_held(machine) < machine->limits.max_size) {
		struct seat *seat = machine_seat_add(machine, WORKER_ACQUIRING);

		if (!seat)
			return;
		seat->one_shot = true;
		seat->request = machine_queue_take(machine);
		machine_push(machine, ACTION_ONE_SHOT, seat->id, seat->request);
		machine->handed++;
		machine->counts.acquired++;
		machine->counts.one_shots++;
	}
}

/* ---- growing and shrinking */

static void begin_interval(struct machine *machine)
{
	int64_t interval = (machine->now_ms - machine->origin_ms) / machine->limits.scale_interval_ms;

	if (interval == machine->interval)
		return;
	machine->interval = interval;
	machine->ups = machine->downs = 0;
}

static void grow(struct machine *machine)
{
	int needed = current_need(machine), step = needed - machine->target,
	    left = machine->limits.scale_up - machine->ups;

	if (step <= 0)
		return;
	if (!machine->target && left < 1)
		left = 1;
	step = step < left ? step : left;
	if (step <= 0)
		return;
	machine->target += step;
	machine->ups += step;
	machine->counts.scaled_up++;
}

/* Of those that stay the one that was idle longest. */
static struct seat *idlest(const struct machine *machine)
{
	struct seat *best = NULL;

	for (int i = 0; i < machine->seat_count; i++) {
		struct seat *seat = &machine->seats[i];

		if (seat->state == WORKER_IDLE && !seat->retiring && (!best || seat->since_ms < best->since_ms))
			best = seat;
	}
	return best;
}

static void shrink_by_one(struct machine *machine, struct seat *seat)
{
	machine->target--;
	machine->shrunk_to = machine->target;
	machine->shrink_floor = lowest(machine);
	machine->counts.scaled_down++;
	if (seat)
		machine_end(machine, seat, ACTION_STOP);
}

static bool was_idle_too_long(const struct machine *machine, const struct seat *seat)
{
	return machine->now_ms - seat->since_ms >= machine->limits.max_idle_ms;
}

static void shrink(struct machine *machine)
{
	while (machine->target > lowest(machine)) {
		struct seat *seat = size_of(machine) < machine->target ? NULL : idlest(machine);
		bool idle_too_long = seat && was_idle_too_long(machine, seat);

		if (!seat && size_of(machine) >= machine->target)
			return; /* all of them do something */
		if (!idle_too_long && machine->downs >= machine->limits.scale_down)
			return;
		machine->downs += !idle_too_long;
		shrink_by_one(machine, seat);
	}
}

/* ---- replacing the old */

static int64_t old_ms(const struct machine *machine, const struct seat *seat)
{
	return seat->queries >= machine->limits.max_queries ? machine->now_ms
	                                                    : seat->born_ms + machine->limits.max_lifetime_ms;
}

/* One at a time, and none where a new one could not be started. */
static bool may_retire(const struct machine *machine)
{
	if (machine->failures || machine_circuit_is_open(machine) || machine_count(machine, WORKER_STARTING))
		return false;
	for (int i = 0; i < machine->seat_count; i++)
		if (machine->seats[i].retiring && machine->seats[i].state != WORKER_TERMINATING)
			return false;
	return machine->seat_count < machine->seat_room;
}

static void retire(struct machine *machine)
{
	struct seat *oldest = NULL;

	if (!may_retire(machine))
		return;
	for (int i = 0; i < machine->seat_count; i++) {
		struct seat *seat = &machine->seats[i];

		if (is_warm(seat) && old_ms(machine, seat) <= machine->now_ms &&
		    (!oldest || seat->born_ms < oldest->born_ms))
			oldest = seat;
	}
	if (!oldest)
		return;
	oldest->retiring = true;
	machine->counts.replaced++;
}

/* Those that retire go when enough others are warm, or when there is no room for their successors. */
static void part(struct machine *machine)
{
	bool enough = warm_count(machine, false) >= machine->target,
	     no_room = machine_held(machine) >= machine->limits.max_size && size_of(machine) < machine->target &&
	               !machine->failures;

	for (int i = 0; i < machine->seat_count && (enough || no_room); i++) {
		struct seat *seat = &machine->seats[i];

		if (!seat->retiring)
			continue;
		if (seat->state == WORKER_IDLE)
			machine_end(machine, seat, ACTION_STOP);
		else if (seat->state == WORKER_ACQUIRING || seat->state == WORKER_BUSY)
			machine_move(machine, seat, WORKER_DRAINING);
	}
}

void machine_settle(struct machine *machine)
{
	if (machine->stopping)
		return;
	note_needed(machine);
	begin_interval(machine);
	machine_hand_out(machine);
	grow(machine);
	start(machine);
	start_one_shots(machine);
	shrink(machine);
	retire(machine);
	part(machine);
	start(machine);
}

/* ---- when there will be something to do */

static int64_t retire_due_ms(const struct machine *machine)
{
	int64_t due = NEVER;

	if (!may_retire(machine))
		return NEVER;
	for (int i = 0; i < machine->seat_count; i++) {
		int64_t old = is_warm(&machine->seats[i]) ? old_ms(machine, &machine->seats[i]) : NEVER;

		due = old < due ? old : due;
	}
	return due;
}

static int64_t next_interval_ms(const struct machine *machine)
{
	return machine->origin_ms + (machine->interval + 1) * machine->limits.scale_interval_ms;
}

static int64_t shrink_due_ms(const struct machine *machine)
{
	const struct seat *seat = idlest(machine);
	int64_t due, idle;

	if (machine->target <= machine->limits.min_size)
		return NEVER;
	if (machine->target <= lowest(machine))
		return machine->peaks[0].until_ms == NEVER
		               ? NEVER
		               : machine->peaks[0].until_ms + machine->limits.stabilization_ms + 1;
	if (!seat && size_of(machine) >= machine->target)
		return NEVER; /* until somebody is idle, which is an event */
	due = next_interval_ms(machine);
	idle = seat ? seat->since_ms + machine->limits.max_idle_ms : NEVER;
	return idle < due ? idle : due;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t machine_scale_due_ms(const struct machine *machine)
{
	int64_t due;

	if (machine->stopping)
		return NEVER;
	due = least(retire_due_ms(machine), shrink_due_ms(machine));
	if (current_need(machine) > machine->target)
		due = least(due, next_interval_ms(machine));
	if (machine_circuit_is_open(machine))
		due = least(due, machine->open_until_ms);
	return due;
}
