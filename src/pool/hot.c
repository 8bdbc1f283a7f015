#include "pool/hot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "lake/version.h"
#include "pool/worker_private.h"

struct copy {
	char *schema, *table; /* owned */
	bool there;
	bool told; /* why it is not there */
	bool stale; /* the lake's table has another version at looked_at: it is to be made */
	int64_t id; /* of the table in the lake */
	int64_t from, until; /* true for these snapshots, both included */
};

struct hot {
	const struct spec_pool *pool; /* borrowed */
	struct copy *copies; /* owned; the first ones of pool->hot_tables */
	int count;
	int64_t looked_at; /* the newest snapshot up to which all are known; -1: none */
	int64_t generation;
	int64_t stale_since_ms; /* of the oldest stale copy */
};

static bool hot_is_stale(const struct hot *hot)
{
	for (int i = 0; i < hot->count; i++)
		if (hot->copies[i].stale)
			return true;
	return false;
}

bool hot_waits(const struct hot *hot, int64_t most_ms)
{
	return hot_is_stale(hot) && clock_monotonic_ms() - hot->stale_since_ms >= most_ms;
}

/* ---- making */

static int split_name(const char *name, struct copy *copy)
{
	const char *dot = strchr(name, '.');

	copy->schema = dot ? strndup(name, (size_t)(dot - name)) : strdup("main");
	copy->table = strdup(dot ? dot + 1 : name);
	return copy->schema && copy->table ? 0 : -1;
}

static int make_schema(struct lake_session *session, const char *schema, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "CREATE SCHEMA IF NOT EXISTS " HOT_CATALOG ".");
	buffer_sql_name(&sql, schema);
	return duck_exec(lake_connection(session), buffer_string(&sql), NULL, err);
}

struct hot *hot_new(const struct spec_pool *pool, struct lake_session *session, struct error *err)
{
	struct hot *hot = calloc(1, sizeof *hot);
	/* A file without snapshots is as fast as memory. */
	int count = lake_session_has_snapshots(session) ? pool->hot_table_count : 0;

	if (!hot || !(hot->copies = calloc((size_t)count + 1, sizeof *hot->copies))) {
		free(hot);
		error_no_memory(err);
		return NULL;
	}
	hot->pool = pool;
	hot->looked_at = -1;
	for (; hot->count < count; hot->count++) {
		if (split_name(pool->hot_tables[hot->count], &hot->copies[hot->count])) {
			hot->count++;
			hot_free(hot);
			error_no_memory(err);
			return NULL;
		}
	}
	if (count && lake_attach_memory(session, HOT_CATALOG, err)) {
		hot_free(hot);
		return NULL;
	}
	for (int i = 0; i < hot->count; i++)
		if (make_schema(session, hot->copies[i].schema, err)) {
			hot_free(hot);
			return NULL;
		}
	return hot;
}

void hot_free(struct hot *hot)
{
	if (!hot)
		return;
	for (int i = 0; i < hot->count; i++) {
		free(hot->copies[i].schema);
		free(hot->copies[i].table);
	}
	free(hot->copies);
	free(hot);
}

static void append_name(struct buffer *sql, const char *catalog, const struct copy *copy)
{
	buffer_text(sql, catalog);
	buffer_char(sql, '.');
	buffer_sql_name(sql, copy->schema);
	buffer_char(sql, '.');
	buffer_sql_name(sql, copy->table);
}

static void drop(struct hot *hot, struct lake_session *session, struct copy *copy)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct error ignored;

	if (!copy->there)
		return;
	buffer_init(&sql, 65536);
	buffer_text(&sql, "DROP TABLE IF EXISTS ");
	append_name(&sql, HOT_CATALOG, copy);
	duck_exec(lake_connection(session), buffer_string(&sql), NULL, &ignored);
	copy->there = false;
	hot->generation++;
}

static void complain(struct copy *copy, const char *what, const struct error *err)
{
	if (!copy->told)
		log_event(EVENT_WORKER, FIELDS(LOG_TEXT("table", copy->table)), "the hot table %s.%s %s: %s",
		          copy->schema, copy->table, what, err->message);
	copy->told = true;
}

/* Without one a copy is slower, and as true. False: one is missing. */
static bool make_indexes(const struct hot *hot, struct lake_session *session, struct copy *copy)
{
	const char *table = hot->pool->hot_tables[copy - hot->copies];
	size_t size = strlen(table);
	bool all = true;

	for (int i = 0; i < hot->pool->hot_index_count; i++) {
		const char *index = hot->pool->hot_indexes[i];
		OWNED_BUFFER struct buffer sql = {0};
		struct error err = {0};

		if (strncmp(index, table, size) || index[size] != '.' || strchr(index + size + 1, '.'))
			continue;
		buffer_init(&sql, 65536);
		buffer_printf(&sql, "CREATE INDEX tarn_%d ON ", i);
		append_name(&sql, HOT_CATALOG, copy);
		buffer_text(&sql, " (");
		buffer_sql_name(&sql, index + size + 1);
		buffer_char(&sql, ')');
		if (duck_exec(lake_connection(session), buffer_string(&sql), NULL, &err) == 0)
			continue;
		complain(copy, "has no index", &err);
		all = false;
	}
	return all;
}

/* The old one goes first: both at once may be more than there is memory for. */
static void make(struct hot *hot, struct lake_session *session, struct copy *copy, int64_t snapshot)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct error err = {0};

	drop(hot, session, copy);
	buffer_init(&sql, 65536);
	buffer_text(&sql, "CREATE OR REPLACE TABLE ");
	append_name(&sql, HOT_CATALOG, copy);
	buffer_text(&sql, " AS FROM ");
	append_name(&sql, "lake", copy);
	buffer_printf(&sql, " AT (VERSION => %" PRId64 ")", snapshot);
	if (duck_exec(lake_connection(session), buffer_string(&sql), NULL, &err) == 0) {
		copy->there = true;
		copy->told = !make_indexes(hot, session, copy);
		hot->generation++;
		return;
	}
	complain(copy, "is read from the lake", &err);
}

/* ---- what the lake knows of its tables */

#define METADATA "__ducklake_metadata_lake."

/* Each copy's table at the snapshot: its id, -1: there is none. *ret_there: there is such a snapshot. */
static int find_ids(const struct hot *hot, struct lake_session *session, int64_t snapshot, int64_t *ids,
                    bool *ret_there, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_printf(&sql,
	              "SELECT s.schema_name, t.table_name, t.table_id, (SELECT max(snapshot_id) FROM " METADATA
	              "ducklake_snapshot) FROM " METADATA "ducklake_table t JOIN " METADATA
	              "ducklake_schema s USING (schema_id) WHERE t.begin_snapshot <= %" PRId64
	              " AND (t.end_snapshot IS NULL OR t.end_snapshot > %" PRId64 ") AND s.begin_snapshot <= %" PRId64
	              " AND (s.end_snapshot IS NULL OR s.end_snapshot > %" PRId64 ")",
	              snapshot, snapshot, snapshot, snapshot);
	if (duck_query(lake_connection(session), buffer_string(&sql), &rows, err))
		return -1;
	*ret_there = rows.row_count && duck_cell_int(&rows, 0, 3) >= snapshot;
	for (int i = 0; i < hot->count; i++) {
		ids[i] = -1;
		for (int64_t r = 0; r < rows.row_count; r++)
			if (!strcasecmp(duck_cell(&rows, r, 0), hot->copies[i].schema) &&
			    !strcasecmp(duck_cell(&rows, r, 1), hot->copies[i].table))
				ids[i] = duck_cell_int(&rows, r, 2);
	}
	return 0;
}

/* What changed behind `after` up to `until`. *ret_whole: none of the snapshots between is missing. */
static int read_changes(struct lake_session *session, int64_t after, int64_t until, struct duck_rows *ret_rows,
                        bool *ret_whole, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 65536);
	buffer_printf(&sql,
	              "SELECT changes_made FROM " METADATA "ducklake_snapshot_changes WHERE snapshot_id > %" PRId64
	              " AND snapshot_id <= %" PRId64,
	              after, until);
	if (duck_query(lake_connection(session), buffer_string(&sql), ret_rows, err))
		return -1;
	*ret_whole = ret_rows->row_count == until - after;
	return 0;
}

static bool is_touched(const struct duck_rows *rows, int64_t id)
{
	for (int64_t r = 0; r < rows->row_count; r++)
		if (duck_cell(rows, r, 0) && version_changes_touch(duck_cell(rows, r, 0), id))
			return true;
	return false;
}

static void mark_stale(struct hot *hot, struct copy *copy)
{
	if (!copy->stale)
		hot->stale_since_ms = hot_is_stale(hot) ? hot->stale_since_ms : clock_monotonic_ms();
	copy->stale = true;
}

static void follow_one(struct hot *hot, struct lake_session *session, struct copy *copy, int64_t id, int64_t snapshot,
                       bool still_true)
{
	if (id < 0) {
		drop(hot, session, copy);
		copy->stale = false;
		return;
	}
	if (copy->there && !copy->stale && copy->id == id && still_true) {
		copy->until = snapshot;
		return;
	}
	if (copy->id == id && !copy->there && !copy->stale && still_true)
		return; /* it could not be made, and would not be now */
	copy->id = id;
	mark_stale(hot, copy);
}

int hot_follow(struct hot *hot, struct lake_session *session, int64_t snapshot, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	OWNED_FREE int64_t *ids = calloc((size_t)hot->count + 1, sizeof *ids);
	bool whole = false, there = false;

	if (!hot->count || snapshot <= hot->looked_at)
		return 0;
	if (!ids)
		return error_no_memory(err);
	if (find_ids(hot, session, snapshot, ids, &there, err))
		return -1;
	if (!there)
		return 0;
	if (hot->looked_at >= 0 && read_changes(session, hot->looked_at, snapshot, &rows, &whole, err))
		return -1;
	for (int i = 0; i < hot->count; i++)
		follow_one(hot, session, &hot->copies[i], ids[i], snapshot, whole && !is_touched(&rows, ids[i]));
	hot->looked_at = snapshot;
	return 0;
}

bool hot_tell(struct hot *hot, int64_t snapshot, const int64_t *changed, int count)
{
	if (count != hot->count)
		return false;
	for (int i = 0; i < count && snapshot > hot->looked_at; i++) {
		struct copy *copy = &hot->copies[i];

		/* One that is not there could not be made of what has not changed since. */
		if (changed[i] > copy->until)
			mark_stale(hot, copy);
		else if (copy->there && !copy->stale)
			copy->until = snapshot;
	}
	hot->looked_at = snapshot > hot->looked_at ? snapshot : hot->looked_at;
	return true;
}

int hot_renew(struct hot *hot, struct lake_session *session, int64_t snapshot, struct error *err)
{
	if (hot_follow(hot, session, snapshot, err))
		return -1;
	for (int i = 0; i < hot->count; i++) {
		struct copy *copy = &hot->copies[i];

		if (!copy->stale)
			continue;
		copy->stale = false;
		copy->from = copy->until = hot->looked_at;
		make(hot, session, copy, hot->looked_at);
	}
	return 0;
}

/* ---- asking */

bool hot_is_true(const struct hot *hot, const char *schema, const char *table, int64_t snapshot)
{
	for (int i = 0; i < hot->count; i++) {
		const struct copy *copy = &hot->copies[i];

		if (!strcasecmp(copy->schema, schema) && !strcasecmp(copy->table, table))
			return copy->there && copy->from <= snapshot && snapshot <= copy->until;
	}
	return false;
}

int64_t hot_generation(const struct hot *hot)
{
	return hot->generation;
}
