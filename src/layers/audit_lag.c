/*
 * audit_lag.c - what of a pipeline's sources its tables do not hold yet.
 *
 * A model is behind by the snapshots since its own that changed a table which it reads, itself or through others, and
 * which no model of the pipeline makes. Merged files change nothing. Backend file has no snapshots; its ledger says
 * when a stream committed rows to a table, and its lanes commit together or not: those of the busiest lane are counted.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "layers/audit_private.h"

/* Of one model: the tables at the end of all that it reads. */
struct bases {
	const struct reference **items; /* owned */
	int count;
	bool *seen; /* one a model; owned */
};

static void release_bases(struct bases *bases)
{
	free(bases->items);
	free(bases->seen);
}

static int add_base(struct auditing *a, struct bases *bases, const struct reference *read)
{
	const struct reference **items;

	for (int i = 0; i < bases->count; i++)
		if (!strcasecmp(bases->items[i]->table, read->table) &&
		    !strcasecmp(bases->items[i]->schema, read->schema))
			return 0;
	items = realloc(bases->items, (size_t)(bases->count + 1) * sizeof *items);
	if (!items)
		return error_no_memory(a->err);
	bases->items = items;
	items[bases->count++] = read;
	return 0;
}

static int find_bases(struct auditing *a, int model, struct bases *bases)
{
	const struct model *read_by = &a->set->models[model];

	if (bases->seen[model])
		return 0;
	bases->seen[model] = true;
	for (int i = 0; i < read_by->read_count; i++) {
		const struct reference *read = &read_by->reads[i];

		if (read->model >= 0 ? find_bases(a, read->model, bases) : add_base(a, bases, read))
			return -1;
	}
	return 0;
}

static int init_bases(struct auditing *a, int model, struct bases *ret_bases)
{
	ret_bases->seen = calloc((size_t)a->set->count + 1, sizeof *ret_bases->seen);
	return ret_bases->seen ? find_bases(a, model, ret_bases) : error_no_memory(a->err);
}

/* ---- snapshots */

struct history {
	struct duck_rows tables; /* id, schema, name */
	struct duck_rows changes; /* snapshot, time, id: of a table that it changed */
};

static int64_t oldest_snapshot(const struct auditing *a)
{
	int64_t oldest = INT64_MAX;

	for (int i = 0; i < a->set->count; i++) {
		const struct audited_model *model = &a->audit->models[i];
		int64_t snapshot = model->made ? model->snapshot : 0;

		if (!model->view && snapshot < oldest)
			oldest = snapshot;
	}
	return oldest;
}

static int read_history(struct auditing *a, struct history *history)
{
	int64_t since = oldest_snapshot(a);
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	if (duck_query(a->connection,
	               "SELECT t.table_id, s.schema_name, t.table_name FROM __ducklake_metadata_lake.ducklake_table t "
	               "JOIN __ducklake_metadata_lake.ducklake_schema s ON s.schema_id = t.schema_id AND "
	               "s.end_snapshot IS "
	               "NULL WHERE t.end_snapshot IS NULL",
	               &history->tables, a->err))
		return -1;
	/* From the catalog's own tables: lake.snapshots() would read all that ever were. Tarn's tables change in each
	 * commit, and are no sources. */
	buffer_printf(
	        &sql,
	        "SELECT c.snapshot_id, epoch_ms(CAST(s.snapshot_time AS TIMESTAMP WITH TIME ZONE)), c.id FROM (SELECT "
	        "snapshot_id, unnest(list_distinct(regexp_extract_all(changes_made, "
	        "'(?:^|,)(?:inserted_into_table|deleted_from_table|inlined_insert|inlined_delete):([0-9]+)', 1))) AS "
	        "id FROM __ducklake_metadata_lake.ducklake_snapshot_changes WHERE snapshot_id > %" PRId64
	        ") c JOIN __ducklake_metadata_lake.ducklake_snapshot s ON s.snapshot_id = c.snapshot_id WHERE "
	        "s.snapshot_id > %" PRId64 " AND c.id IN (''",
	        since, since);
	for (int64_t i = 0; i < history->tables.row_count; i++)
		if (strcmp(duck_cell(&history->tables, i, 1), "tarn") != 0)
			buffer_printf(&sql, ", '%s'", duck_cell(&history->tables, i, 0));
	buffer_text(&sql, ") ORDER BY c.snapshot_id");
	return audit_query(a, &sql, &history->changes);
}

static bool is_base(const struct bases *bases, const char *schema, const char *table)
{
	for (int i = 0; i < bases->count; i++)
		if (!strcasecmp(bases->items[i]->schema, schema) && !strcasecmp(bases->items[i]->table, table))
			return true;
	return false;
}

static bool is_one_of(const char *const *ids, int count, const char *id)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(ids[i], id))
			return true;
	return false;
}

static int count_snapshots(struct auditing *a, const struct history *history, const struct bases *bases, int64_t now_ms,
                           struct audited_model *model)
{
	OWNED_FREE const char **ids = calloc((size_t)history->tables.row_count + 1, sizeof *ids);
	int64_t since = model->made ? model->snapshot : 0, last = -1;
	int count = 0;

	if (!ids)
		return error_no_memory(a->err);
	for (int64_t i = 0; i < history->tables.row_count; i++)
		if (is_base(bases, duck_cell(&history->tables, i, 1), duck_cell(&history->tables, i, 2)))
			ids[count++] = duck_cell(&history->tables, i, 0);
	model->behind = model->behind_ms = 0;
	for (int64_t i = 0; i < history->changes.row_count; i++) {
		int64_t snapshot = duck_cell_int(&history->changes, i, 0);

		if (snapshot <= since || snapshot == last || !is_one_of(ids, count, duck_cell(&history->changes, i, 2)))
			continue;
		if (!model->behind++)
			model->behind_ms = now_ms - duck_cell_int(&history->changes, i, 1);
		last = snapshot;
	}
	if (model->behind_ms < 0)
		model->behind_ms = 0; /* clocks */
	return 0;
}

static int lag_of_snapshots(struct auditing *a)
{
	struct history history = {0};
	int64_t now_ms = clock_wall_ms();
	int failed = read_history(a, &history);

	for (int i = 0; i < a->set->count && !failed; i++) {
		OWNED_BY(release_bases) struct bases bases = {0};

		failed = init_bases(a, i, &bases);
		if (!failed && !a->audit->models[i].view)
			failed = count_snapshots(a, &history, &bases, now_ms, &a->audit->models[i]);
	}
	duck_rows_release(&history.tables);
	duck_rows_release(&history.changes);
	return failed ? -1 : 0;
}

/* ---- backend file */

/* ret_rows: how many commits, and when the first was; no row where no stream ever committed to the table. */
static int read_commits(struct auditing *a, const struct audited_model *model, const struct reference *read,
                        struct duck_rows *ret_rows)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql,
	            "SELECT max(n), min(first) FROM (SELECT count(*) FILTER (newer) AS n, epoch_ms(min(committed_at) "
	            "FILTER (newer)) AS first FROM (SELECT *, \"rows\" > 0");
	if (model->made) {
		buffer_text(&sql,
		            " AND committed_at > (SELECT max(refreshed_at) FROM lake.tarn.models WHERE pipeline = ");
		buffer_sql_text(&sql, a->spec->name);
		buffer_text(&sql, " AND model = ");
		buffer_sql_text(&sql, model->name);
		buffer_text(&sql, ")");
	}
	buffer_text(&sql, " AS newer FROM lake.tarn.ledger WHERE lower(table_name) = lower(");
	buffer_sql_text(&sql, read->schema);
	buffer_text(&sql, " || '.' || ");
	buffer_sql_text(&sql, read->table);
	buffer_text(&sql, ")) GROUP BY stream, topic_id, \"partition\") HAVING count(*) > 0");
	return audit_query(a, &sql, ret_rows);
}

static int has_ledger(struct auditing *a, bool *ret_there)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(a->connection,
	               "SELECT 1 FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'tarn' AND "
	               "table_name = "
	               "'ledger'",
	               &rows, a->err))
		return -1;
	*ret_there = rows.row_count > 0;
	return 0;
}

static int add_commits(struct auditing *a, struct audited_model *model, const struct reference *read, int64_t now_ms)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int64_t age_ms;

	if (read_commits(a, model, read, &rows))
		return -1;
	if (!rows.row_count) {
		model->behind = model->behind_ms = -1;
		return 0;
	}
	if (model->behind < 0 || !duck_cell_int(&rows, 0, 0))
		return 0;
	model->behind += duck_cell_int(&rows, 0, 0);
	age_ms = now_ms - duck_cell_int(&rows, 0, 1);
	if (age_ms > model->behind_ms)
		model->behind_ms = age_ms;
	return 0;
}

static int lag_of_commits(struct auditing *a)
{
	int64_t now_ms = clock_wall_ms();
	bool ledger = false;

	if (has_ledger(a, &ledger))
		return -1;
	for (int i = 0; i < a->set->count && ledger; i++) {
		OWNED_BY(release_bases) struct bases bases = {0};
		struct audited_model *model = &a->audit->models[i];

		if (init_bases(a, i, &bases))
			return -1;
		model->behind = model->behind_ms = 0;
		for (int k = 0; k < bases.count && !model->view; k++)
			if (add_commits(a, model, bases.items[k], now_ms))
				return -1;
	}
	return 0;
}

/* ---- all of it */

int audit_lag(struct auditing *a)
{
	for (int i = 0; i < a->audit->model_count; i++)
		a->audit->models[i].behind = a->audit->models[i].behind_ms = a->audit->models[i].view ? 0 : -1;
	if (a->snapshots ? lag_of_snapshots(a) : lag_of_commits(a))
		return -1;
	a->audit->behind = a->audit->behind_ms = -1;
	for (int i = 0; i < a->set->count; i++) {
		const struct audited_model *model = &a->audit->models[i];

		if (model->behind > a->audit->behind)
			a->audit->behind = model->behind;
		if (model->behind_ms > a->audit->behind_ms)
			a->audit->behind_ms = model->behind_ms;
	}
	return 0;
}
