/*
 * clock.h - time, in units that the name says. Monotonic time for durations, wall time for people.
 */
#ifndef TARN_BASE_CLOCK_H
#define TARN_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

int64_t clock_monotonic_us(void);
int64_t clock_wall_ms(void); /* since 1970-01-01T00:00:00Z */
int64_t clock_process_cpu_us(void); /* user and system time of this process */
int64_t clock_peak_rss_bytes(void); /* the most memory that was resident at once */
int64_t clock_rss_bytes(void);

static inline int64_t clock_monotonic_ms(void)
{
	return clock_monotonic_us() / 1000;
}

void clock_sleep_ms(int64_t ms);

/* RFC 3339, UTC, milliseconds: 2026-11-21T10:00:00.000Z. size >= 32. */
void clock_format(int64_t wall_ms, char *text, size_t size);

/* The CLOCK_MONOTONIC instant `ms` from now, for pthread_cond_clockwait. */
struct timespec clock_deadline(int64_t ms);

#endif
