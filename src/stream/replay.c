#include "stream/replay.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "lake/resolve.h"
#include "stream/stream_private.h"

#define PORTION_MESSAGES 1000
#define PORTION_BYTES ((int64_t)64 << 20)
#define PATIENCE_MS 60000 /* for a lake that answers nothing but conflicts, or not at all */
#define WAIT_MIN_MS 20
#define WAIT_MAX_MS 2000
#define CONFLICTS_BEFORE_HALVING 2 /* a shorter transaction is met by fewer others */

/* Messages in memory. Their payloads are what decoded arrays point into: it lives until the last of these is gone. */
struct portion {
	atomic_int references;
	struct quarantine_batch batch;
};

struct replay {
	const struct spec_stream *spec;
	struct lake_session *session; /* what reads */
	struct apart apart; /* what writes, with `target`: both are opened when they are needed */
	const struct replay_options *options;
	struct replay_report *report;
	char table_name[256]; /* SCHEMA.TABLE */
	struct batch_counters counters;
	struct batch_decoder *decoder; /* of Arrow; NULL: the messages are JSON */
	struct json_decoder *json;
	struct json_table json_table;
	struct append_target *target;
	struct resolver resolver;
	struct portion *portion; /* that is worked on */
};

static bool stopped(const struct replay *replay)
{
	return replay->options->stop && atomic_load(replay->options->stop);
}

static void portion_release(void *opaque)
{
	struct portion *portion = opaque;

	if (atomic_fetch_sub(&portion->references, 1) > 1)
		return;
	quarantine_batch_release(&portion->batch);
	free(portion);
}

static void leave(struct replay *replay, const struct quarantined *message, const char *reason)
{
	replay->report->left++;
	if (replay->options->left)
		replay->options->left(replay->options->context, message, reason);
}

/* ---- decoding */

static int decode_arrow(struct replay *replay, const struct quarantined *message, struct batch_set *ret_set,
                        struct error *err)
{
	struct batch_bytes bytes = {
	        .data = message->payload, .size = message->size, .release = portion_release, .opaque = replay->portion};

	if (!message->payload)
		return error_set(err, ERROR_CORRUPT, 0, "%s", message->reason);
	atomic_fetch_add(&replay->portion->references, 1);
	if (ipc_decode(replay->decoder, bytes, ret_set, err) == 0)
		return 0;
	portion_release(replay->portion);
	return -1;
}

/* What one INSERT takes: the arrays of a set, then those of further messages, decoded when DuckDB asks for them. */
struct feed {
	pthread_mutex_t lock;
	struct replay *replay;
	struct batch_set set;
	int at; /* in the set */
	const struct resolution *next, *end; /* messages to come */
	struct error failure;
};

static int feed_next(void *context, struct ArrowArray *ret_array)
{
	struct feed *feed = context;
	int got = 0;

	pthread_mutex_lock(&feed->lock);
	while (!got && !feed->failure.kind) {
		if (feed->at < feed->set.count) {
			*ret_array = feed->set.arrays[feed->at];
			feed->set.arrays[feed->at++].release = NULL;
			got = 1;
		} else if (feed->next < feed->end) {
			batch_set_release(&feed->set);
			feed->set = (struct batch_set){0};
			feed->at = 0;
			decode_arrow(feed->replay, feed->next++->message, &feed->set, &feed->failure);
		} else {
			break;
		}
	}
	pthread_mutex_unlock(&feed->lock);
	return got;
}

/* ---- a list of messages that one transaction is to take */

struct list {
	struct resolution *messages; /* borrowed; those that are refused or gone are taken out */
	int count;
	struct resolution *later; /* behind them: for a transaction of their own */
	int later_count;
	int conflicts;
	int64_t until_ms, wait_ms;
};

/* Those from `from` on are for a later transaction. What was put off before stands behind them. */
static void put_off(struct list *list, int from)
{
	int count = list->count - from;

	list->later -= count;
	list->later_count += count;
	memmove(list->later, list->messages + from, (size_t)count * sizeof *list->later);
	list->count = from;
}

/* Adds what can be decoded and drops the rest from the list; but no more than there is memory for. */
static int gather_json(struct replay *replay, struct list *list, struct error *err)
{
	int kept = 0;

	if (take_json_learn(replay->json, &replay->json_table, err))
		return -1;
	for (int i = 0; i < list->count; i++) {
		const struct quarantined *message = list->messages[i].message;
		int64_t before = json_rows(replay->json);
		struct error why = {0};

		if (json_bytes(replay->json) >= PORTION_BYTES) {
			put_off(list, i);
			break;
		}
		if (!message->payload) {
			leave(replay, message, message->reason);
			continue;
		}
		if (json_add(replay->json, message->payload, message->size, clock_wall_ms() * 1000, &why)) {
			if (why.kind == ERROR_FATAL) {
				*err = why;
				return -1;
			}
			leave(replay, message, why.message);
			continue;
		}
		list->messages[kept++] = (struct resolution){message, json_rows(replay->json) - before};
	}
	list->count = kept;
	return 0;
}

static void let_go(void *opaque)
{
}

static int open_feed(struct replay *replay, struct list *list, struct feed *feed, struct error *err)
{
	*feed = (struct feed){.lock = PTHREAD_MUTEX_INITIALIZER, .replay = replay};
	if (replay->json) {
		if (gather_json(replay, list, err))
			return -1;
		return list->count ? json_take(replay->json, let_go, NULL, &feed->set, err) : 0;
	}
	/* The first one tells the schema; it was decoded before, so that it can be now. */
	feed->next = list->messages + 1;
	feed->end = list->messages + list->count;
	return decode_arrow(replay, list->messages[0].message, &feed->set, err);
}

static int64_t list_rows(const struct list *list)
{
	int64_t rows = 0;

	for (int i = 0; i < list->count; i++)
		rows += list->messages[i].rows;
	return rows;
}

static int64_t row_bytes(const struct list *list, int64_t rows)
{
	int64_t bytes = 0;

	for (int i = 0; i < list->count; i++)
		bytes += (int64_t)list->messages[i].message->size;
	return bytes / (rows < 1 ? 1 : rows);
}

/* ---- one transaction */

static void close_writer(struct replay *replay)
{
	append_target_free(TAKE(replay->target));
	apart_close(&replay->apart);
}

static int open_writer(struct replay *replay, struct error *err)
{
	const struct spec_stream *spec = replay->spec;
	bool inferred = spec->format == FORMAT_JSON && !spec->json.column_count;

	if (replay->target)
		return 0;
	if (replay->options->dry_run)
		replay->apart = (struct apart){.session = replay->session};
	else if (apart_open(replay->session, &replay->apart, err))
		return -1;
	replay->target = append_target_new(replay->apart.session, spec->schema, spec->table, inferred, err);
	if (replay->target)
		return 0;
	close_writer(replay);
	return -1;
}

static int prepare(struct replay *replay, const struct list *list, struct batch_schema *schema, struct error *err)
{
	enum append_news news;

	if (replay->options->dry_run)
		return append_compare(replay->target, schema, err);
	if (append_is_prepared(replay->target, schema))
		return 0;
	return append_prepare(replay->target, schema, row_bytes(list, list_rows(list)), &news, err);
}

/* Everything between BEGIN and COMMIT. */
static int fill_transaction(struct replay *replay, const struct list *list, struct feed *feed,
                            struct batch_schema *schema, int64_t rows, struct error *err)
{
	struct append_pull pull = {.context = feed, .next = feed_next};
	int64_t inserted = 0;

	/* First: of what comes here it is the rows that are refused, most of the time. */
	if (rows && append_rows(replay->target, schema, &pull, &inserted, err))
		return -1;
	if (feed->failure.kind) {
		*err = feed->failure;
		return -1;
	}
	if (inserted != rows)
		return error_set(err, ERROR_FATAL, 0, "%" PRId64 " rows were read and %" PRId64 " inserted", rows,
		                 inserted);
	return resolve_replayed(&replay->resolver, replay->table_name, list->messages, list->count, err);
}

/* How far an attempt came. */
enum reach {
	REACHED_TABLE, /* the table was looked at; no transaction began */
	REACHED_ROWS, /* a transaction began, and was rolled back */
	REACHED_COMMIT, /* COMMIT was tried, and nobody knows yet what came of it */
};

static int commit(struct replay *replay, const struct list *list, struct feed *feed, struct batch_schema *schema,
                  int64_t rows, enum reach *ret_reach, struct error *err)
{
	char note[256];

	*ret_reach = REACHED_ROWS;
	if (resolve_begin(&replay->resolver, &replay->apart, err))
		return -1;
	if (fill_transaction(replay, list, feed, schema, rows, err)) {
		lake_rollback(replay->apart.session);
		return -1;
	}
	snprintf(note, sizeof note, "{\"stream\":\"%s\",\"rows\":%" PRId64 ",\"replayed\":%d}", replay->spec->name,
	         rows, list->count);
	*ret_reach = REACHED_COMMIT;
	return resolve_commit(&replay->resolver, note, err) == COMMIT_DONE ? 0 : -1;
}

static void note_done(struct replay *replay, const struct list *list)
{
	replay->report->replayed += list->count;
	replay->report->rows += list_rows(list);
	if (replay->options->dry_run)
		return;
	replay->report->commits++;
	log_event(EVENT_RESOLVED,
	          FIELDS(LOG_TEXT("stream", replay->spec->name), LOG_NUMBER("messages", list->count),
	                 LOG_NUMBER("rows", list_rows(list))),
	          "%d messages left quarantine: replayed", list->count);
}

/* 0: the list is settled, as far as it was not dropped from. -1 with *err. */
static int attempt(struct replay *replay, struct list *list, enum reach *ret_reach, struct error *err)
{
	struct batch_schema *schema = NULL;
	struct feed feed;
	int64_t rows;
	int failed;

	*ret_reach = REACHED_TABLE;
	failed = open_feed(replay, list, &feed, err);
	rows = list_rows(list);
	if (!failed && list->count)
		failed = open_writer(replay, err);
	if (!failed && feed.set.schema)
		schema = batch_schema_retain(feed.set.schema);
	if (!failed && list->count && rows)
		failed = prepare(replay, list, schema, err);
	if (!failed && list->count && !replay->options->dry_run)
		failed = commit(replay, list, &feed, schema, rows, ret_reach, err);
	if (!failed && list->count)
		note_done(replay, list);
	batch_set_release(&feed.set);
	batch_schema_release(schema);
	if (apart_is_over(&replay->apart))
		close_writer(replay);
	return failed ? -1 : 0;
}

/* ---- until each message of a list is settled */

/*
 * What did the transaction that failed leave behind? 1: it did commit. 0: it did not, and the list is what is still in
 * quarantine. -1: the lake does not answer.
 */
static int learn_outcome(struct replay *replay, struct list *list, struct error *err)
{
	OWNED_FREE bool *waiting = calloc((size_t)list->count + 1, sizeof *waiting);
	struct error why = {0};
	int64_t mine = 0;
	int kept = 0;

	if (!waiting)
		return error_no_memory(err);
	while (resolve_outcome(&replay->resolver, list->messages, list->count, &mine, waiting, &why)) {
		if (why.kind == ERROR_FATAL || clock_monotonic_ms() > list->until_ms) {
			*err = why;
			return error_wrap(err, "it is not known whether the last transaction committed; ask again by "
			                       "the same command: what is done is found done");
		}
		clock_sleep_ms(WAIT_MAX_MS / 4);
	}
	if (mine) {
		note_done(replay, list);
		return 1;
	}
	for (int i = 0; i < list->count; i++)
		if (waiting[i])
			list->messages[kept++] = list->messages[i];
	replay->report->gone += list->count - kept;
	list->count = kept;
	return 0;
}

static int settle(struct replay *replay, struct resolution *messages, int count, struct error *err);

static int settle_halves(struct replay *replay, struct list *list, struct error *err)
{
	int half = list->count / 2;

	return settle(replay, list->messages, half, err) ||
	                       settle(replay, list->messages + half, list->count - half, err)
	               ? -1
	               : 0;
}

/* 1: the list is to be tried again; 0: it is settled; -1: it cannot be. */
static int handle_failure(struct replay *replay, struct list *list, enum reach reach, struct error *err)
{
	/* A conflict may also be that messages of the list are gone. */
	bool ask = reach == REACHED_COMMIT || (reach == REACHED_ROWS && err->kind == ERROR_CONFLICT);
	int known = ask ? learn_outcome(replay, list, err) : 0;

	if (known)
		return known > 0 ? 0 : -1;
	if (!list->count)
		return 0;
	switch (err->kind) {
	case ERROR_INVALID:
	case ERROR_CORRUPT:
	case ERROR_MEMORY:
		/* Of JSON messages each has its own columns; Arrow's have the same, and are refused together. */
		if (list->count > 1 && (reach > REACHED_TABLE || replay->json))
			return settle_halves(replay, list, err);
		for (int i = 0; i < list->count; i++)
			leave(replay, list->messages[i].message, err->message);
		return 0;
	case ERROR_CONFLICT:
	case ERROR_TRANSIENT:
		if (clock_monotonic_ms() > list->until_ms)
			return -1;
		if (err->kind == ERROR_CONFLICT && ++list->conflicts > CONFLICTS_BEFORE_HALVING && list->count > 1)
			return settle_halves(replay, list, err);
		/* Two that meet would meet again: the pid spreads them. */
		clock_sleep_ms(list->wait_ms + getpid() % 17);
		list->wait_ms = list->wait_ms < WAIT_MAX_MS ? list->wait_ms * 2 : WAIT_MAX_MS;
		return 1;
	default: return -1;
	}
}

/* A list that DuckDB refuses is halved until the message that it refuses is alone. */
static int settle(struct replay *replay, struct resolution *messages, int count, struct error *err)
{
	struct list list = {.messages = messages,
	                    .count = count,
	                    .later = messages + count,
	                    .until_ms = clock_monotonic_ms() + PATIENCE_MS,
	                    .wait_ms = WAIT_MIN_MS};
	int again = count > 0;

	while (again > 0 && list.count && !stopped(replay)) {
		struct error why = {0};
		enum reach reach;

		if (attempt(replay, &list, &reach, &why) == 0)
			break;
		again = handle_failure(replay, &list, reach, &why);
		if (again < 0) {
			*err = why;
			return -1;
		}
	}
	if (replay->options->progress)
		replay->options->progress(replay->options->context, replay->report);
	return list.later_count ? settle(replay, list.later, list.later_count, err) : 0;
}

/* ---- portions */

struct told {
	struct resolution resolution;
	char fingerprint[33];
};

static int by_fingerprint(const void *a, const void *b)
{
	return strcmp(((const struct told *)a)->fingerprint, ((const struct told *)b)->fingerprint);
}

/* Decodes each message once to know its schema and its rows: the messages of a schema are one INSERT. */
static int settle_arrow(struct replay *replay, struct error *err)
{
	const struct quarantine_batch *batch = &replay->portion->batch;
	OWNED_FREE struct told *told = calloc((size_t)batch->count + 1, sizeof *told);
	OWNED_FREE struct resolution *list = calloc((size_t)batch->count + 1, sizeof *list);
	int count = 0, from = 0;

	if (!told || !list)
		return error_no_memory(err);
	for (int i = 0; i < batch->count; i++) {
		struct batch_set set = {0};
		struct error why = {0};

		if (decode_arrow(replay, &batch->messages[i], &set, &why) == 0) {
			told[count].resolution = (struct resolution){&batch->messages[i], set.rows};
			if (set.schema)
				memcpy(told[count].fingerprint, set.schema->fingerprint, sizeof told->fingerprint);
			count++;
			batch_set_release(&set);
			continue;
		}
		if (why.kind == ERROR_FATAL) {
			*err = why;
			return -1;
		}
		leave(replay, &batch->messages[i], why.message);
	}
	qsort(told, (size_t)count, sizeof *told, by_fingerprint);
	for (int i = 0; i < count; i++) {
		list[i] = told[i].resolution;
		if (i + 1 < count && !by_fingerprint(&told[i], &told[i + 1]))
			continue;
		if (settle(replay, list + from, i + 1 - from, err))
			return -1;
		from = i + 1;
	}
	return 0;
}

static int settle_json(struct replay *replay, struct error *err)
{
	const struct quarantine_batch *batch = &replay->portion->batch;
	OWNED_FREE struct resolution *list = calloc((size_t)batch->count + 1, sizeof *list);

	if (!list)
		return error_no_memory(err);
	for (int i = 0; i < batch->count; i++)
		list[i].message = &batch->messages[i];
	return settle(replay, list, batch->count, err);
}

static int replay_portion(struct replay *replay, const char *where, struct error *err)
{
	struct portion *portion = calloc(1, sizeof *portion);
	int failed;

	if (!portion)
		return error_no_memory(err);
	atomic_init(&portion->references, 1);
	failed = quarantine_read(replay->session, where, &portion->batch, err);
	replay->portion = portion;
	if (!failed)
		failed = replay->json ? settle_json(replay, err) : settle_arrow(replay, err);
	replay->portion = NULL;
	portion_release(portion);
	return failed;
}

static int open_parts(struct replay *replay, struct error *err)
{
	const struct spec_stream *spec = replay->spec;

	snprintf(replay->table_name, sizeof replay->table_name, "%s.%s", spec->schema, spec->table);
	replay->json_table = (struct json_table){.spec = spec, .session = replay->session};
	if (spec->format == FORMAT_JSON)
		replay->json = take_json_decoder(&replay->json_table, &replay->counters, err);
	else
		replay->decoder = take_arrow_decoder(spec, &replay->counters, err);
	if (!replay->json && !replay->decoder)
		return -1;
	return replay->options->dry_run ? 0 : resolver_init(&replay->resolver, replay->session, err);
}

int replay_stream(const struct spec_stream *spec, struct lake_session *session, const struct replay_options *options,
                  struct replay_report *report, struct error *err)
{
	struct replay replay = {.spec = spec, .session = session, .options = options, .report = report};
	struct quarantine_selection selection = *options->selection;
	OWNED_QUARANTINE_PLAN struct quarantine_plan plan = {0};
	int failed;

	selection.stream = spec->name;
	failed = quarantine_plan(session, &selection, PORTION_MESSAGES, PORTION_BYTES, &plan, err) ||
	         (plan.count && open_parts(&replay, err));
	report->messages += plan.messages;
	for (int i = 0; i < plan.count && !failed && !stopped(&replay); i++)
		failed = replay_portion(&replay, plan.wheres[i], err);
	close_writer(&replay);
	batch_decoder_free(replay.decoder);
	json_decoder_free(replay.json);
	append_columns_release(&replay.json_table.columns);
	return failed ? error_wrap(err, "stream %s", spec->name) : 0;
}
