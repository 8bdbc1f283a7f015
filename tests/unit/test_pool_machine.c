/* The pool's machine, step by step: what each event leads to, and that a broken invariant is seen. */
#include <stdint.h>

#include "base/owned.h"
#include "check.h"
#include "pool/machine.h"
#include "pool/machine_private.h"

static const struct machine_limits plain = {
        .min_size = 1,
        .max_size = 4,
        .target_utilization = 0.8,
        .max_idle_ms = 60000,
        .max_lifetime_ms = 3600000,
        .max_queries = 1000,
        .queue_length = 10,
        .queue_wait_ms = 5000,
        .scale_up = 2,
        .scale_down = 1,
        .scale_interval_ms = 10000,
        .stabilization_ms = 30000,
        .start_ms = 8000,
        .drain_ms = 20000,
};

#define ACTIONS_MAX 64
static struct action done[ACTIONS_MAX];
static int done_count;

static void take(struct machine *machine)
{
	struct action action;

	done_count = 0;
	while (machine_next(machine, &action) && done_count < ACTIONS_MAX)
		done[done_count++] = action;
	if (machine_check(machine))
		CHECK_FAIL("%s", machine_check(machine));
}

static int count(enum action_type type)
{
	int found = 0;

	for (int i = 0; i < done_count; i++)
		found += done[i].type == type;
	return found;
}

static bool did(int index, enum action_type type, int64_t worker, int64_t request)
{
	return index < done_count && done[index].type == type && done[index].worker == worker &&
	       done[index].request == request;
}

static struct machine *new_machine(const struct machine_limits *limits)
{
	struct error err = {0};
	struct machine *machine = machine_new(limits, 0, &err);

	take(machine);
	return machine;
}

static void ask(struct machine *machine, int64_t request, const char *holder, int64_t now)
{
	machine_request(machine, request, holder, INT64_MAX / 2, now);
	take(machine);
}

static void answer(struct machine *machine, int64_t worker, int64_t now)
{
	machine_began(machine, worker, now);
	machine_released(machine, worker, RELEASE_GOOD, now);
	take(machine);
}

static void ready(struct machine *machine, int64_t worker, int64_t now)
{
	machine_ready(machine, worker, now);
	take(machine);
}

static void die(struct machine *machine, int64_t worker, int64_t now)
{
	machine_died(machine, worker, now);
	take(machine);
}

static void tick(struct machine *machine, int64_t now)
{
	machine_tick(machine, now);
	take(machine);
}

static void hands_out_in_turns(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.max_size = 1;
	machine = new_machine(&limits);
	CHECK(did(0, ACTION_START, 1, NOBODY) && done_count == 1);
	ask(machine, 10, "a", 0);
	ask(machine, 11, "a", 0);
	ask(machine, 12, "a", 0);
	ask(machine, 20, "b", 0);
	ask(machine, 21, "b", 0);
	ask(machine, 30, "c", 0);
	ready(machine, 1, 100);
	CHECK(did(0, ACTION_HAND, 1, 10));
	answer(machine, 1, 101);
	CHECK(did(0, ACTION_HAND, 1, 20));
	answer(machine, 1, 102);
	CHECK(did(0, ACTION_HAND, 1, 30));
	answer(machine, 1, 103);
	CHECK(did(0, ACTION_HAND, 1, 11));
	answer(machine, 1, 104);
	CHECK(did(0, ACTION_HAND, 1, 21));
	answer(machine, 1, 105);
	CHECK(did(0, ACTION_HAND, 1, 12));
	answer(machine, 1, 106);
	CHECK_INT(machine_facts(machine).workers[WORKER_IDLE], 1);
	machine_free(machine);
}

static void bounds_the_queue(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.max_size = 1;
	limits.queue_length = 3;
	machine = new_machine(&limits);
	for (int64_t i = 0; i < 3; i++)
		ask(machine, 10 + i, "a", 0);
	ask(machine, 13, "a", 0);
	CHECK(did(0, ACTION_REFUSE_FULL, NOBODY, 13) && done_count == 1);
	/* Another holder is not kept out by one that fills it: the last of the many goes. */
	ask(machine, 20, "b", 0);
	CHECK(did(0, ACTION_REFUSE_FULL, NOBODY, 12) && done_count == 1);
	/* Two of a and one of b: c would have as many as b has, and b's are not more than one. */
	ask(machine, 30, "c", 0);
	CHECK(did(0, ACTION_REFUSE_FULL, NOBODY, 11) && done_count == 1);
	ask(machine, 40, "d", 0);
	CHECK(did(0, ACTION_REFUSE_FULL, NOBODY, 40) && done_count == 1);
	machine_free(machine);
}

static void bounds_the_wait(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.max_size = 1;
	machine = new_machine(&limits);
	machine_request(machine, 10, "a", 700, 0);
	ask(machine, 11, "a", 0);
	ask(machine, 12, "b", 10);
	CHECK_INT(machine_due_ms(machine), 700);
	tick(machine, 699);
	CHECK_INT(done_count, 0);
	tick(machine, 700);
	CHECK(did(0, ACTION_REFUSE_WAITED, NOBODY, 10) && done_count == 1);
	CHECK_INT(machine_due_ms(machine), 5000);
	tick(machine, 5005);
	CHECK(did(0, ACTION_REFUSE_WAITED, NOBODY, 11) && done_count == 1);
	CHECK(machine_request_gone(machine, 12, 5006));
	take(machine);
	CHECK_INT(machine_facts(machine).waiting, 0);
	CHECK_INT(machine_facts(machine).gone, 1);
	/* Who has a worker must release it. */
	ready(machine, 1, 5007);
	ask(machine, 13, "a", 5008);
	CHECK(!machine_request_gone(machine, 13, 5009));
	machine_free(machine);
}

static void grows_to_its_target_at_its_rate(void)
{
	struct machine *machine = new_machine(&plain);

	ready(machine, 1, 100);
	ask(machine, 10, "a", 100);
	/* One busy of 0.8 is 1.25 workers. */
	CHECK(did(0, ACTION_HAND, 1, 10) && did(1, ACTION_START, 2, NOBODY) && done_count == 2);
	ask(machine, 11, "a", 100);
	CHECK(did(0, ACTION_START, 3, NOBODY));
	ask(machine, 12, "a", 100);
	CHECK_INT(done_count, 0); /* two in this interval */
	CHECK_INT(machine_facts(machine).desired, 3);
	CHECK_INT(machine_due_ms(machine), 5100);
	tick(machine, 5000);
	ready(machine, 2, 5001);
	ready(machine, 3, 5002);
	ask(machine, 13, "a", 5003);
	CHECK_INT(machine_due_ms(machine), 10000);
	tick(machine, 10000);
	CHECK(did(0, ACTION_START, 4, NOBODY));
	CHECK_INT(machine_facts(machine).scaled_up, 3);
	machine_free(machine);
}

static void shrinks_after_the_window_at_its_rate(void)
{
	struct machine *machine = new_machine(&plain);

	for (int64_t i = 0; i < 3; i++)
		ask(machine, 10 + i, "a", 0);
	for (int64_t i = 1; i < 4; i++)
		ready(machine, i, 100 + i);
	answer(machine, 1, 1000);
	answer(machine, 2, 1000);
	answer(machine, 3, 1000);
	CHECK_INT(machine_facts(machine).desired, 3);
	tick(machine, 31000);
	CHECK_INT(count(ACTION_STOP), 0);
	CHECK_INT(machine_due_ms(machine), 31001);
	tick(machine, 31001);
	CHECK_INT(count(ACTION_STOP), 1);
	tick(machine, 39000);
	CHECK_INT(count(ACTION_STOP), 0);
	tick(machine, 40000);
	CHECK_INT(count(ACTION_STOP), 1);
	tick(machine, 100000);
	CHECK_INT(count(ACTION_STOP), 0); /* min_size */
	CHECK_INT(machine_facts(machine).workers[WORKER_IDLE], 1);
	machine_free(machine);
}

static void ends_the_idle(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.stabilization_ms = 0;
	limits.scale_interval_ms = 3600000;
	limits.max_idle_ms = 2000;
	limits.min_size = 0;
	limits.scale_up = 4;
	machine = new_machine(&limits);
	CHECK_INT(done_count, 0);
	for (int64_t i = 0; i < 3; i++)
		ask(machine, 10 + i, "a", 0);
	for (int64_t i = 1; i < 5; i++)
		ready(machine, i, 100);
	for (int64_t i = 1; i < 4; i++)
		answer(machine, i, 200);
	CHECK_INT(machine_due_ms(machine), 201);
	tick(machine, 201);
	CHECK_INT(machine_facts(machine).workers[WORKER_IDLE], 3); /* one went at the interval's rate */
	CHECK_INT(machine_due_ms(machine), 2200);
	tick(machine, 2200);
	CHECK_INT(count(ACTION_STOP), 3); /* without regard to the rate */
	for (int64_t i = 1; i < 5; i++)
		die(machine, i, 2300);
	/* An empty pool may always have its first worker. */
	for (int64_t i = 0; i < 5; i++) {
		ask(machine, 20 + i, "a", 10000 + i);
		CHECK_INT(count(ACTION_START), i == 0 ? 1 : 0);
	}
	machine_free(machine);
}

static void replaces_the_old_when_the_new_is_warm(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.max_queries = 3;
	limits.max_size = 2;
	limits.target_utilization = 1;
	machine = new_machine(&limits);
	ready(machine, 1, 0);
	for (int64_t i = 0; i < 3; i++) {
		ask(machine, 10 + i, "a", 10);
		answer(machine, 1, 10);
	}
	CHECK(did(0, ACTION_START, 2, NOBODY) && done_count == 1);
	ask(machine, 20, "a", 20); /* until then it serves */
	CHECK(did(0, ACTION_HAND, 1, 20));
	ready(machine, 2, 30);
	CHECK_INT(machine_facts(machine).workers[WORKER_DRAINING], 1);
	answer(machine, 1, 40);
	CHECK(did(0, ACTION_STOP, 1, NOBODY));
	CHECK_INT(machine_facts(machine).replaced, 1);
	die(machine, 1, 50);
	/* By age; where there is no room for both, it goes first. */
	ask(machine, 30, "a", 60);
	ask(machine, 31, "a", 60);
	CHECK(count(ACTION_START) == 1);
	ready(machine, 3, 70);
	tick(machine, 3600020 + 9);
	CHECK_INT(done_count, 0);
	tick(machine, 3600030);
	CHECK_INT(machine_facts(machine).workers[WORKER_DRAINING], 1);
	answer(machine, 2, 3600040);
	CHECK(did(0, ACTION_STOP, 2, NOBODY) && did(1, ACTION_START, 4, NOBODY));
	machine_free(machine);
}

static void opens_the_circuit(void)
{
	struct machine *machine = new_machine(&plain);

	die(machine, 1, 10);
	CHECK(did(0, ACTION_START, 2, NOBODY));
	die(machine, 2, 20);
	CHECK(did(0, ACTION_START, 3, NOBODY));
	die(machine, 3, 30);
	CHECK_INT(done_count, 0);
	CHECK(machine_facts(machine).circuit_open);
	CHECK_INT(machine_due_ms(machine), 1030);
	/* Nobody waits for what does not start. */
	ask(machine, 10, "a", 100);
	CHECK(did(0, ACTION_ONE_SHOT, 4, 10) && done_count == 1);
	machine_began(machine, 4, 200);
	machine_released(machine, 4, RELEASE_GOOD, 300);
	take(machine);
	CHECK(did(0, ACTION_STOP, 4, NOBODY) && done_count == 1);
	die(machine, 4, 310);
	CHECK_INT(done_count, 0); /* a one-shot worker proves nothing */
	tick(machine, 1030);
	CHECK(did(0, ACTION_START, 5, NOBODY) && done_count == 1); /* one is tried */
	die(machine, 5, 1040);
	CHECK_INT(machine_due_ms(machine), 3040); /* twice as long */
	tick(machine, 3040);
	die(machine, 6, 3050);
	CHECK_INT(machine_due_ms(machine), 7050);
	tick(machine, 7050);
	ready(machine, 7, 7060);
	CHECK(did(0, ACTION_START, 8, NOBODY)); /* for the one-shot's sake two were needed */
	/* It dies before it did anything: that is no better. */
	die(machine, 7, 7070);
	CHECK(machine_facts(machine).circuit_open);
	CHECK_INT(machine_facts(machine).circuit_opened, 4);
	ready(machine, 8, 7100);
	ask(machine, 11, "a", 7100);
	CHECK(did(0, ACTION_HAND, 8, 11));
	answer(machine, 8, 7110);
	CHECK(!machine_facts(machine).circuit_open);
	die(machine, 8, 7120);
	CHECK(count(ACTION_START) >= 1); /* all is forgotten */
	machine_free(machine);
}

static void one_shot_where_nothing_starts(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.min_size = 0;
	machine = new_machine(&limits);
	ask(machine, 10, "a", 0);
	CHECK(did(0, ACTION_START, 1, NOBODY) && did(1, ACTION_START, 2, NOBODY));
	die(machine, 1, 10);
	CHECK_INT(count(ACTION_ONE_SHOT), 1);
	CHECK_INT(count(ACTION_START), 1);
	machine_free(machine);
	/* They do not take more than the pool may. */
	limits.max_size = 2;
	machine = new_machine(&limits);
	ask(machine, 10, "a", 0);
	for (int64_t i = 1; i < 4; i++)
		die(machine, machine->next_worker - 1, 10);
	ask(machine, 11, "a", 20);
	ask(machine, 12, "a", 20);
	ask(machine, 13, "a", 20);
	CHECK(machine_held(machine) <= 2);
	CHECK(machine_facts(machine).waiting >= 1);
	machine_free(machine);
}

static void death_in_every_state(void)
{
	struct machine *machine = new_machine(&plain);

	die(machine, 1, 1); /* STARTING */
	CHECK(count(ACTION_START) == 1);
	ready(machine, 2, 2);
	tick(machine, 2 + MACHINE_SOUND_MS);
	die(machine, 2, 6000); /* IDLE */
	CHECK_INT(count(ACTION_START), 1);
	CHECK_INT(machine->failures, 0);
	ready(machine, 3, 6001);
	ask(machine, 10, "a", 6002);
	die(machine, 3, 6003); /* ACQUIRING */
	machine_released(machine, 3, RELEASE_BROKEN, 6004); /* its lease is told later */
	take(machine);
	CHECK_INT(machine_facts(machine).released, 1);
	ready(machine, 4, 6005);
	ask(machine, 11, "a", 6005);
	machine_began(machine, 4, 6005);
	die(machine, 4, 6006); /* BUSY */
	CHECK_INT(machine->failures, 0);
	while (machine_count(machine, WORKER_STARTING)) {
		for (int64_t i = 5; i < machine->next_worker; i++)
			ready(machine, i, 6007);
	}
	ask(machine, 12, "a", 6008);
	machine_drain_all(machine, 6009);
	take(machine);
	CHECK_INT(machine_facts(machine).workers[WORKER_DRAINING], 1);
	for (int i = 0; i < machine->seat_count; i++)
		if (machine->seats[i].state == WORKER_DRAINING) {
			die(machine, machine->seats[i].id, 6010); /* DRAINING */
			break;
		}
	while (machine->seat_count)
		die(machine, machine->seats[0].id, 6011); /* TERMINATING */
	CHECK_INT(machine_due_ms(machine) == NEVER, 1);
	CHECK_INT(machine_facts(machine).deleted, machine_facts(machine).created);
	die(machine, 77, 6012); /* never was */
	machine_free(machine);
}

static void kills_what_hangs(void)
{
	struct machine *machine = new_machine(&plain);

	CHECK_INT(machine_due_ms(machine), 8000);
	tick(machine, 8000);
	CHECK(did(0, ACTION_KILL, 1, NOBODY) && did(1, ACTION_START, 2, NOBODY));
	CHECK_INT(machine->failures, 1);
	ready(machine, 1, 8001); /* too late */
	CHECK_INT(machine_facts(machine).workers[WORKER_IDLE], 0);
	CHECK_INT(machine_due_ms(machine), 13000);
	tick(machine, 13000);
	CHECK(did(0, ACTION_KILL, 1, NOBODY) && done_count == 1);
	ready(machine, 2, 13001);
	ask(machine, 10, "a", 13002);
	machine_began(machine, 2, 13002);
	machine_released(machine, 2, RELEASE_BROKEN, 13003);
	take(machine);
	CHECK(did(0, ACTION_KILL, 2, NOBODY));
	machine_free(machine);
}

static void drains(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.max_size = 2;
	machine = new_machine(&limits);
	ready(machine, 1, 1);
	ask(machine, 10, "a", 2);
	machine_began(machine, 1, 2);
	ready(machine, 2, 3);
	ask(machine, 11, "a", 3);
	ask(machine, 12, "a", 3);
	machine_drain_all(machine, 4);
	take(machine);
	CHECK(did(0, ACTION_REFUSE_STOPPED, NOBODY, 12) && done_count == 1);
	ask(machine, 13, "b", 5);
	CHECK(did(0, ACTION_REFUSE_STOPPED, NOBODY, 13) && done_count == 1);
	answer(machine, 2, 6);
	CHECK(did(0, ACTION_STOP, 2, NOBODY) && done_count == 1);
	CHECK_INT(machine_due_ms(machine), 6 + MACHINE_STOP_MS);
	die(machine, 2, 7);
	CHECK_INT(machine_due_ms(machine), 20004);
	tick(machine, 20004);
	CHECK(did(0, ACTION_KILL, 1, NOBODY) && done_count == 1);
	machine_released(machine, 1, RELEASE_GOOD, 20005);
	die(machine, 1, 20006);
	CHECK_INT(done_count, 0);
	machine_free(machine);
}

/* Idle ones stop at once, busy ones are through first, and who waits gets one that starts now. */
static void all_are_renewed(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.min_size = limits.max_size = 2;
	machine = new_machine(&limits);
	tick(machine, 0);
	ready(machine, 1, 1);
	ready(machine, 2, 1);
	ask(machine, 10, "a", 2);
	CHECK_INT(machine_facts(machine).acquired, 1);
	machine_began(machine, done[0].worker, 2);
	machine_renew(machine, 3);
	take(machine);
	CHECK_INT(machine_facts(machine).workers[WORKER_IDLE], 0);
	CHECK_INT(machine_facts(machine).workers[WORKER_DRAINING], 1);
	CHECK_INT(machine_facts(machine).workers[WORKER_TERMINATING], 1);
	CHECK_INT(machine_facts(machine).workers[WORKER_STARTING], 1);
	ask(machine, 11, "a", 4);
	CHECK_INT(machine_facts(machine).waiting, 1);
	answer(machine, 1, 5);
	answer(machine, 2, 5);
	CHECK_INT(machine_facts(machine).waiting, 1);
	CHECK_INT(machine_facts(machine).workers[WORKER_TERMINATING], 2);
	CHECK_INT(machine_facts(machine).workers[WORKER_STARTING], 2);
	ready(machine, 3, 6);
	CHECK(did(0, ACTION_HAND, 3, 11) && done_count == 1);
	/* the ones that start may have seen what was before, too */
	machine_renew(machine, 7);
	take(machine);
	CHECK_INT(machine_facts(machine).workers[WORKER_TERMINATING], 3);
	ready(machine, 4, 8);
	CHECK_INT(machine_facts(machine).workers[WORKER_IDLE], 0);
	CHECK_INT(machine->failures, 0);
	machine_free(machine);
}

static void no_queue_at_all(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.queue_length = 0;
	limits.min_size = 0;
	limits.max_size = 1;
	machine = new_machine(&limits);
	ask(machine, 10, "a", 0);
	CHECK(did(0, ACTION_START, 1, NOBODY));
	ask(machine, 11, "a", 0);
	CHECK(did(0, ACTION_REFUSE_FULL, NOBODY, 11));
	ready(machine, 1, 10);
	CHECK(did(0, ACTION_HAND, 1, 10));
	ask(machine, 12, "a", 20);
	CHECK(did(0, ACTION_REFUSE_FULL, NOBODY, 12));
	answer(machine, 1, 30);
	ask(machine, 13, "a", 40);
	CHECK(did(0, ACTION_HAND, 1, 13));
	machine_free(machine);
}

/* ---- each invariant broken, and seen */

/* One idle, one busy with request 10, and 11 to 13 of two holders waiting: as nothing would leave it. */
static struct machine *busy_machine(void)
{
	struct machine_limits limits = plain;
	struct machine *machine;

	limits.max_size = 2;
	limits.min_size = 2;
	machine = new_machine(&limits);
	ready(machine, 1, 1);
	ready(machine, 2, 1);
	ask(machine, 10, "a", 2);
	ask(machine, 11, "a", 2);
	ask(machine, 12, "a", 2);
	ask(machine, 13, "b", 2);
	ask(machine, 14, "b", 2);
	return machine;
}

static void expect_broken(struct machine *machine, const char *number, void (*fix)(struct machine *machine))
{
	const char *broken = machine_check(machine);

	if (!broken || strncmp(broken, number, strlen(number)) != 0)
		CHECK_FAIL("invariant %s was broken, and it was said: %s", number, broken ? broken : "nothing");
	fix(machine);
	if (machine_check(machine))
		CHECK_FAIL("after it was mended: %s", machine_check(machine));
	machine_free(machine);
}

static void fix_size(struct machine *machine)
{
	machine->limits.max_size = 2;
}

static void fix_requests(struct machine *machine)
{
	machine->seats[1].request = 11;
	machine->seats[1].id = 2;
}

static void fix_releases(struct machine *machine)
{
	machine->counts.released = 0;
}

static void fix_turns(struct machine *machine)
{
	machine->holders->turn = 0;
	machine->holders->first->arrival = 0;
}

static void fix_counts(struct machine *machine)
{
	machine->asked = machine->handed + machine->waiting;
	machine->deadline_ms = 0;
	for (struct wait *wait = machine->holders->first; wait; wait = wait->next)
		wait->id = 100 + wait->arrival;
}

static void fix_idle(struct machine *machine)
{
	machine->seats[0].state = WORKER_ACQUIRING;
	machine->seats[0].request = 10;
}

static void fix_shrink(struct machine *machine)
{
	machine->shrunk_to = machine->shrink_floor;
	machine->target = 2;
}

static void fix_circuit(struct machine *machine)
{
	machine->open_until_ms = 0;
	machine->broken = NULL;
}

static void sees_what_is_broken(void)
{
	struct machine *machine = busy_machine();

	CHECK(!machine_check(machine));
	machine->limits.max_size = 1;
	expect_broken(machine, "1", fix_size);
	machine = busy_machine();
	machine->seats[1].request = machine->seats[0].request;
	expect_broken(machine, "2", fix_requests);
	machine = busy_machine();
	machine->seats[1].request = NOBODY;
	expect_broken(machine, "2", fix_requests);
	machine = busy_machine();
	machine->seats[1].id = machine->seats[0].id;
	expect_broken(machine, "2", fix_requests);
	machine = busy_machine();
	machine->counts.released++;
	expect_broken(machine, "2", fix_releases);
	machine = busy_machine();
	machine->holders->turn = machine->next_turn;
	expect_broken(machine, "3", fix_turns);
	machine = busy_machine();
	machine->holders->next->first->arrival = machine->next_arrival;
	CHECK_HAS(machine_check(machine), "3");
	machine_free(machine);
	machine = busy_machine();
	machine->asked++;
	expect_broken(machine, "4", fix_counts);
	machine = busy_machine();
	machine->holders->first->id = 10;
	expect_broken(machine, "4", fix_counts);
	machine = busy_machine();
	machine->deadline_ms = NEVER;
	expect_broken(machine, "4", fix_counts);
	machine = busy_machine();
	machine->seats[0].state = WORKER_IDLE;
	machine->seats[0].request = NOBODY;
	expect_broken(machine, "5", fix_idle);
	machine = busy_machine();
	machine->shrunk_to = machine->shrink_floor - 1;
	expect_broken(machine, "6", fix_shrink);
	machine = busy_machine();
	machine->target = 1;
	expect_broken(machine, "6", fix_shrink);
	machine = busy_machine();
	machine->opened_ms = 0;
	machine->open_until_ms = 1000;
	machine->started_ms = 1;
	expect_broken(machine, "7", fix_circuit);
	machine = busy_machine();
	machine_move(machine, &machine->seats[0], WORKER_STARTING);
	machine->seats[0].state = WORKER_ACQUIRING;
	expect_broken(machine, "a worker moved", fix_circuit);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(hands_out_in_turns), TEST(bounds_the_queue), TEST(bounds_the_wait),
	                  TEST(grows_to_its_target_at_its_rate), TEST(shrinks_after_the_window_at_its_rate),
	                  TEST(ends_the_idle), TEST(replaces_the_old_when_the_new_is_warm), TEST(opens_the_circuit),
	                  TEST(one_shot_where_nothing_starts), TEST(death_in_every_state), TEST(kills_what_hangs),
	                  TEST(drains), TEST(all_are_renewed), TEST(no_queue_at_all), TEST(sees_what_is_broken));
}
