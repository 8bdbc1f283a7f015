#include "batch/json_private.h"

#define DAY_US INT64_C(86400000000)

/* `count` digits as a number, or -1. */
static int digits(const char *text, int count)
{
	int number = 0;

	for (int i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + text[i] - '0';
	}
	return number;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years are counted from March, so that a leap day is a
 * year's last. */
static int32_t days_since_1970(int year, int month, int day)
{
	int from_march = month > 2 ? month - 3 : month + 9, y = month > 2 ? year : year - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + day - 1 - 719468;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool json_date(const char *text, size_t size, int32_t *ret_days)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;

	if (size != 10 || text[4] != '-' || text[7] != '-')
		return false;
	year = digits(text, 4);
	month = digits(text + 5, 2);
	day = digits(text + 8, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > lengths[month - 1] + (month == 2 && is_leap(year)))
		return false;
	*ret_days = days_since_1970(year, month, day);
	return true;
}

/* "", "Z", "+02:00", "+0200", "+02": microseconds that the clock there is ahead of UTC. */
static bool parse_zone(const char *text, size_t size, int64_t *ret_ahead_us)
{
	int hours, minutes = 0;

	*ret_ahead_us = 0;
	if (size == 0 || (size == 1 && (*text == 'Z' || *text == 'z')))
		return true;
	if ((*text != '+' && *text != '-') || (size != 3 && size != 5 && size != 6) || (size == 6 && text[3] != ':'))
		return false;
	hours = digits(text + 1, 2);
	if (size > 3)
		minutes = digits(text + size - 2, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return false;
	*ret_ahead_us = (*text == '-' ? -1 : 1) * (hours * 60 + minutes) * INT64_C(60000000);
	return true;
}

/* A leap second goes before the midnight, in UTC, that begins a month (RFC 3339, section 5.7). us: where the minute of
 * the date ends. */
static bool is_leap_second(const char *date, int64_t us)
{
	int year = digits(date, 4), month = digits(date + 5, 2);

	return us == days_since_1970(year, month, 1) * DAY_US ||
	       us == days_since_1970(year + month / 12, month % 12 + 1, 1) * DAY_US;
}

bool json_time(const char *text, size_t size, int64_t *ret_us)
{
	int hour, minute, second = 0;
	int64_t fraction = 0, ahead;
	size_t at = 16;
	int32_t days;

	if (size == 10 && json_date(text, size, &days)) {
		*ret_us = days * DAY_US;
		return true;
	}
	if (size < 16 || !json_date(text, 10, &days) || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
	    text[13] != ':')
		return false;
	hour = digits(text + 11, 2);
	minute = digits(text + 14, 2);
	if (size >= 19 && text[16] == ':') {
		second = digits(text + 17, 2);
		at = 19;
	}
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	if (at == 19 && at < size && (text[at] == '.' || text[at] == ',')) {
		int64_t unit = 100000;

		if (++at == size || digits(text + at, 1) < 0)
			return false;
		for (; at < size && digits(text + at, 1) >= 0; at++, unit /= 10)
			fraction += digits(text + at, 1) * unit;
	}
	if (!parse_zone(text + at, size - at, &ahead))
		return false;
	*ret_us = days * DAY_US + (hour * 3600 + minute * 60 + second) * INT64_C(1000000) - ahead;
	if (second == 60 && !is_leap_second(text, *ret_us))
		return false;
	*ret_us += fraction;
	return true;
}
