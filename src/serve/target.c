#include "serve/target.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of "%XX" at text; -1: there is none. */
static int encoded(const char *text, size_t size)
{
	int high, low;

	if (size < 3)
		return -1;
	high = digit(text[1]);
	low = digit(text[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Decodes text[0..size) in place and ends it with NUL, for which there is room. What is wrong, or NULL. */
static const char *decode(char *text, size_t size, bool argument)
{
	size_t out = 0;

	for (size_t i = 0; i < size; i++) {
		int byte = (unsigned char)text[i];

		if (byte == '%') {
			byte = encoded(text + i, size - i);
			if (byte < 0)
				return "a '%' of the target has no two hexadecimal digits behind it";
			if (!argument && (byte == '/' || byte == '\\'))
				return "the path has an encoded '/' or '\\', which some programs read as the border of "
				       "a part";
			i += 2;
		} else if (argument && byte == '+') {
			byte = ' ';
		}
		if (!byte)
			return "the target has an encoded NUL";
		if (!argument && (byte < 0x20 || byte == 0x7f))
			return "the path has an encoded control character";
		text[out++] = (char)byte;
	}
	text[out] = 0;
	return text_is_utf8(text, out) ? NULL : "the target is not UTF-8";
}

static const char *check_raw(const char *raw)
{
	for (const char *c = raw; *c; c++)
		if (*c <= ' ' || *c == 0x7f || strchr("\"#<>\\^`{|}", *c)) /* bytes from 0x80 on are negative */
			return "the target has a character that must be percent-encoded";
	return NULL;
}

static const char *check_parts(const char *path)
{
	for (const char *part = path; *part == '/'; part += 1 + strcspn(part + 1, "/")) {
		size_t size = strcspn(part + 1, "/");

		if ((size == 1 && part[1] == '.') || (size == 2 && part[1] == '.' && part[2] == '.'))
			return "the path has a part '.' or '..'";
	}
	return NULL;
}

static const char *take_arguments(char *text, struct target *target)
{
	for (char *next; text; text = next) {
		size_t size = strcspn(text, "&");
		char *value = memchr(text, '=', size);
		const char *wrong = NULL;

		next = text[size] ? text + size + 1 : NULL;
		text[size] = 0;
		if (!size)
			continue;
		if (target->argument_count == TARGET_ARGUMENTS_MAX)
			return "the target has too many arguments";
		if (value) {
			*value++ = 0;
			wrong = decode(value, size - (size_t)(value - text), true);
			size = (size_t)(value - text) - 1;
		}
		if (!wrong)
			wrong = decode(text, size, true);
		if (wrong)
			return wrong;
		target->arguments[target->argument_count].name = text;
		target->arguments[target->argument_count++].value = value ? value : "";
	}
	return NULL;
}

/* Behind "http://host" of the absolute form, which every server takes (RFC 9112 section 3.2.2). */
static const char *behind_authority(const char *raw)
{
	size_t size = !strncasecmp(raw, "http://", 7) ? 7 : !strncasecmp(raw, "https://", 8) ? 8 : 0;

	return size && raw[size] && raw[size] != '/' && raw[size] != '?' ? raw + size + strcspn(raw + size, "/?") : raw;
}

int target_parse(const char *raw, struct target *ret_target, const char **ret_why)
{
	char *space, *question;

	*ret_target = (struct target){.path = ""};
	*ret_why = "the target is too long";
	if (strlen(raw) > TARGET_BYTES_MAX)
		return 414;
	*ret_why = check_raw(raw);
	if (*ret_why)
		return 400;
	if (!strcmp(raw, "*")) {
		ret_target->path = "*";
		return 0;
	}
	raw = behind_authority(raw);
	space = ret_target->space = malloc(strlen(raw) + 2);
	*ret_why = "out of memory";
	if (!space)
		return 500;
	/* "http://host?a" means "/?a" */
	memcpy(space, "/", 1);
	memcpy(space + (*raw != '/'), raw, strlen(raw) + 1);
	*ret_why = "the target is neither a path nor http://HOST/PATH";
	if (*raw && *raw != '/' && *raw != '?')
		return 400;
	question = strchr(space, '?');
	if (question)
		*question++ = 0;
	ret_target->path = space;
	*ret_why = decode(space, strlen(space), false);
	if (!*ret_why)
		*ret_why = check_parts(space);
	if (!*ret_why && question)
		*ret_why = take_arguments(question, ret_target);
	return *ret_why ? 400 : 0;
}

void target_release(struct target *target)
{
	free(target->space);
	*target = (struct target){.path = ""};
}
