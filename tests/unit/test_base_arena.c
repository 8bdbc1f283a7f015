/* base/arena.h: many small things that end together. */
#include "check.h"

#include <stdint.h>

#include "base/arena.h"

static void things_stay_where_they_are_and_are_zero(void)
{
	struct arena arena = {0};
	char *texts[1000];

	for (int i = 0; i < 1000; i++) {
		int *number = arena_alloc(&arena, (size_t)(1 + i % 97) * sizeof *number);

		CHECK(number && !*number && !number[i % 97] && !((uintptr_t)number % 16));
		memset(number, 0xff, (size_t)(1 + i % 97) * sizeof *number);
		texts[i] = arena_printf(&arena, "text %d", i);
	}
	for (int i = 0; i < 1000; i++)
		CHECK_INT(atoi(texts[i] + 5), i);
	CHECK(!arena.failed);
	arena_release(&arena);
	CHECK(!arena.blocks);
}

static void what_is_large_has_room(void)
{
	struct arena arena = {0};
	char *small = arena_text(&arena, "small"), *large = arena_alloc(&arena, 1 << 20), *next;

	CHECK(small && large && !large[0] && !large[(1 << 20) - 1]);
	memset(large, 'x', 1 << 20);
	next = arena_text(&arena, "next");
	CHECK_TEXT(small, "small");
	CHECK_TEXT(next, "next");
	CHECK(next - small < 64); /* in what was left of the block */
	arena_release(&arena);
}

static void a_list_grows(void)
{
	struct arena arena = {0};
	int *list = NULL, capacity = 0;

	for (int i = 0; i < 100; i++) {
		list = arena_grow(&arena, list, i, &capacity, sizeof *list);
		CHECK(list != NULL);
		list[i] = i;
	}
	for (int i = 0; i < 100; i++)
		CHECK_INT(list[i], i);
	CHECK_INT(capacity, 128);
	arena_release(&arena);
}

static void memory_that_runs_out_is_remembered(void)
{
	struct arena arena = {0};

	CHECK(!arena_alloc(&arena, SIZE_MAX));
	CHECK(arena.failed);
	CHECK(!arena_alloc(&arena, SIZE_MAX / 2 + 1));
	CHECK(arena_alloc(&arena, 1));
	CHECK(arena.failed);
	arena_release(&arena);
	CHECK(!arena.failed);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(things_stay_where_they_are_and_are_zero), TEST(what_is_large_has_room),
	                  TEST(a_list_grows), TEST(memory_that_runs_out_is_remembered));
}
