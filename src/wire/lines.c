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

	if (capacity > LINE_BYTES_MAX + BLOCK_BYTES)
		capacity = LINE_BYTES_MAX + BLOCK_BYTES; /* longer lines are not read */
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

/* The next line of the block: *ret_text and *ret_size. False: it is not there to its end yet. */
static bool find_line(const struct lines *lines, size_t scanned, const uint8_t **ret_text, size_t *ret_size)
{
	const uint8_t *text, *feed;
	size_t left = lines->filled - lines->from;

	if (!lines->block || !left)
		return false;
	text = lines->block->data + lines->from;
	feed = left > scanned ? memchr(text + scanned, '\n', left - scanned) : NULL;
	if (!feed && lines->read_at < lines->file.size)
		return false;
	*ret_text = text;
	*ret_size = feed ? (size_t)(feed - text) : left;
	return true;
}

/* ---- a line that is too long: quarantined alone */

/* The file's next bytes from `at` on, at most BLOCK_BYTES of them. */
static int read_piece(const struct cut_file *file, int64_t at, uint8_t *piece, int64_t *ret_size, struct error *err)
{
	*ret_size = file->size - at < (int64_t)BLOCK_BYTES ? file->size - at : (int64_t)BLOCK_BYTES;
	return cut_read(file, at, piece, (size_t)*ret_size, err);
}

/* The file's first newline from `at` on; its size where there is none. */
static int find_feed(const struct cut_file *file, int64_t at, int64_t *ret_at, struct error *err)
{
	OWNED_FREE uint8_t *piece = malloc(BLOCK_BYTES);

	if (!piece)
		return error_no_memory(err);
	for (int64_t size; at < file->size; at += size) {
		const uint8_t *feed;

		if (read_piece(file, at, piece, &size, err))
			return -1;
		feed = memchr(piece, '\n', (size_t)size);
		if (feed) {
			*ret_at = at + (feed - piece);
			return 0;
		}
	}
	*ret_at = file->size;
	return 0;
}

/* What is read ahead is let go of: reading goes on behind the line. */
static int give_long(struct lines *lines, bool skip, struct message *ret, struct error *err)
{
	struct cut_file line = lines->file;
	char reason[80];

	if (find_feed(&lines->file, lines->cut.at + (int64_t)LINE_BYTES_MAX, &line.size, err))
		return -1;
	snprintf(reason, sizeof reason, "line %lld is longer than %zu MiB", (long long)lines->line + 1,
	         LINE_BYTES_MAX >> 20);
	if (!skip && cut_broken(&line, lines->cut.at, lines->line + 1, reason, ret, err))
		return -1;
	block_release(TAKE(lines->block));
	lines->from = lines->filled = 0;
	lines->line++;
	lines->read_at = line.size < lines->file.size ? line.size + 1 : line.size;
	lines->cut.at = lines->read_at;
	return 1;
}

static int lines_next(struct cut *cut, bool skip, struct message *ret, struct error *err)
{
	struct lines *lines = (struct lines *)cut;
	const uint8_t *text = NULL;
	size_t size = 0, scanned = 0;

	*ret = (struct message){0};
	for (;;) {
		size_t left = lines->filled - lines->from, behind;
		bool found = find_line(lines, scanned, &text, &size);

		/* However much of it was read ahead by now: what is too long is the file's word alone. */
		if (found ? size > LINE_BYTES_MAX : left > LINE_BYTES_MAX)
			return give_long(lines, skip, ret, err);
		if (!found) {
			if (lines->read_at == lines->file.size)
				return 0;
			scanned = left;
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

/* ---- has its writer ended it? */

/* How far a JSON value has come: what is open, and nothing of what it says. */
struct value {
	int64_t depth; /* brackets */
	bool begun, in_text, escaped;
	bool wrong; /* neither object, list nor text, or something follows it */
};

static void value_add(struct value *value, uint8_t c)
{
	if (value->in_text) {
		value->in_text = c != '"' || value->escaped;
		value->escaped = c == '\\' && !value->escaped;
		return;
	}
	if (c == ' ' || c == '\t' || c == '\r')
		return;
	value->wrong |= value->begun ? value->depth == 0 : c != '{' && c != '[' && c != '"';
	value->begun = true;
	value->in_text = c == '"';
	value->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
}

/* Where the last line begins; -1: it is too long to be one. */
static int find_last(const struct cut_file *file, uint8_t *piece, int64_t *ret_at, struct error *err)
{
	for (int64_t at = file->size, from; at > 0; at = from) {
		const uint8_t *feed;

		from = at > (int64_t)BLOCK_BYTES ? at - (int64_t)BLOCK_BYTES : 0;
		if (file->size - at > (int64_t)LINE_BYTES_MAX) {
			*ret_at = -1;
			return 0;
		}
		if (cut_read(file, from, piece, (size_t)(at - from), err))
			return -1;
		feed = memrchr(piece, '\n', (size_t)(at - from));
		if (feed) {
			*ret_at = from + (feed - piece) + 1;
			return 0;
		}
	}
	*ret_at = 0;
	return 0;
}

static int read_value(const struct cut_file *file, int64_t at, uint8_t *piece, struct value *value, struct error *err)
{
	for (int64_t size; at < file->size; at += size) {
		if (read_piece(file, at, piece, &size, err))
			return -1;
		for (int64_t i = 0; i < size; i++)
			value_add(value, piece[i]);
	}
	return 0;
}

/* A line without a newline may be the last one, or the half of one: it is whole if it is a JSON value to its end. */
static bool lines_are_whole(void *context, const struct cut_file *file, char *why, size_t size)
{
	OWNED_FREE uint8_t *piece = malloc(BLOCK_BYTES);
	struct value value = {0};
	struct error err = {0};
	int64_t at = 0;

	if (!piece)
		error_no_memory(&err);
	if (!piece || find_last(file, piece, &at, &err) || (at >= 0 && read_value(file, at, piece, &value, &err))) {
		snprintf(why, size, "%s", err.message);
		return false;
	}
	if (at >= 0 && (!value.begun || (value.depth == 0 && !value.in_text && !value.wrong)))
		return true;
	snprintf(why, size, "its last line has no newline and is no complete JSON value: its writer has not ended it%s",
	         at < 0 || value.wrong ? ", or it lacks a newline" : "");
	return false;
}

const struct cutting cutting_lines = {.unit = "line", .is_whole = lines_are_whole, .open = lines_open};
