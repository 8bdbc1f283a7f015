#include "spec/parameter.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/owned.h"
#include "spec/kinds.h"
#include "spec/mistake.h"
#include "spec/values.h"

#define US_PER_S INT64_C(1000000)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ---- dates and times */

/* `digits` digits at *text as a number of [least, most]; moves *text behind them. */
static bool take(const char **text, int digits, int least, int most, int *ret)
{
	int value = 0;

	for (int i = 0; i < digits; i++, (*text)++) {
		if (!is_digit(**text))
			return false;
		value = value * 10 + (**text - '0');
	}
	*ret = value;
	return value >= least && value <= most;
}

static bool take_char(const char **text, const char *right)
{
	bool there = **text && strchr(right, **text);

	*text += there;
	return there;
}

static int days_of(int year, int month)
{
	static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool take_date(const char **text, struct tm *time)
{
	int year, month, day;

	if (!take(text, 4, 1, 9999, &year) || !take_char(text, "-") || !take(text, 2, 1, 12, &month) ||
	    !take_char(text, "-") || !take(text, 2, 1, 31, &day) || day > days_of(year, month))
		return false;
	time->tm_year = year - 1900;
	time->tm_mon = month - 1;
	time->tm_mday = day;
	return true;
}

const char *value_date(const char *text)
{
	struct tm time = {0};

	return take_date(&text, &time) && !*text ? NULL : "is not a date";
}

/* .123456 as microseconds; a text that does not go on with '.' has none. */
static const char *take_fraction(const char **text, int64_t *ret_us)
{
	int64_t us = 0, unit = US_PER_S / 10;

	*ret_us = 0;
	if (!take_char(text, "."))
		return NULL;
	if (!is_digit(**text))
		return "is not a date and time";
	for (; is_digit(**text); (*text)++, unit /= 10) {
		if (!unit && **text != '0')
			return "is finer than a microsecond";
		us += unit * (**text - '0');
	}
	*ret_us = us;
	return NULL;
}

/* Z, +HH:MM or -HH:MM as seconds; UTC at the end of the text. */
static bool take_zone(const char **text, int64_t *ret_s)
{
	int hours, minutes, sign = **text == '-' ? -1 : 1;

	*ret_s = 0;
	if (!**text || take_char(text, "Zz"))
		return true;
	if (!take_char(text, "+-") || !take(text, 2, 0, 23, &hours) || !take_char(text, ":") ||
	    !take(text, 2, 0, 59, &minutes))
		return false;
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

const char *value_timestamp(const char *text, int64_t *ret_us)
{
	struct tm time = {0};
	const char *wrong;
	int64_t us, zone_s;

	if (!take_date(&text, &time) || !take_char(&text, "Tt ") || !take(&text, 2, 0, 23, &time.tm_hour) ||
	    !take_char(&text, ":") || !take(&text, 2, 0, 59, &time.tm_min) || !take_char(&text, ":") ||
	    !take(&text, 2, 0, 59, &time.tm_sec))
		return "is not a date and time";
	wrong = take_fraction(&text, &us);
	if (wrong)
		return wrong;
	if (!take_zone(&text, &zone_s) || *text)
		return "is not a date and time";
	*ret_us = ((int64_t)timegm(&time) - zone_s) * US_PER_S + us;
	return NULL;
}

/* In UTC; an offset may have led to the years 0 and 10000, which DuckDB has, too. */
static void append_timestamp(struct buffer *json, int64_t us)
{
	int64_t second = us / US_PER_S - (us % US_PER_S < 0);
	time_t whole = (time_t)second;
	struct tm time;

	gmtime_r(&whole, &time);
	buffer_printf(json, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", time.tm_year + 1900, time.tm_mon + 1,
	              time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec, (int)(us - second * US_PER_S));
}

/* ---- JSON */

static const char *skip_digits(const char *text)
{
	while (is_digit(*text))
		text++;
	return text;
}

/* RFC 8259 section 6. */
static bool is_json_number(const char *text)
{
	const char *digits = text + (*text == '-'), *end = skip_digits(digits);

	if (end == digits || (*digits == '0' && end > digits + 1))
		return false;
	if (*end == '.') {
		digits = end + 1;
		end = skip_digits(digits);
		if (end == digits)
			return false;
	}
	if (*end == 'e' || *end == 'E') {
		end++;
		digits = end + (*end == '+' || *end == '-');
		end = skip_digits(digits);
		if (end == digits)
			return false;
	}
	return !*end;
}

/* Section 7, without surrogates looked at: \u0000 to \uFFFF. */
static bool is_json_text(const char *text)
{
	size_t size = strlen(text);

	if (size < 2 || *text != '"' || text[size - 1] != '"')
		return false;
	for (const char *c = text + 1; c < text + size - 1; c++) {
		if ((unsigned char)*c < 0x20 || *c == '"')
			return false;
		if (*c != '\\')
			continue;
		c++;
		if (c == text + size - 1 || !strchr("\"\\/bfnrtu", *c))
			return false;
		if (*c == 'u' && strspn(c + 1, "0123456789abcdefABCDEF") < 4)
			return false;
	}
	return true;
}

const char *value_json_scalar(const char *text)
{
	if (!strcmp(text, "true") || !strcmp(text, "false") || !strcmp(text, "null") || is_json_text(text))
		return NULL;
	if (!is_json_number(text))
		return "is not JSON";
	return isfinite(strtod(text, NULL)) ? NULL : "is too large";
}

/* ---- a parameter's values */

static const char *const rights[] = {
        [PARAMETER_VARCHAR] = "a text in UTF-8",
        [PARAMETER_INTEGER] = "a whole number of 64 bits",
        [PARAMETER_DOUBLE] = "a number such as 0.5",
        [PARAMETER_BOOLEAN] = "true or false",
        [PARAMETER_DATE] = "a date such as 2026-01-31",
        [PARAMETER_TIMESTAMP] = "a date and time such as 2026-01-31T23:59:59Z",
};

const char *parameter_type_name(enum parameter_type type)
{
	return enum_text("parameter_type", (int)type);
}

static int wrong_value(const struct spec_parameter *p, const char *wrong, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "%s; would be %s", wrong, rights[p->type]);
}

static int append_text(const struct spec_parameter *p, const char *text, struct buffer *json, struct error *err)
{
	size_t characters = 0;

	if (!text_is_utf8(text, strlen(text)))
		return wrong_value(p, "is not UTF-8", err);
	for (const char *c = text; *c; c++)
		characters += ((unsigned char)*c & 0xc0) != 0x80;
	if (characters > (size_t)p->max_length)
		return error_set(err, ERROR_INVALID, 0, "has more than %d characters", p->max_length);
	buffer_json_text(json, text, strlen(text));
	return 0;
}

static int append_integer(const struct spec_parameter *p, const char *text, struct buffer *json, struct error *err)
{
	const char *wrong;
	int64_t n, bound;

	wrong = value_integer(text, &n);
	if (wrong)
		return wrong_value(p, wrong, err);
	if (p->minimum && !value_integer(p->minimum, &bound) && n < bound)
		return error_set(err, ERROR_INVALID, 0, "is below %s", p->minimum);
	if (p->maximum && !value_integer(p->maximum, &bound) && n > bound)
		return error_set(err, ERROR_INVALID, 0, "is above %s", p->maximum);
	buffer_printf(json, "%" PRId64, n);
	return 0;
}

static int append_double(const struct spec_parameter *p, const char *text, struct buffer *json, struct error *err)
{
	const char *wrong = value_number(text);
	double n;

	if (wrong)
		return wrong_value(p, wrong, err);
	n = strtod(text, NULL);
	if (p->minimum && n < strtod(p->minimum, NULL))
		return error_set(err, ERROR_INVALID, 0, "is below %s", p->minimum);
	if (p->maximum && n > strtod(p->maximum, NULL))
		return error_set(err, ERROR_INVALID, 0, "is above %s", p->maximum);
	buffer_printf(json, "%.17g", n == 0 ? 0.0 : n); /* -0 is 0 */
	return 0;
}

static int append_value(const struct spec_parameter *p, const char *text, struct buffer *json, struct error *err)
{
	const char *wrong = NULL;
	int64_t us = 0;
	bool yes = false;

	switch (p->type) {
	case PARAMETER_VARCHAR: return append_text(p, text, json, err);
	case PARAMETER_INTEGER: return append_integer(p, text, json, err);
	case PARAMETER_DOUBLE: return append_double(p, text, json, err);
	case PARAMETER_BOOLEAN: wrong = value_boolean(text, &yes); break;
	case PARAMETER_DATE: wrong = value_date(text); break;
	case PARAMETER_TIMESTAMP: wrong = value_timestamp(text, &us); break;
	}
	if (wrong)
		return wrong_value(p, wrong, err);
	if (p->type == PARAMETER_BOOLEAN)
		buffer_text(json, yes ? "true" : "false");
	else if (p->type == PARAMETER_DATE)
		buffer_json_text(json, text, strlen(text));
	else
		append_timestamp(json, us);
	return 0;
}

/* One of the enum's values, as values: 7 is 007. */
static int check_allowed(const struct spec_parameter *p, const char *json, struct error *err)
{
	OWNED_BUFFER struct buffer names = {0}, allowed = {0};

	buffer_init(&names, 300);
	buffer_init(&allowed, BUFFER_DEFAULT_MAXIMUM);
	for (int i = 0; i < p->allowed_count; i++) {
		buffer_clear(&allowed);
		if (!append_value(p, p->allowed[i], &allowed, NULL) && !strcmp(buffer_string(&allowed), json))
			return 0;
		buffer_printf(&names, "%s%s", i ? ", " : "", p->allowed[i]);
	}
	return error_set(err, ERROR_INVALID, 0, "is not one of %s", buffer_string(&names));
}

int parameter_value(const struct spec_parameter *parameter, const char *text, struct buffer *json, struct error *err)
{
	OWNED_BUFFER struct buffer value = {0};

	buffer_init(&value, BUFFER_DEFAULT_MAXIMUM);
	if (append_value(parameter, text, &value, err))
		return -1;
	if (!buffer_ok(&value))
		return error_no_memory(err);
	if (parameter->allowed_count && check_allowed(parameter, buffer_string(&value), err))
		return -1;
	if (json)
		buffer_append(json, value.data, value.size);
	return 0;
}
