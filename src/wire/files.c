#include "wire/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"
#include "wire/files_private.h"

static struct files_source *of(struct source *source)
{
	return (struct files_source *)source;
}

/* ---- where to go on */

/* The register as the lake has it, and the file that holds the offset. */
static int start_at(struct files_source *source, int64_t offset, struct error *err)
{
	int index;

	hand_close(source);
	source->told = -1;
	source->due_ms = 0; /* a file that was at hand, or that the lake knows nothing of, comes back by a listing */
	if (register_load(source, err) || (index = register_find(source, offset, err)) < 0)
		return -1;
	pthread_mutex_lock(&source->lock);
	source->position = offset;
	pthread_mutex_unlock(&source->lock);
	source->next_file = index;
	return 0;
}

static int assign(struct files_source *source, struct error *err)
{
	struct source_start start = {.partition = 0, .offset = -1};

	if (source->events.assigned(source->events.context, &start, 1, err))
		return -1;
	if (start.offset >= 0 && start_at(source, start.offset, err))
		return -1;
	source->assigned = true;
	return 0;
}

/* ---- polling */

/* What is registered already is read again before anything new. */
static int begin_next(struct files_source *source, struct error *err)
{
	struct known_name *known;

	if (source->next_file < source->file_count) {
		struct registered *file = source->files[source->next_file];

		if (hand_go_on(source, file, source->position - file->entry.first_offset, err))
			return -1;
		source->next_file++;
		return 1;
	}
	known = names_next(source);
	if (!known)
		return 0;
	return hand_take(source, known, known->file ? TO_COMPARE : TO_TAKE, err) ? -1 : 1;
}

/* Nothing is to be read now. */
static enum poll_result rest(struct files_source *source, int64_t until_ms, struct message *ret)
{
	int64_t wait_ms = (until_ms < source->due_ms ? until_ms : source->due_ms) - clock_monotonic_ms();

	if (source->told < source->position && (!source->frozen || names_are_done(source))) {
		source->told = source->position;
		*ret = (struct message){.partition = 0, .offset = source->position, .timestamp_ms = -1};
		return POLL_LANE_END;
	}
	if (wait_ms > 0)
		clock_sleep_ms(wait_ms);
	return POLL_NOTHING;
}

/* A step towards the next message. 1: go on; 0: there is nothing to do; -1: *err. */
static int step(struct files_source *source, struct error *err)
{
	int begun;

	if (source->at.work != WORK_NONE)
		return hand_step(source, err) ? -1 : 1;
	begun = begin_next(source, err);
	if (begun)
		return begun;
	if (clock_monotonic_ms() < source->due_ms)
		return 0;
	/* The first file at once: a listing between its failures would look like a reader without trouble. */
	return names_look(source, err) ? -1 : begin_next(source, err);
}

static enum poll_result files_poll(struct source *base, int timeout_ms, struct message *ret, struct error *err)
{
	struct files_source *source = of(base);
	int64_t until_ms = clock_monotonic_ms() + timeout_ms;
	int64_t skipped = 0;

	if (!source->assigned && assign(source, err))
		return POLL_ERROR;
	if (source->paused) {
		clock_sleep_ms(timeout_ms);
		return POLL_NOTHING;
	}
	for (;;) {
		bool was_cut = source->at.work == WORK_CUT;
		int done = was_cut ? hand_next(source, ret, err) : step(source, err);

		if (done < 0)
			return POLL_ERROR;
		if (was_cut && done)
			return POLL_MESSAGE;
		if (was_cut && source->at.work == WORK_CUT && ++skipped % 1024)
			continue;
		if (!was_cut && !done)
			return rest(source, until_ms, ret);
		if (clock_monotonic_ms() >= until_ms)
			return POLL_NOTHING;
	}
}

/* ---- what else a source answers */

static int files_pause(struct source *base, int32_t partition, struct error *err)
{
	of(base)->paused = true;
	return 0;
}

static int files_resume(struct source *base, int32_t partition, struct error *err)
{
	of(base)->paused = false;
	return 0;
}

static int files_seek(struct source *base, int32_t partition, int64_t offset, struct error *err)
{
	return start_at(of(base), offset, err);
}

static int files_watermarks(struct source *base, int32_t partition, int64_t *ret_low, int64_t *ret_high,
                            struct error *err)
{
	*ret_low = 0;
	*ret_high = of(base)->position;
	return 0;
}

static int64_t files_cached_high(struct source *base, int32_t partition)
{
	struct files_source *source = of(base);
	int64_t position;

	pthread_mutex_lock(&source->lock);
	position = source->position;
	pthread_mutex_unlock(&source->lock);
	return position;
}

static int files_partition_count(struct source *base, int32_t *ret_count, struct error *err)
{
	*ret_count = 1;
	return 0;
}

static int files_topic_id(struct source *base, char *id, size_t size, struct error *err)
{
	snprintf(id, size, "files");
	return 0;
}

static void files_store_hint(struct source *base, int32_t partition, int64_t next_offset)
{
}

/* What is there now is listed by the next poll, and told of again. */
static int files_freeze(struct source *base, struct error *err)
{
	struct files_source *source = of(base);

	source->frozen = true;
	source->frozen_listing = 0;
	source->frozen_ms = clock_monotonic_ms();
	source->due_ms = 0;
	source->told = -1;
	return 0;
}

void files_progress(struct source *base, struct files_progress *ret)
{
	struct files_source *source = of(base);

	pthread_mutex_lock(&source->lock);
	*ret = source->progress;
	ret->bytes_read += source->bytes_at_hand;
	pthread_mutex_unlock(&source->lock);
	if (ret->bytes_read > ret->bytes)
		ret->bytes = ret->bytes_read;
}

static void files_close(struct source *base)
{
	struct files_source *source = of(base);
	int32_t partition = 0;

	if (source->assigned)
		source->events.revoked(source->events.context, &partition, 1, false);
	hand_close(source);
	register_release(source);
	names_release(source);
	pthread_mutex_destroy(&source->lock);
	free(source);
}

static const struct source_ops files_ops = {
        .poll = files_poll,
        .pause = files_pause,
        .resume = files_resume,
        .seek = files_seek,
        .watermarks = files_watermarks,
        .cached_high = files_cached_high,
        .partition_count = files_partition_count,
        .topic_id = files_topic_id,
        .store_hint = files_store_hint,
        .freeze = files_freeze,
        .close = files_close,
};

struct source *source_open_files(const struct files_config *config, const struct source_events *events,
                                 struct error *err)
{
	struct files_source *source = calloc(1, sizeof *source);

	if (!source) {
		error_no_memory(err);
		return NULL;
	}
	*source = (struct files_source){
	        .source = {&files_ops},
	        .events = *events,
	        .config = *config,
	        .metrics = metrics_set(config->stream_name, -1),
	        .told = -1,
	        .at = {.bytes = {.fd = -1}},
	};
	pthread_mutex_init(&source->lock, NULL);
	return &source->source;
}
