#include "base/error.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

/* No part of a character at the end of what was cut: the text may become a reason in the lake, which takes UTF-8 alone.
 */
__attribute__((format(printf, 3, 0))) static void print(char *text, size_t size, const char *format, va_list args)
{
	if (vsnprintf(text, size, format, args) >= (int)size)
		text_end_whole(text);
}

int error_vset(struct error *err, enum error_kind kind, int code, const char *format, va_list args)
{
	if (!err)
		return -1;
	err->kind = kind;
	err->code = code;
	print(err->message, sizeof err->message, format, args);
	return -1;
}

int error_set(struct error *err, enum error_kind kind, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(err, kind, code, format, args);
	va_end(args);
	return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
	char prefix[sizeof err->message], all[2 * sizeof err->message + 2];
	va_list args;

	if (!err)
		return -1;
	va_start(args, format);
	print(prefix, sizeof prefix, format, args);
	va_end(args);
	snprintf(all, sizeof all, "%s: %s", prefix, err->message);
	memcpy(err->message, all, sizeof err->message - 1);
	err->message[sizeof err->message - 1] = 0;
	if (strlen(all) >= sizeof err->message)
		text_end_whole(err->message);
	return -1;
}

int error_no_memory(struct error *err)
{
	return error_set(err, ERROR_FATAL, 0, "out of memory");
}

const char *error_kind_name(enum error_kind kind)
{
	switch (kind) {
	case ERROR_NONE: return "NONE";
	case ERROR_INVALID: return "INVALID";
	case ERROR_CORRUPT: return "CORRUPT";
	case ERROR_CONFLICT: return "CONFLICT";
	case ERROR_TRANSIENT: return "TRANSIENT";
	case ERROR_MEMORY: return "MEMORY";
	case ERROR_FATAL: return "FATAL";
	}
	return "UNKNOWN";
}

bool error_may_pass(const struct error *err)
{
	return err->kind == ERROR_CONFLICT || err->kind == ERROR_TRANSIENT;
}
