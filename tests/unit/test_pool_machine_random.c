/*
 * The pool's machine beside a naive model of it: a random life of a pool, 150,000 events a seed, each action checked.
 *
 * The model knows lists alone: who waits in which order, whose turn it is, what each worker was told, and all that was
 * ever needed. TARN_TEST_SEED chooses other lives.
 */
#include <math.h>
#include <stdint.h>

#include "base/owned.h"
#include "check.h"
#include "pool/machine.h"
#include "pool/machine_private.h"

#define EVENTS 150000
#define HOLDERS 5
#define WORKERS_MAX 400
#define WAITING_MAX 64
#define HISTORY_MAX 512

enum kind { GONE, STARTING, IDLE, SERVING, ENDING };

static struct {
	struct machine_limits limits;
	struct machine *machine;
	int64_t now;
	uint64_t random;

	struct {
		int64_t id, request;
		enum kind kind;
		bool one_shot;
	} workers[WORKERS_MAX];
	int worker_count;

	struct {
		int64_t id, deadline;
		int holder;
	} waiting[WAITING_MAX]; /* in the order of arrival */
	int waiting_count;
	int turns[HOLDERS]; /* of holders with requests that wait, next first */
	int turn_count;

	struct {
		int64_t at;
		int needed;
	} history[HISTORY_MAX]; /* the last ones */
	int64_t history_count;
	int desired;
	int64_t interval, next_request;
	int ups, downs;
	int failures;
	int64_t pause, open_until;
	int64_t asked, handed, refused, gone;
} w;

static uint64_t draw(uint64_t below)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 7;
	w.random ^= w.random << 17;
	return w.random % below;
}

static const char *const names[HOLDERS] = {"a", "b", "c", "d", "e"};

#define MUST(condition, ...)                                                                                           \
	do {                                                                                                           \
		if (!(condition) && !check_failed) {                                                                   \
			CHECK_FAIL(__VA_ARGS__);                                                                       \
		}                                                                                                      \
	} while (0)

static int find_worker(int64_t id)
{
	for (int i = 0; i < w.worker_count; i++)
		if (w.workers[i].id == id)
			return i;
	return -1;
}

static int held(void)
{
	int count = 0;

	for (int i = 0; i < w.worker_count; i++)
		count += w.workers[i].kind != ENDING;
	return count;
}

static int count_kind(enum kind kind)
{
	int count = 0;

	for (int i = 0; i < w.worker_count; i++)
		count += w.workers[i].kind == kind;
	return count;
}

static int waiting_of(int holder)
{
	int count = 0;

	for (int i = 0; i < w.waiting_count; i++)
		count += w.waiting[i].holder == holder;
	return count;
}

static void drop_turn(int holder)
{
	for (int i = 0; i < w.turn_count; i++)
		if (w.turns[i] == holder) {
			memmove(&w.turns[i], &w.turns[i + 1], (size_t)(--w.turn_count - i) * sizeof *w.turns);
			return;
		}
}

static void drop_waiting(int index)
{
	int holder = w.waiting[index].holder;

	memmove(&w.waiting[index], &w.waiting[index + 1], (size_t)(--w.waiting_count - index) * sizeof *w.waiting);
	if (!waiting_of(holder))
		drop_turn(holder);
}

static int find_waiting(int64_t id)
{
	for (int i = 0; i < w.waiting_count; i++)
		if (w.waiting[i].id == id)
			return i;
	return -1;
}

/* Whose turn it is, by the lists; he goes to the end of them. */
static int64_t next_in_turn(void)
{
	int holder = w.turns[0];
	int64_t id = -1;

	drop_turn(holder);
	w.turns[w.turn_count++] = holder;
	for (int i = 0; i < w.waiting_count && id < 0; i++)
		if (w.waiting[i].holder == holder) {
			id = w.waiting[i].id;
			drop_waiting(i);
		}
	return id;
}

static void failed_start(void)
{
	if (++w.failures < MACHINE_STARTS || w.now < w.open_until)
		return;
	w.pause = w.failures == MACHINE_STARTS ? MACHINE_PAUSE_MS
	                                       : fmin((double)w.pause * 2, (double)MACHINE_PAUSE_MAX_MS);
	w.open_until = w.now + w.pause;
}

static void was_good(const struct seat *seat)
{
	if (seat->sound || seat->one_shot)
		return;
	w.failures = 0;
	w.open_until = w.now;
}

/* ---- what the machine wants done */

static void add_worker(int64_t id, enum kind kind, int64_t request, bool one_shot)
{
	MUST(find_worker(id) < 0, "worker %lld is there already", (long long)id);
	MUST(w.worker_count < WORKERS_MAX, "too many workers");
	if (check_failed)
		return;
	w.workers[w.worker_count].id = id;
	w.workers[w.worker_count].kind = kind;
	w.workers[w.worker_count].request = request;
	w.workers[w.worker_count++].one_shot = one_shot;
	MUST(held() <= w.limits.max_size, "%d workers", held());
}

static void do_refuse(const struct action *action)
{
	int at = find_waiting(action->request);

	MUST(at >= 0, "request %lld does not wait and is refused", (long long)action->request);
	if (at < 0)
		return;
	w.refused++;
	if (action->type == ACTION_REFUSE_WAITED) {
		MUST(w.waiting[at].deadline <= w.now, "refused before its time");
	} else if (action->type == ACTION_REFUSE_FULL) {
		int own = w.waiting[at].holder;

		/* The queue was full before the newest came, and who is refused has the most. */
		MUST(w.waiting_count > w.limits.queue_length, "refused, and the queue is not full");
		for (int h = 0; h < HOLDERS; h++)
			MUST(waiting_of(h) <= waiting_of(own), "another one has more waiting");
		for (int i = at + 1; i < w.waiting_count; i++)
			MUST(w.waiting[i].holder != own, "not the last one was refused");
	}
	drop_waiting(at);
}

static void do_action(const struct action *action)
{
	int at = find_worker(action->worker);

	switch (action->type) {
	case ACTION_START:
		MUST(w.now >= w.open_until, "a start while the circuit is open");
		add_worker(action->worker, STARTING, -1, false);
		break;
	case ACTION_ONE_SHOT:
		MUST(w.failures > 0, "a one-shot worker though all starts were good");
		MUST(next_in_turn() == action->request, "a one-shot worker out of turn");
		add_worker(action->worker, SERVING, action->request, true);
		w.handed++;
		break;
	case ACTION_HAND:
		MUST(at >= 0 && w.workers[at].kind == IDLE, "handed a worker that is not idle");
		MUST(next_in_turn() == action->request, "request %lld was handed out of turn",
		     (long long)action->request);
		if (at >= 0) {
			w.workers[at].kind = SERVING;
			w.workers[at].request = action->request;
		}
		w.handed++;
		break;
	case ACTION_STOP:
		MUST(at >= 0 && w.workers[at].kind != SERVING && w.workers[at].kind != ENDING,
		     "a worker is stopped that serves or was stopped");
		if (at >= 0)
			w.workers[at].kind = ENDING;
		break;
	case ACTION_KILL:
		MUST(at >= 0, "a worker is killed that is gone");
		if (at >= 0)
			w.workers[at].kind = ENDING;
		break;
	default: do_refuse(action);
	}
}

static int needed(void)
{
	int load = w.waiting_count + count_kind(SERVING);
	int need = (int)ceil(load / w.limits.target_utilization - 1e-9);

	need = need < w.limits.min_size ? w.limits.min_size : need;
	return need > w.limits.max_size ? w.limits.max_size : need;
}

/* The highest that was needed at any time within the window. Each entry holds until the next one. */
static int needed_within(void)
{
	int most = 0;
	int64_t first = w.history_count > HISTORY_MAX ? w.history_count - HISTORY_MAX : 0;

	for (int64_t i = first; i < w.history_count; i++) {
		int64_t until = i + 1 < w.history_count ? w.history[(i + 1) % HISTORY_MAX].at : w.now;

		if (until >= w.now - w.limits.stabilization_ms && w.history[i % HISTORY_MAX].needed > most)
			most = w.history[i % HISTORY_MAX].needed;
	}
	return most;
}

static void check_scaling(void)
{
	struct machine_facts facts = machine_facts(w.machine);
	int64_t interval = w.now / w.limits.scale_interval_ms;
	int need = needed();

	if (interval != w.interval)
		w.ups = w.downs = 0;
	w.interval = interval;
	if (!w.history_count || w.history[(w.history_count - 1) % HISTORY_MAX].needed != need) {
		w.history[w.history_count % HISTORY_MAX].at = w.now;
		w.history[w.history_count++ % HISTORY_MAX].needed = need;
	}
	if (facts.desired < w.desired)
		MUST(facts.desired >= needed_within(), "shrank to %d, and %d were needed within the window",
		     facts.desired, needed_within());
	if (facts.desired > w.desired) {
		w.ups += facts.desired - w.desired;
		MUST(w.ups <= w.limits.scale_up || w.desired == 0, "grew by %d in an interval", w.ups);
		MUST(facts.desired <= need, "grew to %d, and %d are needed", facts.desired, need);
	}
	w.desired = facts.desired;
	MUST(facts.waiting == w.waiting_count, "%d wait, the model has %d", facts.waiting, w.waiting_count);
	MUST(facts.circuit_open == (w.now < w.open_until), "the circuit is %s", facts.circuit_open ? "open" : "closed");
}

/* All that the machine wants after an event. */
static void follow(void)
{
	struct action action;

	while (machine_next(w.machine, &action))
		do_action(&action);
	MUST(!machine_check(w.machine), "%s", machine_check(w.machine));
	MUST(w.waiting_count <= w.limits.queue_length, "%d wait", w.waiting_count);
	MUST(!w.waiting_count || !count_kind(IDLE), "one waits beside an idle worker");
	check_scaling();
}

/* ---- what happens to it */

static void ask_one(void)
{
	int holder = (int)(draw(4) ? draw(2) : draw(HOLDERS)); /* two of them want the most */
	int64_t wait = draw(3) ? INT64_MAX / 4 : (int64_t)draw(3000),
	        most = wait < w.limits.queue_wait_ms ? wait : w.limits.queue_wait_ms;

	if (w.waiting_count == WAITING_MAX)
		return;
	if (!waiting_of(holder))
		w.turns[w.turn_count++] = holder;
	w.waiting[w.waiting_count].id = w.next_request;
	w.waiting[w.waiting_count].holder = holder;
	w.waiting[w.waiting_count++].deadline = w.now + most;
	w.asked++;
	machine_request(w.machine, w.next_request++, names[holder], wait, w.now);
}

static void leave_one(void)
{
	int at;
	int64_t id;

	if (!w.waiting_count)
		return;
	at = (int)draw((uint64_t)w.waiting_count);
	id = w.waiting[at].id;
	drop_waiting(at);
	w.gone++;
	MUST(machine_request_gone(w.machine, id, w.now), "one that waits was said to have a worker");
}

static void died(int at)
{
	int64_t id = w.workers[at].id;

	/* The model has to know what the machine makes of it: whether the worker was a good one. */
	const struct seat *seat = machine_seat(w.machine, id);

	if (w.workers[at].kind == STARTING || (w.workers[at].kind == IDLE && !seat->sound))
		failed_start();
	w.workers[at] = w.workers[--w.worker_count];
	machine_died(w.machine, id, w.now);
}

static void move_one(bool bad_times)
{
	int at;

	if (!w.worker_count)
		return;
	at = (int)draw((uint64_t)w.worker_count);
	switch (w.workers[at].kind) {
	case STARTING:
		if (draw(100) < (bad_times ? 90 : 2)) {
			died(at);
		} else if (draw(50)) {
			w.workers[at].kind = IDLE;
			machine_ready(w.machine, w.workers[at].id, w.now);
		}
		break;
	case IDLE:
		if (draw(2000) == 0)
			died(at);
		break;
	case SERVING:
		if (draw(200) == 0) {
			died(at);
			break;
		}
		if (draw(3) == 0)
			break; /* it takes longer */
		machine_began(w.machine, w.workers[at].id, w.now);
		if (!draw(100)) {
			machine_released(w.machine, w.workers[at].id, RELEASE_BROKEN, w.now);
			break;
		}
		w.workers[at].kind = IDLE;
		if (machine_seat(w.machine, w.workers[at].id)->state == WORKER_BUSY)
			was_good(machine_seat(w.machine, w.workers[at].id));
		machine_released(w.machine, w.workers[at].id, RELEASE_GOOD, w.now);
		break;
	case ENDING:
		if (draw(4))
			died(at);
		break;
	case GONE: break;
	}
}

/* What the time makes of starts, one worker after the other. */
static void tick(void)
{
	for (int i = 0; i < w.machine->seat_count; i++) {
		const struct seat *seat = &w.machine->seats[i];
		int64_t past = w.now - seat->since_ms;

		if (seat->state == WORKER_STARTING && past >= w.limits.start_ms)
			failed_start();
		if (seat->state == WORKER_IDLE && past >= MACHINE_SOUND_MS)
			was_good(seat);
	}
	machine_tick(w.machine, w.now);
}

static void one_event(int i)
{
	bool bad_times = i / 5000 % 3 == 1;

	switch (draw(10)) {
	case 0:
	case 1:
	case 2: ask_one(); break;
	case 3:
		if (draw(10) == 0)
			leave_one();
		break;
	case 4:
		w.now += (int64_t)draw(draw(20) ? 50 : 20000);
		tick();
		break;
	case 5:
		if (draw(500) == 0)
			machine_renew(w.machine, w.now);
		else
			move_one(bad_times);
		break;
	default: move_one(bad_times);
	}
}

static void begin(uint64_t seed)
{
	struct error err = {0};

	memset(&w, 0, sizeof w);
	w.random = 88172645463325252ULL + seed * 7919;
	for (int i = 0; i < 10; i++)
		draw(2);
	w.limits = (struct machine_limits){
	        .min_size = (int)draw(3),
	        .max_size = 3 + (int)draw(5),
	        .target_utilization = 0.5 + 0.1 * (double)draw(6),
	        .max_idle_ms = 500 + (int64_t)draw(5000),
	        .max_lifetime_ms = 5000 + (int64_t)draw(60000),
	        .max_queries = 5 + (int)draw(200),
	        .queue_length = 3 + (int)draw(20),
	        .queue_wait_ms = 200 + (int64_t)draw(5000),
	        .scale_up = 1 + (int)draw(3),
	        .scale_down = 1 + (int)draw(2),
	        .scale_interval_ms = 100 + (int64_t)draw(3000),
	        .stabilization_ms = (int64_t)draw(6000),
	        .start_ms = 1000 + (int64_t)draw(5000),
	        .drain_ms = 10000,
	};
	w.desired = w.limits.min_size;
	w.next_request = 1;
	w.machine = machine_new(&w.limits, 0, &err);
	follow();
}

/* Nothing more is asked, and workers are well: all that wait are answered, and the pool becomes as small as it may. */
static void end_well(void)
{
	for (int i = 0; i < 20000 && !check_failed; i++) {
		int64_t due = machine_due_ms(w.machine);

		MUST(due > w.now, "it is due at %lld, and it is %lld", (long long)due, (long long)w.now);
		for (int n = 0; n < 3; n++) {
			move_one(false);
			follow();
		}
		w.now = due < w.now + 1000 ? (due > w.now ? due : w.now + 1) : w.now + 1000;
		tick();
		follow();
	}
	MUST(!w.waiting_count, "%d wait for ever", w.waiting_count);
	MUST(machine_facts(w.machine).desired == w.limits.min_size, "the pool stays at %d",
	     machine_facts(w.machine).desired);
	MUST(w.asked == w.handed + w.refused + w.gone, "asked %lld, handed %lld, refused %lld, gone %lld",
	     (long long)w.asked, (long long)w.handed, (long long)w.refused, (long long)w.gone);
}

static void one_life(uint64_t seed)
{
	struct machine_facts facts;

	begin(seed);
	for (int i = 0; i < EVENTS && !check_failed; i++) {
		one_event(i);
		follow();
		if (check_failed)
			CHECK_FAIL("event %d of seed %llu", i, (unsigned long long)seed);
	}
	if (!check_failed)
		end_well();
	facts = machine_facts(w.machine);
	/* A life in which nothing happened shows nothing. */
	MUST(facts.acquired > 1000 && facts.refused_full && facts.refused_waited && facts.gone && facts.one_shots &&
	             facts.circuit_opened && facts.scaled_up && facts.scaled_down && facts.replaced,
	     "too little happened");
	machine_free(w.machine);
}

static void lives_of_pools(void)
{
	const char *text = getenv("TARN_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : 1;

	for (uint64_t i = 0; i < 10 && !check_failed; i++)
		one_life(seed * 1000 + i);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(lives_of_pools));
}
