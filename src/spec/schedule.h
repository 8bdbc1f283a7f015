/*
 * schedule.h - the times of a schedule, as crontab(5) has them: "minute hour day month weekday", in UTC.
 *
 * Each field is `*`, N, N-M or several of these with ',' between them, each with /STEP behind it. Weekdays are 0 to 7,
 * Sunday both 0 and 7. Where both day and weekday are given, either will do (crontab(5)). Names and @daily are not
 * known.
 */
#ifndef TARN_SPEC_SCHEDULE_H
#define TARN_SPEC_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
	uint64_t minutes, hours, days, months, weekdays; /* a bit a value */
	bool any_day, any_weekday; /* written as * */
};

/* NULL where the text is right, else what is wrong with it. */
const char *schedule_parse(const char *text, struct schedule *ret_schedule);
/* The first time after `after_ms` (wall clock, ms) that is on the schedule; -1: there is none in 8 years (30 February).
 */
int64_t schedule_next(const struct schedule *schedule, int64_t after_ms);

#endif
