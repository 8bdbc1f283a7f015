/*
 * event.h - one made-up event of web analytics: who, when, what, and its texts.
 *
 * Invariant: an event depends on (seed, number) alone.
 *
 * The writers put text at p, where there is room for the maximum that stands with them, and return its end.
 */
#ifndef TARN_PRODUCE_EVENT_H
#define TARN_PRODUCE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "produce/pools.h"
#include "produce/random.h"

#define EVENT_STEP_MS 4 /* how much later an event is than the one before it */
#define EVENT_SHORT_MAX 128 /* name, distinct_id */
#define EVENT_PROPERTIES_MAX (10 * POOL_TEXT_MAX + 4096)
#define EVENT_ELEMENTS_MAX (4 * POOL_TEXT_MAX)

struct event {
	struct random random;
	int64_t number, time_ms;
	uint64_t user; /* a hash: everything that a person is comes from it */
	uint64_t session;
	enum event_kind kind;
	bool identified;
	char distinct_id[EVENT_SHORT_MAX];
	uint32_t distinct_id_size;
	char page[2 * EVENT_SHORT_MAX]; /* the path of its URL */
	uint32_t page_size;
	const struct site *site;
	const struct device *device;
	const struct place *place;
};

void event_begin(struct event *event, uint64_t seed, int64_t number);
/* One JSON object. Draws from the event's random numbers: once an event, before event_elements. */
char *event_properties(char *p, struct event *event);
char *event_elements(char *p, struct event *event);

static inline char *event_text(char *p, const struct text *text)
{
	__builtin_memcpy(p, text->bytes, text->size);
	return p + text->size;
}

#endif
