#include "stream/verify_files.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "lake/fetch.h"
#include "lake/files.h"
#include "stream/files.h"
#include "wire/files_list.h"

struct name {
	char *text; /* owned */
	int64_t size;
	bool whole; /* taken to its end */
};

struct judging {
	struct verification *verification;
	struct verified_lane *lane;
	void *names; /* tsearch: struct name */
	int64_t end; /* offset behind the files so far */
	int64_t last_first, last_next;
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

static void judge_source(void *opaque, const struct listed_file *file)
{
	struct judging *judging = opaque;
	struct name wanted = {.text = (char *)(uintptr_t)file->name}, **found;

	judging->verification->files_there++;
	found = tfind(&wanted, &judging->names, compare_names);
	if (!found || !(*found)->whole)
		judging->lane->lag++;
	if (found && file->size != (*found)->size)
		PROBLEM(judging, "%.100s has %" PRId64 " bytes, and %" PRId64 " when it was taken", file->name,
		        file->size, (*found)->size);
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
	struct files_place place = {.pattern = spec->source.files, .folder = spec->source.folder};
	struct fetch *fetch = files_fetch(spec, err);
	struct files_remote remote;
	int failed;

	if (!fetch)
		return -1;
	files_reach(fetch, &remote);
	place.remote = &remote;
	judging->lane->lag = 0;
	judging->verification->files_there = 0;
	failed = files_list(&place, judge_source, judging, err);
	fetch_free(fetch);
	return failed;
}

int verify_files(const struct spec_stream *spec, struct lake_session *session, bool with_source,
                 struct verification *verification, struct error *err)
{
	OWNED_BY(judging_release) struct judging judging = {.verification = verification};
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
	if (with_source && ask_source(spec, &judging, err))
		return -1;
	return judging.no_memory ? error_no_memory(err) : 0;
}
