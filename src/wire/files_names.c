/*
 * files_names.c - the names that a listing finds: which of them are new and whole, which wait, which have other content
 * than the file that was taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "wire/files_private.h"
#include "wire/headers.h"

#define SAY_AFTER_MS 30000 /* a file waits without a word for so long */
#define FROZEN_PATIENCE_MS 60000 /* for files that are still written to */
#define FROZEN_LOOK_MS 100

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct known_name *)a)->name, ((const struct known_name *)b)->name);
}

struct known_name *names_find(struct files_source *source, const char *name)
{
	struct known_name wanted = {.name = (char *)(uintptr_t)name}, *known;
	void *at = tfind(&wanted, &source->names, compare_names);

	if (at)
		return *(struct known_name **)at;
	known = calloc(1, sizeof *known);
	if (known)
		known->name = strdup(name);
	if (!known || !known->name || !tsearch(known, &source->names, compare_names)) {
		if (known)
			free(known->name);
		free(known);
		return NULL;
	}
	known->size = known->modified_ms = -2; /* no file's */
	known->listing = source->listing;
	return known;
}

static void free_name(void *opaque)
{
	struct known_name *known = opaque;

	free(known->name);
	free(known);
}

void names_release(struct files_source *source)
{
	tdestroy(source->names, free_name);
	free(source->queue);
}

/* ---- the queue */

int names_queue(struct files_source *source, struct known_name *known)
{
	if (source->queue_at == source->queue_count)
		source->queue_at = source->queue_count = 0;
	if (source->queue_count == source->queue_capacity) {
		int capacity = source->queue_capacity ? 2 * source->queue_capacity : 64;
		struct known_name **queue = realloc(source->queue, (size_t)capacity * sizeof(struct known_name *));

		if (!queue)
			return -1;
		source->queue = queue;
		source->queue_capacity = capacity;
	}
	source->queue[source->queue_count++] = known;
	return 0;
}

struct known_name *names_next(struct files_source *source)
{
	return source->queue_at < source->queue_count ? source->queue[source->queue_at++] : NULL;
}

/* ---- what is said */

static void say_waiting(struct files_source *source, struct known_name *known)
{
	if (known->said)
		return;
	known->said = true;
	log_event(EVENT_FILE_WAITING,
	          FIELDS(LOG_TEXT("stream", source->config.stream_name), LOG_TEXT("file", known->name),
	                 LOG_TEXT("reason", known->why)),
	          "%s is not taken: %s", known->name, known->why);
}

void names_changed(struct files_source *source, struct known_name *known, const char *how)
{
	bool said = known->state == NAME_CHANGED;

	known->state = NAME_CHANGED;
	if (said)
		return;
	metric_add(source->metrics, METRIC_FILES_CHANGED, 1);
	log_event(EVENT_FILE_CHANGED,
	          FIELDS(LOG_TEXT("stream", source->config.stream_name), LOG_TEXT("file", known->name)),
	          "%s %s after it was taken: what it holds now is not read; give it another name", known->name, how);
}

/* ---- one file of a listing */

/* A name of the register. */
static void notice_taken(struct files_source *source, struct known_name *known, const struct listed_file *file)
{
	const struct file_entry *entry = &known->file->entry;

	/* What is read to its end only later is compared where it is opened again, and at its end. */
	if (known->state == NAME_CHANGED || entry->next_offset < 0 || file->size < 0)
		return;
	if (file->size != entry->size)
		names_changed(source, known, "has another size");
	else if (file->modified_ms != entry->modified_ms && names_queue(source, known))
		error_no_memory(&source->failed);
}

/* The file's own word on whether it is whole; what is elsewhere appears whole. */
static enum name_state judge_whole(struct files_source *source, struct known_name *known)
{
	const struct cutting *cutting = source->config.cutting;
	OWNED_FREE char *path = files_path(&source->config.place, known->name);
	OWNED_FD int fd = -1;
	struct cut_file bytes = {.size = known->size, .path = path};

	if (files_is_remote(known->name))
		return NAME_QUEUED;
	bytes.fd = fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (fd < 0) {
		snprintf(known->why, sizeof known->why, "it cannot be opened: %s", strerror(errno));
		return NAME_UNREADABLE;
	}
	if (!cutting->is_whole || cutting->is_whole(cutting->context, &bytes, known->why, sizeof known->why))
		return NAME_QUEUED;
	return NAME_PART;
}

/* A name that is not registered. */
static void notice_new(struct files_source *source, struct known_name *known, const struct listed_file *file)
{
	int64_t now = clock_monotonic_ms(), age_ms = clock_wall_ms() - file->modified_ms;

	if (file->size < 0 || !headers_is_utf8(known->name, strlen(known->name))) {
		snprintf(known->why, sizeof known->why,
		         file->size < 0 ? "it cannot be looked at" : "its name is not UTF-8");
		known->state = NAME_UNREADABLE;
	} else if (!files_is_settled(source->config.settle_ms, age_ms, now - known->since_ms)) {
		known->state = NAME_YOUNG;
		source->young++;
		return;
	} else {
		known->state = judge_whole(source, known);
	}
	if (known->state == NAME_QUEUED && names_queue(source, known))
		error_no_memory(&source->failed);
	if (known->state != NAME_QUEUED &&
	    (source->frozen || known->state == NAME_UNREADABLE || now - known->since_ms > SAY_AFTER_MS))
		say_waiting(source, known);
}

static void notice(void *opaque, const struct listed_file *file)
{
	struct files_source *source = opaque;
	struct known_name *known = names_find(source, file->name);

	if (!known) {
		error_no_memory(&source->failed);
		return;
	}
	if (known->size != file->size || known->modified_ms != file->modified_ms) {
		known->size = file->size;
		known->modified_ms = file->modified_ms;
		known->since_ms = clock_monotonic_ms();
	}
	source->said_nothing = true;
	if (known->file) {
		notice_taken(source, known, file);
	} else if (!source->frozen_listing || known->listing <= source->frozen_listing) {
		pthread_mutex_lock(&source->lock);
		source->progress.waiting++;
		source->progress.files++;
		source->progress.bytes += file->size > 0 ? file->size : 0;
		pthread_mutex_unlock(&source->lock);
		notice_new(source, known, file);
	}
}

/* ---- a listing */

static void plan_next(struct files_source *source)
{
	int64_t wait_ms = source->config.poll_ms;

	/* A file that settles is looked at again when it may have. */
	if (source->young && source->config.settle_ms < wait_ms)
		wait_ms = source->config.settle_ms < FROZEN_LOOK_MS ? FROZEN_LOOK_MS : source->config.settle_ms;
	if (source->young && source->frozen)
		wait_ms = FROZEN_LOOK_MS;
	source->due_ms = clock_monotonic_ms() + wait_ms;
}

void names_settle(struct files_source *source)
{
	int64_t due_ms = source->due_ms;

	source->young++;
	plan_next(source);
	if (due_ms < source->due_ms)
		source->due_ms = due_ms;
}

int names_look(struct files_source *source, struct error *err)
{
	bool begins = source->frozen && !source->frozen_listing;

	source->listing++;
	source->young = 0;
	source->failed = (struct error){0};
	pthread_mutex_lock(&source->lock);
	/* Nothing is queued or at hand: all that is known of this run's files was read. */
	source->progress.waiting = 0;
	source->progress.files = source->progress.files_read;
	source->progress.bytes = source->progress.bytes_read;
	pthread_mutex_unlock(&source->lock);
	if (files_list(&source->config.place, notice, source, err))
		return -1;
	if (source->failed.kind) {
		*err = source->failed;
		return -1;
	}
	if (begins)
		source->frozen_listing = source->listing;
	if (!source->said_nothing) {
		source->said_nothing = true;
		log_event(EVENT_FILE_NONE, FIELDS(LOG_TEXT("stream", source->config.stream_name)),
		          "no file matches %s yet", source->config.place.pattern);
	}
	plan_next(source);
	return 0;
}

/* What was young to the end of the patience, too, is told of. */
static void say_young(const void *node, VISIT visit, void *opaque)
{
	struct known_name *known = *(struct known_name *const *)node;

	if ((visit != postorder && visit != leaf) || known->state != NAME_YOUNG || known->file)
		return;
	snprintf(known->why, sizeof known->why, "it is still written to");
	say_waiting(opaque, known);
}

bool names_are_done(struct files_source *source)
{
	if (!source->frozen_listing || source->queue_at < source->queue_count)
		return false;
	if (!source->young)
		return true;
	if (clock_monotonic_ms() - source->frozen_ms < FROZEN_PATIENCE_MS + source->config.settle_ms)
		return false;
	twalk_r(source->names, say_young, source);
	return true;
}

static void find_unread(const void *node, VISIT visit, void *opaque)
{
	const struct known_name *known = *(struct known_name *const *)node, **unread = opaque;

	if ((visit == postorder || visit == leaf) && known->state == NAME_UNREADABLE && !*unread)
		*unread = known;
}

int files_unread(struct source *base, struct error *err)
{
	const struct files_source *source = (struct files_source *)base;
	const struct known_name *unread = NULL;

	if (source->frozen)
		twalk_r(source->names, find_unread, &unread);
	if (!unread)
		return 0;
	return error_set(err, ERROR_INVALID, 0, "%s was not read: %s; what could be read is committed", unread->name,
	                 unread->why);
}
