#include "stream/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "batch/ipc_split.h"

/* One of them is used. */
struct columns_cut {
	struct cut cut; /* first: the vtable's user holds its address */
	struct cut_file file;
	struct ipc_split *split; /* NULL: the file is broken as a whole */
	struct fetch_rows *rows;
	char broken[512]; /* why bytes cannot be read, which are given next; "": they can */
	int64_t from, to; /* those bytes */
	int64_t place; /* of the last message */
};

static int read_file(void *context, int64_t at, void *to, size_t size, struct error *err)
{
	return cut_read(context, at, to, size, err);
}

static void note_broken(struct columns_cut *cut, int64_t from, int64_t to, const char *reason)
{
	snprintf(cut->broken, sizeof cut->broken, "%s", *reason ? reason : "it cannot be read");
	cut->from = from;
	cut->to = to;
}

/* What cannot be read is a message that says why. */
static int give_broken(struct columns_cut *cut, bool skip, struct message *ret, struct error *err)
{
	struct cut_file part = cut->file;

	part.size = cut->to;
	if (!skip && cut_broken(&part, cut->from, cut->place + 1, cut->broken, ret, err))
		return -1;
	cut->place++;
	cut->broken[0] = 0;
	return 1;
}

static void columns_close(struct cut *base)
{
	struct columns_cut *cut = (struct columns_cut *)base;

	ipc_split_free(cut->split);
	fetch_rows_close(cut->rows);
	free(cut);
}

static int give(struct columns_cut *cut, uint8_t **data, size_t size, bool skip, struct message *ret, struct error *err)
{
	cut->place++;
	return skip || cut_message(data, size, cut->place, ret, err) == 0 ? 1 : -1;
}

/* ---- Arrow */

static int arrow_next(struct cut *base, bool skip, struct message *ret, struct error *err)
{
	struct columns_cut *cut = (struct columns_cut *)base;
	OWNED_FREE uint8_t *data = NULL;
	struct error why = {0};
	int64_t from, to;
	size_t size;
	int got;

	*ret = (struct message){0};
	if (*cut->broken)
		return give_broken(cut, skip, ret, err);
	if (!cut->split)
		return 0;
	got = ipc_split_next(cut->split, skip, &data, &size, &why);
	cut->cut.at = ipc_split_at(cut->split);
	if (got > 0)
		return give(cut, &data, size, skip, ret, err);
	if (got < 0 && why.kind == ERROR_CORRUPT) {
		ipc_split_bad(cut->split, &from, &to);
		note_broken(cut, from, to, why.message);
		return give_broken(cut, skip, ret, err);
	}
	if (got < 0)
		*err = why;
	return got;
}

static const struct cut_ops arrow_ops = {.next = arrow_next, .close = columns_close};

static struct columns_cut *cut_new(const struct cut_ops *ops, const struct cut_file *file, struct error *err)
{
	struct columns_cut *cut = calloc(1, sizeof *cut);

	if (!cut) {
		error_no_memory(err);
		return NULL;
	}
	cut->cut.ops = ops;
	cut->file = *file;
	return cut;
}

/* A file of which nothing can be read is one broken message; other errors may pass. */
static struct cut *opened(struct columns_cut *cut, bool failed, const struct error *why, struct error *err)
{
	if (failed && why->kind != ERROR_CORRUPT) {
		*err = *why;
		columns_close(&cut->cut);
		return NULL;
	}
	if (failed)
		note_broken(cut, 0, cut->file.size, why->message);
	return &cut->cut;
}

static struct cut *arrow_open(void *context, const struct cut_file *file, struct error *err)
{
	struct columns_cut *cut = cut_new(&arrow_ops, file, err);
	struct ipc_input input = {.size = file->size, .read = read_file};
	struct error why = {0};

	if (!cut)
		return NULL;
	input.context = &cut->file;
	cut->split = ipc_split_open(&input, &why);
	return opened(cut, !cut->split, &why, err);
}

static bool arrow_is_whole(void *context, const struct cut_file *file, char *why, size_t size)
{
	struct cut_file copy = *file;
	struct ipc_input input = {.context = &copy, .size = file->size, .read = read_file};

	return ipc_is_whole(&input, why, size);
}

const struct cutting cutting_arrow = {.unit = "batch", .is_whole = arrow_is_whole, .open = arrow_open};

/* ---- Parquet */

static int parquet_next(struct cut *base, bool skip, struct message *ret, struct error *err)
{
	struct columns_cut *cut = (struct columns_cut *)base;
	OWNED_FREE uint8_t *data = NULL;
	struct error why = {0};
	size_t size;
	int got;

	*ret = (struct message){0};
	if (*cut->broken)
		return give_broken(cut, skip, ret, err);
	if (!cut->rows)
		return 0;
	got = fetch_rows_next(cut->rows, &data, &size, &why);
	if (got > 0)
		return give(cut, &data, size, skip, ret, err);
	if (got < 0 && why.kind != ERROR_CORRUPT) {
		*err = why;
		return -1;
	}
	if (got < 0) { /* the rest of it: where in the file that is cannot be told */
		note_broken(cut, 0, cut->file.size, why.message);
		return give_broken(cut, skip, ret, err);
	}
	return 0;
}

static const struct cut_ops parquet_ops = {.next = parquet_next, .close = columns_close};

static struct cut *parquet_open(void *context, const struct cut_file *file, struct error *err)
{
	struct columns_cut *cut = cut_new(&parquet_ops, file, err);
	struct error why = {0};
	char path[64];

	if (!cut)
		return NULL;
	/* The file that was hashed, whatever its name means by now; and no character of the name is a pattern. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
	cut->rows = fetch_rows_open(context, path, &why);
	return opened(cut, !cut->rows, &why, err);
}

/* Its magic stands at both ends, the footer before the last. What does not begin with it never will be Parquet. */
static bool parquet_is_whole(void *context, const struct cut_file *file, char *why, size_t size)
{
	char first[4] = "", last[4] = "";
	struct error err;

	if (file->size >= 4 && cut_read(file, 0, first, sizeof first, &err) == 0 && memcmp(first, "PAR1", 4) != 0)
		return true;
	if (file->size >= 12 && cut_read(file, file->size - 4, last, sizeof last, &err) == 0 &&
	    !memcmp(last, "PAR1", 4))
		return true;
	snprintf(why, size, "its footer is missing: its writer has not ended it");
	return false;
}

struct cutting cutting_parquet(struct fetch *fetch)
{
	return (struct cutting){.context = fetch, .unit = "part", .is_whole = parquet_is_whole, .open = parquet_open};
}
