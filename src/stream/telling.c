#include "stream/telling.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

#define OTHERS "other reasons"

/* "line 1, byte 0: id is missing" -> "line N, byte N: id is missing" */
static void kind_of(const char *reason, char kind[TELLING_KIND_SIZE])
{
	size_t size = 0;

	for (const char *c = reason ? reason : ""; *c && size < TELLING_KIND_SIZE - 1; c++) {
		if (!isdigit((unsigned char)*c))
			kind[size++] = *c;
		else if (c == reason || !isdigit((unsigned char)c[-1]))
			kind[size++] = 'N';
	}
	kind[size] = 0;
	text_end_whole(kind);
}

static struct told_kind *find(struct telling *telling, const char *kind)
{
	struct told_kind *free_one = NULL;

	for (int i = 0; i < TELLING_KINDS; i++) {
		struct told_kind *told = &telling->kinds[i];

		if (told->messages && !strcmp(told->kind, kind))
			return told;
		if (!told->messages && !free_one)
			free_one = told;
	}
	return free_one;
}

bool telling_one(struct telling *telling, const char *reason, int64_t now_ms)
{
	char kind[TELLING_KIND_SIZE];
	struct told_kind *told;

	kind_of(reason, kind);
	told = find(telling, kind);
	if (!told || (told == &telling->kinds[TELLING_KINDS - 1] && !told->messages)) {
		told = &telling->kinds[TELLING_KINDS - 1];
		snprintf(kind, sizeof kind, OTHERS);
	}
	if (!told->messages) {
		memcpy(told->kind, kind, sizeof kind);
		told->since_ms = now_ms;
	}
	return ++told->messages <= TELLING_FIRST;
}

bool telling_rest(struct telling *telling, int64_t now_ms, bool all, char *ret_kind, int64_t *ret_untold)
{
	for (int i = 0; i < TELLING_KINDS; i++) {
		struct told_kind *told = &telling->kinds[i];
		int64_t untold = told->messages - TELLING_FIRST;

		if (!told->messages || (!all && now_ms < told->since_ms + TELLING_MS))
			continue;
		told->messages = 0;
		if (untold <= 0)
			continue;
		memcpy(ret_kind, told->kind, sizeof told->kind);
		*ret_untold = untold;
		return true;
	}
	return false;
}
