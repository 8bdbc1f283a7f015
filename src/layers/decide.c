/*
 * decide.c - what a refresh does with a model: nothing, its changes, or all of it anew, and why.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers/layers_private.h"

#define MARK_SEPARATOR '\t' /* columns, and then on backend file what they hold */

static void __attribute__((format(printf, 2, 3))) because(struct model_run *run, const char *format, ...)
{
	va_list args;

	run->report->how = REFRESH_ANEW;
	if (*run->report->why)
		return;
	va_start(args, format);
	vsnprintf(run->report->why, sizeof run->report->why, format, args);
	va_end(args);
}

/* ---- what its sources look like */

/* Backend file has no snapshots: how many rows there are, and a sum of their hashes. */
static int append_mark(struct refresh *r, const struct reference *read, struct buffer *out)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (r->snapshots || read->model >= 0)
		return 0;
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) || ':' || coalesce(sum(CAST(hash(t) AS HUGEINT)), 0) FROM ");
	append_table(&sql, read->schema, read->table);
	buffer_text(&sql, " t");
	if (query_sql(r, &sql, &rows))
		return -1;
	buffer_text(out, duck_cell(&rows, 0, 0));
	return 0;
}

static int append_source(struct refresh *r, const struct reference *read, struct buffer *out)
{
	OWNED_BY(described_release) struct described columns = {0};
	OWNED_BUFFER struct buffer table = {0};

	buffer_init(&table, SQL_MAXIMUM_BYTES);
	append_table(&table, read->schema, read->table);
	if (describe_sql(r, buffer_string(&table), &columns))
		return -1;
	buffer_printf(out, "%s.%s", read->schema, read->table);
	for (int i = 0; i < columns.count; i++)
		buffer_printf(out, ",%s %s", columns.items[i].name, columns.items[i].type);
	buffer_char(out, MARK_SEPARATOR);
	if (append_mark(r, read, out))
		return -1;
	buffer_char(out, '\n');
	return 0;
}

static int read_sources(struct refresh *r, struct model_run *run)
{
	const struct shape *shape = &run->model->shape;
	OWNED_BUFFER struct buffer text = {0}, table = {0};

	buffer_init(&text, SQL_MAXIMUM_BYTES);
	buffer_init(&table, SQL_MAXIMUM_BYTES);
	for (int i = 0; i < run->model->read_count; i++)
		if (append_source(r, &run->model->reads[i], &text))
			return -1;
	run->sources = strdup(buffer_string(&text));
	if (!run->sources)
		return error_no_memory(r->err);
	if (!shape->table)
		return 0;
	append_table(&table, shape->schema, shape->table);
	return describe_sql(r, buffer_string(&table), &run->source);
}

/* Each line's columns as they were, perhaps with further ones behind them. */
static bool sources_fit(const char *before, const char *now)
{
	while (*before && *now) {
		size_t old = strcspn(before, "\t\n"), new = strcspn(now, "\t\n");

		if (new < old || strncmp(before, now, old) != 0 || (new > old &&now[old] != ','))
			return false;
		before += strcspn(before, "\n");
		now += strcspn(now, "\n");
		before += *before == '\n';
		now += *now == '\n';
	}
	return *before == *now;
}

static bool marks_equal(const char *before, const char *now)
{
	while (*before && *now) {
		size_t old = strcspn(before, "\n"), new = strcspn(now, "\n");
		const char *old_mark = memchr(before, MARK_SEPARATOR, old),
		           *new_mark = memchr(now, MARK_SEPARATOR, new);
		size_t old_size = old_mark ? (size_t)(before + old - old_mark) : 0;
		size_t new_size = new_mark ? (size_t)(now + new - new_mark) : 0;

		if (old_size != new_size || memcmp(old_mark, new_mark, old_size) != 0)
			return false;
		before += old + (before[old] == '\n');
		now += new + (now[new] == '\n');
	}
	return *before == *now;
}

/* ---- what changed */

/* A table of the lake: by its change feed, which is there afterwards. */
static int look_at_table(struct refresh *r, struct model_run *run, const struct reference *read)
{
	int64_t gone = 0, new = 0;
	bool valid = false;

	if (!r->snapshots)
		return 0;
	if (feed_read(r, read->schema, read->table, run->before.snapshot, &valid))
		return -1;
	if (!valid) {
		because(run, "what changed in %s.%s since snapshot %" PRId64 " is not known any more", read->schema,
		        read->table, run->before.snapshot);
		return 0;
	}
	if (feed_count(r, read->schema, read->table, DELTA_GONE, &gone) ||
	    feed_count(r, read->schema, read->table, DELTA_NEW, &new))
		return -1;
	run->changed |= gone || new;
	return 0;
}

static void look_at_model(const struct refresh *r, struct model_run *run, const struct reference *read)
{
	const struct model_run *other = &r->runs[read->model];
	bool behind = other->before.changed_turn > run->before.turn;

	if (other->anew && other->report->how != REFRESH_VIEW)
		because(run, "%s, which it reads, was made anew", other->model->name);
	if (behind)
		because(run, "%s, which it reads, was refreshed without it", other->model->name);
	run->changed |= other->changed || other->anew || behind;
	if (other->changed && !other->anew && !other->deltas && !r->options->dry_run &&
	    other->report->how != REFRESH_VIEW)
		because(run, "%s, which it reads, is not incremental", other->model->name);
}

static int look_at_sources(struct refresh *r, struct model_run *run)
{
	for (int i = 0; i < run->model->read_count; i++) {
		const struct reference *read = &run->model->reads[i];

		if (read->model >= 0)
			look_at_model(r, run, read);
		else if (look_at_table(r, run, read))
			return -1;
	}
	if (!r->snapshots && !marks_equal(run->before.sources, run->sources))
		run->changed = true;
	return 0;
}

/* ---- the decision */

/* Why its changes cannot be followed, whatever they are. */
static int why_never(struct refresh *r, struct model_run *run, char *ret_why, size_t size)
{
	model_why_never(r->pipeline->models, run->model, r->snapshots, ret_why, size);
	return !*ret_why && run->model->shape.kind == SHAPE_GROUPS ? groups_check(r, run, ret_why, size) : 0;
}

static void decide_view(struct model_run *run)
{
	bool same = run->before.known && !strcmp(run->before.hash, run->model->hash);

	run->report->how = same ? REFRESH_NOTHING : REFRESH_VIEW;
	run->anew = !same;
}

/* Nothing of what it reads was bound to anything in a dry run. */
static bool sources_are_there(const struct refresh *r, const struct model_run *run)
{
	for (int i = 0; i < run->model->read_count; i++) {
		int model = run->model->reads[i].model;

		if (model >= 0 && !r->runs[model].before.known)
			return false;
	}
	return true;
}

int decide(struct refresh *r, struct model_run *run)
{
	char never[256] = "";

	run->report->how = REFRESH_NOTHING;
	if (r->options->dry_run && !sources_are_there(r, run)) {
		because(run, "it is new");
		return 0;
	}
	if (read_sources(r, run) || bind_model(r, run))
		return -1;
	if (run->model->options.materialized == MATERIALIZED_VIEW) {
		decide_view(run);
		return 0;
	}
	if (why_never(r, run, never, sizeof never))
		return -1;
	run->partials = run->model->shape.kind == SHAPE_GROUPS && !*never;
	if (!run->before.known)
		because(run, "it is new");
	else if (strcmp(run->before.hash, run->model->hash) != 0)
		because(run, "its file changed");
	else if (r->options->full)
		because(run, "--full");
	else if (!sources_fit(run->before.sources, run->sources))
		because(run, "the columns of what it reads changed");
	else if (look_at_sources(r, run))
		return -1;
	if (run->report->how == REFRESH_NOTHING && run->changed)
		run->report->how = REFRESH_INCREMENTAL;
	if (run->report->how == REFRESH_INCREMENTAL && *never)
		because(run, "%s", never);
	run->anew = run->report->how == REFRESH_ANEW;
	run->changed = run->report->how != REFRESH_NOTHING;
	return 0;
}
