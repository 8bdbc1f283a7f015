/*
 * groups.c - models of which each row comes from all rows of a key.
 *
 * Beside the table of an incremental one stands tarn_layers.partials_NAME with a row a key: the key, how many rows it
 * has, and the partials of its aggregates (partial.h). Its table is always made of these, also when it is made anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "layers/layers_private.h"
#include "layers/partial.h"

#define ROWS "\"tarn rows\""

static void append_kept_table(struct buffer *sql, const struct model *model)
{
	OWNED_BUFFER struct buffer name = {0};

	buffer_init(&name, 4096);
	buffer_printf(&name, "partials_%s", model->name);
	append_table(sql, PARTIALS_SCHEMA, buffer_string(&name));
}

static void append_keys(struct buffer *sql, const char *from, int count)
{
	for (int i = 0; i < count; i++)
		buffer_printf(sql, "%s%s%s\"tarn k%d\"", i ? ", " : "", from, *from ? "." : "", i);
}

static void append_same_keys(struct buffer *sql, const char *a, const char *b, int count)
{
	for (int i = 0; i < count; i++)
		buffer_printf(sql, "%s%s.\"tarn k%d\" IS NOT DISTINCT FROM %s.\"tarn k%d\"", i ? " AND " : "", a, i, b,
		              i);
}

/* SELECT keys, tarn rows, partials FROM rows GROUP BY keys */
static void append_partials(const struct shape *shape, const struct partials *partials, const char *rows,
                            const char *where, struct buffer *sql)
{
	buffer_text(sql, "SELECT ");
	for (int i = 0; i < shape->key_count; i++)
		buffer_printf(sql, "%s%s AS \"tarn k%d\"", i ? ", " : "", partials->keys[i], i);
	buffer_text(sql, ", count(*) AS " ROWS);
	for (int i = 0; i < partials->count; i++)
		buffer_printf(sql, ", %s AS \"%s\"", partials->items[i].from_rows, partials->items[i].name);
	buffer_printf(sql, " FROM (%s) w" WHERE_KEPT "%s GROUP BY ", rows, where);
	append_keys(sql, "", shape->key_count);
}

/* The columns of compose_groups from partials. */
static void append_finals(const struct shape *shape, const struct partials *partials, const char *from,
                          struct buffer *sql)
{
	buffer_text(sql, "SELECT ");
	for (int i = 0; i < shape->key_count; i++)
		buffer_printf(sql, "%s%s AS \"tarn k%d\"", i ? ", " : "", partials->key_finals[i], i);
	for (int i = 0; i < partials->final_count; i++)
		buffer_printf(sql, ", %s AS \"tarn g%d\"", partials->finals[i], i);
	buffer_printf(sql, " FROM %s", from);
}

static int insert_result(struct refresh *r, struct model_run *run, const char *result)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "INSERT INTO ");
	append_model(&sql, run->model);
	buffer_printf(&sql, " SELECT " COLUMNS_KEPT " FROM (%s)" WHERE_KEPT, result);
	return run_sql(r, &sql, &run->report->inserted);
}

/* ---- anew */

static int count_grouped(struct refresh *r, struct model_run *run, const char *rows)
{
	OWNED_BUFFER struct buffer sql = {0};

	if (may_drop(run, LEVEL_ROWS)) {
		run->report->grouped = -1;
		return count_rows(r, run, rows, LEVEL_ROWS, 1, &run->report->grouped);
	}
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "SELECT count(*) FROM (%s)", rows);
	if (count_sql(r, &sql, &run->report->grouped))
		return -1;
	run->report->rows_in = run->report->grouped;
	return 0;
}

static int count_groups(struct refresh *r, struct model_run *run, const char *result)
{
	run->report->rows_out = run->report->inserted;
	if (may_drop(run, LEVEL_GROUPS))
		return count_rows(r, run, result, LEVEL_GROUPS, 1, &run->report->inserted);
	run->report->groups = run->report->inserted;
	return 0;
}

/* The groups as a table of their own: of an incremental model the partials, else a temporary one - of partials, too,
 * where there are such, for a plain sum of doubles depends on the order of rows. ret_groups: a SELECT. */
static int make_groups(struct refresh *r, struct model_run *run, const char *rows, struct buffer *ret_groups)
{
	OWNED_BUFFER struct buffer sql = {0}, table = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&table, SQL_MAXIMUM_BYTES);
	append_kept_table(&table, run->model);
	buffer_printf(&sql, "DROP TABLE IF EXISTS %s", buffer_string(&table));
	if (run_sql(r, &sql, NULL) || groups_types(r, run))
		return -1;
	buffer_clear(&sql);
	if (!run->partials) {
		buffer_clear(&table);
		append_temporary(&table, "groups", run->model);
	}
	if (run->partials)
		buffer_printf(&sql, "CREATE TABLE %s", buffer_string(&table));
	else
		append_create_temporary(r, &sql, buffer_string(&table));
	buffer_text(&sql, " AS ");
	if (*run->parts_why) {
		compose_groups(&run->model->shape, rows, &sql);
		buffer_printf(ret_groups, "SELECT * FROM %s", buffer_string(&table));
	} else {
		append_partials(&run->model->shape, run->parts, rows, "", &sql);
		append_finals(&run->model->shape, run->parts, buffer_string(&table), ret_groups);
	}
	return run_sql(r, &sql, NULL);
}

int groups_anew(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer source = {0}, rows = {0}, groups = {0}, result = {0};

	buffer_init(&source, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	buffer_init(&groups, SQL_MAXIMUM_BYTES);
	buffer_init(&result, SQL_MAXIMUM_BYTES);
	append_from(run, &source);
	append_rows_of(run, buffer_string(&source), &rows);
	if (forget_counts(r, run) || empty_table(r, run) || use_threads_for(r, -1) ||
	    make_groups(r, run, buffer_string(&rows), &groups))
		return -1;
	compose_result(&run->model->shape, buffer_string(&groups), &result);
	if (insert_result(r, run, buffer_string(&result)) || count_grouped(r, run, buffer_string(&rows)) ||
	    count_groups(r, run, buffer_string(&result)))
		return -1;
	return check_counts(r, run);
}

/* ---- changes */

struct change {
	const struct partials *partials; /* the run's */
	struct buffer kept; /* the table of partials */
	struct buffer changes; /* temporary: what the keys' partials gain, without those computed again */
	struct buffer again; /* temporary: the keys computed again */
	struct buffer before, after; /* temporary: the partials of all changed keys */
	int64_t new, gone; /* rows of the source */
	bool none_again; /* no keys are computed again: there is no such table */
};

static void release_change(struct change *c)
{
	buffer_release(&c->kept);
	buffer_release(&c->changes);
	buffer_release(&c->again);
	buffer_release(&c->before);
	buffer_release(&c->after);
}

static void init_change(struct change *c, const struct model *model)
{
	struct {
		struct buffer *buffer;
		const char *name;
	} tables[] = {{&c->changes, "changes"}, {&c->again, "again"}, {&c->before, "before"}, {&c->after, "after"}};

	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		buffer_init(tables[i].buffer, SQL_MAXIMUM_BYTES);
		append_temporary(tables[i].buffer, tables[i].name, model);
	}
	buffer_init(&c->kept, SQL_MAXIMUM_BYTES);
	append_kept_table(&c->kept, model);
}

/* The rows of what the source lost or got; counted. */
static int read_rows(struct refresh *r, struct model_run *run, enum delta delta, struct buffer *rows,
                     int64_t *ret_count)
{
	const struct shape *shape = &run->model->shape;
	OWNED_BUFFER struct buffer source = {0};
	int64_t kept = -1;
	int sign = delta == DELTA_NEW ? 1 : -1;

	if (feed_count(r, shape->schema, shape->table, delta, ret_count))
		return -1;
	buffer_init(&source, SQL_MAXIMUM_BYTES);
	append_delta(&source, delta, shape->schema, shape->table);
	append_rows_of(run, buffer_string(&source), rows);
	if (!*ret_count)
		return 0;
	if (!may_drop(run, LEVEL_ROWS)) {
		kept = *ret_count;
		run->report->rows_in += sign * kept;
	} else if (use_threads_for(r, *ret_count) || count_rows(r, run, buffer_string(rows), LEVEL_ROWS, sign, &kept) ||
	           use_threads_for(r, 0)) {
		return -1;
	}
	run->report->grouped += sign * kept;
	return 0;
}

/* Which of the changed keys are computed again. */
static const char *again_where(const struct change *c, const char *gone)
{
	return c->partials->always_again ? "true" : c->partials->again_when_gone ? gone : "false";
}

/* Nothing is gone: what the keys gain is what the new rows make. */
static void append_gains(const struct shape *shape, const struct change *c, const char *new, struct buffer *sql)
{
	const struct partials *partials = c->partials;

	buffer_text(sql, " AS SELECT ");
	append_keys(sql, "", shape->key_count);
	buffer_printf(sql, ", " ROWS ", false AS \"tarn gone\", %s AS \"tarn again\"", again_where(c, "false"));
	for (int i = 0; i < partials->count; i++)
		if (partials->items[i].merge)
			buffer_printf(sql, ", \"%s\"", partials->items[i].name);
	buffer_text(sql, " FROM (");
	append_partials(shape, partials, new, "", sql);
	buffer_char(sql, ')');
}

/* One row a changed key, with what all its partials gain (MERGE) from new rows and gone ones. */
static int make_changes(struct refresh *r, struct model_run *run, struct change *c, const char *new, const char *gone)
{
	const struct shape *shape = &run->model->shape;
	const struct partials *partials = c->partials;
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_create_temporary(r, &sql, buffer_string(&c->changes));
	if (!c->gone) {
		append_gains(shape, c, new, &sql);
		return run_sql(r, &sql, NULL);
	}
	buffer_text(&sql, " AS SELECT ");
	append_keys(&sql, "", shape->key_count);
	buffer_printf(&sql,
	              ", CAST(sum(" ROWS ") AS BIGINT) AS " ROWS
	              ", bool_or(\"tarn gone\") AS \"tarn gone\", %s AS \"tarn again\"",
	              again_where(c, "bool_or(\"tarn gone\")"));
	for (int i = 0; i < partials->count; i++)
		if (partials->items[i].merge)
			buffer_printf(&sql, ", %s\"%s\"%s AS \"%s\"", partials->items[i].merge->all.before,
			              partials->items[i].name, partials->items[i].merge->all.after,
			              partials->items[i].name);
	buffer_text(&sql, " FROM (SELECT *, false AS \"tarn gone\" FROM (");
	append_partials(shape, partials, new, "", &sql);
	buffer_text(&sql, ") UNION ALL BY NAME SELECT ");
	append_keys(&sql, "", shape->key_count);
	buffer_text(&sql, ", -" ROWS " AS " ROWS);
	for (int i = 0; i < partials->count; i++)
		if (partials->items[i].negate)
			buffer_printf(&sql, ", %s\"%s\"%s AS \"%s\"", partials->items[i].negate->before,
			              partials->items[i].name, partials->items[i].negate->after,
			              partials->items[i].name);
	buffer_text(&sql, ", true AS \"tarn gone\" FROM (");
	append_partials(shape, partials, gone, "", &sql);
	buffer_text(&sql, ")) GROUP BY ");
	append_keys(&sql, "", shape->key_count);
	return run_sql(r, &sql, NULL);
}

/* Keys of which a partial does not merge: from all their rows. */
static int make_again(struct refresh *r, struct model_run *run, struct change *c)
{
	const struct shape *shape = &run->model->shape;
	OWNED_BUFFER struct buffer sql = {0}, source = {0}, rows = {0}, where = {0};
	int64_t keys = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	if (c->partials->always_again || (c->partials->again_when_gone && c->gone)) {
		buffer_printf(&sql, "SELECT count(*) FROM %s WHERE \"tarn again\"", buffer_string(&c->changes));
		if (count_sql(r, &sql, &keys))
			return -1;
	}
	/* Without such keys the source, which may be large, is not looked at. */
	c->none_again = !keys;
	if (!keys)
		return 0;
	buffer_init(&source, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	buffer_init(&where, SQL_MAXIMUM_BYTES);
	append_from(run, &source);
	append_rows_of(run, buffer_string(&source), &rows);
	buffer_printf(&where, " AND EXISTS (SELECT 1 FROM %s c WHERE c.\"tarn again\" AND ",
	              buffer_string(&c->changes));
	append_same_keys(&where, "c", "w", shape->key_count);
	buffer_char(&where, ')');
	buffer_clear(&sql);
	append_create_temporary(r, &sql, buffer_string(&c->again));
	buffer_text(&sql, " AS ");
	append_partials(shape, c->partials, buffer_string(&rows), buffer_string(&where), &sql);
	return use_threads_for(r, -1) || run_sql(r, &sql, NULL) ? -1 : 0;
}

static int make_before(struct refresh *r, const struct model_run *run, struct change *c)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_create_temporary(r, &sql, buffer_string(&c->before));
	buffer_printf(&sql, " AS SELECT p.* FROM %s p WHERE EXISTS (SELECT 1 FROM %s c WHERE ", buffer_string(&c->kept),
	              buffer_string(&c->changes));
	append_same_keys(&sql, "c", "p", run->model->shape.key_count);
	buffer_char(&sql, ')');
	return run_sql(r, &sql, NULL);
}

/* before: the table of the changed keys' partials, or of all. Each key is once in it and once in the changes, at most:
 * to join them takes a third of what groups of two rows take. */
static void append_merged(const struct shape *shape, const struct change *c, const char *before, struct buffer *sql)
{
	const struct partials *partials = c->partials;

	buffer_text(sql, "SELECT ");
	for (int i = 0; i < shape->key_count; i++)
		buffer_printf(sql, "coalesce(b.\"tarn k%d\", c.\"tarn k%d\") AS \"tarn k%d\", ", i, i, i);
	buffer_text(sql, "coalesce(b." ROWS ", 0) + coalesce(c." ROWS ", 0) AS " ROWS);
	for (int i = 0; i < partials->count; i++) {
		const struct merge *merge = partials->items[i].merge;
		const char *name = partials->items[i].name;

		buffer_printf(sql, ", %sb.\"%s\"%sc.\"%s\"%s AS \"%s\"", merge->before, name, merge->between, name,
		              merge->after, name);
	}
	/* The changes first: of two tables as large DuckDB goes through the first, on all threads, and looks for its
	 * rows in the second. */
	buffer_printf(sql, " FROM (SELECT * FROM %s%s) c FULL JOIN (SELECT * FROM %s b", buffer_string(&c->changes),
	              c->none_again ? "" : " WHERE NOT \"tarn again\"", before);
	if (!c->none_again) {
		buffer_printf(sql, " WHERE NOT EXISTS (SELECT 1 FROM %s c WHERE c.\"tarn again\" AND ",
		              buffer_string(&c->changes));
		append_same_keys(sql, "c", "b", shape->key_count);
		buffer_char(sql, ')');
	}
	buffer_text(sql, ") b ON ");
	append_same_keys(sql, "b", "c", shape->key_count);
	buffer_text(sql, " WHERE coalesce(b." ROWS ", 0) + coalesce(c." ROWS ", 0) > 0");
}

/* What merges: before and changes; a key without rows is gone. What does not: as it was computed again. */
static int make_after(struct refresh *r, const struct model_run *run, struct change *c, const char *before)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_create_temporary(r, &sql, buffer_string(&c->after));
	buffer_text(&sql, " AS ");
	if (!c->none_again)
		buffer_printf(&sql, "SELECT * FROM %s", buffer_string(&c->again));
	else if (c->partials->always_again) /* no key has changed: there is none before, either */
		buffer_printf(&sql, "SELECT * FROM %s", before);
	if (!c->none_again && !c->partials->always_again)
		buffer_text(&sql, " UNION ALL ");
	if (!c->partials->always_again)
		append_merged(&run->model->shape, c, before, &sql);
	return run_sql(r, &sql, NULL);
}

/* Into what is kept, from which the keys' old partials are gone. */
static int put_after(struct refresh *r, const struct change *c)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "INSERT INTO %s BY NAME SELECT * FROM %s", buffer_string(&c->kept),
	              buffer_string(&c->after));
	return run_sql(r, &sql, NULL);
}

static int keep(struct refresh *r, const struct model_run *run, struct change *c)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "DELETE FROM %s WHERE rowid IN (SELECT p.rowid FROM %s p JOIN %s b ON ",
	              buffer_string(&c->kept), buffer_string(&c->kept), buffer_string(&c->before));
	append_same_keys(&sql, "p", "b", run->model->shape.key_count);
	buffer_char(&sql, ')');
	if (run_sql(r, &sql, NULL))
		return -1;
	return put_after(r, c);
}

/* The model's rows of those keys, before or after, as a temporary table; counted. */
static int make_delta(struct refresh *r, struct model_run *run, const struct change *c, enum delta delta)
{
	const struct shape *shape = &run->model->shape;
	const char *partials = buffer_string(delta == DELTA_GONE ? &c->before : &c->after);
	OWNED_BUFFER struct buffer groups = {0}, result = {0}, sql = {0};
	int sign = delta == DELTA_NEW ? 1 : -1;

	buffer_init(&groups, SQL_MAXIMUM_BYTES);
	buffer_init(&result, SQL_MAXIMUM_BYTES);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_finals(shape, c->partials, partials, &groups);
	compose_result(shape, buffer_string(&groups), &result);
	buffer_printf(&sql, "SELECT " COLUMNS_KEPT " FROM (%s)" WHERE_KEPT, buffer_string(&result));
	if (feed_write(r, run, delta, &sql))
		return -1;
	return count_rows(r, run, buffer_string(&result), LEVEL_GROUPS, sign, &run->delta_rows[delta]);
}

/* Rows that are the same before and after stay where they are. */
static int drop_unchanged(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer gone = {0}, new = {0}, same = {0}, sql = {0};
	int64_t missing = 0;

	buffer_init(&gone, SQL_MAXIMUM_BYTES);
	buffer_init(&new, SQL_MAXIMUM_BYTES);
	buffer_init(&same, SQL_MAXIMUM_BYTES);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_delta(&gone, DELTA_GONE, "main", run->model->name);
	append_delta(&new, DELTA_NEW, "main", run->model->name);
	append_temporary(&same, "same", run->model);
	append_create_temporary(r, &sql, buffer_string(&same));
	buffer_text(&sql, " AS SELECT \"tarn row\".* FROM (SELECT \"tarn x\" AS \"tarn row\", ");
	append_exact_row(&sql, "\"tarn x\"", &run->columns);
	buffer_printf(&sql, " FROM %s \"tarn x\" INTERSECT ALL SELECT \"tarn x\", ", buffer_string(&gone));
	append_exact_row(&sql, "\"tarn x\"", &run->columns);
	buffer_printf(&sql, " FROM %s \"tarn x\")", buffer_string(&new));
	run->delta_rows[DELTA_GONE] = run->delta_rows[DELTA_NEW] = -1;
	if (run_sql(r, &sql, NULL) ||
	    delete_rows(r, buffer_string(&gone), buffer_string(&same), &run->columns, &missing))
		return -1;
	return delete_rows(r, buffer_string(&new), buffer_string(&same), &run->columns, &missing);
}

static int change_table(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer table = {0}, gone = {0}, sql = {0};
	int64_t count = 0, missing = 0;

	buffer_init(&table, SQL_MAXIMUM_BYTES);
	buffer_init(&gone, SQL_MAXIMUM_BYTES);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_model(&table, run->model);
	append_delta(&gone, DELTA_GONE, "main", run->model->name);
	if (drop_unchanged(r, run) || feed_count(r, "main", run->model->name, DELTA_GONE, &count) ||
	    delete_rows(r, buffer_string(&table), buffer_string(&gone), &run->columns, &missing))
		return -1;
	if (missing)
		return error_set(r->err, ERROR_FATAL, 0,
		                 "%.200s: %" PRId64
		                 " rows of its table are not what it made of them: somebody changed it; make it "
		                 "anew with --full",
		                 run->model->file, missing);
	run->report->deleted = count;
	buffer_printf(&sql, "INSERT INTO %s SELECT * FROM ", buffer_string(&table));
	append_delta(&sql, DELTA_NEW, "main", run->model->name);
	return run_sql(r, &sql, &run->report->inserted);
}

/* ---- most groups changed: all rows are written from the partials, which costs less than looking for them */

/* Whoever follows this model's changes needs to have them. */
static bool is_followed(const struct refresh *r, const struct model_run *run)
{
	const struct model_set *set = r->pipeline->models;

	for (int i = 0; i < set->count; i++)
		if (set->models[i].options.materialized != MATERIALIZED_VIEW &&
		    models_depend(set, i, (int)(run - r->runs)))
			return true;
	return false;
}

static int most_changed(struct refresh *r, const struct model_run *run, const struct change *c, bool *ret_most)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t more = 0;

	*ret_most = false;
	/* Keys that are all computed again are no merge of what was kept: make_after has the changed ones alone. */
	if (c->partials->always_again || stage_may_fail(&run->model->shape.result) || is_followed(r, run))
		return 0;
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "SELECT 2 * (SELECT count(*) FROM %s) - (SELECT count(*) FROM %s)",
	              buffer_string(&c->changes), buffer_string(&c->kept));
	if (count_sql(r, &sql, &more))
		return -1;
	*ret_most = more >= 0;
	return 0;
}

static int replace_all(struct refresh *r, struct model_run *run, struct change *c)
{
	const struct shape *shape = &run->model->shape;
	struct model_report *report = run->report;
	OWNED_BUFFER struct buffer groups = {0}, result = {0}, sql = {0};

	buffer_init(&groups, SQL_MAXIMUM_BYTES);
	buffer_init(&result, SQL_MAXIMUM_BYTES);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "DELETE FROM %s", buffer_string(&c->kept));
	if (make_after(r, run, c, buffer_string(&c->kept)) || run_sql(r, &sql, NULL) || put_after(r, c))
		return -1;
	append_finals(shape, c->partials, buffer_string(&c->after), &groups);
	compose_result(shape, buffer_string(&groups), &result);
	report->groups = 0;
	for (int i = compose_condition_count(shape); i < model_condition_count(run->model); i++)
		report->by_condition[i] = 0;
	if (delete_all(r, run) || insert_result(r, run, buffer_string(&result)) ||
	    count_groups(r, run, buffer_string(&result)))
		return -1;
	return check_counts(r, run);
}

int groups_change(struct refresh *r, struct model_run *run)
{
	OWNED_BY(release_change) struct change c = {0};
	OWNED_BUFFER struct buffer new = {0}, gone = {0};
	bool most = false;

	buffer_init(&new, SQL_MAXIMUM_BYTES);
	buffer_init(&gone, SQL_MAXIMUM_BYTES);
	init_change(&c, run->model);
	if (groups_types(r, run))
		return -1;
	c.partials = run->parts;
	if (read_rows(r, run, DELTA_NEW, &new, &c.new) || read_rows(r, run, DELTA_GONE, &gone, &c.gone) ||
	    /* The changed keys are looked for among all, which is quick. */
	    use_threads_for(r, c.new + c.gone + run->before.groups / 4) ||
	    make_changes(r, run, &c, buffer_string(&new), buffer_string(&gone)) || make_again(r, run, &c) ||
	    most_changed(r, run, &c, &most))
		return -1;
	if (most)
		return replace_all(r, run, &c);
	if (make_before(r, run, &c) || make_after(r, run, &c, buffer_string(&c.before)) || keep(r, run, &c) ||
	    make_delta(r, run, &c, DELTA_GONE) || make_delta(r, run, &c, DELTA_NEW) || change_table(r, run))
		return -1;
	run->deltas = true;
	run->report->rows_out += run->report->inserted - run->report->deleted;
	return check_counts(r, run);
}
