/* Answers that are kept, and equal questions at once (answers.h): a test breaks each invariant. */
#include "check.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/owned.h"
#include "serve/answers.h"

static const struct answers_wait wait_long = {.most_ms = 20000};

static struct kept *kept_of(int64_t version, const char *body)
{
	struct kept *kept = kept_new();

	kept->version = version;
	buffer_text(&kept->body, body);
	return kept;
}

/* Asks, and answers itself with `body` (NULL: it fails) at `at`. What it got. */
static const char *ask(struct answers *answers, const char *key, int64_t version, int64_t at, const char *body)
{
	static char text[64];
	struct kept *kept = NULL;
	enum answers_found found = answers_take(answers, key, version, &wait_long, &kept);

	snprintf(text, sizeof text, "%s", found == ANSWERS_KEPT ? buffer_string(&kept->body) : "asked");
	if (found == ANSWERS_ASK) {
		kept = body ? kept_of(at, body) : NULL;
		answers_finish(answers, key, version, kept);
	}
	kept_release(kept);
	return text;
}

static void a_repeat_is_kept(void)
{
	struct answers *answers = answers_new(10, 1 << 20);

	CHECK_TEXT(ask(answers, "a", 5, 5, "one"), "asked");
	CHECK_TEXT(ask(answers, "a", 5, 5, "two"), "one");
	CHECK_TEXT(ask(answers, "b", 5, 5, "three"), "asked");
	CHECK_TEXT(ask(answers, "a", 4, 5, "four"), "one");
	CHECK_INT(answers_facts(answers).count, 2);
	CHECK_INT(answers_facts(answers).hits, 2);
	CHECK_INT(answers_facts(answers).misses, 2);
	answers_free(answers);
}

/* Invariant 2. */
static void a_later_question_is_asked(void)
{
	struct answers *answers = answers_new(10, 1 << 20);

	CHECK_TEXT(ask(answers, "a", 5, 5, "one"), "asked");
	CHECK_TEXT(ask(answers, "a", 6, 7, "two"), "asked");
	CHECK_TEXT(ask(answers, "a", 6, 6, "three"), "two");
	CHECK_TEXT(ask(answers, "a", 7, 7, "three"), "two");
	/* what came out older than it was asked for is nobody's */
	CHECK_TEXT(ask(answers, "a", 8, 7, "four"), "asked");
	CHECK_TEXT(ask(answers, "a", 8, 8, "five"), "asked");
	CHECK_TEXT(ask(answers, "a", 8, 8, "six"), "five");
	CHECK_INT(answers_facts(answers).count, 1);
	answers_free(answers);
}

/* Invariant 3. */
static void failures_are_not_kept(void)
{
	struct answers *answers = answers_new(10, 1 << 20);

	CHECK_TEXT(ask(answers, "a", 5, 5, NULL), "asked");
	CHECK_TEXT(ask(answers, "a", 5, 5, "one"), "asked");
	CHECK_TEXT(ask(answers, "a", 5, 5, NULL), "one");
	answers_free(answers);
}

/* Invariant 4. */
static void the_oldest_goes_first(void)
{
	struct answers *answers = answers_new(3, 1 << 20);

	CHECK_TEXT(ask(answers, "a", 1, 1, "a"), "asked");
	CHECK_TEXT(ask(answers, "b", 1, 1, "b"), "asked");
	CHECK_TEXT(ask(answers, "c", 1, 1, "c"), "asked");
	CHECK_TEXT(ask(answers, "a", 1, 1, "x"), "a");
	CHECK_TEXT(ask(answers, "d", 1, 1, "d"), "asked");
	CHECK_INT(answers_facts(answers).count, 3);
	CHECK_TEXT(ask(answers, "a", 1, 1, "x"), "a");
	CHECK_TEXT(ask(answers, "c", 1, 1, "x"), "c");
	CHECK_TEXT(ask(answers, "d", 1, 1, "x"), "d");
	CHECK_TEXT(ask(answers, "b", 1, 1, "again"), "asked");
	answers_free(answers);
}

static void bytes_are_bounded(void)
{
	struct answers *answers = answers_new(1000, 20000);
	char key[16], body[1001];

	memset(body, 'x', 1000);
	body[1000] = 0;
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "%d", i);
		CHECK_TEXT(ask(answers, key, 1, 1, body), "asked");
		CHECK(answers_facts(answers).bytes <= 20000);
	}
	CHECK(answers_facts(answers).count >= 8 && answers_facts(answers).count < 20);
	answers_free(answers);
	/* one that is larger than all is not kept, and drives nobody out */
	answers = answers_new(1000, 1000);
	CHECK_TEXT(ask(answers, "small", 1, 1, "s"), "asked");
	CHECK_TEXT(ask(answers, "large", 1, 1, body), "asked");
	CHECK_TEXT(ask(answers, "large", 1, 1, NULL), "asked");
	CHECK_TEXT(ask(answers, "small", 1, 1, "x"), "s");
	answers_free(answers);
}

static void none_are_kept(void)
{
	struct answers *answers = answers_new(0, 1 << 20);

	CHECK_TEXT(ask(answers, "a", 1, 1, "a"), "asked");
	CHECK_TEXT(ask(answers, "a", 1, 1, "a"), "asked");
	CHECK_INT(answers_facts(answers).count, 0);
	answers_free(answers);
}

/* ---- at once */

struct asking {
	pthread_t thread;
	struct answers *answers;
	const char *key;
	int64_t version;
	struct answers_wait wait;
	enum answers_found found;
	char body[64];
};

static void *ask_once(void *context)
{
	struct asking *asking = context;
	struct kept *kept = NULL;

	asking->found = answers_take(asking->answers, asking->key, asking->version, &asking->wait, &kept);
	snprintf(asking->body, sizeof asking->body, "%s", kept ? buffer_string(&kept->body) : "");
	kept_release(kept);
	return NULL;
}

static void start(struct asking *asking, struct answers *answers, int64_t version)
{
	*asking = (struct asking){.answers = answers, .key = "k", .version = version, .wait = wait_long};
	pthread_create(&asking->thread, NULL, ask_once, asking);
}

static void until_waiting(struct answers *answers, int64_t waits)
{
	while (answers_facts(answers).waits < waits)
		clock_sleep_ms(1);
}

/* Invariant 1. */
static void equal_questions_are_asked_once(void)
{
	struct answers *answers = answers_new(0, 0); /* also where none is kept */
	struct asking others[8];
	struct kept *kept = NULL;

	CHECK_INT(answers_take(answers, "k", 5, &wait_long, &kept), ANSWERS_ASK);
	for (int i = 0; i < 8; i++)
		start(&others[i], answers, 5 - i % 2);
	until_waiting(answers, 8);
	kept = kept_of(6, "shared");
	answers_finish(answers, "k", 5, kept);
	kept_release(kept);
	for (int i = 0; i < 8; i++) {
		pthread_join(others[i].thread, NULL);
		CHECK_INT(others[i].found, ANSWERS_KEPT);
		CHECK_TEXT(others[i].body, "shared");
	}
	answers_free(answers);
}

/* Invariant 2, of one that is being asked. */
static void a_later_question_does_not_wait(void)
{
	struct answers *answers = answers_new(10, 1 << 20);
	struct kept *kept = NULL;

	CHECK_INT(answers_take(answers, "k", 5, &wait_long, &kept), ANSWERS_ASK);
	CHECK_INT(answers_take(answers, "k", 6, &wait_long, &kept), ANSWERS_ASK);
	kept = kept_of(6, "six");
	answers_finish(answers, "k", 6, kept);
	kept_release(kept);
	CHECK_INT(answers_take(answers, "k", 6, &wait_long, &kept), ANSWERS_KEPT);
	kept_release(kept);
	kept = kept_of(5, "five");
	answers_finish(answers, "k", 5, kept);
	kept_release(kept);
	CHECK_INT(answers_take(answers, "k", 6, &wait_long, &kept), ANSWERS_KEPT);
	CHECK_TEXT(buffer_string(&kept->body), "six");
	kept_release(kept);
	answers_free(answers);
}

/* Invariant 3, of those who wait. */
static void who_waited_for_a_failure_asks_alone(void)
{
	struct answers *answers = answers_new(10, 1 << 20);
	struct asking other;
	struct kept *kept = NULL;

	CHECK_INT(answers_take(answers, "k", 5, &wait_long, &kept), ANSWERS_ASK);
	start(&other, answers, 5);
	until_waiting(answers, 1);
	answers_finish(answers, "k", 5, NULL);
	pthread_join(other.thread, NULL);
	CHECK_INT(other.found, ANSWERS_ALONE);
	answers_free(answers);
}

static bool is_gone(void *context)
{
	return *(bool *)context;
}

static void nobody_waits_for_ever(void)
{
	struct answers *answers = answers_new(10, 1 << 20);
	struct kept *kept = NULL;
	bool gone = true;
	const struct answers_wait shortly = {.most_ms = 50}, away = {20000, is_gone, &gone};
	int64_t began_ms = clock_monotonic_ms();

	CHECK_INT(answers_take(answers, "k", 5, &wait_long, &kept), ANSWERS_ASK);
	CHECK_INT(answers_take(answers, "k", 5, &shortly, &kept), ANSWERS_GONE);
	CHECK_INT(answers_take(answers, "k", 5, &away, &kept), ANSWERS_GONE);
	CHECK(clock_monotonic_ms() - began_ms < 10000);
	answers_finish(answers, "k", 5, NULL);
	answers_free(answers);
}

/* Eight threads, few keys, a version that rises: nobody gets an answer older than the question. */
static atomic_int_least64_t now;
static atomic_int stale;

static void *hammer(void *context)
{
	static const char *const keys[] = {"a", "b", "c", "d"};
	struct answers *answers = context;

	for (int i = 0; i < 4000; i++) {
		int which = i % 4;
		int64_t version = now;
		struct kept *kept = NULL;
		enum answers_found found = answers_take(answers, keys[which], version, &wait_long, &kept);

		if (found == ANSWERS_ASK) {
			kept = i % 7 ? kept_of(now, keys[which]) : NULL;
			answers_finish(answers, keys[which], version, kept);
		} else if (found == ANSWERS_KEPT) {
			stale += kept->version < version || strcmp(buffer_string(&kept->body), keys[which]) != 0;
		}
		kept_release(kept);
		if (!(i % 100))
			now++;
	}
	return NULL;
}

static void many_at_once(void)
{
	struct answers *answers = answers_new(3, 1 << 20);
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, hammer, answers);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(stale, 0);
	CHECK(answers_facts(answers).count <= 3);
	CHECK(answers_facts(answers).hits > 0);
	answers_free(answers);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(a_repeat_is_kept), TEST(a_later_question_is_asked),
	                  TEST(failures_are_not_kept), TEST(the_oldest_goes_first), TEST(bytes_are_bounded),
	                  TEST(none_are_kept), TEST(equal_questions_are_asked_once),
	                  TEST(a_later_question_does_not_wait), TEST(who_waited_for_a_failure_asks_alone),
	                  TEST(nobody_waits_for_ever), TEST(many_at_once));
}
