/*
 * decide.c - what a refresh does with a model: nothing, its changes, or all of it anew, and why.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/layers_private.h"

#define MARK_SEPARATOR '\t' /* columns, and then on backend file what they hold */
#define MARK_MODEL "model "

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
	/* The alias is no column's name, which would go before it. */
	buffer_text(&sql, "SELECT count(*) || ':' || coalesce(sum(CAST(hash(\"tarn t\") AS HUGEINT)), 0) FROM ");
	append_table(&sql, read->schema, read->table);
	buffer_text(&sql, " \"tarn t\"");
	if (query_sql(r, &sql, &rows))
		return -1;
	buffer_text(out, duck_cell(&rows, 0, 0));
	return 0;
}

static bool is_of_word(char c)
{
	return c == '_' || isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

bool has_word(const char *sql, const char *word)
{
	size_t size = strlen(word);

	if (strchr(word, '"'))
		return true;
	for (const char *at = strcasestr(sql, word); at; at = strcasestr(at + 1, word))
		if ((at == sql || !is_of_word(at[-1])) && !is_of_word(at[size]))
			return true;
	return false;
}

/*
 * The line of a source, a model's apart from a table that nobody makes: what a model became is told by the refresh that
 * made it, what of others by the next one. before: the line of the last refresh. Columns behind those that it has do
 * not matter, but where the SQL has their names, such as an alias that a column now goes before, or reads whole rows.
 */
static int append_source(struct refresh *r, struct model_run *run, const struct reference *read, const char *before,
                         struct buffer *out)
{
	OWNED_BY(described_release) struct described columns = {0};
	OWNED_BUFFER struct buffer table = {0};
	const char *hash = definition_hash(r, run, read);
	size_t start = out->size, known = strcspn(before, "\t\n");

	buffer_init(&table, SQL_MAXIMUM_BYTES);
	append_table(&table, read->schema, read->table);
	if (describe_table(r, buffer_string(&table), &columns))
		return -1;
	buffer_printf(out, "%s%s.%s%s%s", read->model >= 0 ? MARK_MODEL : "", read->schema, read->table,
	              hash ? " " : "", hash ? hash : "");
	for (int i = 0; i < columns.count; i++) {
		run->met |= out->size - start >= known &&
		            (run->model->shape.whole_rows || has_word(run->model->sql, columns.items[i].name));
		buffer_printf(out, ",%s %s", columns.items[i].name, columns.items[i].type);
	}
	buffer_char(out, MARK_SEPARATOR);
	if (append_mark(r, read, out))
		return -1;
	buffer_char(out, '\n');
	return 0;
}

static bool is_view(const struct refresh *r, int model)
{
	return model >= 0 && r->runs[model].model->options.materialized == MATERIALIZED_VIEW;
}

int add_read(struct refresh *r, struct model_run *run, const struct reference *read)
{
	const struct reference **more;

	for (int i = 0; i < run->read_count; i++)
		if (!strcasecmp(run->reads[i]->table, read->table) && !strcasecmp(run->reads[i]->schema, read->schema))
			return 0;
	more = realloc(run->reads, (size_t)(run->read_count + 1) * sizeof *more);
	if (!more)
		return error_no_memory(r->err);
	run->reads = more;
	more[run->read_count++] = read;
	return 0;
}

/* A view keeps nothing, and so never changes: what it reads is read by those that read it. */
static int find_reads(struct refresh *r, struct model_run *run)
{
	for (int i = 0; i < run->model->read_count; i++)
		if (add_read(r, run, &run->model->reads[i]))
			return -1;
	if (definitions_called(r, run, run->model->sql))
		return -1;
	for (int i = 0; i < run->read_count; i++) {
		const struct model *view =
		        is_view(r, run->reads[i]->model) ? r->runs[run->reads[i]->model].model : NULL;

		for (int k = 0; view && k < view->read_count; k++)
			if (add_read(r, run, &view->reads[k]))
				return -1;
		if (view ? definitions_called(r, run, view->sql) : definitions_of(r, run, run->reads[i]))
			return -1;
	}
	return 0;
}

static int read_sources(struct refresh *r, struct model_run *run)
{
	const struct shape *shape = &run->model->shape;
	const char *before = run->before.known ? run->before.sources : "";
	OWNED_BUFFER struct buffer text = {0}, table = {0};

	buffer_init(&text, SQL_MAXIMUM_BYTES);
	buffer_init(&table, SQL_MAXIMUM_BYTES);
	if (find_reads(r, run))
		return -1;
	for (int i = 0; i < run->read_count; i++) {
		if (append_source(r, run, run->reads[i], before, &text))
			return -1;
		before += strcspn(before, "\n");
		before += *before == '\n';
	}
	definitions_append(r, run, &text);
	run->sources = strdup(buffer_string(&text));
	if (!run->sources)
		return error_no_memory(r->err);
	if (!shape->table)
		return 0;
	append_table(&table, shape->schema, shape->table);
	return describe_table(r, buffer_string(&table), &run->source);
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

/*
 * The net under the change feed, which DuckLake does not always have right: the rows that the model took in, what the
 * feed says since, and what the table has now must go together. So many rows in it has from its one source alone; the
 * source AT its snapshot would be asked in vain, for DuckLake's counts of the past are wrong at times, too.
 */
static int check_feed(struct refresh *r, struct model_run *run, const struct reference *read, int64_t gone, int64_t new)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t now = 0, before = run->before.rows_in;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM ");
	append_table(&sql, read->schema, read->table);
	if (count_sql(r, &sql, &now))
		return -1;
	if (before + new - gone != now)
		because(run,
		        "what changed in %.60s.%.60s is not what its change feed says: of %" PRId64 " rows %" PRId64
		        " less and %" PRId64 " more, and it has %" PRId64,
		        read->schema, read->table, before, gone, new, now);
	return 0;
}

/* A table of the lake: by its change feed, which is there afterwards. follows: as in look_at_itself. */
static int look_at_table(struct refresh *r, struct model_run *run, const struct reference *read, bool follows)
{
	int64_t gone = 0, new = 0;
	const struct fed *feed = NULL;

	if (!r->snapshots)
		return 0;
	if (feed_read(r, read->schema, read->table, run->before.snapshot, &feed))
		return -1;
	if (feed->why) {
		because(run, "what changed in %.60s.%.60s since snapshot %" PRId64 " is not known any more: %s",
		        read->schema, read->table, run->before.snapshot, feed->why);
		return 0;
	}
	if (feed_count(r, read->schema, read->table, DELTA_GONE, &gone) ||
	    feed_count(r, read->schema, read->table, DELTA_NEW, &new))
		return -1;
	run->changed |= gone || new;
	return follows && feed->touched ? check_feed(r, run, read, gone, new) : 0;
}

static void look_at_model(const struct refresh *r, struct model_run *run, const struct reference *read)
{
	const struct model_run *other = &r->runs[read->model];
	/* By way of a view of the lake it may read one that is made after it. */
	bool behind = other->before.changed_turn > run->before.turn ||
	              (other >= run && other->before.changed_turn == run->before.turn);

	if (other->anew && other->report->how != REFRESH_VIEW)
		because(run, "%s, which it reads, was made anew", other->model->name);
	if (behind)
		because(run, "%s, which it reads, was refreshed without it", other->model->name);
	run->changed |= other->changed || other->anew || behind;
	if (other->changed && !other->anew && !other->deltas && !r->options->dry_run &&
	    other->report->how != REFRESH_VIEW)
		because(run, "%s, which it reads, is not incremental", other->model->name);
}

static int look_at_sources(struct refresh *r, struct model_run *run, bool follows)
{
	for (int i = 0; i < run->read_count; i++) {
		const struct reference *read = run->reads[i];

		if (read->model >= 0)
			look_at_model(r, run, read);
		else if (!definition_hash(r, run, read) && look_at_table(r, run, read, follows))
			return -1;
	}
	if (!r->snapshots && !marks_equal(run->before.sources, run->sources))
		run->changed = true;
	return 0;
}

/* ---- the decision */

static bool has_rowid(const struct model_run *run)
{
	for (int i = 0; i < run->columns.count; i++)
		if (!strcasecmp(run->columns.names[i], "rowid"))
			return true;
	return false;
}

/* Why its changes cannot be followed, whatever they are. */
static int why_never(struct refresh *r, struct model_run *run, char *ret_why, size_t size)
{
	model_why_never(r->pipeline->models, run->model, r->snapshots, ret_why, size);
	if (!*ret_why)
		definitions_tell(r, run, ret_why, size);
	if (*ret_why)
		return 0;
	if (has_rowid(run))
		snprintf(ret_why, size, "its column rowid hides the one by which rows are deleted");
	else if (inexact_type(&run->columns))
		snprintf(ret_why, size, "a lake does not keep each value of type %.80s as it is",
		         inexact_type(&run->columns));
	else if (run->model->shape.collates) /* a row that is gone is looked for by its values: 'A' is not 'a' there */
		snprintf(ret_why, size, "a lake keeps no collations");
	else if (run->model->shape.kind == SHAPE_GROUPS)
		return groups_check(r, run, ret_why, size);
	return 0;
}

/* 1: DuckDB binds the SQL, and the columns are there; 0: it does not, and says why. */
static int try_describe(struct refresh *r, const struct buffer *sql,
                        int (*describe)(struct refresh *, const char *, struct described *),
                        struct described *ret_columns, struct error *ret_why)
{
	struct error *err = r->err;
	int failed;

	r->err = ret_why;
	failed = describe(r, buffer_string(sql), ret_columns);
	r->err = err;
	if (!failed)
		return 1;
	if (ret_why->kind == ERROR_INVALID)
		return 0;
	*err = *ret_why;
	return -1;
}

/* Does what the stage reads have a column of that name? */
static int has_column(struct refresh *r, const struct model_run *run, int stage, const char *source, const char *name,
                      bool *ret_has)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_BY(described_release) struct described columns = {0};
	struct error why = {0};
	int bound;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT ");
	buffer_sql_name(&sql, name);
	buffer_text(&sql, " FROM ");
	compose_input(&run->model->shape, stage, source, run->source.names, run->source.count, &sql);
	bound = try_describe(r, &sql, describe_sql, &columns, &why);
	*ret_has = bound > 0;
	return bound < 0 ? -1 : 0;
}

/* GROUP BY and WHERE take a name for a column's before they take it for an alias. */
static int check_aliases(struct refresh *r, struct model_run *run, const char *source, char *ret_why, size_t size)
{
	const struct shape *shape = &run->model->shape;
	bool has = false;

	for (int i = 0; i < shape->alias_count && !run->whole; i++) {
		if (has_column(r, run, shape->stage_count - 1, source, shape->aliases[i], &has))
			return -1;
		run->whole = has;
	}
	if (run->whole) {
		snprintf(ret_why, size,
		         "a name in its GROUP BY is a column and an alias: write the expression, or its number");
		return 0;
	}
	for (int i = 0; i < shape->stage_count; i++) {
		for (int k = 0; k < shape->stages[i].doubtful_count && !run->whole; k++) {
			if (has_column(r, run, i, source, shape->stages[i].doubtful[k], &has))
				return -1;
			run->whole = !has;
			if (run->whole)
				snprintf(ret_why, size, "its WHERE has the alias %.63s of a CAST: write the expression",
				         shape->stages[i].doubtful[k]);
		}
	}
	return 0;
}

/* Of a spelling that the parts do not keep - a name in full, an alias within another - the model is better rebuilt than
 * refused: what DuckDB binds, Tarn runs. */
static int check_parts(struct refresh *r, struct model_run *run, char *ret_why, size_t size)
{
	const struct shape *shape = &run->model->shape;
	OWNED_BUFFER struct buffer source = {0}, sql = {0};
	OWNED_BY(described_release) struct described columns = {0};
	struct error why = {0};
	int bound;

	*ret_why = 0;
	if (shape->kind == SHAPE_WHOLE)
		return 0;
	buffer_init(&source, SQL_MAXIMUM_BYTES);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	/* In parentheses: neither the changes of a table nor another table have its rowid. */
	if (shape->table) {
		buffer_text(&source, "(SELECT * FROM ");
		append_table(&source, shape->schema, shape->table);
		buffer_char(&source, ')');
	}
	append_kept_of(run, buffer_string(&source), &sql);
	bound = try_describe(r, &sql, describe_sql, &columns, &why);
	if (bound < 0)
		return -1;
	run->whole = !bound || !described_equal(&columns, &run->columns);
	if (!bound)
		snprintf(ret_why, size, "it cannot be taken apart: %.200s", why.message);
	else if (run->whole)
		snprintf(ret_why, size, "it cannot be taken apart: its parts have other columns");
	return run->whole ? 0 : check_aliases(r, run, buffer_string(&source), ret_why, size);
}

static void decide_view(struct model_run *run)
{
	bool same = run->before.known && !strcmp(run->before.hash, run->model->hash) &&
	            sources_fit(run->before.sources, run->sources) && sources_fit(run->sources, run->before.sources);

	run->report->how = same ? REFRESH_NOTHING : REFRESH_VIEW;
	run->changed = run->anew = !same;
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

/* What its file and its columns say, before anything is asked of what it reads. follows: it can be incremental. */
static int look_at_itself(struct refresh *r, struct model_run *run, bool follows)
{
	const struct model_state *before = &run->before;
	OWNED_BUFFER struct buffer table = {0};
	OWNED_BY(described_release) struct described columns = {0};
	struct error why = {0};
	int there;

	if (!before->known)
		because(run, "it is new");
	else if (model_outdated(run->model, before->hash))
		because(run, "%s", model_outdated(run->model, before->hash));
	else if (strcmp(before->name, run->model->name) != 0)
		because(run, "its file changed");
	else if (r->options->full)
		because(run, "--full");
	else if (*r->doubts[run - r->runs])
		because(run, "%s", r->doubts[run - r->runs]);
	else if (!sources_fit(before->sources, run->sources))
		because(run, "what it reads has other columns, or is made otherwise");
	else if ((before->quarantined || run->met || !follows) && !sources_fit(run->sources, before->sources))
		because(run, "what it reads has further columns%s",
		        before->quarantined ? ", and its rows in quarantine have not" : "");
	if (run->report->how != REFRESH_NOTHING)
		return 0;
	buffer_init(&table, SQL_MAXIMUM_BYTES);
	append_model(&table, run->model);
	there = try_describe(r, &table, describe_table, &columns, &why);
	if (there < 0)
		return -1;
	if (!there)
		because(run, "its table is gone");
	else if (!described_equal(&columns, &run->columns))
		because(run, "its columns changed");
	return 0;
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
	if (check_parts(r, run, never, sizeof never) || (!*never && why_never(r, run, never, sizeof never)))
		return -1;
	run->partials = run->model->shape.kind == SHAPE_GROUPS && !*never;
	if (look_at_itself(r, run, !*never) ||
	    (run->report->how == REFRESH_NOTHING && look_at_sources(r, run, !*never)))
		return -1;
	if (run->report->how == REFRESH_NOTHING && run->changed)
		run->report->how = REFRESH_INCREMENTAL;
	if (run->report->how == REFRESH_INCREMENTAL && *never)
		because(run, "%s", never);
	run->anew = run->report->how == REFRESH_ANEW;
	run->changed = run->report->how != REFRESH_NOTHING;
	return 0;
}
