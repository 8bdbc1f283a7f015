/*
 * pace.h - how far a producer may run ahead of a consumer.
 *
 * The embedded broker keeps 5 MiB or 100,000 messages a partition and drops the oldest, read or not. So per partition
 * the pace holds the messages that the consumer has not passed, and says when one more would be too many.
 *
 * Invariants:
 *  1. A partition holds at most PACE_BYTES_MAX bytes and PACE_MESSAGES_MAX messages, or a single message of any size.
 *  2. Messages of one partition are acknowledged in the order in which they were sent.
 *
 * Life cycle: pace_init -> pace_sent, pace_acked, pace_passed... -> pace_release. One thread.
 */
#ifndef TARN_WIRE_PACE_H
#define TARN_WIRE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PACE_BYTES_MAX ((int64_t)3 << 20)
#define PACE_MESSAGES_MAX 50000

struct pace_lane; /* one partition's messages, oldest first */

struct pace {
	struct pace_lane *lanes; /* by partition; owned */
	int32_t lane_count;
};

void pace_init(struct pace *pace);
void pace_release(struct pace *pace);
/* True where a message of `size` bytes may be sent now. */
bool pace_allows(const struct pace *pace, int32_t partition, size_t size);
int pace_sent(struct pace *pace, int32_t partition, size_t size, struct error *err);
/* The oldest message of the partition that was not yet acknowledged got this offset. */
void pace_acked(struct pace *pace, int32_t partition, int64_t offset);
/* The consumer wants `position` next: what lies before it is forgotten. Negative: not known, nothing is. */
void pace_passed(struct pace *pace, int32_t partition, int64_t position);

#endif
