#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/audit_private.h"
#include "layers/pipeline.h"

int audit_query(struct auditing *a, const struct buffer *sql, struct duck_rows *ret_rows)
{
	if (!buffer_ok(sql))
		return error_no_memory(a->err);
	return duck_query(a->connection, buffer_string(sql), ret_rows, a->err);
}

int audit_number(struct auditing *a, const struct buffer *sql, int64_t *ret_number)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (audit_query(a, sql, &rows))
		return -1;
	*ret_number = rows.row_count && duck_cell(&rows, 0, 0) ? duck_cell_int(&rows, 0, 0) : -1;
	return 0;
}

static void __attribute__((format(printf, 2, 3))) add_problem(struct audited_model *model, const char *format, ...)
{
	size_t size = strlen(model->problem);
	va_list args;

	if (size && size + 3 < sizeof model->problem)
		size += (size_t)snprintf(model->problem + size, sizeof model->problem - size, "; ");
	va_start(args, format);
	vsnprintf(model->problem + size, sizeof model->problem - size, format, args);
	va_end(args);
}

static void __attribute__((format(printf, 2, 3))) set_note(struct audited_model *model, const char *format, ...)
{
	va_list args;

	if (*model->note)
		return;
	va_start(args, format);
	vsnprintf(model->note, sizeof model->note, format, args);
	va_end(args);
}

/* ---- the lake's figures */

/* at: a snapshot; -1: now. */
static int count_table(struct auditing *a, const char *schema, const char *table, int64_t at, int64_t *ret_rows)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM lake.");
	buffer_sql_name(&sql, schema);
	buffer_char(&sql, '.');
	buffer_sql_name(&sql, table);
	if (at >= 0)
		buffer_printf(&sql, " AT (VERSION => %" PRId64 ")", at);
	return audit_number(a, &sql, ret_rows);
}

/* "TABLE" and "VIEW" by DuckDB's words; "": neither. */
static int find_kind(struct auditing *a, const char *schema, const char *table, char *ret_kind, size_t size)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT table_type FROM information_schema.tables WHERE table_catalog = 'lake' AND "
	                  "lower(table_schema) = lower(");
	buffer_sql_text(&sql, schema);
	buffer_text(&sql, ") AND lower(table_name) = lower(");
	buffer_sql_text(&sql, table);
	buffer_text(&sql, ")");
	if (audit_query(a, &sql, &rows))
		return -1;
	snprintf(ret_kind, size, "%s", rows.row_count ? duck_cell(&rows, 0, 0) : "");
	return 0;
}

static int count_quarantine(struct auditing *a)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT model, count(*) FROM lake.tarn.quarantined_rows WHERE pipeline = ");
	buffer_sql_text(&sql, a->spec->name);
	buffer_text(&sql, " GROUP BY model");
	if (audit_query(a, &sql, &rows))
		return -1;
	for (int i = 0; i < a->audit->model_count; i++) {
		struct audited_model *model = &a->audit->models[i];

		model->quarantine_rows = model->made ? 0 : -1;
		for (int64_t k = 0; k < rows.row_count; k++)
			if (!strcasecmp(duck_cell(&rows, k, 0), model->name))
				model->quarantine_rows = duck_cell_int(&rows, k, 1);
	}
	return 0;
}

/* ---- what a model read */

static int has_snapshot(struct auditing *a, int64_t snapshot, bool *ret_there)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t found = -1;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql,
	              "SELECT snapshot_id FROM __ducklake_metadata_lake.ducklake_snapshot WHERE snapshot_id = %" PRId64,
	              snapshot);
	if (audit_number(a, &sql, &found))
		return -1;
	*ret_there = found == snapshot;
	return 0;
}

/* Of the refresh with that turn, as its commit noted; -1: it is not told any more. */
static int find_turn(struct auditing *a, int64_t turn, int64_t *ret_snapshot)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	/* Others may note what is no JSON. */
	buffer_text(&sql,
	            "SELECT max(snapshot_id) FROM (SELECT snapshot_id, CASE WHEN json_valid(commit_extra_info) THEN "
	            "commit_extra_info END AS note FROM __ducklake_metadata_lake.ducklake_snapshot_changes) WHERE "
	            "json_extract_string(note, '$.pipeline') = ");
	buffer_sql_text(&sql, a->spec->name);
	buffer_printf(&sql, " AND json_extract_string(note, '$.turn') = '%" PRId64 "'", turn);
	return audit_number(a, &sql, ret_snapshot);
}

/* A table that the same pipeline makes: as it was when the model was last refreshed. */
static int count_read_model(struct auditing *a, struct audited_model *model, const struct audited_model *read)
{
	int64_t snapshot = -1;

	if (read->view || !read->made)
		return 0;
	if (read->changed_turn <= model->turn) {
		model->source_rows = read->rows_out;
		return 0;
	}
	set_note(model, "%.60s was refreshed without it", read->name);
	if (!a->snapshots)
		return 0;
	if (find_turn(a, model->turn, &snapshot))
		return -1;
	return snapshot < 0 ? 0 : count_table(a, "main", read->name, snapshot, &model->source_rows);
}

/* Of backend file: "SCHEMA.TABLE,...\tROWS:HASH" in a line of what is known of the sources (decide.c). */
static int64_t marked_rows(const char *sources, const struct reference *read)
{
	size_t schema = strlen(read->schema), table = strlen(read->table);

	for (const char *line = sources; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *mark = strchr(line, '\t'), *end = strchr(line, '\n');

		if (strncasecmp(line, read->schema, schema) != 0 || line[schema] != '.' ||
		    strncasecmp(line + schema + 1, read->table, table) != 0 ||
		    (line[schema + 1 + table] != ',' && line[schema + 1 + table] != '\t'))
			continue;
		return mark && (!end || mark < end) && mark[1] >= '0' && mark[1] <= '9' ? strtoll(mark + 1, NULL, 10)
		                                                                        : -1;
	}
	return -1;
}

static int count_marked(struct auditing *a, struct audited_model *model, const struct reference *read)
{
	int64_t now = -1;

	model->source_rows = marked_rows(a->sources[model - a->audit->models], read);
	if (count_table(a, read->schema, read->table, -1, &now))
		return -1;
	if (model->source_rows >= 0 && now != model->source_rows)
		set_note(model, "%.60s has %" PRId64 " rows now", read->table, now);
	return 0;
}

/* As it was at the snapshot that the model holds. */
static int count_read_table(struct auditing *a, struct audited_model *model, const struct reference *read)
{
	char kind[32] = "";
	bool there = false;

	if (find_kind(a, read->schema, read->table, kind, sizeof kind))
		return -1;
	if (!*kind || !strcmp(kind, "VIEW")) {
		if (!*kind)
			set_note(model, "%.60s is not there any more", read->table);
		return 0;
	}
	if (!a->snapshots)
		return count_marked(a, model, read);
	if (has_snapshot(a, model->snapshot, &there))
		return -1;
	if (!there) {
		set_note(model, "snapshot %" PRId64 " has expired: rows in are compared with nothing", model->snapshot);
		return 0;
	}
	return count_table(a, read->schema, read->table, model->snapshot, &model->source_rows);
}

/* A SELECT whose parts do not make its columns (decide.c) ran as it is written: then no row was grouped, or counted
 * under a condition of it, and the rows in are those that came out. */
static bool ran_as_written(const struct audited_model *model)
{
	const struct shape *shape = &model->model->shape;
	bool grouped = model->grouped || model->quarantined || model->filtered;

	return model->condition_count < model_condition_count(model->model) ||
	       (shape->kind == SHAPE_GROUPS && model->rows_in && !grouped);
}

/* Only where the rows in are those of one table, and the file says which. */
static int count_source(struct auditing *a, struct audited_model *model)
{
	const struct model *file = model->model;

	if (!file || model->stale || !file->shape.table || ran_as_written(model))
		return 0;
	for (int i = 0; i < file->read_count; i++) {
		const struct reference *read = &file->reads[i];

		if (strcasecmp(read->table, file->shape.table) != 0 ||
		    strcasecmp(read->schema, file->shape.schema) != 0)
			continue;
		return read->model >= 0 ? count_read_model(a, model, &a->audit->models[read->model])
		                        : count_read_table(a, model, read);
	}
	return 0;
}

/* ---- judging */

static void judge_sums(struct audited_model *model)
{
	bool grouped = model->grouped || model->groups;
	int64_t kept = grouped ? model->grouped : model->rows_out, left_out = 0, held;

	for (int i = 0; i < model->condition_count; i++)
		left_out += model->conditions[i].groups ? model->conditions[i].rows : 0;
	/* Groups whose own CAST was refused: they are in quarantine, and their rows are grouped. */
	held = grouped ? model->groups - model->rows_out - left_out : 0;
	if (held < 0 || held > model->quarantined)
		add_problem(model, "%" PRId64 " groups are not %" PRId64 " rows out + %" PRId64 " that HAVING left out",
		            model->groups, model->rows_out, left_out);
	else if (model->rows_in != kept + model->quarantined - held + model->filtered)
		add_problem(
		        model,
		        "%" PRId64 " rows in are not %" PRId64 " %s + %" PRId64 " quarantined + %" PRId64 " filtered",
		        model->rows_in, kept, grouped ? "grouped" : "out", model->quarantined - held, model->filtered);
}

static void judge(struct auditing *a, struct audited_model *model, const char *kind)
{
	if (model->stale)
		add_problem(model, "stale: %s since it was made; `tarn transform` makes it anew", model->stale);
	if (!*kind && model->model)
		add_problem(model, "its %s is not there; `tarn transform --full` makes it anew",
		            model->view ? "view" : "table");
	if (model->view)
		return;
	judge_sums(model);
	if (model->table_rows >= 0 && model->table_rows != model->rows_out)
		add_problem(model, "rows out are %" PRId64 ", and its table has %" PRId64, model->rows_out,
		            model->table_rows);
	if (model->source_rows >= 0 && model->source_rows != model->rows_in)
		add_problem(model, "rows in are %" PRId64 ", and what it read had %" PRId64, model->rows_in,
		            model->source_rows);
	if (model->quarantine_rows >= 0 && model->quarantine_rows != model->quarantined)
		add_problem(model, "%" PRId64 " rows were quarantined, and tarn.quarantined_rows has %" PRId64,
		            model->quarantined, model->quarantine_rows);
	if (model->turn > a->audit->turn)
		add_problem(model, "it is of refresh %" PRId64 ", and the pipeline's last one is %" PRId64, model->turn,
		            a->audit->turn);
}

static int look_at_model(struct auditing *a, struct audited_model *model)
{
	char kind[32] = "";

	if (!model->made) {
		set_note(model, "it is new: no refresh has made it yet");
		return 0;
	}
	if (find_kind(a, "main", model->name, kind, sizeof kind))
		return -1;
	if (strcmp(kind, "VIEW") != 0 && *kind && count_table(a, "main", model->name, -1, &model->table_rows))
		return -1;
	if (!model->model)
		model->view = !strcmp(kind, "VIEW");
	if (!model->view && count_source(a, model))
		return -1;
	judge(a, model, kind);
	return 0;
}

/* ---- all of it */

static int read_all(struct auditing *a, bool in_full)
{
	struct pipeline_audit *audit = a->audit;

	if (lake_snapshot(a->session, &audit->snapshot, a->err) || audit_state(a))
		return -1;
	for (int i = 0; i < audit->model_count; i++)
		audit->models[i].table_rows = audit->models[i].source_rows = audit->models[i].quarantine_rows = -1;
	audit->passed = true;
	if (in_full && audit->turn && count_quarantine(a))
		return -1;
	for (int i = 0; i < audit->model_count && in_full; i++) {
		if (look_at_model(a, &audit->models[i]))
			return -1;
		audit->passed &= !*audit->models[i].problem;
	}
	return audit_lag(a);
}

int pipeline_audit_read(struct lake_session *session, const struct spec_pipeline *spec, const struct model_set *models,
                        bool in_full, struct pipeline_audit *ret_audit, struct error *err)
{
	struct pipeline_audit audit = {0};
	struct auditing a = {.session = session,
	                     .connection = lake_connection(session),
	                     .spec = spec,
	                     .set = models,
	                     .snapshots = spec->catalog->backend.type != BACKEND_FILE,
	                     .audit = &audit,
	                     .err = err};
	int failed;

	if (lake_begin(session, err))
		return -1;
	failed = read_all(&a, in_full);
	lake_rollback(session);
	if (!failed && audit.arena.failed)
		failed = error_no_memory(err);
	if (failed) {
		pipeline_audit_release(&audit);
		return -1;
	}
	*ret_audit = audit;
	return 0;
}

void pipeline_audit_release(struct pipeline_audit *audit)
{
	arena_release(&audit->arena);
	*audit = (struct pipeline_audit){0};
}
