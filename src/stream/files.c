#include "stream/files.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/owned.h"
#include "lake/fetch.h"
#include "lake/files.h"
#include "stream/cut.h"
#include "wire/files.h"

#define STAND_BY_MS 30000
#define ASK_MS 5000

struct stream_files {
	struct fetch *fetch;
	struct files_remote remote;
	struct cutting cutting;
	/* Standing by: the lane as it was when it was last seen to move. */
	int64_t seen_epoch, seen_offset, seen_ms, asked_ms;
};

void files_topic(const struct spec_stream *spec, char topic[FILES_TOPIC_SIZE])
{
	snprintf(topic, FILES_TOPIC_SIZE, "files:%s", spec->name);
}

/* ---- the register */

struct loading {
	files_loaded *add;
	void *list;
};

static void load_one(void *opaque, const struct lake_file *file)
{
	struct loading *loading = opaque;
	struct file_entry entry = {
	        .number = file->number,
	        .name = file->name,
	        .size = file->size,
	        .modified_ms = file->modified_ms,
	        .first_offset = file->first_offset,
	        .next_offset = file->next_offset,
	};

	snprintf(entry.hash, sizeof entry.hash, "%s", file->hash);
	loading->add(loading->list, &entry);
}

static int load(void *context, files_loaded *add, void *list, struct error *err)
{
	struct stream *stream = context;
	struct loading loading = {.add = add, .list = list};

	if (fault_error(FAULT_FILES_LOAD, err) || files_create(stream->claims, err))
		return -1;
	return files_read(stream->claims, &stream->key, load_one, &loading, err);
}

int files_register(struct stream *stream, const struct ledger_row *rows, int count, int64_t *ret_files,
                   int64_t *ret_bytes, struct error *err)
{
	OWNED_FREE struct file_entry *entries = NULL;
	OWNED_FREE struct lake_file *files = NULL;

	if (!stream->files || !count)
		return 0;
	if (files_between(stream->source, rows->from_offset, rows->next_offset, &entries, &count, err))
		return -1;
	files = calloc((size_t)count + 1, sizeof *files);
	if (!files)
		return error_no_memory(err);
	for (int i = 0; i < count; i++) {
		const struct file_entry *entry = &entries[i];

		files[i] = (struct lake_file){
		        .number = entry->number,
		        .name = entry->name,
		        .size = entry->size,
		        .modified_ms = entry->modified_ms,
		        .hash = entry->hash,
		        .first_offset = entry->first_offset,
		        .next_offset = entry->next_offset,
		};
		*ret_files += entry->next_offset >= 0;
		*ret_bytes += entry->next_offset >= 0 ? entry->size : 0;
	}
	return files_append(stream->session, &stream->key, files, count, err);
}

/* ---- files elsewhere */

struct listing {
	files_found *found;
	void *list;
};

static void list_one(void *opaque, const char *name, int64_t size, int64_t modified_ms)
{
	struct listing *listing = opaque;
	struct listed_file file = {.name = name, .size = size, .modified_ms = modified_ms};

	if (!files_is_temporary(name))
		listing->found(listing->list, &file);
}

static int list_remote(void *context, const char *pattern, files_found *found, void *list, struct error *err)
{
	struct listing listing = {.found = found, .list = list};

	return fetch_list(context, pattern, list_one, &listing, err);
}

static int fetch_remote(void *context, const char *name, char **ret_path, struct error *err)
{
	return fetch_copy(context, name, ret_path, err);
}

static void drop_remote(void *context)
{
	fetch_drop(context);
}

void files_reach(struct fetch *fetch, struct files_remote *ret_remote)
{
	*ret_remote = (struct files_remote){
	        .context = fetch, .list = list_remote, .fetch = fetch_remote, .drop = drop_remote};
}

struct fetch *files_fetch(const struct spec_stream *spec, struct error *err)
{
	struct fetch_options options = {.memory_bytes = spec->memory_bytes / 4, .catalog = spec->catalog};

	return fetch_new(&options, err);
}

/* ---- who reads */

bool files_may_claim(struct stream *stream, const struct lane *lane)
{
	struct stream_files *files = stream->files;
	struct lake_lane now = {0};
	int64_t ms = clock_monotonic_ms();
	struct error ignored;

	if (stream->finish)
		return true;
	if (ms < files->asked_ms + ASK_MS)
		return false;
	files->asked_ms = ms;
	if (lanes_read(stream->claims, &stream->key, &lane->lake, 1, &now, &ignored))
		return false;
	if (now.epoch != files->seen_epoch || now.next_offset != files->seen_offset) {
		files->seen_epoch = now.epoch;
		files->seen_offset = now.next_offset;
		files->seen_ms = ms;
	}
	return ms >= files->seen_ms + STAND_BY_MS;
}

/* ---- life */

int files_open(struct stream *stream, struct error *err)
{
	const struct spec_stream *spec = stream->spec;
	struct source_events events = {.context = stream};
	struct files_config config = {
	        .place = {.pattern = spec->source.files, .folder = spec->source.folder},
	        .stream_name = spec->name,
	        .settle_ms = spec->source.settle_ms,
	        .poll_ms = spec->source.poll_ms,
	        .context = stream,
	        .load = load,
	};

	stream->files = calloc(1, sizeof *stream->files);
	if (!stream->files)
		return error_no_memory(err);
	stream->files->fetch = files_fetch(spec, err);
	if (!stream->files->fetch)
		return -1;
	files_reach(stream->files->fetch, &stream->files->remote);
	stream->files->cutting = spec->format == FORMAT_JSON    ? cutting_lines
	                         : spec->format == FORMAT_ARROW ? cutting_arrow
	                                                        : cutting_parquet(stream->files->fetch);
	config.place.remote = &stream->files->remote;
	config.cutting = &stream->files->cutting;
	stream_events(stream, &events);
	stream->source = source_open_files(&config, &events, err);
	return stream->source ? 0 : -1;
}

void files_free(struct stream *stream)
{
	if (stream->files)
		fetch_free(stream->files->fetch);
	free(stream->files);
	stream->files = NULL;
}
