#include "serve/accept.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct member {
	const char *name;
	size_t size;
	int weight;
	bool narrowed; /* it has parameters other than q: a range that nothing here falls in */
};

#define SPACES " \t"
#define TOKEN "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/"

/* 0, 0.5, 0.125, 1, 1.000 (RFC 9110 section 12.4.2); -1: no weight. */
static int read_weight(const char *text, size_t size)
{
	int weight = size && (*text == '0' || *text == '1') ? (*text - '0') * 1000 : -1, unit = 100;

	if (weight < 0 || size > 5 || (size > 1 && text[1] != '.'))
		return -1;
	for (size_t i = 2; i < size; i++, unit /= 10) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		weight += (text[i] - '0') * unit;
	}
	return weight > 1000 ? -1 : weight;
}

/* Behind a parameter's value, which may be a quoted text. */
static const char *value_end(const char *text)
{
	if (*text != '"')
		return text + strspn(text, TOKEN);
	for (text++; *text && *text != '"'; text++)
		if (*text == '\\' && text[1])
			text++;
	return *text ? text + 1 : text;
}

/* The next member behind *at; false: the end. One that is wrong has the weight -1. */
static bool next_member(const char **at, struct member *ret)
{
	const char *text = *at + strspn(*at, SPACES ",");

	*ret = (struct member){.name = text, .size = strspn(text, TOKEN), .weight = 1000};
	if (!*text)
		return false;
	if (!ret->size)
		ret->weight = -1;
	for (text += ret->size; text += strspn(text, SPACES), *text == ';';) {
		const char *name, *value;
		size_t size;

		text++;
		name = text += strspn(text, SPACES);
		size = strspn(name, TOKEN);
		value = name + size;
		if (*value != '=')
			break;
		value++;
		text = value_end(value);
		if (size == 1 && (*name | 0x20) == 'q')
			ret->weight = ret->weight < 0 ? -1 : read_weight(value, (size_t)(text - value));
		else if (size)
			ret->narrowed = true;
	}
	if (*text && *text != ',') {
		ret->weight = -1;
		text += strcspn(text, ",");
	}
	*at = text;
	return true;
}

static bool is(const struct member *member, const char *text, size_t size)
{
	return member->size == size && !strncasecmp(member->name, text, size);
}

int accept_type(const char *header, const char *type)
{
	size_t family = strcspn(type, "/") + 1;
	int best = 0, weight = 0;
	struct member member;

	if (!header)
		return 1000;
	while (next_member(&header, &member)) {
		int specific = member.narrowed                   ? 0
		               : is(&member, type, strlen(type)) ? 3
		               : is(&member, "*/*", 3)           ? 1
		               : member.size == family + 1 && member.name[family] == '*' &&
		                               !strncasecmp(member.name, type, family)
		                       ? 2
		                       : 0;

		if (member.weight < 0 || !specific || specific < best)
			continue;
		weight = specific > best || member.weight > weight ? member.weight : weight;
		best = specific;
	}
	return weight;
}

int accept_coding(const char *header, const char *coding)
{
	bool identity = !strcmp(coding, "identity");
	int all = identity ? 1000 : 0;
	struct member member;

	if (!header)
		return all;
	while (next_member(&header, &member)) {
		if (member.weight < 0)
			continue;
		if (is(&member, coding, strlen(coding)) || (!strcmp(coding, "gzip") && is(&member, "x-gzip", 6)))
			return member.weight;
		if (is(&member, "*", 1))
			all = identity && member.weight ? 1 : member.weight;
	}
	return identity && all == 1000 ? 1 : all;
}
