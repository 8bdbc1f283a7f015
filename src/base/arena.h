/*
 * arena.h - many small things that live and end together.
 *
 * For results that are full of short texts and lists that point at each other: nothing of them is freed for itself.
 *
 * Invariants:
 *  1. What arena_alloc gave stays where it is, and as it is, until arena_release.
 *  2. Memory is zero. Once it ran out `failed` sticks, so a series of calls is checked once; each of them may give
 * NULL.
 *
 * Life cycle: {0} -> arena_alloc... -> arena_release. One thread.
 */
#ifndef TARN_BASE_ARENA_H
#define TARN_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* owned */
	bool failed;
};

void *arena_alloc(struct arena *arena, size_t size);
char *arena_text(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for one more behind `count` items of `size` bytes: the list itself, or a copy of twice the space. NULL: none. */
void *arena_grow(struct arena *arena, void *items, int count, int *capacity, size_t size);
void arena_release(struct arena *arena);

#endif
