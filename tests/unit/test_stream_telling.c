/* Which quarantined messages are told one by one, and that none is forgotten by the count of the others. */
#include "check.h"

#include "stream/telling.h"

static struct telling telling;
static char kind[TELLING_KIND_SIZE];

static int told(const char *reason, int messages, int64_t now_ms)
{
	int count = 0;

	for (int i = 0; i < messages; i++)
		count += telling_one(&telling, reason, now_ms);
	return count;
}

static void first_of_each_kind(void)
{
	int64_t untold = 0;

	telling = (struct telling){0};
	CHECK_INT(told("line 1, byte 20: id is missing", 4, 0), 4);
	CHECK_INT(told("line 7, byte 3: id is missing", 100, 10), 1);
	CHECK_INT(told("a tombstone", 5, 20), 5);
	CHECK(!telling_rest(&telling, TELLING_MS - 1, false, kind, &untold));
	CHECK(telling_rest(&telling, TELLING_MS + 30, false, kind, &untold));
	CHECK_TEXT(kind, "line N, byte N: id is missing");
	CHECK_INT(untold, 99);
	/* Of the tombstones all were told. */
	CHECK(!telling_rest(&telling, TELLING_MS + 30, false, kind, &untold));
	/* Its time starts over. */
	CHECK_INT(told("line 1, byte 20: id is missing", 9, TELLING_MS + 30), 5);
	CHECK(!telling_rest(&telling, TELLING_MS + 40, false, kind, &untold));
	CHECK(telling_rest(&telling, TELLING_MS + 40, true, kind, &untold));
	CHECK_INT(untold, 4);
	CHECK(!telling_rest(&telling, TELLING_MS + 40, true, kind, &untold));
}

static void more_kinds_than_places(void)
{
	int64_t untold = 0, all = 0, counted = 0;
	bool others = false;

	telling = (struct telling){0};
	for (int i = 0; i < 60; i++) {
		char reason[300];

		memset(reason, 0, sizeof reason);
		memset(reason, 'a' + i % 26, (size_t)(1 + i / 26));
		counted += told(reason, 10, 0);
	}
	while (telling_rest(&telling, 0, true, kind, &untold)) {
		all += untold;
		others |= !strcmp(kind, "other reasons");
	}
	CHECK_INT(counted, TELLING_KINDS * TELLING_FIRST);
	CHECK_INT(all + counted, 600);
	CHECK(others);
}

static void long_reasons(void)
{
	char reason[400] = "";
	int64_t untold = 0;

	telling = (struct telling){0};
	memset(reason, 'x', TELLING_KIND_SIZE - 2);
	strcat(reason, "ää 12");
	CHECK_INT(told(reason, 7, 0), 5);
	CHECK(telling_rest(&telling, 0, true, kind, &untold));
	CHECK_INT(strlen(kind), TELLING_KIND_SIZE - 2); /* without half a character */
	CHECK_INT(told(NULL, 1, 0), 1);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(first_of_each_kind), TEST(more_kinds_than_places), TEST(long_reasons));
}
