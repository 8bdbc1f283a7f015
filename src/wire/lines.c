/*
 * lines.c - a text file as its lines, which lie in blocks that were read ahead: a block is used again once every line
 * in it is released.
 *
 * Not mmapped: a file that another program truncates would kill this one (SIGBUS), and what is in flight could not be
 * told from what the kernel keeps. The copy costs a twentieth of what taking a line apart does.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "wire/cut.h"

#define BLOCK_BYTES ((size_t)1 << 20)
#define LINE_BYTES_MAX ((size_t)64 << 20)

struct block {
	atomic_int references;
	size_t capacity;
	uint8_t data[];
};

struct lines {
	struct cut cut;
	struct cut_file file;
	struct block *block; /* NULL: nothing was read */
	size_t from, filled; /* of its bytes: not given yet, and there */
	int64_t read_at; /* of the file: what the next read begins with */
	int64_t line; /* the last one given */
	bool broken; /* the rest was given */
};

static void block_release(struct block *block)
{
	if (block && atomic_fetch_sub(&block->references, 1) == 1)
		free(block);
}

static void release_line(struct message *message)
{
	block_release(message->owner);
}

/* Room behind the bytes that are left over, in this block or, where somebody still reads it, in a new one. */
static int make_room(struct lines *lines, struct error *err)
{
	size_t left = lines->filled - lines->from;
	struct block *block = lines->block;
	size_t capacity = left * 2 > BLOCK_BYTES ? left * 2 : BLOCK_BYTES;

	if (!block || atomic_load(&block->references) > 1 || left >= block->capacity) {
		block = malloc(sizeof *block + capacity);
		if (!block)
			return error_no_memory(err);
		atomic_init(&block->references, 1);
		block->capacity = capacity;
		if (lines->block)
			memcpy(block->data, lines->block->data + lines->from, left);
		block_release(lines->block);
		lines->block = block;
	} else if (lines->from) {
		memmove(block->data, block->data + lines->from, left);
	}
	lines->from = 0;
	lines->filled = left;
	return 0;
}

/* More bytes of the file. */
static int fill(struct lines *lines, struct error *err)
{
	int64_t left = lines->file.size - lines->read_at;
	size_t room;

	if (make_room(lines, err))
		return -1;
	room = lines->block->capacity - lines->filled;
	if ((int64_t)room > left)
		room = (size_t)left;
	if (cut_read(&lines->file, lines->read_at, lines->block->data + lines->filled, room, err))
		return -1;
	lines->read_at += (int64_t)room;
	lines->filled += room;
	return 0;
}

static bool is_blank(const uint8_t *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
			return false;
	return true;
}

static void give(struct lines *lines, const uint8_t *text, size_t size, struct message *ret)
{
	if (size && text[size - 1] == '\r')
		size--;
	atomic_fetch_add(&lines->block->references, 1);
	*ret = (struct message){
	        .payload = text, .size = size, .place = lines->line, .owner = lines->block, .release = release_line};
}

/* The next line of the block. 1: *ret_text and *ret_size; 0: it is not there to its end yet. */
static int find_line(const struct lines *lines, size_t scanned, const uint8_t **ret_text, size_t *ret_size)
{
	const uint8_t *text, *feed;
	size_t left = lines->filled - lines->from;

	if (!lines->block || !left)
		return 0;
	text = lines->block->data + lines->from;
	feed = left > scanned ? memchr(text + scanned, '\n', left - scanned) : NULL;
	if (!feed && lines->read_at < lines->file.size)
		return 0;
	*ret_text = text;
	*ret_size = feed ? (size_t)(feed - text) : left;
	return 1;
}

static int give_broken(struct lines *lines, struct message *ret, struct error *err)
{
	char reason[120];

	snprintf(reason, sizeof reason, "line %lld is longer than %zu MiB: it and what follows was not read",
	         (long long)lines->line + 1, LINE_BYTES_MAX >> 20);
	if (cut_broken(&lines->file, lines->cut.at, lines->line + 1, reason, ret, err))
		return -1;
	lines->broken = true;
	return 1;
}

static int lines_next(struct cut *cut, bool skip, struct message *ret, struct error *err)
{
	struct lines *lines = (struct lines *)cut;
	const uint8_t *text = NULL;
	size_t size = 0, scanned = 0;

	*ret = (struct message){0};
	while (!lines->broken) {
		size_t left = lines->filled - lines->from, behind;

		if (!find_line(lines, scanned, &text, &size)) {
			if (lines->read_at == lines->file.size)
				return 0;
			scanned = left;
			if (left > LINE_BYTES_MAX)
				return give_broken(lines, ret, err);
			if (fill(lines, err))
				return -1;
			continue;
		}
		scanned = 0;
		behind = size < left ? size + 1 : size;
		lines->from += behind;
		lines->cut.at += (int64_t)behind;
		lines->line++;
		if (is_blank(text, size))
			continue;
		if (!skip)
			give(lines, text, size, ret);
		return 1;
	}
	return 0;
}

static void lines_close(struct cut *cut)
{
	struct lines *lines = (struct lines *)cut;

	block_release(lines->block);
	free(lines);
}

static const struct cut_ops lines_ops = {.next = lines_next, .close = lines_close};

static struct cut *lines_open(void *context, const struct cut_file *file, struct error *err)
{
	struct lines *lines = calloc(1, sizeof *lines);

	if (!lines) {
		error_no_memory(err);
		return NULL;
	}
	*lines = (struct lines){.cut = {.ops = &lines_ops}, .file = *file};
	return &lines->cut;
}

const struct cutting cutting_lines = {.unit = "line", .open = lines_open};
