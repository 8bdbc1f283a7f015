#include "spec/schedule.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/owned.h"

#define MINUTE_MS 60000
#define YEARS_MAX 8 /* 29 February returns within them, also around 2100 */

struct part {
	uint64_t *bits;
	int least, greatest;
};

static bool take_number(const char **text, int *ret)
{
	int value = 0, digits = 0;

	for (; **text >= '0' && **text <= '9' && digits < 3; (*text)++, digits++)
		value = value * 10 + (**text - '0');
	*ret = value;
	return digits > 0;
}

/* One of the parts with ',' between them. */
static const char *take_range(const char **text, const struct part *part)
{
	int from = part->least, to = part->greatest, step = 1;
	bool star = **text == '*';

	if (star)
		(*text)++;
	else if (!take_number(text, &from))
		return "has a field that is neither * nor a number";
	else
		to = from;
	if (!star && **text == '-' && ((*text)++, !take_number(text, &to)))
		return "has a range without its end";
	if (**text == '/') {
		(*text)++;
		if (!take_number(text, &step) || step < 1)
			return "has a step that is not a number above 0";
		if (!star && to == from)
			to = part->greatest;
	}
	if (from < part->least || to > part->greatest)
		return "has a number that its field does not go to";
	if (from > to)
		return "has a range that ends before it begins";
	for (int i = from; i <= to; i += step)
		*part->bits |= 1ULL << i;
	return NULL;
}

static const char *take_part(const char **text, const struct part *part)
{
	const char *wrong;

	for (;;) {
		wrong = take_range(text, part);
		if (wrong || **text != ',')
			return wrong;
		(*text)++;
	}
}

const char *schedule_parse(const char *text, struct schedule *ret_schedule)
{
	struct schedule s = {0};
	const struct part parts[] = {
	        {&s.minutes, 0, 59}, {&s.hours, 0, 23}, {&s.days, 1, 31}, {&s.months, 1, 12}, {&s.weekdays, 0, 7}};

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		const char *wrong;

		text += strspn(text, " \t");
		if (!*text)
			return "has not five fields";
		if (parts[i].bits == &s.days)
			s.any_day = *text == '*';
		if (parts[i].bits == &s.weekdays)
			s.any_weekday = *text == '*';
		wrong = take_part(&text, &parts[i]);
		if (wrong)
			return wrong;
		if (*text && !strchr(" \t", *text))
			return "has a field that is neither *, N, N-M nor a list of these";
	}
	if (text[strspn(text, " \t")])
		return "has more than five fields";
	if (s.weekdays & 1ULL << 7)
		s.weekdays |= 1;
	*ret_schedule = s;
	return NULL;
}

static bool has(uint64_t bits, int bit)
{
	return bits >> bit & 1;
}

static bool has_day(const struct schedule *s, const struct tm *t)
{
	if (!has(s->months, t->tm_mon + 1))
		return false;
	if (s->any_day || s->any_weekday)
		return has(s->days, t->tm_mday) && has(s->weekdays, t->tm_wday);
	return has(s->days, t->tm_mday) || has(s->weekdays, t->tm_wday);
}

int64_t schedule_next(const struct schedule *schedule, int64_t after_ms)
{
	time_t minute = (time_t)(after_ms / MINUTE_MS + 1) * 60, end = minute + (time_t)YEARS_MAX * 366 * 86400;
	struct tm t;

	while (minute < end) {
		gmtime_r(&minute, &t);
		if (!has_day(schedule, &t))
			minute += 86400 - minute % 86400;
		else if (!has(schedule->hours, t.tm_hour))
			minute += 3600 - minute % 3600;
		else if (!has(schedule->minutes, t.tm_min))
			minute += 60;
		else
			return (int64_t)minute * 1000;
	}
	return -1;
}
