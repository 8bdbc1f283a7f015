/*
 * targets.c - the table, prepared for the schemas that the messages come with: the one that a window is of, and those
 * whose units may stand aside meanwhile (queue.h). The one that was used longest ago makes room for a new one.
 *
 * A schema that changes the table is prepared alone: what the others knew of the table ends with it.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/owned.h"
#include "stream/stream_private.h"

static struct append_target *target_new(struct stream *stream, struct error *err)
{
	const struct spec_stream *spec = stream->spec;

	return append_target_new(stream->session, spec->schema, spec->table,
	                         spec->format == FORMAT_JSON && !spec->json.column_count, err);
}

int targets_open(struct stream *stream, struct error *err)
{
	stream->targets.all[0] = target_new(stream, err);
	return stream->targets.all[0] ? 0 : -1;
}

void targets_close(struct stream *stream)
{
	for (int i = 0; i < TARGETS; i++)
		append_target_free(TAKE(stream->targets.all[i]));
}

static struct append_target *find(struct stream *stream, const struct batch_schema *schema)
{
	struct targets *targets = &stream->targets;

	for (int i = 0; i < TARGETS && targets->all[i]; i++) {
		if (!append_is_prepared(targets->all[i], schema))
			continue;
		targets->used[i] = ++targets->turns;
		return targets->all[i];
	}
	return NULL;
}

/* A new one, one that nobody needs, or the one that was used longest ago. */
static struct append_target *make_room(struct stream *stream, struct error *err)
{
	struct targets *targets = &stream->targets;
	int chosen = 0;

	for (int i = 0; i < TARGETS; i++) {
		if (!targets->all[i])
			targets->all[i] = target_new(stream, err);
		if (!targets->all[i])
			return NULL;
		if (targets->used[i] < targets->used[chosen])
			chosen = i;
		if (!*append_prepared(targets->all[i])) {
			chosen = i;
			break;
		}
	}
	targets->used[chosen] = ++targets->turns;
	return targets->all[chosen];
}

static void forget_others(struct stream *stream, const struct append_target *but)
{
	for (int i = 0; i < TARGETS && stream->targets.all[i]; i++)
		if (stream->targets.all[i] != but)
			append_forget(stream->targets.all[i]);
}

/* Messages with such columns go to quarantine, by themselves: of those that were gathered which one it was shows when
 * each is read alone, with the table's columns known. */
static int refuse_schema(struct stream *stream, const struct batch_schema *schema, struct error *err)
{
	OWNED_FREE int64_t *again = calloc(LANES_MAX, sizeof *again);

	if (!again)
		return error_no_memory(err);
	if (!queue_refuse_schema(&stream->queue, schema, err->message, again))
		return 0;
	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < stream->lane_count; i++)
		if (again[i] > stream->lanes[i].careful_until)
			stream->lanes[i].careful_until = again[i];
	pthread_mutex_unlock(&stream->queue.lock);
	stream_reset(stream);
	return 0;
}

/* Another process that makes the same table at once is none. Returns -1. */
static int tell_trouble(struct stream *stream, const struct error *err)
{
	if (err->kind == ERROR_CONFLICT)
		return -1;
	stream_problem(stream, err->message);
	log_event(EVENT_LAKE, FIELDS(LOG_TEXT("stream", stream->spec->name)), "nothing can be committed yet: %s",
	          err->message);
	return -1;
}

int targets_prepare(struct stream *stream, struct batch_schema *schema, struct error *err)
{
	struct append_target *target;
	enum append_news news;

	if (find(stream, schema))
		return 0;
	target = make_room(stream, err);
	if (!target)
		return -1;
	if (append_prepare(target, schema, queue_row_bytes(&stream->queue, schema), &news, err)) {
		if (news == APPEND_OUTDATED) {
			stream_reset(stream); /* and so learns them (reader.c, seek_lane) */
			return 1;
		}
		if (err->kind != ERROR_INVALID)
			return tell_trouble(stream, err);
		return refuse_schema(stream, schema, err) ? -1 : 1;
	}
	if (news || append_changes_table(target))
		forget_others(stream, target);
	if (news == APPEND_CREATED)
		log_event(EVENT_TABLE_CREATED,
		          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_TEXT("table", stream->spec->table),
		                 LOG_NUMBER("columns", schema->column_count)),
		          "table %s.%s was made from the first batch", stream->spec->schema, stream->spec->table);
	return 0;
}

void targets_allow(struct stream *stream, const struct batch_schema *schema)
{
	for (int i = 0; schema && i < TARGETS && stream->targets.all[i]; i++) {
		const struct append_target *target = stream->targets.all[i];

		if (*append_prepared(target) && !append_is_prepared(target, schema) && !append_changes_table(target))
			queue_window_allow(&stream->queue, append_prepared(target));
	}
}

static int insert(struct stream *stream, struct batch_schema *schema, int64_t *rows, struct error *err)
{
	struct append_pull pull = {.context = &stream->queue, .next = queue_pull};
	struct append_target *target = find(stream, schema);
	int64_t inserted = 0;

	if (!target)
		return error_set(err, ERROR_FATAL, 0, "rows were taken for a table that is not prepared for them");
	if (append_rows(target, schema, &pull, &inserted, err))
		return -1;
	*rows += inserted;
	return 0;
}

int targets_insert(struct stream *stream, struct batch_schema *schema, int64_t *ret_rows, struct error *err)
{
	struct batch_schema *next;
	int64_t rows = 0;

	if (schema && insert(stream, schema, &rows, err))
		return -1;
	queue_window_close(&stream->queue);
	while ((next = queue_window_turn(&stream->queue))) {
		int failed = insert(stream, next, &rows, err);

		batch_schema_release(next);
		if (failed)
			return -1;
	}
	*ret_rows = rows;
	return 0;
}
