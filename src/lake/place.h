/*
 * place.h - where a message stands, in a person's words: TOPIC/PARTITION:OFFSET.
 *
 * A selection may stop early: TOPIC/PARTITION is all of a partition, TOPIC all of a topic.
 */
#ifndef TARN_LAKE_PLACE_H
#define TARN_LAKE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define PLACE_TOPIC_MAX 249 /* Kafka's own bound */
#define PLACE_SIZE 300 /* of a place as text */

struct place {
	char topic[PLACE_TOPIC_MAX + 1];
	int32_t partition; /* -1: any */
	int64_t offset; /* -1: any */
};

/* INVALID, with what would be right, where the text is no place. whole: with its partition and its offset. */
int place_parse(const char *text, bool whole, struct place *ret_place, struct error *err);
/* Writes "events/3:1207" to `text` and returns it. */
const char *place_text(char text[PLACE_SIZE], const char *topic, int32_t partition, int64_t offset);

#endif
