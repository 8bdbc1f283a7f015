/*
 * pipeline.h - a DuckLakePipeline over an open lake: its models, and refreshes of the tables that they make.
 *
 * A refresh brings every model's table up to what its sources hold, in one transaction of the lake: rows, quarantined
 * rows, partial aggregates and what is known of the models (tarn.models) commit together, or nothing does. What it
 * computes:
 *
 *     incremental   from the change feed of the sources since the snapshot that the model knows: the same rows as anew
 *     anew          where the model is not incremental, its file changed, or what it reads was made anew
 *     nothing       where nothing that it reads has changed: a refresh without changes makes no snapshot
 *
 * Invariants:
 *  1. All tables of a refresh change in one snapshot, or none does.
 *  2. Rows in = rows out + quarantined + filtered, of each model, counted in the transaction that writes them; where
 * they do not add up nothing is committed.
 *  3. Of two processes that refresh one pipeline at once, one gets CONFLICT: tarn.pipelines has a turn that the
 * transaction raises from the one that it read first (as lanes do, lake/lane.h).
 *  4. A COMMIT that failed has an unknown outcome, which is read from the turn before anything else.
 *  5. What is expected of tables (expectation.h) is evaluated on the tables that would be committed. Where one of
 * severity error is broken nothing is, but for what tarn.expectations says of it, in a snapshot of its own.
 *
 * Life cycle: pipeline_open -> pipeline_refresh... -> pipeline_close. One thread; pipeline_interrupt from any.
 */
#ifndef TARN_LAYERS_PIPELINE_H
#define TARN_LAYERS_PIPELINE_H

#include "lake/lake.h"
#include "layers/expectation.h"
#include "layers/model.h"

struct pipeline;

/* Reads the models' files. Spec, manifest (whose streams' tables may still be to come) and lake are borrowed until
 * pipeline_close. */
struct pipeline *pipeline_open(const struct spec_pipeline *spec, const struct manifest *manifest, struct lake *lake,
                               struct error *err);
void pipeline_close(struct pipeline *pipeline);
void pipeline_freep(struct pipeline **pipeline);
struct lake_session *pipeline_session(struct pipeline *pipeline);
const struct model_set *pipeline_models(const struct pipeline *pipeline);

enum refresh_how {
	REFRESH_NOTHING, /* nothing that it reads has changed */
	REFRESH_INCREMENTAL,
	REFRESH_ANEW,
	REFRESH_VIEW,
	REFRESH_LEFT_OUT, /* by options.only */
};

const char *refresh_how_name(enum refresh_how how);

struct model_report {
	const struct model *model; /* borrowed from the pipeline */
	enum refresh_how how;
	char why[256]; /* of anew: why not incremental */
	/* Of all that its sources hold now: rows_in = rows_out + quarantined + filtered; where rows are grouped,
	 * rows_in = grouped + filtered + the rows in quarantine, and groups are rows_out, those that HAVING held back
	 * and the groups in quarantine. */
	int64_t rows_in, rows_out, quarantined, filtered, grouped, groups;
	int64_t discarded; /* of those in quarantine */
	int64_t *by_condition; /* filtered: of each of WHERE's, then of each of HAVING's (groups); owned */
	int64_t inserted, deleted; /* rows of its table, by this refresh */
	int64_t ms;
};

/* The newest result of an expectation. */
struct expectation_report {
	const struct expectation *expectation; /* borrowed from the pipeline */
	bool passed;
	bool evaluated; /* in this refresh; else nothing that it looks at has changed since */
	int64_t failed_rows;
	char *example; /* a JSON array of up to 3 rows that break it; NULL: none; owned by the pipeline */
};

/* The newest results, also of a refresh that they held back; valid until the next one. */
const struct expectation_report *pipeline_expectations(const struct pipeline *pipeline, int *ret_count);
/* How often the clock alone may change one of them, and a refresh should look; 0: none depends on the clock. */
int64_t pipeline_clock_ms(const struct pipeline *pipeline);

struct refresh_report {
	bool committed; /* something changed */
	int64_t from_snapshot,
	        to_snapshot; /* of the sources: what was known before, what is now; 0: none, or backend file */
	int64_t snapshot; /* that the refresh made; 0: none */
	bool scores_changed; /* the table of spec.model.scores was written anew */
	int64_t scored_rows; /* of it, where this refresh scored; 0: it did not */
	int64_t replayed, left; /* options.replay: rows that were in its quarantine and are not any more; that are */
	int64_t ms;
	char waits_for[160]; /* SCHEMA.TABLE that is not there yet: nothing was done; "" */
	struct model_report *models; /* owned; in order */
	int model_count;
	const struct expectation_report *expectations; /* borrowed from the pipeline, until its next refresh */
	int expectation_count;
};

/* The conditions of by_condition, as they are written. */
int model_condition_count(const struct model *model);
const char *model_condition(const struct model *model, int index);

void refresh_report_release(struct refresh_report *report);

struct refresh_options {
	bool full; /* every model anew */
	const char *only; /* this model, what it reads and what reads it; NULL: all */
	bool dry_run; /* says what would be done, and computes nothing */
	bool rehearse; /* does all of it, and does not commit */
	const char *replay; /* tells what became of the rows that this model has in quarantine; NULL: none */
	/* Called before each model; may be NULL. */
	void (*progress)(void *context, const struct model *model, int number, int count);
	void *context;
};

/*
 * Errors: INVALID - a model's or an expectation's mistake, with file and line, rows that a model refuses, or a broken
 * expectation that holds the refresh back; CONFLICT - somebody else refreshed
 * it, try again; others as the lake gives them. Nothing has changed then.
 */
int pipeline_refresh(struct pipeline *pipeline, const struct refresh_options *options,
                     struct refresh_report *ret_report, struct error *err);
/* The same, tried again for so long as the error may pass: somebody else refreshed it, or the lake did not answer. */
int pipeline_refresh_patiently(struct pipeline *pipeline, const struct refresh_options *options, int64_t patience_ms,
                               struct refresh_report *ret_report, struct error *err);
/* Any thread: a refresh that runs ends soon, with an error. */
void pipeline_interrupt(struct pipeline *pipeline);

#endif
