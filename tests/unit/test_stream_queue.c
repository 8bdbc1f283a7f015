/* The queue between reading and committing: what a window takes, and what it never takes. */
#include "check.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "stream/queue.h"

static struct batch_schema red = {.references = 1000, .fingerprint = "red"};
static struct batch_schema blue = {.references = 1000, .fingerprint = "blue"};
static uint64_t generations[2];
static const bool both[2] = {true, true};
static struct queue queue;
static atomic_int released;

static void start(int64_t bound)
{
	struct error err = {0};

	generations[0] = generations[1] = 1;
	released = 0;
	if (queue_init(&queue, bound, generations, 2, &err))
		exit(1);
}

static void release_array(struct ArrowArray *array)
{
	held_release(array->private_data);
	array->release = NULL;
}

static void release_message(struct message *message)
{
	released++;
}

/* A message of `size` bytes at `offset` of the lane, as `arrays` arrays of ten rows. */
static struct unit *message_unit(int lane, int64_t offset, struct batch_schema *schema, int arrays, size_t size)
{
	static const uint8_t payload[1];
	struct message message = {
	        .partition = lane, .offset = offset, .payload = payload, .size = size, .release = release_message};
	struct unit *unit = calloc(1, sizeof *unit);

	unit->lane = lane;
	unit->generation = generations[lane];
	unit->from = offset;
	unit->to = offset + 1;
	unit->bytes = (int64_t)size;
	unit->messages = 1;
	unit->held = held_new(&queue, &message);
	unit->set.schema = batch_schema_retain(schema);
	unit->set.arrays = calloc((size_t)arrays, sizeof *unit->set.arrays);
	unit->set.count = arrays;
	unit->set.rows = 10 * arrays;
	for (int i = 0; i < arrays; i++)
		unit->set.arrays[i] = (struct ArrowArray){
		        .length = 10, .release = release_array, .private_data = held_retain(unit->held)};
	return unit;
}

static void open_window(int64_t max_bytes, int64_t max_units, int64_t freshness_ms)
{
	struct batch_schema *schema = NULL;

	queue_wait_work(&queue, 0, 0, 0, &schema);
	pthread_mutex_lock(&queue.lock);
	queue_window_begin(&queue, both);
	pthread_mutex_unlock(&queue.lock);
	queue_window_open(&queue, schema, max_bytes, max_units, freshness_ms);
}

/* Pulls until the window ends; how many arrays came. */
static int pull_all(void)
{
	struct ArrowArray array;
	int count = 0;

	while (queue_pull(&queue, &array)) {
		array.release(&array);
		count++;
	}
	return count;
}

static void takes_a_prefix_up_to_the_bytes(void)
{
	start(1 << 20);
	for (int i = 0; i < 5; i++)
		queue_push(&queue, message_unit(0, i, &red, 3, 100));
	open_window(250, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 9); /* the bound is tested before a message is taken, and a message is taken whole */
	queue_window_close(&queue);
	CHECK_INT(queue.window.lanes[0].from, 0);
	CHECK_INT(queue.window.lanes[0].to, 3);
	CHECK_INT(queue.window.lanes[0].messages, 3);
	CHECK_INT(queue.window.rows, 90);
	queue_window_clear(&queue);
	CHECK_INT(released, 3);
	CHECK_INT(atomic_load(&queue.in_flight), 200 + 2 * HELD_BYTES);
	queue_release(&queue);
	CHECK_INT(released, 5);
}

static void another_schema_ends_it(void)
{
	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &red, 1, 10));
	queue_push(&queue, message_unit(1, 7, &blue, 1, 10));
	queue_push(&queue, message_unit(0, 1, &red, 1, 10));
	open_window(1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 1);
	queue_window_close(&queue);
	CHECK_INT(queue.window.lanes[0].to, 1);
	CHECK_INT(queue.window.lanes[1].to, 0);
	queue_window_clear(&queue);
	open_window(1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 1);
	CHECK_INT(queue.window.lanes[1].from, 7);
	queue_release(&queue);
}

static void allowed_schemas_stand_aside(void)
{
	static struct batch_schema green = {.references = 1000, .fingerprint = "green"};
	struct batch_schema *schema, *wanted[] = {&blue, &green};

	start(1000);
	for (int i = 0; i < 6; i++)
		queue_push(&queue, message_unit(0, i, i % 2 ? (i == 3 ? &green : &blue) : &red, 1, 100));
	queue_push(&queue, message_unit(1, 0, &blue, 2, 100));
	queue_drain_begin(&queue);
	pthread_mutex_lock(&queue.lock);
	queue_window_begin(&queue, both);
	pthread_mutex_unlock(&queue.lock);
	queue_window_allow(&queue, "blue");
	queue_window_allow(&queue, "green");
	queue_window_open(&queue, batch_schema_retain(&red), 1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 3);
	queue_window_close(&queue);
	/* 300 bytes stand aside, a quarter of the bound and more: the last one is left for the next window. */
	CHECK_INT(queue.window.lanes[0].to, 6);
	CHECK_INT(queue.window.lanes[0].messages, 6);
	CHECK_INT(queue.window.lanes[1].to, 0);
	CHECK_INT(queue.window.rows, 60);
	for (int i = 0; i < 2; i++) {
		schema = queue_window_turn(&queue);
		CHECK(schema == wanted[i]);
		CHECK_INT(pull_all(), schema == &blue ? 2 : 1);
		batch_schema_release(schema);
	}
	CHECK(!queue_window_turn(&queue));
	queue_window_clear(&queue);
	CHECK_INT(released, 6);
	/* The next window may be given up with units aside: they are freed. */
	queue_push(&queue, message_unit(1, 1, &red, 1, 100));
	pthread_mutex_lock(&queue.lock);
	queue_window_begin(&queue, both);
	pthread_mutex_unlock(&queue.lock);
	queue_window_allow(&queue, "red");
	queue_window_open(&queue, batch_schema_retain(&blue), 1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 2);
	queue_window_close(&queue);
	queue_window_clear(&queue);
	CHECK_INT(released, 8);
	queue_release(&queue);
}

static void a_lane_that_changed_hands_is_dropped(void)
{
	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &red, 1, 10));
	queue_push(&queue, message_unit(1, 0, &red, 1, 10));
	queue_push(&queue, message_unit(0, 1, &red, 1, 10));
	generations[0]++;
	queue_drain_begin(&queue);
	open_window(1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 1);
	CHECK_INT(queue.window.lanes[0].from, queue.window.lanes[0].to);
	CHECK_INT(queue.window.lanes[1].to, 1);
	queue_window_clear(&queue);
	CHECK_INT(released, 3);
	queue_release(&queue);
}

static void a_lane_that_came_later_waits_for_the_next_window(void)
{
	const bool first_only[2] = {true, false};
	struct batch_schema *schema;

	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &red, 1, 10));
	queue_push(&queue, message_unit(1, 0, &red, 1, 10));
	queue_wait_work(&queue, 0, 0, 0, &schema);
	pthread_mutex_lock(&queue.lock);
	queue_window_begin(&queue, first_only);
	pthread_mutex_unlock(&queue.lock);
	queue_window_open(&queue, schema, 1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 1);
	CHECK_INT(queue.window.lanes[1].to, 0);
	queue_release(&queue);
}

static void quarantine_goes_along_in_order(void)
{
	struct unit *bad;

	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &red, 1, 10));
	bad = message_unit(0, 1, &red, 2, 10);
	bad->reason = strdup("cannot be stored");
	queue_push(&queue, bad);
	queue_push(&queue, message_unit(0, 2, &red, 1, 10));
	queue_drain_begin(&queue);
	open_window(1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 2);
	queue_window_close(&queue);
	CHECK_INT(queue.window.lanes[0].to, 3);
	CHECK_INT(queue.window.lanes[0].messages, 2);
	CHECK_INT(queue.window.lanes[0].quarantined, 1);
	CHECK(queue.window.quarantined == bad);
	CHECK_INT(released, 2); /* the bad one's bytes are still needed */
	queue_window_clear(&queue);
	CHECK_INT(released, 3);
	queue_release(&queue);
}

/* They are written when the window is closed: until then they are in memory, and keep the reader from its room. */
static void a_window_takes_half_of_the_bound_of_quarantine(void)
{
	start(8 * HELD_BYTES);
	for (int i = 0; i < 6; i++) {
		struct unit *bad = message_unit(0, i, &red, 1, 0);

		bad->reason = strdup("cannot be stored");
		queue_push(&queue, bad);
	}
	open_window(1 << 20, INT64_MAX, 60000);
	CHECK_INT(pull_all(), 0); /* and does not wait for more */
	queue_window_close(&queue);
	CHECK_INT(queue.window.lanes[0].quarantined, 4);
	queue_window_clear(&queue);
	open_window(1 << 20, INT64_MAX, 20);
	CHECK_INT(pull_all(), 0);
	queue_window_close(&queue);
	CHECK_INT(queue.window.lanes[0].quarantined, 2);
	queue_release(&queue);
}

static void time_ends_it(void)
{
	int64_t before = clock_monotonic_ms(), took;

	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &red, 1, 10));
	open_window(1 << 20, INT64_MAX, 60);
	CHECK_INT(pull_all(), 1);
	took = clock_monotonic_ms() - before;
	CHECK(took >= 55);
	queue_release(&queue);
}

/* More waits than the window has taken: its deadline passes, until nothing comes any more. */
static void a_window_goes_on_while_the_stream_is_behind(void)
{
	int64_t before = clock_monotonic_ms(), took;

	start(1 << 20);
	atomic_store(&queue.waiting, 1000);
	queue_push(&queue, message_unit(0, 0, &red, 1, 10));
	open_window(1 << 20, INT64_MAX, 60);
	CHECK_INT(pull_all(), 1);
	took = clock_monotonic_ms() - before;
	CHECK(took >= WINDOW_PAUSE_MS - 5 && took < 8 * 60 + 300);
	queue_window_close(&queue);
	queue_window_clear(&queue);
	/* Somebody waits for it. */
	before = clock_monotonic_ms();
	queue_push(&queue, message_unit(0, 1, &red, 1, 10));
	open_window(1 << 20, INT64_MAX, 20);
	queue_drain_begin(&queue);
	CHECK_INT(pull_all(), 1);
	CHECK(clock_monotonic_ms() - before < WINDOW_PAUSE_MS);
	queue_release(&queue);
}

static void *pull_thread(void *opaque)
{
	*(int *)opaque = pull_all();
	return NULL;
}

static void many_threads_share_it_and_all_end(void)
{
	pthread_t threads[4];
	int counts[4], sum = 0;

	start(1 << 30);
	for (int i = 0; i < 300; i++) {
		struct unit *stale = message_unit(i % 2, i / 2, &red, 2, 10);

		stale->generation--;
		queue_push(&queue, stale);
		queue_push(&queue, message_unit(i % 2, i / 2, &red, 2, 10));
	}
	open_window(1 << 20, INT64_MAX, 300);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, pull_thread, &counts[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		sum += counts[i];
	}
	CHECK_INT(sum, 600);
	CHECK_INT(queue.window.lanes[0].to, 150);
	CHECK_INT(queue.window.lanes[1].to, 150);
	queue_window_clear(&queue);
	CHECK_INT(released, 600);
	CHECK_INT(atomic_load(&queue.in_flight), 0);
	queue_release(&queue);
}

static struct ArrowArray pulled_meanwhile;

static void pull_meanwhile(struct message *message)
{
	queue_pull(&queue, &pulled_meanwhile);
}

static void close_meanwhile(struct message *message)
{
	queue_window_close(&queue);
}

/* A stale unit at the front; when it is freed, which is done without the lock, something else happens. */
static void push_stale(void (*release)(struct message *))
{
	struct unit *stale = message_unit(0, 0, &red, 1, 10);

	stale->held->message.release = release;
	stale->generation--;
	queue_push(&queue, stale);
}

static void what_another_thread_takes_meanwhile_is_given_whole(void)
{
	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &red, 1, 10));
	open_window(1 << 20, INT64_MAX, 60);
	push_stale(pull_meanwhile);
	queue_push(&queue, message_unit(0, 1, &red, 3, 10));
	queue_push(&queue, message_unit(0, 2, &red, 1, 10));
	CHECK_INT(pull_all(), 1 + 2 + 1);
	pulled_meanwhile.release(&pulled_meanwhile);
	queue_window_close(&queue);
	CHECK_INT(queue.window.rows, 50);
	queue_window_clear(&queue);
	CHECK_INT(released, 3);
	CHECK_INT(atomic_load(&queue.in_flight), 0);
	queue_release(&queue);
}

static void nothing_is_taken_when_the_window_was_closed_meanwhile(void)
{
	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &red, 1, 10));
	open_window(1 << 20, INT64_MAX, 60000);
	push_stale(close_meanwhile);
	queue_push(&queue, message_unit(0, 1, &red, 1, 10));
	CHECK_INT(pull_all(), 1);
	CHECK_INT(queue.window.lanes[0].to, 1);
	queue_release(&queue);
	CHECK_INT(released, 2);
}

static void the_reader_waits_at_the_bound(void)
{
	start(100);
	CHECK(queue_wait_room(&queue, 0));
	queue_push(&queue, message_unit(0, 0, &red, 1, 100));
	CHECK(!queue_wait_room(&queue, 20));
	queue_drain_begin(&queue);
	open_window(1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 1);
	CHECK(queue_wait_room(&queue, 20));
	queue_release(&queue);
}

/* A thread has the array that it had last until it asks for another: that is not let go of, and nothing comes. */
static void a_window_that_keeps_the_reader_from_its_room_closes(void)
{
	struct ArrowArray array, none;

	start(100 + HELD_BYTES);
	queue_push(&queue, message_unit(0, 0, &red, 1, 100));
	open_window(1 << 20, INT64_MAX, 60000);
	CHECK_INT(queue_pull(&queue, &array), 1);
	CHECK(!queue_wait_room(&queue, 0));
	CHECK_INT(queue_pull(&queue, &none), 0);
	CHECK(clock_monotonic_ms() < queue.window.deadline_ms);
	CHECK_INT(queue.window.lanes[0].messages, 1);
	array.release(&array);
	CHECK(queue_wait_room(&queue, 0));
	queue_release(&queue);
}

static void what_was_decoded_is_in_flight(void)
{
	struct unit *unit;

	start(100000);
	unit = message_unit(0, 0, &red, 2, 100);
	held_grow(unit->held, 99000);
	queue_push(&queue, unit);
	CHECK_INT(atomic_load(&queue.in_flight), 99100 + HELD_BYTES);
	CHECK(!queue_wait_room(&queue, 0));
	queue_drain_begin(&queue);
	open_window(1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 2);
	CHECK_INT(atomic_load(&queue.in_flight), 0);
	queue_release(&queue);
}

static void a_refused_schema_becomes_quarantine(void)
{
	struct batch_schema *schema;
	int64_t again[2] = {0};

	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &blue, 1, 10));
	queue_push(&queue, message_unit(0, 1, &red, 1, 10));
	CHECK(!queue_refuse_schema(&queue, &blue, "not this table's columns", again));
	CHECK(queue_wait_work(&queue, 0, 0, 0, &schema));
	CHECK(schema == &red);
	queue_drain_begin(&queue);
	open_window(1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 1);
	CHECK_INT(queue.window.lanes[0].quarantined, 1);
	CHECK_TEXT(queue.window.quarantined->reason, "not this table's columns");
	CHECK_INT(queue.window.lanes[0].to, 2);
	queue_release(&queue);
}

/* Of rows that were made from several messages the bytes are gone: the lane is read again. */
static void gathered_messages_are_read_again(void)
{
	struct unit *unit = message_unit(1, 5, &blue, 1, 10);
	int64_t again[2] = {0};

	start(1 << 20);
	held_release(TAKE(unit->held));
	unit->held = NULL;
	unit->to = 8;
	unit->messages = 3;
	queue_push(&queue, unit);
	CHECK(queue_refuse_schema(&queue, &blue, "not this table's columns", again));
	CHECK(!unit->reason);
	CHECK_INT(again[0], 0);
	CHECK_INT(again[1], 8);
	queue_drain_begin(&queue);
	open_window(1 << 20, INT64_MAX, 1000);
	CHECK_INT(pull_all(), 1);
	CHECK_INT(queue.window.lanes[1].messages, 3);
	CHECK_INT(queue.window.units, 3);
	queue_release(&queue);
}

static void one_message_a_window_when_careful(void)
{
	start(1 << 20);
	queue_push(&queue, message_unit(0, 0, &red, 2, 10));
	queue_push(&queue, message_unit(0, 1, &red, 2, 10));
	open_window(1 << 20, 1, 1000);
	CHECK_INT(pull_all(), 2);
	CHECK_INT(queue.window.lanes[0].to, 1);
	queue_release(&queue);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(takes_a_prefix_up_to_the_bytes), TEST(another_schema_ends_it),
	                  TEST(allowed_schemas_stand_aside), TEST(a_lane_that_changed_hands_is_dropped),
	                  TEST(a_lane_that_came_later_waits_for_the_next_window), TEST(quarantine_goes_along_in_order),
	                  TEST(a_window_takes_half_of_the_bound_of_quarantine), TEST(time_ends_it),
	                  TEST(a_window_goes_on_while_the_stream_is_behind), TEST(many_threads_share_it_and_all_end),
	                  TEST(what_another_thread_takes_meanwhile_is_given_whole),
	                  TEST(nothing_is_taken_when_the_window_was_closed_meanwhile),
	                  TEST(the_reader_waits_at_the_bound),
	                  TEST(a_window_that_keeps_the_reader_from_its_room_closes),
	                  TEST(what_was_decoded_is_in_flight), TEST(a_refused_schema_becomes_quarantine),
	                  TEST(gathered_messages_are_read_again), TEST(one_message_a_window_when_careful));
}
