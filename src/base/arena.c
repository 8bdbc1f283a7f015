#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)16384)
#define ALIGNMENT ((size_t)16)

struct arena_block {
	struct arena_block *next;
	size_t used, size; /* of bytes */
	_Alignas(16) char bytes[];
};

/* The newest block is the one that is filled; what is large has one of its own behind it. */
static struct arena_block *add_block(struct arena *arena, size_t size)
{
	size_t room = size > BLOCK_BYTES / 4 ? size : BLOCK_BYTES;
	struct arena_block *block = calloc(1, sizeof *block + room);

	if (!block)
		return NULL;
	block->size = room;
	if (arena->blocks && room == size) {
		block->next = arena->blocks->next;
		arena->blocks->next = block;
	} else {
		block->next = arena->blocks;
		arena->blocks = block;
	}
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;
	size_t need = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	char *bytes;

	if (need < size || need > SIZE_MAX / 2)
		block = NULL;
	else if (!block || need > block->size - block->used)
		block = add_block(arena, need);
	if (!block) {
		arena->failed = true;
		return NULL;
	}
	bytes = block->bytes + block->used;
	block->used += need;
	return bytes;
}

char *arena_text(struct arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = arena_alloc(arena, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *text;
	int size;

	va_start(args, format);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = size < 0 ? NULL : arena_alloc(arena, (size_t)size + 1);
	if (!text) {
		arena->failed = true;
		return NULL;
	}
	va_start(args, format);
	vsnprintf(text, (size_t)size + 1, format, args);
	va_end(args);
	return text;
}

void *arena_grow(struct arena *arena, void *items, int count, int *capacity, size_t size)
{
	int more = *capacity ? 2 * *capacity : 4;
	void *copy;

	if (count < *capacity)
		return items;
	copy = arena_alloc(arena, (size_t)more * size);
	if (!copy)
		return NULL;
	if (count)
		memcpy(copy, items, (size_t)count * size);
	*capacity = more;
	return copy;
}

void arena_release(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
	*arena = (struct arena){0};
}
