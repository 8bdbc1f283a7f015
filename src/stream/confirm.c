/*
 * confirm.c - that what commits is of the topic that the lanes are of.
 *
 * A topic that is deleted and made anew has the same name, other messages and another id. librdkafka takes the new id
 * and reads on at the old offset, without a word. So the id is asked for again before each commit.
 *
 * Invariants:
 *  1. Nothing is committed for a lane before the topic said an id, in answer to a question that began after the last of
 *     the commit's messages was queued, and that id is the lane's. An id never comes back: what was fetched before such
 *     an answer is of that topic.
 *  2. At most one question is open, and at most one is asked for a commit: none where all of its messages were queued
 *     before an earlier question (a stream that is behind, or whose brokers went away, commits these).
 *  3. Another id ends the stream, with the error that a start would give. No answer is TRANSIENT: the transaction is
 *     rolled back and the lanes are read again. It is not waited for longer than one question may take (wire/), for the
 *     transaction holds what others may want.
 *  4. Where the source has no id (files, memory), its broker says none, or the lanes have none, all is confirmed; so it
 *     is of the embedded broker, whose topics live as long as the process.
 *
 * Life cycle, on the committer's thread: the window is closed -> confirm_begin -> ... -> confirm_end -> COMMIT. The
 * question travels while quarantine, ledger and offsets are written, so that it costs a commit next to nothing.
 * confirm_now asks and waits, on the reader's thread, where the topic itself gives reason for doubt.
 *
 * What is left to chance: the answer is one broker's, and one that has not heard of its cluster's news for a while may
 * say an id that is gone.
 */
#include <string.h>

#include "base/owned.h"
#include "stream/stream_private.h"

static bool is_asked(const struct stream *stream)
{
	return stream->source->ops->ask_id && !stream->options.embedded;
}

void confirm_begin(struct stream *stream)
{
	struct queue *queue = &stream->queue;

	stream->confirmed.open = false;
	if (!is_asked(stream))
		return;
	pthread_mutex_lock(&queue->lock);
	if (queue->window.asked >= stream->confirmed.asked) {
		queue->asked++;
		stream->confirmed.open = true;
	}
	pthread_mutex_unlock(&queue->lock);
	if (stream->confirmed.open)
		stream->source->ops->ask_id(stream->source);
}

static int take_answer(struct stream *stream, struct error *err)
{
	struct confirmed *confirmed = &stream->confirmed;
	char id[sizeof confirmed->topic_id] = "";

	if (!confirmed->open)
		return 0;
	confirmed->open = false;
	if (stream->source->ops->id_answer(stream->source, id, sizeof id, err))
		return error_wrap(err, "whether it is still the same topic is not known");
	memcpy(confirmed->topic_id, id, sizeof id);
	confirmed->asked = stream->queue.asked; /* changed by this thread alone */
	return 0;
}

int confirm_end(struct stream *stream, const struct lake_lane *lanes, int count, struct error *err)
{
	int failed;

	if (!is_asked(stream))
		return 0;
	failed = take_answer(stream, err);
	for (int i = 0; i < count && !failed; i++)
		failed = lane_check_topic_id(&stream->key, &lanes[i], stream->confirmed.topic_id, err);
	/* Also where the question is refused. It is no row's fault: see be_careful. */
	if (failed && err->kind == ERROR_INVALID)
		stream_fail(stream, err);
	return failed;
}

int confirm_now(struct stream *stream, struct error *err)
{
	char id[64] = "";
	int failed = 0;

	if (!is_asked(stream))
		return 0;
	if (stream->source->ops->topic_id(stream->source, id, sizeof id, err))
		return -1;
	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < stream->lane_count && !failed; i++)
		if (stream->lanes[i].state != LANE_FREE)
			failed = lane_check_topic_id(&stream->key, &stream->lanes[i].lake, id, err);
	pthread_mutex_unlock(&stream->queue.lock);
	return failed;
}
