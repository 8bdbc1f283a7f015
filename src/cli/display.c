#include "cli/display.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"

/* Ranges of code points that take no column (marks, joiners) or two (East Asian wide and fullwidth, emoji): Unicode 15,
 * EastAsianWidth.txt, in whole blocks. */
static const struct {
	uint32_t from, to;
	int width;
} widths[] = {
        {0x0300, 0x036f, 0},   {0x0483, 0x0489, 0},   {0x0591, 0x05bd, 0},   {0x0610, 0x061a, 0},
        {0x064b, 0x065f, 0},   {0x1100, 0x115f, 2},   {0x1ab0, 0x1aff, 0},   {0x1dc0, 0x1dff, 0},
        {0x200b, 0x200f, 0},   {0x2028, 0x202e, 0},   {0x2060, 0x2064, 0},   {0x20d0, 0x20ff, 0},
        {0x231a, 0x231b, 2},   {0x23e9, 0x23ec, 2},   {0x2614, 0x2615, 2},   {0x26bd, 0x26be, 2},
        {0x2705, 0x2705, 2},   {0x274c, 0x274c, 2},   {0x2753, 0x2755, 2},   {0x2757, 0x2757, 2},
        {0x2795, 0x2797, 2},   {0x2e80, 0x303e, 2},   {0x3041, 0x33ff, 2},   {0x3400, 0x4dbf, 2},
        {0x4e00, 0x9fff, 2},   {0xa000, 0xa4cf, 2},   {0xa960, 0xa97f, 2},   {0xac00, 0xd7a3, 2},
        {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},   {0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6f, 2},
        {0xfeff, 0xfeff, 0},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},   {0x16fe0, 0x18aff, 2},
        {0x1b000, 0x1b2ff, 2}, {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1f9ff, 2},
        {0x1fa70, 0x1faff, 2}, {0x20000, 0x3fffd, 2}, {0xe0000, 0xe01ef, 0},
};

/* One code point of at most 4 bytes (RFC 3629); its length, or 0 where the bytes are not UTF-8. */
static int decode(const unsigned char *s, uint32_t *ret_point)
{
	int length = *s < 0x80                 ? 1
	             : *s >= 0xc2 && *s < 0xe0 ? 2
	             : (*s & 0xf0) == 0xe0     ? 3
	             : *s >= 0xf0 && *s < 0xf5 ? 4
	                                       : 0;
	uint32_t point = length == 1 ? *s : *s & (0x7f >> length);

	for (int i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3f);
	}
	if ((length == 3 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) ||
	    (length == 4 && (point < 0x10000 || point > 0x10ffff)))
		return 0;
	*ret_point = point;
	return length;
}

static int point_width(uint32_t point)
{
	for (size_t i = 0; i < COUNT_OF(widths) && point >= widths[i].from; i++)
		if (point <= widths[i].to)
			return widths[i].width;
	return 1;
}

int display_width(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t point;
	int width = 0;

	while (*s) {
		int length = decode(s, &point);

		width += length ? point_width(point) : 1;
		s += length ? length : 1;
	}
	return width;
}

void display_text(struct buffer *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t point;

	while (*s) {
		int length = decode(s, &point);

		if (*s == '\n' || *s == '\t' || *s == '\r') {
			buffer_printf(out, "\\%c", *s == '\n' ? 'n' : *s == '\t' ? 't' : 'r');
		} else if (!length || point < 0x20 || point == 0x7f) {
			buffer_printf(out, "\\x%02x", *s);
			length = 1;
		} else if ((point >= 0x80 && point < 0xa0) || (point >= 0x202a && point <= 0x202e) ||
		           (point >= 0x2066 && point <= 0x2069)) {
			/* C1 controls, and overrides that turn the direction of what follows */
			buffer_printf(out, "\\u%04x", point);
		} else {
			buffer_append(out, s, (size_t)length);
		}
		s += length;
	}
}

void display_cut(struct buffer *text, int width, bool unicode)
{
	const unsigned char *s = (const unsigned char *)buffer_string(text);
	const char *ellipsis = unicode ? "…" : "...";
	int room = width - (unicode ? 1 : 3), taken = 0;
	size_t kept = 0;
	uint32_t point = 0;

	if (display_width(buffer_string(text)) <= width)
		return;
	while (s[kept]) {
		int length = decode(s + kept, &point);

		length = length ? length : 1;
		taken += point_width(point);
		if (taken > room)
			break;
		kept += (size_t)length;
	}
	text->size = kept;
	buffer_text(text, ellipsis);
}

/* ---- colours */

static _Atomic enum color_choice color;

void color_choose(enum color_choice choice)
{
	color = choice;
}

bool color_for(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (color != COLOR_AUTO)
		return color == COLOR_ALWAYS;
	return isatty(fileno(out)) && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
}

/* ---- numbers */

const char *human_bytes(int64_t bytes, char *text)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while ((value >= 1023.95 || value <= -1023.95) && unit + 1 < COUNT_OF(units)) {
		value /= 1024;
		unit++;
	}
	snprintf(text, HUMAN_SIZE, "%.*f %s", unit && value < 99.95 ? 1 : 0, value, units[unit]);
	return text;
}

const char *human_count(int64_t count, char *text)
{
	char digits[24];
	size_t size, out = 0;

	snprintf(digits, sizeof digits, "%" PRIu64, count < 0 ? -(uint64_t)count : (uint64_t)count);
	size = strlen(digits);
	if (count < 0)
		text[out++] = '-';
	for (size_t i = 0; i < size; i++) {
		if (i && (size - i) % 3 == 0)
			text[out++] = ',';
		text[out++] = digits[i];
	}
	text[out] = 0;
	return text;
}

const char *human_duration(int64_t ms, char *text)
{
	long long seconds = (long long)(ms / 1000);

	if (ms < 1000)
		snprintf(text, HUMAN_SIZE, "%lld ms", (long long)ms);
	else if (ms < 59950)
		snprintf(text, HUMAN_SIZE, "%.1f s", (double)ms / 1000);
	else if (seconds < 3600)
		snprintf(text, HUMAN_SIZE, "%lld min %lld s", (seconds < 60 ? 60 : seconds) / 60,
		         (seconds < 60 ? 60 : seconds) % 60);
	else if (seconds < 86400)
		snprintf(text, HUMAN_SIZE, "%lld h %lld min", seconds / 3600, seconds % 3600 / 60);
	else
		snprintf(text, HUMAN_SIZE, "%lld d %lld h", seconds / 86400, seconds % 86400 / 3600);
	return text;
}

const char *human_percent(double fraction, char *text)
{
	snprintf(text, HUMAN_SIZE, "%.*f %%", fraction < 0.0995 ? 1 : 0, fraction * 100);
	return text;
}
