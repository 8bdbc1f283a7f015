#include "spec/mistake.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FILE_SHOWN 160 /* bytes: a longer name would push the mistake out of struct error */
#define TEXT_SHOWN 60

int mistake(const struct reading *reading, int line, int column, const char *field, const char *format, ...)
{
	size_t size = strlen(reading->file);
	const char *file = size > FILE_SHOWN ? reading->file + size - FILE_SHOWN : reading->file;
	va_list args;

	va_start(args, format);
	error_vset(reading->err, ERROR_INVALID, 0, format, args);
	va_end(args);
	return error_wrap(reading->err, "%s%s:%d:%d: %s", size > FILE_SHOWN ? "..." : "", file, line, column, field);
}

static bool steers(const unsigned char *c)
{
	return *c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0);
}

const char *quote_text(char quoted[QUOTED_SIZE], const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t size = 0, whole = 0;

	quoted[size++] = '\'';
	while (*c && size <= TEXT_SHOWN) {
		if ((*c & 0xc0) != 0x80)
			whole = size; /* a character starts here */
		if (steers(c)) {
			quoted[size++] = '?';
			c += *c == 0xc2 ? 2 : 1;
		} else {
			quoted[size++] = (char)*c++;
		}
	}
	if (*c && (*c & 0xc0) == 0x80)
		size = whole;
	snprintf(quoted + size, QUOTED_SIZE - size, "%s'", *c ? "..." : "");
	return quoted;
}
