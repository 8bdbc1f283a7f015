/*
 * audit.h - are the tables of a pipeline what tarn.models says of them, and how far are they behind their sources?
 *
 * Of each model that was made:
 *
 *     rows in = rows out + quarantined + filtered; of groups rows in = grouped + quarantined + filtered, and groups =
 *     rows out + those that HAVING left out; its table has rows out; what it reads had rows in, at the snapshot that it
 *     holds; tarn.quarantined_rows has those that were quarantined; its file is the one that made it
 *
 * Backend file keeps no snapshots: rows in are compared with what was noted of the table when it was read, and with the
 * table as it is now where that is the same.
 *
 * Where a model ran as it is written, its rows in are those that came out, and compared with nothing.
 *
 * Invariants:
 *  1. Nothing is written. All figures are of one snapshot (one transaction).
 *  2. A figure that cannot be told is -1, and no problem.
 *
 * Life cycle: pipeline_audit_read -> look -> pipeline_audit_release.
 */
#ifndef TARN_LAYERS_AUDIT_H
#define TARN_LAYERS_AUDIT_H

#include "base/arena.h"
#include "layers/model.h"

struct lake_session;

/* What one condition left out. */
struct audited_condition {
	const char *text;
	int64_t rows;
	bool groups; /* of HAVING: they are groups */
};

struct audited_model {
	const char *name, *layer;
	const struct model *model; /* borrowed; NULL: its file is gone */
	bool made; /* tarn.models knows it; else the figures are 0 */
	bool view; /* which has no figures */
	const char *stale; /* why what made it is not what would make it now; NULL: it is */
	const char *how, *why;
	int64_t snapshot, turn, changed_turn;
	int64_t rows_in, rows_out, grouped, groups, quarantined, filtered; /* filtered: rows, not groups */
	struct audited_condition *conditions;
	int condition_count;
	int64_t discarded; /* of those quarantined */
	int64_t ms, refreshed_ms; /* how long it took; wall clock */

	/* The lake as it is; -1: not looked at, or not told. */
	int64_t table_rows, source_rows, quarantine_rows;
	/* Changes of its sources that it does not hold: how many snapshots (of backend file commits), and the age of
	 * the oldest. 0: none. */
	int64_t behind, behind_ms;

	char problem[512]; /* which figures differ; "": none */
	char note[160]; /* what is no problem, and worth knowing; "": nothing */
};

struct pipeline_audit {
	struct audited_model *models; /* in their order; those without a file last */
	int model_count;
	int64_t turn; /* 0: it was never refreshed */
	int64_t snapshot; /* of the lake; 0 for backend file */
	int64_t refreshed_ms; /* 0: never */
	int64_t behind, behind_ms; /* of the model that is farthest behind; -1: not told */
	bool passed;
	struct arena arena;
};

/*
 * models: of the pipeline's folder; borrowed until pipeline_audit_release. in_full: with all of the lake's figures that
 * tarn.models is compared with; else nothing but tarn.models and the snapshots is read, and nothing is judged.
 */
int pipeline_audit_read(struct lake_session *session, const struct spec_pipeline *spec, const struct model_set *models,
                        bool in_full, struct pipeline_audit *ret_audit, struct error *err);
void pipeline_audit_release(struct pipeline_audit *audit);

#endif
