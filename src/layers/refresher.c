#include "layers/refresher.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "lake/merge.h"
#include "layers/layers_private.h"
#include "spec/schedule.h"

#define CONDITIONS_SHOWN 64 /* of one model, as metrics */
#define LOOK_MS 1000 /* between looks for what others committed, and for files that changed */
#define AGAIN_MS 1000 /* after a failure that may pass */
#define FINISH_MS 300000 /* for that long once the streams have ended: as patient as these with --once (stream/) */

struct refresher {
	const struct spec_pipeline *spec; /* borrowed */
	const struct manifest *manifest; /* borrowed */
	struct lake *lake; /* borrowed */
	struct pipeline *pipeline; /* of the thread; replaced when files change */
	uint64_t stamp; /* of the files that it was read from */
	pthread_t thread;
	bool running; /* the thread is to be joined */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool notified, finishing, stopping, ended, failed;
	struct error err; /* of the last refresh */
	struct refresher_status status;
	/* Of the thread alone. */
	struct schedule schedule;
	int64_t due_ms; /* wall clock; INT64_MAX: by notification */
	int64_t seen_snapshot; /* that the last refresh saw or made */
	int64_t tried_snapshot; /* the same, but also where it failed: that is not tried again at once */
	int64_t news_ms; /* wall clock, when something was first seen to be committed behind seen_snapshot; 0: nothing
	                    is */
	struct metrics *metrics;
	int unmerged; /* refreshes since files were looked at */
};

/* ---- files that change */

static uint64_t mix(uint64_t stamp, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		stamp = (stamp ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u; /* FNV-1a */
	return stamp;
}

/* Of names, sizes and times: in any order, for a folder has none. */
static uint64_t stamp_layer(const char *folder, const char *layer)
{
	OWNED_FREE char *path = NULL;
	struct dirent *entry;
	uint64_t sum = 0;
	DIR *dir;

	if (asprintf(&path, "%s/%s", folder, layer) < 0) {
		path = NULL;
		return 0;
	}
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		OWNED_FREE char *file = NULL;
		struct stat stat_ = {0};
		uint64_t stamp = 0xcbf29ce484222325u;

		if (asprintf(&file, "%s/%s", path, entry->d_name) < 0 || entry->d_name[0] == '.' || stat(file, &stat_))
			continue;
		stamp = mix(stamp, entry->d_name, strlen(entry->d_name));
		stamp = mix(stamp, &stat_.st_size, sizeof stat_.st_size);
		sum += mix(stamp, &stat_.st_mtim, sizeof stat_.st_mtim);
	}
	if (dir)
		closedir(dir);
	return sum;
}

static uint64_t stamp_models(const char *folder)
{
	uint64_t stamp = 0;

	for (int i = 0; i < LAYER_COUNT; i++)
		stamp = stamp * 31 + stamp_layer(folder, layer_names[i]);
	return stamp;
}

/* ---- one refresh */

static void tell(const struct refresher *r, const struct refresh_report *report)
{
	for (int i = 0; i < report->model_count; i++) {
		const struct model_report *model = &report->models[i];

		if (model->how == REFRESH_NOTHING || model->how == REFRESH_LEFT_OUT)
			continue;
		log_event(EVENT_REFRESH,
		          FIELDS(LOG_TEXT("pipeline", r->spec->name), LOG_TEXT("model", model->model->name),
		                 LOG_TEXT("how", refresh_how_name(model->how)), LOG_TEXT("why", model->why),
		                 LOG_NUMBER("rows_in", model->rows_in), LOG_NUMBER("rows_out", model->rows_out),
		                 LOG_NUMBER("quarantined", model->quarantined), LOG_NUMBER("filtered", model->filtered),
		                 LOG_NUMBER("inserted", model->inserted), LOG_NUMBER("deleted", model->deleted),
		                 LOG_NUMBER("snapshot", report->snapshot), LOG_NUMBER("ms", model->ms)),
		          "%s %s: %" PRId64 " rows in, %" PRId64 " out, %" PRId64 " quarantined, %" PRId64
		          " filtered (%s%s%s)",
		          layer_names[model->model->layer], model->model->name, model->rows_in, model->rows_out,
		          model->quarantined, model->filtered, refresh_how_name(model->how), *model->why ? ": " : "",
		          model->why);
	}
}

static void count_model(const struct refresher *r, const struct model_report *report)
{
	struct metrics *metrics = metrics_pipeline_set(r->spec->name, report->model->name, NULL);
	int count;

	metric_put(metrics, METRIC_MODEL_ROWS_IN, report->rows_in);
	metric_put(metrics, METRIC_MODEL_ROWS_OUT, report->rows_out);
	metric_put(metrics, METRIC_MODEL_QUARANTINED, report->quarantined);
	metric_put(metrics, METRIC_MODEL_DISCARDED, report->discarded);
	metric_add(metrics, METRIC_MODEL_INSERTED, report->inserted);
	metric_add(metrics, METRIC_MODEL_DELETED, report->deleted);
	metric_add(metrics, METRIC_MODEL_MS, report->ms);
	count = model_condition_count(report->model);
	for (int i = 0; i < count && i < CONDITIONS_SHOWN; i++)
		metric_put(metrics_pipeline_set(r->spec->name, report->model->name, model_condition(report->model, i)),
		           METRIC_MODEL_FILTERED, report->by_condition[i]);
}

static void count(struct refresher *r, const struct refresh_report *report)
{
	metric_add(r->metrics, METRIC_REFRESHES, report->committed);
	metric_add(r->metrics, METRIC_REFRESH_MS, report->ms);
	metric_put(r->metrics, METRIC_LAST_REFRESH, clock_wall_ms() / 1000);
	metric_put(r->metrics, METRIC_BEHIND_SNAPSHOTS, 0);
	for (int i = 0; i < report->model_count; i++)
		count_model(r, &report->models[i]);
}

/* Not each model has partials, and a table may have been dropped. */
static int has_table(struct lake_session *session, const char *schema, const char *table, bool *ret_there,
                     struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT 1 FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = ");
	buffer_sql_text(&sql, schema);
	buffer_text(&sql, " AND table_name = ");
	buffer_sql_text(&sql, table);
	if (duck_query(lake_connection(session), buffer_string(&sql), &rows, err))
		return -1;
	*ret_there = rows.row_count > 0;
	return 0;
}

static int keep_table(struct refresher *r, const char *schema, const char *table, struct error *err)
{
	struct lake_session *session = pipeline_session(r->pipeline);
	struct merge_report rewritten, merged;
	bool there = false;

	if (has_table(session, schema, table, &there, err))
		return -1;
	if (!there)
		return 0;
	if (lake_rewrite(session, schema, table, &rewritten, err) ||
	    lake_merge(session, schema, table, false, &merged, err))
		return -1;
	if (rewritten.files_before || merged.files_before)
		log_event(EVENT_MERGE,
		          FIELDS(LOG_TEXT("pipeline", r->spec->name), LOG_TEXT("table", table),
		                 LOG_NUMBER("from", rewritten.files_before + merged.files_before),
		                 LOG_NUMBER("to", rewritten.files_after + merged.files_after)),
		          "%" PRId64 " files of %s.%s became %" PRId64, rewritten.files_before + merged.files_before,
		          schema, table, rewritten.files_after + merged.files_after);
	return 0;
}

/* Each refresh that changes a table adds a file, and deletes rows in others. */
static void keep_tables(struct refresher *r)
{
	const struct model_set *set = pipeline_models(r->pipeline);
	struct error err = {0};
	int failed = 0;

	if (++r->unmerged < MERGE_FILES)
		return;
	r->unmerged = 0;
	for (int i = 0; i < set->count && !failed; i++) {
		const struct model *model = &set->models[i];
		char partials[80];

		if (model->options.materialized == MATERIALIZED_VIEW)
			continue;
		snprintf(partials, sizeof partials, "partials_%s", model->name);
		failed = keep_table(r, "main", model->name, &err) || keep_table(r, PARTIALS_SCHEMA, partials, &err);
	}
	if (failed || lake_merge_cleanup(pipeline_session(r->pipeline), &err))
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("pipeline", r->spec->name)),
		          "files were not merged, which is tried again later: %s", err.message);
}

static struct metrics *metrics_of(const struct refresher *r, const struct expectation_report *report)
{
	char title[160];

	expectation_title(report->expectation, title, sizeof title);
	return metrics_expectation_set(r->spec->name, report->expectation->table, title);
}

/* Also of a refresh that was held back. Each is told when it breaks; the error that holds a refresh back says it
 * anyway. */
static void count_expectations(const struct refresher *r)
{
	int count = 0;
	const struct expectation_report *reports = pipeline_expectations(r->pipeline, &count);

	for (int i = 0; i < count; i++) {
		const struct expectation_report *report = &reports[i];
		const struct expectation *e = report->expectation;
		struct metrics *metrics = metrics_of(r, report);
		bool news = !report->passed && !metric_get(metrics, METRIC_EXPECTATION_BROKEN);

		metric_put(metrics, METRIC_EXPECTATION_BROKEN, !report->passed);
		metric_put(metrics, METRIC_EXPECTATION_ROWS, report->failed_rows);
		if (!news || e->spec->severity == SEVERITY_ERROR)
			continue;
		log_event(EVENT_EXPECTATION,
		          FIELDS(LOG_TEXT("pipeline", r->spec->name), LOG_TEXT("table", e->table),
		                 LOG_TEXT("expectation", e->name), LOG_TEXT("check", check_name(e->spec->check)),
		                 LOG_NUMBER("failed_rows", report->failed_rows),
		                 LOG_TEXT("example", report->example ? report->example : "[]")),
		          "%s%sexpectation %s is broken by %" PRId64 " rows: %.300s", e->table, *e->table ? ": " : "",
		          e->name, report->failed_rows, report->example ? report->example : "");
	}
}

/* What is not expected any more is not broken. */
static void forget_expectations(const struct refresher *r, const struct pipeline *pipeline)
{
	int count = 0;
	const struct expectation_report *reports = pipeline ? pipeline_expectations(pipeline, &count) : NULL;

	for (int i = 0; i < count; i++) {
		metric_put(metrics_of(r, &reports[i]), METRIC_EXPECTATION_BROKEN, 0);
		metric_put(metrics_of(r, &reports[i]), METRIC_EXPECTATION_ROWS, 0);
	}
}

/* The pipeline as its files are now. */
static int open_pipeline(struct refresher *r, struct error *err)
{
	uint64_t stamp = stamp_models(r->spec->models);
	struct pipeline *pipeline;

	if (r->pipeline && stamp == r->stamp)
		return 0;
	pipeline = pipeline_open(r->spec, r->manifest, r->lake, err);
	if (!pipeline)
		return -1;
	forget_expectations(r, r->pipeline);
	pthread_mutex_lock(&r->lock);
	pipeline_close(r->pipeline);
	r->pipeline = pipeline;
	r->stamp = stamp;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static int refresh(struct refresher *r, struct error *err)
{
	struct refresh_options options = {0};
	struct refresh_report report = {0};
	bool mine;
	int failed;

	if (open_pipeline(r, err))
		return -1;
	failed = pipeline_refresh(r->pipeline, &options, &report, err);
	count_expectations(r);
	if (failed)
		return -1;
	tell(r, &report);
	count(r, &report);
	if (report.committed)
		keep_tables(r);
	/* What others committed meanwhile is behind what it read, and before what it made. */
	mine = report.snapshot == report.to_snapshot + 1;
	r->seen_snapshot = r->tried_snapshot = mine ? report.snapshot : report.to_snapshot;
	r->news_ms = 0;
	metric_put(r->metrics, METRIC_BEHIND_MS, 0);
	pthread_mutex_lock(&r->lock);
	r->status.refreshes += report.committed;
	r->status.last_ms = clock_wall_ms();
	r->status.ready = true;
	*r->status.problem = 0;
	pthread_mutex_unlock(&r->lock);
	refresh_report_release(&report);
	return 0;
}

static void note_failure(struct refresher *r, const struct error *why)
{
	bool news;

	pthread_mutex_lock(&r->lock);
	news = strcmp(r->status.problem, why->message) != 0 && !r->stopping;
	r->status.failures++;
	r->status.ready = false;
	snprintf(r->status.problem, sizeof r->status.problem, "%s", why->message);
	r->err = *why;
	pthread_mutex_unlock(&r->lock);
	metric_add(r->metrics, METRIC_REFRESH_FAILURES, 1);
	if (news)
		log_event(EVENT_REFRESH_FAILED, FIELDS(LOG_TEXT("pipeline", r->spec->name)),
		          "pipeline %s was not refreshed, its tables are as they were: %s", r->spec->name,
		          why->message);
}

/* ---- when */

static bool by_commit(const struct refresher *r)
{
	return !r->spec->refresh.every_ms && !r->spec->refresh.schedule && r->spec->refresh.on == REFRESH_ON_COMMIT;
}

static void plan_next(struct refresher *r, bool failed)
{
	int64_t now = clock_wall_ms(), clock_ms = r->pipeline ? pipeline_clock_ms(r->pipeline) : 0;

	r->due_ms = INT64_MAX;
	if (r->spec->refresh.every_ms)
		r->due_ms = now + r->spec->refresh.every_ms;
	else if (r->spec->refresh.schedule)
		r->due_ms = schedule_next(&r->schedule, now);
	/* What the clock changes is looked at though nothing is committed: a source that has fallen silent is told. */
	if (clock_ms && by_commit(r) && r->due_ms > now + clock_ms)
		r->due_ms = now + clock_ms;
	if (failed && error_may_pass(&r->err) && r->due_ms > now + AGAIN_MS)
		r->due_ms = now + AGAIN_MS;
	if (r->due_ms < 0)
		r->due_ms = INT64_MAX;
}

/* Under the lock. */
static void sleep_ms(struct refresher *r, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

/* How far the pipeline is behind the lake. */
static void note_lag(struct refresher *r, int64_t snapshot)
{
	bool behind = snapshot > r->seen_snapshot;

	if (behind && !r->news_ms)
		r->news_ms = clock_wall_ms();
	metric_put(r->metrics, METRIC_BEHIND_SNAPSHOTS, behind ? snapshot - r->seen_snapshot : 0);
	metric_put(r->metrics, METRIC_BEHIND_MS, behind ? clock_wall_ms() - r->news_ms : 0);
}

/* What others committed, and files that changed. Where the lake does not answer, the refresh will say so. */
static bool has_news(struct refresher *r)
{
	struct error ignored;
	int64_t snapshot = 0;
	bool news = stamp_models(r->spec->models) != r->stamp;

	if (!r->pipeline || lake_snapshot(pipeline_session(r->pipeline), &snapshot, &ignored))
		return news;
	note_lag(r, snapshot);
	news |= snapshot > r->tried_snapshot;
	r->tried_snapshot = snapshot;
	return news;
}

/* Until a refresh is due, or the end. */
static void wait_until_due(struct refresher *r)
{
	int64_t looked_ms = clock_monotonic_ms();

	pthread_mutex_lock(&r->lock);
	while (!r->finishing && !r->stopping && clock_wall_ms() < r->due_ms && !(by_commit(r) && r->notified)) {
		sleep_ms(r, 100);
		if (clock_monotonic_ms() < looked_ms + LOOK_MS)
			continue;
		looked_ms = clock_monotonic_ms();
		pthread_mutex_unlock(&r->lock);
		bool news = has_news(r);
		pthread_mutex_lock(&r->lock);
		r->notified |= news;
	}
	r->notified = false;
	pthread_mutex_unlock(&r->lock);
}

/* ---- the thread */

static bool is_set(struct refresher *r, const bool *flag)
{
	bool set;

	pthread_mutex_lock(&r->lock);
	set = *flag;
	pthread_mutex_unlock(&r->lock);
	return set;
}

static void *run(void *context)
{
	struct refresher *r = context;
	bool finishing = false, failed = false;
	int64_t until_ms = 0;

	while (!is_set(r, &r->stopping)) {
		struct error err = {0};

		failed = refresh(r, &err) != 0;
		if (failed)
			note_failure(r, &err);
		/* INVARIANT 1: the refresh that counts began after the streams had ended. */
		if (finishing &&
		    !(failed && error_may_pass(&err) && !is_set(r, &r->stopping) && clock_monotonic_ms() < until_ms))
			break;
		plan_next(r, failed);
		if (!finishing)
			wait_until_due(r);
		else
			nanosleep(&(struct timespec){.tv_sec = AGAIN_MS / 1000}, NULL);
		if (!finishing)
			until_ms = clock_monotonic_ms() + FINISH_MS;
		finishing = is_set(r, &r->finishing);
	}
	pthread_mutex_lock(&r->lock);
	r->failed = failed && !r->stopping;
	r->ended = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct refresher *refresher_start(const struct spec_pipeline *spec, const struct manifest *manifest, struct lake *lake,
                                  struct error *err)
{
	struct refresher *r = calloc(1, sizeof *r);

	if (!r) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->spec = spec;
	r->manifest = manifest;
	r->lake = lake;
	r->due_ms = INT64_MAX;
	r->metrics = metrics_pipeline_set(spec->name, NULL, NULL);
	if (spec->refresh.schedule)
		schedule_parse(spec->refresh.schedule, &r->schedule);
	if (open_pipeline(r, err) == 0 && pthread_create(&r->thread, NULL, run, r) == 0) {
		r->running = true;
		return r;
	}
	if (r->pipeline)
		error_no_memory(err);
	refresher_free(r);
	return NULL;
}

static void set(struct refresher *r, bool *flag)
{
	pthread_mutex_lock(&r->lock);
	*flag = true;
	if (flag == &r->stopping && r->pipeline)
		pipeline_interrupt(r->pipeline);
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void refresher_notify(struct refresher *r)
{
	set(r, &r->notified);
}

void refresher_finish(struct refresher *r)
{
	set(r, &r->finishing);
}

void refresher_stop(struct refresher *r)
{
	set(r, &r->stopping);
}

int refresher_wait(struct refresher *r, int timeout_ms, struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	int state;

	pthread_mutex_lock(&r->lock);
	while (!r->ended && clock_monotonic_ms() < until)
		sleep_ms(r, until - clock_monotonic_ms());
	state = !r->ended ? 0 : r->failed ? -1 : 1;
	if (state < 0)
		*err = r->err;
	pthread_mutex_unlock(&r->lock);
	return state;
}

void refresher_status(struct refresher *r, struct refresher_status *ret_status)
{
	pthread_mutex_lock(&r->lock);
	*ret_status = r->status;
	pthread_mutex_unlock(&r->lock);
}

void refresher_free(struct refresher *r)
{
	if (!r)
		return;
	if (r->running) {
		refresher_stop(r);
		pthread_join(r->thread, NULL);
	}
	pipeline_close(r->pipeline);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
