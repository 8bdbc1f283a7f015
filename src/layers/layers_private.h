/* layers_private.h - a refresh while it runs, for the files of layers/ alone. */
#ifndef TARN_LAYERS_PRIVATE_H
#define TARN_LAYERS_PRIVATE_H

#include <stdatomic.h>

#include "lake/apart.h"
#include "lake/duck.h"
#include "lake/exact_sql.h"
#include "lake/query.h"
#include "layers/compose.h"
#include "layers/pipeline.h"
#include "score/models.h"
#include "score/scores.h"

#define SQL_MAXIMUM_BYTES ((size_t)64 << 20)
/* Tarn's own tables of the layers; those in schema tarn are small and stand in the catalog (lake/ledger.c). */
#define PARTIALS_SCHEMA "tarn_layers"

struct pipeline {
	const struct spec_pipeline *spec; /* borrowed */
	const struct manifest *manifest; /* borrowed; NULL: no streams are known */
	struct lake *lake; /* borrowed */
	struct lake_session *session;
	struct model_set *models;
	struct score_models *scores; /* of spec.model; NULL: there is none */
	int64_t scored_stamp; /* of the model's file when it last scored; 0: not by this process */
	char by[96]; /* of this process and no other */
	int64_t attempts;
	_Atomic(struct duck_connection *) running; /* what pipeline_interrupt interrupts */
};

/* What tarn.models knows of a model. */
struct model_state {
	bool known;
	char hash[65];
	int64_t snapshot; /* of its sources that it holds */
	int64_t turn; /* of the refresh that last looked at it */
	int64_t changed_turn, anew_turn; /* that last changed it; that last made it anew */
	char *sources; /* names and types of the sources' columns, and on backend file their marks; owned */
	int64_t rows_in, rows_out, grouped, groups, quarantined;
	int64_t *filtered; /* by condition; owned */
	int filtered_count;
};

/* The names of temporary tables: what the model's table lost and got. */
enum delta { DELTA_GONE, DELTA_NEW };

struct column {
	char *name, *type;
};

struct described {
	struct column *items; /* owned */
	char **names; /* the same, borrowed from items */
	int count;
};

/* One model in one refresh. */
struct model_run {
	const struct model *model;
	struct model_state before;
	struct model_report *report;
	struct described columns; /* of its table */
	struct described source; /* of the one table that it reads */
	const struct reference **reads; /* what it reads, also by way of views; owned, what they point to borrowed */
	int read_count;
	char *sources; /* as in model_state, now; owned */
	bool whole; /* its parts do not make the same columns again: it runs as it is written */
	bool partials; /* of groups: partial aggregates are kept, and its changes can be followed */
	bool deltas; /* they are there */
	bool changed, anew;
};

/* The row for which a statement failed. */
struct culprit {
	char what[80]; /* the output or the condition that failed; "" : it was not found */
	char row[200]; /* as JSON, or the beginning of it */
	int line; /* of its file; 0: unknown */
};

struct refresh {
	struct pipeline *pipeline;
	const struct refresh_options *options;
	struct apart apart;
	struct lake_session *session; /* of the transaction */
	struct duck_connection *connection;
	bool snapshots; /* false: backend file */
	int64_t turn; /* as the transaction saw it */
	int64_t snapshot; /* that it reads */
	struct model_run *runs; /* one a model */
	struct refresh_report *report;
	int failed; /* the model whose statement failed; -1: none */
	int suspect; /* looked at instead of made; -1: none */
	struct culprit culprit; /* of the suspect */
	bool committing; /* the transaction is over, whatever became of it */
	struct error *err;
};

/* ---- sql.c */

int run_sql(struct refresh *r, const struct buffer *sql, int64_t *ret_changed);
int query_sql(struct refresh *r, const struct buffer *sql, struct duck_rows *ret_rows);
/* The first cell as a number; 0 where there is none. */
int count_sql(struct refresh *r, const struct buffer *sql, int64_t *ret_count);
int describe_table(struct refresh *r, const char *table, struct described *ret_columns);
int describe_sql(struct refresh *r, const char *sql, struct described *ret_columns);
void described_release(struct described *columns);
/* The first type of which a lake does not keep each value as it is; NULL: none. */
const char *inexact_type(const struct described *columns);
/* " (a TYPE, b TYPE)" */
void append_columns(struct buffer *sql, const struct described *columns);
/* The same types, and the same names as SQL compares them. */
bool described_equal(const struct described *a, const struct described *b);
/* lake."schema"."table" */
void append_table(struct buffer *sql, const char *schema, const char *table);
/* lake.main."NAME" */
void append_model(struct buffer *sql, const struct model *model);
/* temp."tarn PREFIX NAME" */
void append_temporary(struct buffer *sql, const char *prefix, const struct model *model);
void append_delta(struct buffer *sql, enum delta delta, const char *schema, const char *table);
/* Of the rows of `from`, an alias: what two of them have in common only where they are the same, -0.0 and 0.0 told
 * apart. */
void append_exact_row(struct buffer *sql, const char *from, const struct described *columns);
/* Deletes from the model's table the rows of a temporary one, each as often as it is there. ret_missing: how many were
 * not found. */
int delete_rows(struct refresh *r, const char *table, const char *gone, const struct described *columns,
                int64_t *ret_missing);

/* ---- state.c */

int state_create(struct lake_session *session, struct error *err);
/* The turn, and what is known of each model. The first thing that the transaction reads. */
int state_read(struct refresh *r);
int state_write(struct refresh *r);
void model_state_release(struct model_state *state);
/* After a COMMIT that failed: is the turn this pipeline's own of that attempt? */
int state_outcome(struct pipeline *pipeline, int64_t turn, bool *ret_mine, struct error *err);

/* ---- feed.c */

/* Temporary tables of what the table lost and got since the snapshot; ret_valid: false where that cannot be told. */
int feed_read(struct refresh *r, const char *schema, const char *table, int64_t since, bool *ret_valid);
/* Makes the temporary table of what the model's own table lost or got, of the same columns, with the rows of a SELECT.
 */
int feed_write(struct refresh *r, const struct model_run *run, enum delta delta, const struct buffer *rows);
/* How many rows they have. */
int feed_count(struct refresh *r, const char *schema, const char *table, enum delta delta, int64_t *ret_count);
void feed_drop(struct refresh *r);

/* ---- decide.c, refresh.c */

/* What is to be done with the model: its report's how and why. Its sources' changes are there afterwards. */
int decide(struct refresh *r, struct model_run *run);
/* The columns of the model's table, or what is wrong with its SQL, with the line. */
int bind_model(struct refresh *r, struct model_run *run);

/* ---- rows.c, groups.c, whole.c: each makes the model's table anew, or changes it */

int rows_anew(struct refresh *r, struct model_run *run);
int rows_change(struct refresh *r, struct model_run *run);
int groups_anew(struct refresh *r, struct model_run *run);
int groups_change(struct refresh *r, struct model_run *run);
int whole_anew(struct refresh *r, struct model_run *run);
/* Why the model cannot be incremental; "": it can. Needs run->source. */
int groups_check(struct refresh *r, struct model_run *run, char *ret_why, size_t size);

/* ---- culprit.c */

/* Whether a row is found or not. In a transaction that has got to the model and no further; what makes it fail again is
 * an error. */
int culprit_find(struct refresh *r, const struct model_run *run, struct culprit *ret_culprit);

/* ---- count.c: what becomes of rows */

enum level { LEVEL_ROWS, LEVEL_GROUPS };

/* The SQL of `rows` over a source with the columns of run->source. */
void append_rows_of(const struct model_run *run, const char *source, struct buffer *sql);
/* The model's own columns, put together again from its parts. */
void append_kept_of(const struct model_run *run, const char *source, struct buffer *sql);
/* Can rows of that level be filtered, or fail? */
bool may_drop(const struct model_run *run, enum level level);
/*
 * Counts the rows of a SELECT with COLUMN_FAILED and COLUMN_FILTERED into the report, added or taken away by sign, and
 * puts those that failed into quarantine, or takes them out. ret_kept: the others.
 */
int count_rows(struct refresh *r, struct model_run *run, const char *rows, enum level level, int sign,
               int64_t *ret_kept);
/* INVARIANT 2: is the sum right? */
int check_counts(struct refresh *r, const struct model_run *run);
/* Forgets the counts and the quarantine of the model: it is made anew. */
int forget_counts(struct refresh *r, struct model_run *run);
/* The model's table as it shall be: empty, with its columns. Refuses one that is not the pipeline's. */
int empty_table(struct refresh *r, struct model_run *run);

#endif
