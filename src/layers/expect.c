/*
 * expect.c - expectations in a refresh: when its models are written, and before its COMMIT.
 *
 * What is evaluated follows what changed, as the models do. An expectation that nothing has touched keeps its result:
 * neither its SQL, nor a table that it reads, nor the clock, which freshness and SQL with now() depend on. Of the
 * others
 *
 *     not_null, accepted_values, range, relationship   look at the new rows alone,
 *     unique                                           at the values of the new rows alone,
 *
 * where the table met them as it was committed, and the changes can be told. New rows that break one, values that a
 * relationship has lost, and all other cases lead to the whole table: so results are those that a look at everything
 * would have (tests/interop/test_layers_expectations.py compares them).
 *
 * Freshness is looked at in every refresh, also where nothing has changed: a source that has fallen silent changes
 * nothing, and is what it is there to tell. It makes a snapshot only when it breaks or mends; the same is true of every
 * expectation where no model has changed.
 *
 * A broken one of severity error holds the refresh back, also one that changes nothing: then there is nothing to hold
 * back but the refresh still fails, and says so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "layers/layers_private.h"

#define EXAMPLE_SHOWN 100 /* bytes of a row in a message */
#define CLOCK_MINIMUM_MS 1000
#define CLOCK_MAXIMUM_MS 60000

/* ---- what has changed */

enum change {
	CHANGE_NONE,
	CHANGE_ROWS, /* what it lost and got is there (append_delta) */
	CHANGE_UNKNOWN,
};

/* Does the refresh itself change it? No feed tells that yet. */
static bool changes_within(const struct refresh *r, const struct reference *read)
{
	return reference_is_own(read) ? has_changes(r) : r->report->scores_changed && is_of_scores(r, read);
}

static int lake_table_change(struct refresh *r, const struct reference *read, int64_t since, enum change *ret_change)
{
	int64_t gone = 0, new = 0;
	const struct fed *feed = NULL;

	*ret_change = CHANGE_UNKNOWN;
	if (!r->snapshots || since < 0 || changes_within(r, read))
		return 0;
	*ret_change = CHANGE_NONE;
	if (since >= r->snapshot)
		return 0;
	if (feed_read(r, read->schema, read->table, since, &feed))
		return -1;
	if (feed->why) {
		*ret_change = CHANGE_UNKNOWN;
		return 0;
	}
	if (feed_count(r, read->schema, read->table, DELTA_GONE, &gone) ||
	    feed_count(r, read->schema, read->table, DELTA_NEW, &new))
		return -1;
	*ret_change = gone || new ? CHANGE_ROWS : CHANGE_NONE;
	return 0;
}

/* since: the snapshot that the result is of. Recursion is as deep as views read views. */
static int table_change(struct refresh *r, const struct reference *read, int64_t since, enum change *ret_change)
{
	const struct model_run *run = read->model >= 0 ? &r->runs[read->model] : NULL;
	enum change change = CHANGE_NONE;

	if (!run)
		return lake_table_change(r, read, since, ret_change);
	*ret_change = !run->changed && !run->anew ? CHANGE_NONE : run->deltas ? CHANGE_ROWS : CHANGE_UNKNOWN;
	if (run->model->options.materialized != MATERIALIZED_VIEW)
		return 0;
	/* A view changes with what it reads. */
	for (int i = 0; i < run->model->read_count; i++) {
		if (table_change(r, &run->model->reads[i], since, &change))
			return -1;
		if (change != CHANGE_NONE)
			*ret_change = CHANGE_UNKNOWN;
	}
	return 0;
}

/* ---- a look at what changed */

static int count_broken(struct refresh *r, const struct expectation *e, const struct buffer *broken, int64_t *ret_count)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	expectation_count(e, buffer_string(broken), &sql);
	return count_sql(r, &sql, ret_count);
}

/* Are the rows that the table got in order? It met the expectation before them. */
static int look_at_new(struct refresh *r, const struct expected *x, bool *ret_holds)
{
	const struct expectation *e = x->e;
	const struct reference *table = e->reads;
	OWNED_BUFFER struct buffer broken = {0}, rows = {0}, new = {0};
	int64_t count = 0;

	buffer_init(&broken, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	buffer_init(&new, SQL_MAXIMUM_BYTES);
	append_table(&rows, table->schema, table->table);
	append_delta(&new, DELTA_NEW, table->schema,
	             table->model >= 0 ? r->pipeline->models->models[table->model].name : table->table);
	if (e->spec->check == CHECK_UNIQUE)
		expectation_repeated(e, buffer_string(&rows), buffer_string(&new), &broken);
	else
		expectation_broken(e, buffer_string(&new), &broken);
	if (count_broken(r, e, &broken, &count))
		return -1;
	*ret_holds = !count;
	return 0;
}

/* Has the table of a relationship all the values that it had? */
static int look_at_lost(struct refresh *r, const struct expected *x, bool *ret_holds)
{
	const struct reference *to = &x->e->reads[1];
	OWNED_BUFFER struct buffer lost = {0}, gone = {0};
	int64_t count = 0;

	buffer_init(&lost, SQL_MAXIMUM_BYTES);
	buffer_init(&gone, SQL_MAXIMUM_BYTES);
	append_delta(&gone, DELTA_GONE, to->schema,
	             to->model >= 0 ? r->pipeline->models->models[to->model].name : to->table);
	expectation_lost(x->e, buffer_string(&gone), &lost);
	if (count_broken(r, x->e, &lost, &count))
		return -1;
	*ret_holds = !count;
	return 0;
}

static int look_at_changes(struct refresh *r, const struct expected *x, const enum change changes[2], bool *ret_holds)
{
	*ret_holds = true;
	if (changes[0] == CHANGE_ROWS && look_at_new(r, x, ret_holds))
		return -1;
	if (*ret_holds && x->e->spec->check == CHECK_RELATIONSHIP && changes[1] == CHANGE_ROWS)
		return look_at_lost(r, x, ret_holds);
	return 0;
}

/* A row that is new enough: what files say of their newest rows tells which of them to read. */
static int look_for_fresh(struct refresh *r, const struct expected *x, bool *ret_holds)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t count = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	expectation_fresh(x->e, clock_wall_ms(), &sql);
	if (count_sql(r, &sql, &count))
		return -1;
	*ret_holds = count > 0;
	return 0;
}

/* ---- a look at everything */

static int take_examples(struct refresh *r, struct expected *x, const char *broken)
{
	OWNED_BUFFER struct buffer sql = {0}, all = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&all, SQL_MAXIMUM_BYTES);
	expectation_examples(x->e, broken, &sql);
	if (query_sql(r, &sql, &rows))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++)
		buffer_printf(&all, "%s%s", i ? "," : "[", duck_cell(&rows, i, 0) ? duck_cell(&rows, i, 0) : "null");
	buffer_text(&all, rows.row_count ? "]" : "[]");
	x->example = strdup(buffer_string(&all));
	return x->example ? 0 : error_no_memory(r->err);
}

static int take_result(struct refresh *r, struct expected *x, const struct buffer *broken)
{
	if (count_broken(r, x->e, broken, &x->failed_rows))
		return -1;
	x->passed = !x->failed_rows;
	return x->passed ? 0 : take_examples(r, x, buffer_string(broken));
}

/* How many rows its table had before the refresh; 0: that is unknown, or there was none. */
static int64_t rows_before(const struct refresh *r, const struct expected *x)
{
	const struct model_run *run = x->e->reads->model >= 0 ? &r->runs[x->e->reads->model] : NULL;

	if (run && run->before.known && run->model->options.materialized != MATERIALIZED_VIEW)
		return run->before.rows_out;
	return x->before.row_count < 0 ? 0 : x->before.row_count;
}

static int look_at_count(struct refresh *r, struct expected *x, const char *rows)
{
	int64_t before = rows_before(r, x);
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "SELECT count(*) FROM %s", rows);
	x->passed = true;
	if (count_sql(r, &sql, &x->row_count))
		return -1;
	if (!before)
		return 0;
	buffer_clear(&sql);
	expectation_row_count(x->e, rows, before, &sql);
	return take_result(r, x, &sql);
}

static int look_at_all(struct refresh *r, struct expected *x)
{
	const struct expectation *e = x->e;
	OWNED_BUFFER struct buffer broken = {0}, rows = {0};

	buffer_init(&broken, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	if (e->spec->check != CHECK_SQL)
		append_table(&rows, e->reads->schema, e->reads->table);
	if (e->spec->check == CHECK_ROW_COUNT_CHANGE)
		return look_at_count(r, x, buffer_string(&rows));
	expectation_broken(e, buffer_string(&rows), &broken);
	return take_result(r, x, &broken);
}

/* ---- one of them */

static bool same_query(const struct expected *x)
{
	return x->before.known && !strcmp(x->before.query, x->query);
}

/* What may have changed is not the tables. */
static bool is_due(const struct refresh *r, const struct expected *x)
{
	return !same_query(x) || x->before.held_back || x->e->varies || r->options->full ||
	       (x->e->spec->check == CHECK_ROW_COUNT_CHANGE && has_changes(r));
}

/* ret_holds: true: it is met, for certain. */
static int look_quickly(struct refresh *r, const struct expected *x, const enum change changes[2], bool unknown,
                        bool *ret_holds)
{
	enum check check = x->e->spec->check;
	bool by_rows = check != CHECK_SQL && check != CHECK_ROW_COUNT_CHANGE && check != CHECK_FRESHNESS;

	*ret_holds = false;
	if (check == CHECK_FRESHNESS)
		return look_for_fresh(r, x, ret_holds);
	if (!by_rows || unknown || !same_query(x) || x->before.holds_snapshot < 0 || r->options->full)
		return 0;
	return look_at_changes(r, x, changes, ret_holds);
}

/* Nothing but the clock has gone on: what was stale is. */
static bool stays_stale(const struct refresh *r, const struct expected *x)
{
	bool of_the_lake = !x->before.held_back || x->e->reads->model < 0;

	return x->e->spec->check == CHECK_FRESHNESS && same_query(x) && !x->before.passed && of_the_lake &&
	       !r->options->full;
}

static int evaluate(struct refresh *r, struct expected *x)
{
	int64_t since = x->before.holds_snapshot >= 0 ? x->before.holds_snapshot : x->before.snapshot;
	enum change changes[2] = {CHANGE_NONE, CHANGE_NONE}, worst = CHANGE_NONE;
	bool holds = false;

	for (int i = 0; i < x->e->read_count; i++) {
		enum change change = CHANGE_NONE;

		if (table_change(r, &x->e->reads[i], x->before.known ? since : -1, &change))
			return -1;
		worst = change > worst ? change : worst;
		if (i < (int)COUNT_OF(changes))
			changes[i] = change;
	}
	x->looked = true;
	if (worst == CHANGE_NONE && (!is_due(r, x) || stays_stale(r, x)))
		return 0;
	x->evaluated = true;
	x->row_count = -1;
	if (look_quickly(r, x, changes, worst == CHANGE_UNKNOWN, &holds))
		return -1;
	x->passed = holds;
	if (holds)
		return 0;
	return use_threads_for(r, -1) || look_at_all(r, x) || use_threads_for(r, 0) ? -1 : 0;
}

static int make_query(struct refresh *r, struct expected *x)
{
	const struct expectation *e = x->e;
	OWNED_BUFFER struct buffer query = {0}, rows = {0};

	buffer_init(&query, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	if (e->spec->check != CHECK_SQL)
		append_table(&rows, e->reads->schema, e->reads->table);
	expectation_broken(e, buffer_string(&rows), &query);
	x->query = strdup(buffer_string(&query));
	return x->query && buffer_ok(&query) ? 0 : error_no_memory(r->err);
}

/* A model that is new may be left out by options.only. */
static bool tables_are_there(const struct refresh *r, const struct expectation *e)
{
	for (int i = 0; i < e->read_count; i++) {
		const struct model_run *run = e->reads[i].model >= 0 ? &r->runs[e->reads[i].model] : NULL;

		if (run && run->report->how == REFRESH_LEFT_OUT && !run->before.known)
			return false;
	}
	return true;
}

int expect_evaluate(struct refresh *r)
{
	const struct expectation_set *set = r->pipeline->expectations;

	if (expect_read(r))
		return -1;
	for (int i = 0; i < set->count; i++) {
		struct expected *x = &r->expected[i];

		if (!tables_are_there(r, x->e))
			continue;
		if (!x->e->bound && expectation_bind_late(r, x->e))
			return -1;
		if (make_query(r, x))
			return -1;
		if (evaluate(r, x))
			return expectation_wrap(x->e, 0, r->err);
		r->held_back |= expected_is_known(x) && !expected_passed(x) && x->e->spec->severity == SEVERITY_ERROR;
	}
	return 0;
}

/* ---- what came of it */

bool expected_is_known(const struct expected *x)
{
	return x->evaluated || x->before.known;
}

bool expected_passed(const struct expected *x)
{
	return x->evaluated ? x->passed : x->before.passed;
}

/* Of a table that no model makes: what the next refresh compares with. */
static bool is_recounted(const struct refresh *r, const struct expected *x)
{
	return x->e->spec->check == CHECK_ROW_COUNT_CHANGE && !r->held_back && x->row_count >= 0 &&
	       x->row_count != x->before.row_count;
}

/*
 * What tarn.expectations shall have and has not. Of what the clock changes only whether it is met: rows that grow old
 * one by one would make a snapshot each, and where a snapshot starts a refresh there would be no end of it.
 */
static bool is_news(const struct refresh *r, const struct expected *x)
{
	const struct expected_state *before = &x->before;

	if (!expected_is_known(x))
		return false;
	if (!before->known || before->severity != (int)x->e->spec->severity)
		return true;
	return x->evaluated && (x->passed != before->passed || r->held_back != before->held_back || !same_query(x) ||
	                        is_recounted(r, x) || (!x->e->varies && x->failed_rows != before->failed_rows));
}

bool expect_has_news(const struct refresh *r)
{
	for (int i = 0; i < r->pipeline->expectations->count; i++)
		if (is_news(r, &r->expected[i]))
			return true;
	return r->expectations_dropped;
}

void expect_forget(struct pipeline *pipeline)
{
	for (int i = 0; i < pipeline->result_count; i++)
		free(pipeline->results[i].example);
	free(TAKE(pipeline->results));
	pipeline->result_count = 0;
}

int expect_report(struct refresh *r)
{
	struct pipeline *pipeline = r->pipeline;
	int count = pipeline->expectations->count;

	expect_forget(pipeline);
	pipeline->results = calloc((size_t)count + 1, sizeof *pipeline->results);
	if (!pipeline->results)
		return error_no_memory(r->err);
	for (int i = 0; i < count; i++) {
		const struct expected *x = &r->expected[i];
		struct expectation_report *report = &pipeline->results[pipeline->result_count];
		const char *example = x->evaluated ? x->example : x->before.example;

		if (!expected_is_known(x))
			continue;
		pipeline->result_count++;
		*report = (struct expectation_report){.expectation = x->e,
		                                      .passed = expected_passed(x),
		                                      .evaluated = x->evaluated,
		                                      .failed_rows =
		                                              x->evaluated ? x->failed_rows : x->before.failed_rows,
		                                      .example = example && *example ? strdup(example) : NULL};
		if (example && *example && !report->example)
			return error_no_memory(r->err);
	}
	r->report->expectations = pipeline->results;
	r->report->expectation_count = pipeline->result_count;
	return 0;
}

/* The message has room for little of each row; tarn.expectations has all of it. */
static void append_shown(const char *example, struct buffer *told)
{
	int depth = 0, size = 0;
	bool text = false;

	for (const char *c = example + 1; *c && c[1]; c++) {
		bool between = *c == ',' && !depth && !text;

		if (*c == '"' && c[-1] != '\\')
			text = !text;
		depth += text ? 0 : (*c == '{' || *c == '[') - (*c == '}' || *c == ']');
		size = between ? 0 : size + 1;
		if (between)
			buffer_text(told, ", ");
		else if (size <= EXAMPLE_SHOWN)
			buffer_char(told, *c);
		else if (size == EXAMPLE_SHOWN + 1)
			buffer_text(told, "...");
	}
}

int expect_tell_held_back(struct refresh *r)
{
	const struct expectation_report *first = NULL;
	OWNED_BUFFER struct buffer rows = {0}, others = {0};
	int count = 0;

	for (int i = 0; i < r->report->expectation_count; i++) {
		const struct expectation_report *report = &r->report->expectations[i];

		if (report->passed || report->expectation->spec->severity != SEVERITY_ERROR)
			continue;
		first = first ? first : report;
		count++;
	}
	buffer_init(&rows, 4096);
	buffer_init(&others, 4096);
	if (first->example)
		append_shown(first->example, &rows);
	if (count > 1)
		buffer_printf(&others, ", and %d other%s broken", count - 1, count > 2 ? "s are" : " is");
	return expectation_mistake(first->expectation, 0, r->err,
	                           "%" PRId64
	                           " row%s it%s: the refresh is held back, and tarn.expectations says why%s%s",
	                           first->failed_rows, first->failed_rows == 1 ? " breaks" : "s break",
	                           buffer_string(&others), rows.size ? ": " : "", buffer_string(&rows));
}

/* ---- life cycle */

int expect_prepare(struct refresh *r)
{
	struct expectation_set *set = r->pipeline->expectations;

	r->expected = calloc((size_t)set->count + 1, sizeof *r->expected);
	if (!r->expected)
		return error_no_memory(r->err);
	for (int i = 0; i < set->count; i++)
		r->expected[i] = (struct expected){
		        .e = &set->items[i],
		        .row_count = -1,
		        .before = {.snapshot = -1, .holds_snapshot = -1, .row_count = -1, .severity = -1}};
	return 0;
}

void expect_release(struct refresh *r)
{
	for (int i = 0; r->expected && i < r->pipeline->expectations->count; i++) {
		struct expected *x = &r->expected[i];

		free(x->before.example);
		free(x->before.query);
		free(x->before.checked_at);
		free(x->example);
		free(x->query);
	}
	free(r->expected);
	r->expected = NULL;
}

/* A tenth of the shortest time, so that what has gone stale is told soon after. */
int64_t pipeline_clock_ms(const struct pipeline *pipeline)
{
	int64_t clock_ms = 0;

	for (int i = 0; i < pipeline->expectations->count; i++) {
		const struct expectation *e = &pipeline->expectations->items[i];
		int64_t every_ms = e->spec->check == CHECK_FRESHNESS ? e->spec->within_ms / 10 : CLOCK_MAXIMUM_MS;

		if (!e->varies)
			continue;
		every_ms = every_ms < CLOCK_MINIMUM_MS ? CLOCK_MINIMUM_MS : every_ms;
		every_ms = every_ms > CLOCK_MAXIMUM_MS ? CLOCK_MAXIMUM_MS : every_ms;
		clock_ms = !clock_ms || every_ms < clock_ms ? every_ms : clock_ms;
	}
	return clock_ms;
}
