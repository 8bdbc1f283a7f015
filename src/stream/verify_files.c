#include "stream/verify_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/owned.h"
#include "lake/fetch.h"
#include "lake/files.h"
#include "stream/files.h"
#include "wire/cut.h"
#include "wire/files_list.h"

#define PIECE_BYTES ((size_t)1 << 20)

struct name {
	char *text; /* owned */
	int64_t size;
	char hash[HASH_HEX_SIZE];
	bool whole; /* taken to its end */
};

struct judging {
	struct files_place place;
	struct verification *verification;
	struct verified_lane *lane;
	void *names; /* tsearch: struct name */
	int64_t end; /* offset behind the files so far */
	int64_t last_first, last_next;
	int changed; /* files that have another size than when they were taken */
	bool no_memory;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void free_name(void *opaque)
{
	struct name *name = opaque;

	free(name->text);
	free(name);
}

static void judging_release(struct judging *judging)
{
	tdestroy(judging->names, free_name);
}

#define PROBLEM(judging, ...)                                                                                          \
	do {                                                                                                           \
		struct verified_lane *lane_ = (judging)->lane;                                                         \
                                                                                                                       \
		if (!*lane_->problem)                                                                                  \
			snprintf(lane_->problem, sizeof lane_->problem, __VA_ARGS__);                                  \
	} while (0)

/* A name of the register; one that is there already is a problem. */
static void add_name(struct judging *judging, const struct lake_file *file)
{
	struct name *name = calloc(1, sizeof *name), **found;

	if (name)
		name->text = strdup(file->name);
	found = name && name->text ? tsearch(name, &judging->names, compare_names) : NULL;
	if (!found) {
		judging->no_memory = true;
		free(name);
		return;
	}
	if (*found != name) {
		free_name(name);
		judging->lane->duplicates++;
		PROBLEM(judging, "tarn.files has %.100s twice", file->name);
		return;
	}
	name->size = file->size;
	snprintf(name->hash, sizeof name->hash, "%s", file->hash);
	name->whole = file->next_offset >= 0;
}

static void judge_file(void *opaque, const struct lake_file *file)
{
	struct judging *judging = opaque;

	if (file->first_offset != judging->end)
		PROBLEM(judging, "tarn.files has %.100s at offset %" PRId64 ", not at %" PRId64, file->name,
		        file->first_offset, judging->end);
	judging->end = file->next_offset;
	judging->last_first = file->first_offset;
	judging->last_next = file->next_offset;
	judging->verification->files_taken += file->next_offset >= 0;
	add_name(judging, file);
}

/* The lane stands at the last file's end, or within the file. */
static void judge_end(struct judging *judging)
{
	int64_t next = judging->lane->audit.next_offset;
	bool within = judging->last_next < 0 && next > judging->last_first;

	if (!within && next != judging->last_next)
		PROBLEM(judging, "the lane is at offset %" PRId64 " and tarn.files ends at %" PRId64, next,
		        judging->last_next);
}

/* ---- the files as they are now */

/* Does the file begin with all that was taken? False, too, where it cannot be read here. */
static bool has_grown(const struct judging *judging, const struct name *name, int64_t size)
{
	OWNED_FREE char *path = files_path(&judging->place, name->text);
	OWNED_FREE uint8_t *piece = malloc(PIECE_BYTES);
	struct cut_file file = {.path = name->text, .size = size};
	struct hash *hash = hash_new(NULL);
	char hex[HASH_HEX_SIZE] = "";
	OWNED_FD int fd = -1;
	int64_t at = 0;

	file.fd = fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	while (size > name->size && fd >= 0 && piece && hash && at < name->size) {
		int64_t left = name->size - at;
		size_t some = left > (int64_t)PIECE_BYTES ? PIECE_BYTES : (size_t)left;

		if (cut_read(&file, at, piece, some, NULL))
			break;
		hash_add(hash, piece, some);
		at += (int64_t)some;
	}
	if (hash && at == name->size)
		hash_hex(hash, hex);
	hash_free(hash);
	return !strcmp(hex, name->hash);
}

static void judge_size(struct judging *judging, const struct name *name, int64_t size)
{
	if (size < 0 || size == name->size)
		return;
	judging->changed++;
	if (*judging->lane->problem)
		return;
	if (has_grown(judging, name, size))
		PROBLEM(judging,
		        "%.100s has %" PRId64 " bytes, and %" PRId64
		        " when it was taken: what was added behind those is not read. Move it to a file of another "
		        "name, and this one back to its length",
		        name->text, size, name->size);
	else
		PROBLEM(judging,
		        "%.100s has %" PRId64 " bytes, and %" PRId64
		        " when it was taken: what it holds now is not read. Give that another name, and put this "
		        "one back as it was, or away",
		        name->text, size, name->size);
}

/* Also what the pattern does not match any more. A file that is gone is none: who took it may clear it away. */
static void judge_here(const void *node, VISIT visit, void *opaque)
{
	const struct name *name = *(struct name *const *)node;
	struct judging *judging = opaque;
	OWNED_FREE char *path = NULL;
	struct stat st;

	if ((visit != postorder && visit != leaf) || files_is_remote(name->text))
		return;
	path = files_path(&judging->place, name->text);
	if (!path)
		judging->no_memory = true;
	else if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		judge_size(judging, name, st.st_size);
}

static void judge_source(void *opaque, const struct listed_file *file)
{
	struct judging *judging = opaque;
	struct name wanted = {.text = (char *)(uintptr_t)file->name}, **found;

	judging->verification->files_there++;
	found = tfind(&wanted, &judging->names, compare_names);
	if (!found || !(*found)->whole)
		judging->lane->lag++;
	if (found && files_is_remote(file->name))
		judge_size(judging, *found, file->size);
}

static void add_count(struct judging *judging)
{
	char *problem = judging->lane->problem;
	size_t used = strlen(problem);

	if (judging->changed > 1)
		snprintf(problem + used, sizeof judging->lane->problem - used,
		         "; %d files have another size than when they were taken", judging->changed);
}

/* A stream that has not run has no lane yet. */
static struct verified_lane *find_lane(struct verification *verification)
{
	struct verified_lane *lane;

	for (int i = 0; i < verification->lane_count; i++)
		if (verification->lanes[i].audit.partition == 0)
			return &verification->lanes[i];
	lane = realloc(verification->lanes, (size_t)(verification->lane_count + 1) * sizeof *lane);
	if (!lane)
		return NULL;
	verification->lanes = lane;
	lane += verification->lane_count++;
	*lane = (struct verified_lane){.current = true, .low = -1, .high = -1, .lag = -1};
	lane->audit.ledger_next = -1;
	return lane;
}

static int ask_source(const struct spec_stream *spec, struct judging *judging, struct error *err)
{
	struct fetch *fetch = files_fetch(spec, err);
	struct files_remote remote;
	int failed;

	if (!fetch)
		return -1;
	files_reach(fetch, &remote);
	judging->place.remote = &remote;
	judging->lane->lag = 0;
	judging->verification->files_there = 0;
	failed = files_list(&judging->place, judge_source, judging, err);
	judging->place.remote = NULL;
	fetch_free(fetch);
	return failed;
}

int verify_files(const struct spec_stream *spec, struct lake_session *session, bool with_source,
                 struct verification *verification, struct error *err)
{
	OWNED_BY(judging_release)
	struct judging judging = {
	        .place = {.pattern = spec->source.files, .folder = spec->source.folder},
	        .verification = verification,
	};
	char topic[FILES_TOPIC_SIZE];
	struct lane_key key = {.stream = spec->name, .topic = topic};

	files_topic(spec, topic);
	if (!verification->lane_count && !with_source)
		return 0;
	judging.lane = find_lane(verification);
	if (!judging.lane)
		return error_no_memory(err);
	if (files_read(session, &key, judge_file, &judging, err))
		return -1;
	judge_end(&judging);
	twalk_r(judging.names, judge_here, &judging);
	if (with_source && ask_source(spec, &judging, err))
		return -1;
	add_count(&judging);
	return judging.no_memory ? error_no_memory(err) : 0;
}
