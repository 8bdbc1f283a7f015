#include "serve/answers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/owned.h"

#define LOOK_MS 100
#define BUCKETS_LEAST 16
#define BUCKETS_MOST 65536

/* One kept answer, in its bucket's list and in the list of all, the last used one first. */
struct entry {
	struct entry *in_bucket, *newer, *older;
	struct kept *kept;
	int64_t bytes;
	uint64_t hash;
	char key[];
};

/* One question that is being asked. It stays until the last who waits for it has looked. */
struct flight {
	struct flight *next;
	int64_t version;
	int references;
	bool done;
	struct kept *kept;
	char key[];
};

struct answers {
	pthread_mutex_t lock;
	pthread_cond_t landed;
	int most;
	int64_t most_bytes;
	uint64_t seed; /* keys are strangers' texts */
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	struct entry *newest, *oldest;
	struct flight *flights;
	struct answers_facts facts;
};

struct kept *kept_new(void)
{
	struct kept *kept = calloc(1, sizeof *kept);

	if (!kept)
		return NULL;
	kept->references = 1;
	buffer_init(&kept->body, BUFFER_DEFAULT_MAXIMUM);
	return kept;
}

static struct kept *retain(struct kept *kept)
{
	kept->references++;
	return kept;
}

void kept_release(struct kept *kept)
{
	if (!kept || --kept->references)
		return;
	buffer_release(&kept->body);
	free(kept->content_type);
	free(kept->next);
	free(kept);
}

struct answers *answers_new(int most, int64_t most_bytes)
{
	struct answers *answers = calloc(1, sizeof *answers);

	if (!answers)
		return NULL;
	pthread_mutex_init(&answers->lock, NULL);
	pthread_cond_init(&answers->landed, NULL);
	answers->most = most;
	answers->most_bytes = most_bytes;
	answers->bucket_count = BUCKETS_LEAST;
	while (answers->bucket_count < (size_t)most && answers->bucket_count < BUCKETS_MOST)
		answers->bucket_count *= 2;
	answers->buckets = calloc(answers->bucket_count, sizeof(struct entry *));
	if (!answers->buckets) {
		answers_free(answers);
		return NULL;
	}
	if (getrandom(&answers->seed, sizeof answers->seed, GRND_NONBLOCK) < 0)
		answers->seed = (uint64_t)clock_monotonic_us() ^ (uint64_t)(uintptr_t)answers;
	return answers;
}

/* ---- entries; the lock is held */

/* FNV-1a from a start that nobody outside knows, then mixed as MurmurHash3 ends. */
static uint64_t hash_key(const struct answers *answers, const char *key)
{
	uint64_t hash = answers->seed ^ 0xcbf29ce484222325u;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
	return hash ^ hash >> 33;
}

static struct entry **place_of(struct answers *answers, uint64_t hash, const char *key)
{
	struct entry **place = &answers->buckets[hash & (answers->bucket_count - 1)];

	while (*place && ((*place)->hash != hash || strcmp((*place)->key, key) != 0))
		place = &(*place)->in_bucket;
	return place;
}

static void unlink_used(struct answers *answers, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &answers->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &answers->oldest) = entry->newer;
}

static void link_used(struct answers *answers, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = answers->newest;
	*(entry->older ? &entry->older->newer : &answers->oldest) = entry;
	answers->newest = entry;
}

static void drop(struct answers *answers, struct entry **place)
{
	struct entry *entry = *place;

	*place = entry->in_bucket;
	unlink_used(answers, entry);
	answers->facts.count--;
	answers->facts.bytes -= entry->bytes;
	kept_release(entry->kept);
	free(entry);
}

static void keep(struct answers *answers, const char *key, struct kept *kept)
{
	size_t size = sizeof(struct entry) + strlen(key) + 1;
	int64_t bytes = (int64_t)(size + sizeof *kept + kept->body.capacity + (kept->next ? strlen(kept->next) : 0));
	uint64_t hash = hash_key(answers, key);
	struct entry **place = place_of(answers, hash, key), *entry;

	if (*place && (*place)->kept->version > kept->version)
		return;
	if (*place)
		drop(answers, place);
	if (bytes > answers->most_bytes || !answers->most)
		return;
	entry = malloc(size);
	if (!entry)
		return;
	*entry = (struct entry){.kept = retain(kept), .bytes = bytes, .hash = hash};
	memcpy(entry->key, key, strlen(key) + 1);
	while (answers->facts.count >= answers->most || answers->facts.bytes + bytes > answers->most_bytes)
		drop(answers, place_of(answers, answers->oldest->hash, answers->oldest->key));
	place = &answers->buckets[hash & (answers->bucket_count - 1)];
	entry->in_bucket = *place;
	*place = entry;
	link_used(answers, entry);
	answers->facts.count++;
	answers->facts.bytes += bytes;
}

static struct kept *look_up(struct answers *answers, const char *key, int64_t version)
{
	struct entry *entry = *place_of(answers, hash_key(answers, key), key);

	if (!entry || entry->kept->version < version)
		return NULL;
	unlink_used(answers, entry);
	link_used(answers, entry);
	return retain(entry->kept);
}

/* ---- flights; the lock is held */

/* One that is under way, and late enough. */
static struct flight *flight_find(struct answers *answers, const char *key, int64_t version)
{
	struct flight *flight = answers->flights;

	while (flight && (flight->done || flight->version < version || strcmp(flight->key, key) != 0))
		flight = flight->next;
	return flight;
}

static void flight_release(struct answers *answers, struct flight *flight)
{
	struct flight **place = &answers->flights;

	if (--flight->references)
		return;
	while (*place != flight)
		place = &(*place)->next;
	*place = flight->next;
	kept_release(flight->kept);
	free(flight);
}

static bool flight_begin(struct answers *answers, const char *key, int64_t version)
{
	struct flight *flight = malloc(sizeof *flight + strlen(key) + 1);

	if (!flight)
		return false;
	*flight = (struct flight){.next = answers->flights, .version = version, .references = 1};
	memcpy(flight->key, key, strlen(key) + 1);
	answers->flights = flight;
	return true;
}

/* Until it landed; false: the time is over, or nobody wants it any more. */
static bool flight_wait(struct answers *answers, const struct flight *flight, const struct answers_wait *wait)
{
	int64_t until_ms = clock_monotonic_ms() + wait->most_ms;

	while (!flight->done) {
		int64_t left_ms = until_ms - clock_monotonic_ms();
		struct timespec deadline = clock_deadline(left_ms < LOOK_MS ? left_ms : LOOK_MS);
		bool gone;

		if (left_ms <= 0)
			return false;
		pthread_cond_clockwait(&answers->landed, &answers->lock, CLOCK_MONOTONIC, &deadline);
		if (flight->done || !wait->gone)
			continue;
		pthread_mutex_unlock(&answers->lock);
		gone = wait->gone(wait->context);
		pthread_mutex_lock(&answers->lock);
		if (gone && !flight->done)
			return false;
	}
	return true;
}

static enum answers_found join(struct answers *answers, struct flight *flight, const struct answers_wait *wait,
                               struct kept **ret_kept)
{
	enum answers_found found = ANSWERS_GONE;

	flight->references++;
	answers->facts.waits++;
	if (flight_wait(answers, flight, wait)) {
		found = flight->kept ? ANSWERS_KEPT : ANSWERS_ALONE;
		*ret_kept = flight->kept ? retain(flight->kept) : NULL;
	}
	flight_release(answers, flight);
	return found;
}

enum answers_found answers_take(struct answers *answers, const char *key, int64_t version,
                                const struct answers_wait *wait, struct kept **ret_kept)
{
	enum answers_found found = ANSWERS_KEPT;
	struct flight *flight;

	pthread_mutex_lock(&answers->lock);
	*ret_kept = look_up(answers, key, version);
	flight = *ret_kept ? NULL : flight_find(answers, key, version);
	if (*ret_kept)
		answers->facts.hits++;
	else if (flight)
		found = join(answers, flight, wait, ret_kept);
	else
		found = flight_begin(answers, key, version) ? ANSWERS_ASK : ANSWERS_ALONE;
	if (found == ANSWERS_ASK || found == ANSWERS_ALONE)
		answers->facts.misses++;
	pthread_mutex_unlock(&answers->lock);
	return found;
}

void answers_finish(struct answers *answers, const char *key, int64_t version, struct kept *kept)
{
	struct flight *flight;

	pthread_mutex_lock(&answers->lock);
	flight = answers->flights;
	while (flight && (flight->done || flight->version != version || strcmp(flight->key, key) != 0))
		flight = flight->next;
	if (kept && kept->version >= version)
		keep(answers, key, kept);
	if (flight) {
		flight->done = true;
		flight->kept = kept && kept->version >= version ? retain(kept) : NULL;
		flight_release(answers, flight);
		pthread_cond_broadcast(&answers->landed);
	}
	pthread_mutex_unlock(&answers->lock);
}

struct answers_facts answers_facts(struct answers *answers)
{
	struct answers_facts facts;

	pthread_mutex_lock(&answers->lock);
	facts = answers->facts;
	pthread_mutex_unlock(&answers->lock);
	return facts;
}

void answers_free(struct answers *answers)
{
	if (!answers)
		return;
	while (answers->buckets && answers->oldest)
		drop(answers, place_of(answers, answers->oldest->hash, answers->oldest->key));
	free(answers->buckets);
	pthread_cond_destroy(&answers->landed);
	pthread_mutex_destroy(&answers->lock);
	free(answers);
}
