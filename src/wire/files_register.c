/*
 * files_register.c - the register: which offsets are which file's. What the lake has comes first; behind it may stand
 * what this process gave and did not see committed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "wire/files_private.h"

struct loading {
	struct files_source *source;
	int count; /* of the lake's files so far */
	struct error failed;
};

int64_t register_end(const struct files_source *source)
{
	const struct registered *last = source->file_count ? source->files[source->file_count - 1] : NULL;

	return last ? last->entry.next_offset : 0;
}

/* Forgets the files from `index` on: the lake has others there. Their names are new again. */
static void drop_from(struct files_source *source, int index)
{
	pthread_mutex_lock(&source->lock);
	while (source->file_count > index) {
		struct registered *file = source->files[--source->file_count];

		if (file->known->file == file) {
			file->known->file = NULL;
			file->known->state = NAME_YOUNG;
		}
		free(file);
	}
	pthread_mutex_unlock(&source->lock);
}

static int make_room(struct files_source *source)
{
	int capacity = source->file_capacity ? 2 * source->file_capacity : 64;
	struct registered **files;

	if (source->file_count < source->file_capacity)
		return 0;
	files = realloc(source->files, (size_t)capacity * sizeof(struct registered *));
	if (!files)
		return -1;
	source->files = files;
	source->file_capacity = capacity;
	return 0;
}

struct registered *register_add(struct files_source *source, const struct file_entry *entry, struct error *err)
{
	struct known_name *known = names_find(source, entry->name);
	struct registered *file = known ? calloc(1, sizeof *file) : NULL;
	int failed;

	if (!file) {
		error_no_memory(err);
		return NULL;
	}
	file->entry = *entry;
	file->entry.name = known->name;
	file->known = known;
	pthread_mutex_lock(&source->lock);
	failed = make_room(source);
	if (!failed)
		source->files[source->file_count++] = file;
	pthread_mutex_unlock(&source->lock);
	if (failed) {
		free(file);
		error_no_memory(err);
		return NULL;
	}
	known->file = file;
	known->state = NAME_TAKEN;
	return file;
}

static bool is_same(const struct file_entry *a, const struct file_entry *b)
{
	return a->number == b->number && a->size == b->size && a->first_offset == b->first_offset &&
	       !strcmp(a->name, b->name) && !strcmp(a->hash, b->hash);
}

static void load_one(void *opaque, const struct file_entry *entry)
{
	struct loading *loading = opaque;
	struct files_source *source = loading->source;
	int at = loading->count;

	if (loading->failed.kind)
		return;
	if (at < source->file_count && !is_same(&source->files[at]->entry, entry))
		drop_from(source, at);
	if (at == source->file_count && !register_add(source, entry, &loading->failed))
		return;
	pthread_mutex_lock(&source->lock);
	if (entry->next_offset >= 0)
		source->files[at]->entry.next_offset = entry->next_offset;
	pthread_mutex_unlock(&source->lock);
	loading->count++;
}

/* Each file begins where the one before it ends. */
static int check_register(const struct files_source *source, struct error *err)
{
	int64_t end = 0;

	for (int i = 0; i < source->file_count; i++) {
		const struct file_entry *entry = &source->files[i]->entry;

		if (entry->first_offset != end)
			return error_set(err, ERROR_INVALID, 0,
			                 "the lake's tarn.files has %s at offset %" PRId64 " and %" PRId64
			                 " was expected: somebody changed it; read the files as a new stream",
			                 entry->name, entry->first_offset, end);
		end = entry->next_offset;
	}
	return 0;
}

int register_load(struct files_source *source, struct error *err)
{
	struct loading loading = {.source = source};

	if (source->config.load(source->config.context, load_one, &loading, err))
		return -1;
	if (loading.failed.kind) {
		*err = loading.failed;
		return -1;
	}
	return check_register(source, err);
}

int register_find(const struct files_source *source, int64_t offset, struct error *err)
{
	int low = 0, high = source->file_count;

	while (low < high) { /* the last file that begins at or before the offset */
		int middle = low + (high - low) / 2;

		if (source->files[middle]->entry.first_offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 && offset == 0)
		return 0;
	if (low &&
	    (source->files[low - 1]->entry.next_offset < 0 || offset < source->files[low - 1]->entry.next_offset))
		return low - 1;
	if (low == source->file_count && low && offset == source->files[low - 1]->entry.next_offset)
		return low;
	return error_set(err, ERROR_INVALID, 0,
	                 "the lake is at offset %" PRId64 " and its tarn.files ends at %" PRId64
	                 ": somebody changed it; read the files as a new stream",
	                 offset, register_end(source));
}

int files_between(struct source *base, int64_t from, int64_t to, struct file_entry **ret, int *ret_count,
                  struct error *err)
{
	struct files_source *source = (struct files_source *)base;
	struct file_entry *entries;
	int count = 0, first;

	pthread_mutex_lock(&source->lock);
	/* From behind: a commit is near the register's end. */
	for (first = source->file_count; first > 0 && (source->files[first - 1]->entry.next_offset < 0 ||
	                                               source->files[first - 1]->entry.next_offset > from);)
		first--;
	entries = calloc((size_t)(source->file_count - first) + 1, sizeof *entries);
	for (int i = first; entries && i < source->file_count; i++) {
		const struct file_entry *entry = &source->files[i]->entry;
		bool ends = entry->next_offset >= 0 && entry->next_offset <= to;

		if (entry->first_offset >= to || (entry->first_offset < from && !ends))
			continue;
		entries[count] = *entry;
		if (!ends)
			entries[count].next_offset = -1;
		count++;
	}
	pthread_mutex_unlock(&source->lock);
	if (!entries)
		return error_no_memory(err);
	*ret = entries;
	*ret_count = count;
	return 0;
}

void register_release(struct files_source *source)
{
	for (int i = 0; i < source->file_count; i++)
		free(source->files[i]);
	free(source->files);
}
