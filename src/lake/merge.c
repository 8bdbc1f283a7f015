#include "lake/merge.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fault.h"
#include "base/owned.h"
#include "lake/apart.h"
#include "lake/lake_private.h"

#define MIB ((int64_t)1 << 20)

/* Files of a tier are at least as large as the tier before ends, and smaller than its own end. */
static const int64_t tiers[] = {1 * MIB, 8 * MIB, 64 * MIB};

struct merge {
	struct lake_session *session;
	const char *schema, *table;
	const char *sql; /* what is run: files_processed and files_created */
	int64_t target_bytes; /* of a file that it makes */
	struct merge_report *report;
};

static int64_t tier_begins(size_t tier)
{
	return tier ? tiers[tier - 1] : 0;
}

/* A stream whose messages were all refused has no table yet. */
static bool is_missing(const struct error *err)
{
	return duck_is_about_catalog(err->code) && strstr(err->message, "does not exist");
}

static int count_tiers(const struct merge *merge, int64_t *ret_counts, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT ");
	for (size_t i = 0; i < COUNT_OF(tiers); i++)
		buffer_printf(&sql,
		              "count(*) FILTER (data_file_size_bytes >= %" PRId64 " AND data_file_size_bytes < %" PRId64
		              "), ",
		              tier_begins(i), tiers[i]);
	buffer_text(&sql, "1 FROM ducklake_list_files('lake', ");
	buffer_sql_text(&sql, merge->table);
	buffer_text(&sql, ", schema => ");
	buffer_sql_text(&sql, merge->schema);
	buffer_char(&sql, ')');
	if (duck_query(merge->session->connection, buffer_string(&sql), &rows, err)) {
		if (!is_missing(err))
			return -1;
		*err = (struct error){0};
		memset(ret_counts, 0, sizeof tiers);
		return 0;
	}
	for (size_t i = 0; i < COUNT_OF(tiers); i++)
		ret_counts[i] = duck_cell_int(&rows, 0, (int)i);
	return 0;
}

static int call_merge(const struct merge *merge, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(merge->session->connection, merge->sql, &rows, err))
		return -1;
	merge->report->files_before += duck_cell_int(&rows, 0, 0);
	merge->report->files_after += duck_cell_int(&rows, 0, 1);
	return fault_error(FAULT_MERGE_AFTER, err) ? -1 : 0;
}

static void append_call(const struct merge *merge, const char *function, struct buffer *sql)
{
	buffer_printf(sql, "SELECT sum(files_processed), sum(files_created) FROM %s('lake', ", function);
	buffer_sql_text(sql, merge->table);
	buffer_text(sql, ", schema => ");
	buffer_sql_text(sql, merge->schema);
}

/* On a session of the lake, or where the catalog is a server of one that is open for this alone. */
static int merge_in(struct apart *apart, const struct merge *merge, struct error *err)
{
	struct merge here = *merge;

	here.session = apart->session;
	if (lake_begin(here.session, err))
		return -1;
	if (call_merge(&here, err)) {
		lake_rollback(here.session);
		return -1;
	}
	return apart_commit(apart, NULL, err) == COMMIT_DONE ? 0 : -1;
}

/* One thread, in a DuckDB of its own: two would hold twice as many row groups. Beside other sessions of the same DuckDB
 * its number of threads must not be changed (lake_use_threads). */
static int set_up(const struct apart *apart, int64_t target_bytes, struct error *err)
{
	if (apart->lake && duck_exec(apart->session->connection, "SET threads = 1", NULL, err))
		return -1;
	return duck_execf(apart->session->connection, err, "SET ducklake_target_file_size = '%" PRId64 "B'",
	                  target_bytes);
}

/* The stream's own inserts come by the same connection: the size would cut their files. */
static void set_back(struct duck_connection *connection)
{
	struct error ignored;

	duck_exec(connection, "RESET ducklake_target_file_size", NULL, &ignored);
}

static int run_apart(const struct merge *merge, struct error *err)
{
	struct apart apart;
	int failed;

	if (apart_open(merge->session, &apart, err))
		return -1;
	failed = set_up(&apart, merge->target_bytes, err) || merge_in(&apart, merge, err);
	set_back(apart.session->connection);
	apart_close(&apart);
	return failed ? -1 : 0;
}

/* The next tier's end bounds what is written: the last tier's files grow to its end. */
static int merge_tier(struct merge *merge, size_t tier, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 65536);
	append_call(merge, "ducklake_merge_adjacent_files", &sql);
	buffer_printf(&sql, ", max_compacted_files => 1, min_file_size => %" PRId64 ", max_file_size => %" PRId64 ")",
	              tier_begins(tier), tiers[tier]);
	merge->sql = buffer_string(&sql);
	merge->target_bytes = tiers[tier + 1 < COUNT_OF(tiers) ? tier + 1 : tier];
	return run_apart(merge, err);
}

int lake_merge(struct lake_session *session, const char *schema, const char *table, bool small_only,
               struct merge_report *ret_report, struct error *err)
{
	struct merge merge = {.session = session, .schema = schema, .table = table, .report = ret_report};
	size_t tier_count = small_only ? COUNT_OF(tiers) - 1 : COUNT_OF(tiers);
	int64_t counts[COUNT_OF(tiers)];

	*ret_report = (struct merge_report){0};
	if (!lake_has_snapshots(session->lake))
		return 0;
	if (count_tiers(&merge, counts, err))
		return -1;
	for (size_t i = 0; i < tier_count; i++) {
		int64_t before = ret_report->files_before, merged;

		if (counts[i] < MERGE_FILES)
			continue;
		if (merge_tier(&merge, i, err))
			return -1;
		merged = ret_report->files_before - before;
		ret_report->more |= merged && counts[i] - merged >= MERGE_FILES;
	}
	return 0;
}

static int count_holed(const struct merge *merge, int64_t *ret_count, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT count(delete_file) FROM ducklake_list_files('lake', ");
	buffer_sql_text(&sql, merge->table);
	buffer_text(&sql, ", schema => ");
	buffer_sql_text(&sql, merge->schema);
	buffer_char(&sql, ')');
	if (duck_query(merge->session->connection, buffer_string(&sql), &rows, err))
		return -1;
	*ret_count = duck_cell_int(&rows, 0, 0);
	return 0;
}

int lake_rewrite(struct lake_session *session, const char *schema, const char *table, struct merge_report *ret_report,
                 struct error *err)
{
	struct merge merge = {.session = session,
	                      .schema = schema,
	                      .table = table,
	                      .target_bytes = tiers[COUNT_OF(tiers) - 1],
	                      .report = ret_report};
	OWNED_BUFFER struct buffer sql = {0};
	int64_t count = 0;

	*ret_report = (struct merge_report){0};
	if (!lake_has_snapshots(session->lake))
		return 0;
	if (count_holed(&merge, &count, err))
		return -1;
	if (count < MERGE_FILES)
		return 0;
	buffer_init(&sql, 65536);
	append_call(&merge, "ducklake_rewrite_data_files", &sql);
	buffer_printf(&sql, ", delete_threshold => %s)", REWRITE_SHARE);
	merge.sql = buffer_string(&sql);
	return run_apart(&merge, err);
}

int lake_merge_cleanup(struct lake_session *session, struct error *err)
{
	int failed;

	if (!lake_has_snapshots(session->lake))
		return 0;
	if (lake_begin(session, err))
		return -1;
	failed = duck_execf(session->connection, err,
	                    "CALL ducklake_cleanup_old_files('lake', older_than => now() - INTERVAL %d HOUR)",
	                    MERGE_GRACE_HOURS);
	if (!failed)
		return lake_commit(session, NULL, err) == COMMIT_DONE ? 0 : -1;
	lake_rollback(session);
	return -1;
}
