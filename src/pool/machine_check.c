#include <stddef.h>

#include "pool/machine_private.h"

/* Invariant 2, and what belongs to which state. */
static const char *check_seats(const struct machine *machine)
{
	for (int i = 0; i < machine->seat_count; i++) {
		const struct seat *seat = &machine->seats[i];
		bool serves =
		        seat->state == WORKER_ACQUIRING || seat->state == WORKER_BUSY || seat->state == WORKER_DRAINING;

		if (serves != (seat->request != NOBODY))
			return serves ? "2: a worker that serves has no request" : "2: a worker has a request in vain";
		for (int j = 0; j < i; j++) {
			if (machine->seats[j].id == seat->id)
				return "2: two workers have one id";
			if (serves && machine->seats[j].request == seat->request)
				return "2: a request has two workers";
		}
	}
	return NULL;
}

/* Invariant 2, of those that are counted. */
static const char *check_counts(const struct machine *machine)
{
	int64_t serving = 0;

	for (int i = 0; i < machine->seat_count; i++)
		serving += machine->seats[i].request != NOBODY;
	return machine->counts.acquired - machine->counts.released == serving
	               ? NULL
	               : "2: a worker's request was released twice, or never";
}

static bool is_served(const struct machine *machine, int64_t request)
{
	for (int i = 0; i < machine->seat_count; i++)
		if (machine->seats[i].request == request)
			return true;
	return false;
}

static const char *check_holder(const struct machine *machine, const struct holder *holder, int *total)
{
	const struct wait *last = NULL;
	int count = 0;

	for (const struct wait *wait = holder->first; wait; last = wait, wait = wait->next) {
		if (last && last->arrival >= wait->arrival)
			return "3: a request stands before one that came earlier";
		if (is_served(machine, wait->id))
			return "4: a request waits that was handed out";
		if (wait->deadline_ms < machine->deadline_ms)
			return "4: a request's time ends before anybody looks";
		count++;
	}
	*total += count;
	return !count || count != holder->count || holder->last != last ? "3: a holder's requests are not as counted"
	                                                                : NULL;
}

/* Invariants 3 and 4. */
static const char *check_queue(const struct machine *machine)
{
	int total = 0;

	for (const struct holder *holder = machine->holders; holder; holder = holder->next) {
		const char *broken = check_holder(machine, holder, &total);

		if (broken)
			return broken;
		if (holder->next && holder->next->turn <= holder->turn)
			return "3: a holder is before its turn";
	}
	if (total != machine->waiting)
		return "4: those that wait are not as counted";
	if (machine->asked != machine->handed + machine->counts.refused_full + machine->counts.refused_waited +
	                              machine->counts.refused_stopped + machine->counts.gone + machine->waiting)
		return "4: a request was answered twice, or never";
	return NULL;
}

static const char *check_size(const struct machine *machine)
{
	if (machine_held(machine) > machine->limits.max_size)
		return "1: there are more workers than max_size";
	if (machine->stopping)
		return NULL;
	if (machine->target < machine->limits.min_size || machine->target > machine->limits.max_size)
		return "6: the pool wants to be smaller than min_size or larger than max_size";
	if (machine->shrunk_to < machine->shrink_floor)
		return "6: the pool shrank below what it needed within the window";
	for (int i = 1; i < machine->peak_count; i++)
		if (machine->peaks[i].needed >= machine->peaks[i - 1].needed ||
		    machine->peaks[i].until_ms < machine->peaks[i - 1].until_ms)
			return "6: what was needed is not noted in its order";
	return NULL;
}

const char *machine_check(const struct machine *machine)
{
	const char *broken = machine->broken;

	if (!broken)
		broken = check_size(machine);
	if (!broken)
		broken = check_seats(machine);
	if (!broken)
		broken = check_queue(machine);
	if (!broken && machine->waiting && machine_count(machine, WORKER_IDLE))
		broken = "5: a request waits beside an idle worker";
	if (!broken && machine_circuit_is_open(machine) && machine->started_ms > machine->opened_ms)
		broken = "7: a worker was started while the circuit was open";
	if (!broken)
		broken = check_counts(machine);
	return broken;
}
