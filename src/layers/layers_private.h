/* layers_private.h - a refresh while it runs, for the files of layers/ alone. */
#ifndef TARN_LAYERS_PRIVATE_H
#define TARN_LAYERS_PRIVATE_H

#include <pthread.h>

#include "lake/apart.h"
#include "lake/duck.h"
#include "lake/exact_sql.h"
#include "lake/query.h"
#include "layers/compose.h"
#include "layers/expectation.h"
#include "layers/pipeline.h"
#include "layers/references.h"
#include "score/models.h"
#include "score/scores.h"

#define CATALOG "__ducklake_metadata_lake.ducklake_" /* what the names of DuckLake's own tables begin with */
#define SQL_MAXIMUM_BYTES ((size_t)64 << 20)

struct pipeline {
	const struct spec_pipeline *spec; /* borrowed */
	const struct manifest *manifest; /* borrowed; NULL: no streams are known */
	struct lake *lake; /* borrowed */
	struct lake_session *session;
	struct model_set *models;
	struct score_models *scores; /* of spec.model; NULL: there is none */
	int64_t scored_stamp; /* of the model's file when it last scored; 0: not by this process */
	int64_t scored_snapshot; /* that it then read */
	bool scores_read_others; /* what they are made of may change without a model's table */
	struct expectation_set *expectations;
	struct expectation_report *results; /* of the last refresh that evaluated them; owned, with their examples */
	int result_count;
	char by[96]; /* of this process and no other */
	int64_t attempts;
	pthread_mutex_t running_lock;
	struct duck_connection *running; /* what pipeline_interrupt interrupts; under the lock */
};

/* What tarn.models knows of a model. */
struct model_state {
	bool known;
	char name[64]; /* as its file was called */
	char hash[MODEL_HASH_SIZE];
	int64_t snapshot; /* of its sources that it holds */
	int64_t turn; /* of the refresh that last looked at it */
	int64_t changed_turn, anew_turn; /* that last changed it; that last made it anew */
	char *sources; /* names and types of the sources' columns, and on backend file their marks; owned */
	int64_t rows_in, rows_out, grouped, groups, quarantined, discarded;
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

/* A view or a macro of the lake that a model reads or calls, and that none of the pipeline's models makes. */
struct definition {
	int64_t row; /* of the refresh's definitions */
	bool view;
	struct reference *reads; /* of its text; owned */
	int read_count;
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
	struct definition *definitions; /* owned */
	int definition_count;
	char *sources; /* as in model_state, now; owned */
	bool met; /* one of them has further columns, of which one may be what its SQL names */
	bool whole; /* its parts do not make the same columns again: it runs as it is written */
	bool partials; /* of groups: partial aggregates are kept, and its changes can be followed */
	struct partials *parts; /* of groups, once they were asked for; owned */
	char parts_why[256]; /* they cannot be; "": they can */
	bool deltas; /* they are there */
	int64_t delta_rows[2]; /* how many rows; -1: not counted */
	bool changed, anew;
	bool discards; /* there are some in a temporary table (quarantined.c) */
};

/* The row for which a statement failed. */
struct culprit {
	char what[80]; /* the output or the condition that failed; "" : it was not found */
	char row[200]; /* as JSON, or the beginning of it */
	int line; /* of its file; 0: unknown */
};

/* What tarn.expectations knows of an expectation. */
struct expected_state {
	bool known;
	bool passed, held_back;
	int severity; /* -1: of another version */
	int64_t failed_rows, turn, snapshot;
	int64_t holds_snapshot; /* as of which the tables that the lake has are known to meet it; -1: they are not */
	int64_t row_count; /* of check row_count_change, after the last refresh that was committed; -1: unknown */
	char *example, *query, *checked_at; /* owned */
};

/* One expectation in one refresh. */
struct expected {
	struct expectation *e;
	struct expected_state before;
	bool looked; /* at what its tables have changed; false: they are not there */
	bool evaluated; /* in this refresh; else what is known holds on */
	bool passed;
	int64_t failed_rows, row_count;
	char *example; /* a JSON array; NULL: passed; owned */
	char *query; /* a SELECT of all rows that break it; owned */
};

/* What feed_read has read. */
struct fed {
	char *schema, *table; /* owned */
	int64_t since;
	int64_t rows[2]; /* by enum delta; -1: not counted */
	const char *why; /* what changed is not known; NULL: it is */
	bool touched; /* a snapshot since then names the table */
};

struct refresh {
	struct pipeline *pipeline;
	const struct refresh_options *options;
	struct apart apart;
	struct lake_session *session; /* of the transaction */
	struct duck_connection *connection;
	bool snapshots; /* false: backend file */
	struct duck_rows definitions; /* the lake's views and macros, as definitions.c has them */
	bool definitions_known;
	int threads; /* of DuckDB, that were asked for; 0: none were */
	bool quarantine_known;
	int64_t quarantine_before; /* rows that the pipeline had in quarantine before the first model was made */
	struct buffer drops; /* DROP of each temporary table that was made */
	int64_t turn; /* as the transaction saw it */
	int64_t snapshot; /* that it reads */
	struct model_run *runs; /* one a model */
	struct expected *expected; /* one an expectation */
	bool expectations_dropped; /* tarn.expectations has some that are not expected any more */
	bool held_back; /* by an expectation of severity error */
	struct fed *feeds; /* owned */
	int feed_count;
	struct refresh_report *report;
	char (*doubts)[160]; /* by model: why its changes failed, so that it is made anew; "": they did not; owned */
	bool miscounted; /* the counts of the model that failed did not add up */
	int failed; /* the model whose statement failed; -1: none */
	int suspect; /* looked at instead of made; -1: none */
	struct culprit culprit; /* of the suspect */
	bool committing, committed; /* the transaction is over, whatever became of it; it is in the lake */
	struct error *err;
};

/* ---- sql.c */

int run_sql(struct refresh *r, const struct buffer *sql, int64_t *ret_changed);
int query_sql(struct refresh *r, const struct buffer *sql, struct duck_rows *ret_rows);
/* The same of Tarn's own small tables: not optimized, which takes longer than they do. No UPDATE: not optimized,
 * DuckLake fails where its row lies in a file. */
int run_own(struct refresh *r, const struct buffer *sql, int64_t *ret_changed);
int query_own(struct refresh *r, const struct buffer *sql, struct duck_rows *ret_rows);
#define OPTIMIZE "PRAGMA enable_optimizer"
/* The first cell as a number; 0 where there is none. */
int count_sql(struct refresh *r, const struct buffer *sql, int64_t *ret_count);
int describe_table(struct refresh *r, const char *table, struct described *ret_columns);
/* What a SELECT gives: the types as DuckDB has them, and as a table of the lake keeps them. */
int describe_own(struct refresh *r, const char *sql, struct described *ret_columns);
int describe_sql(struct refresh *r, const char *sql, struct described *ret_columns);
/* What the lake keeps values of that type as. Owned; NULL: no memory. */
char *kept_type(const struct refresh *r, const char *type);
void described_release(struct described *columns);
/* The first type of which a lake does not keep each value as it is; NULL: none. */
const char *inexact_type(const struct described *columns);
/* The first that a table of a lake cannot have; NULL: none. */
const char *unkept_type(const struct described *columns);
/* " (a TYPE, b TYPE)" */
void append_columns(struct buffer *sql, const struct described *columns);
/* The same types, and the same names as SQL compares them. */
bool described_equal(const struct described *a, const struct described *b);
/* As many of DuckDB's threads as are worth it for so many rows; -1: many. In a transaction. */
int use_threads_for(struct refresh *r, int64_t rows);
/* CREATE OR REPLACE TEMP TABLE name, which refresh_drop_temporaries drops. */
void append_create_temporary(struct refresh *r, struct buffer *sql, const char *name);
void drop_temporaries(struct refresh *r);
/* " WHERE pipeline is the refresh's": of Tarn's small tables. */
void append_where_own(struct buffer *sql, const struct pipeline *pipeline);
/* lake."schema"."table" */
void append_table(struct buffer *sql, const char *schema, const char *table);
/* lake.main."NAME" */
void append_model(struct buffer *sql, const struct model *model);
/* temp.main."tarn PREFIX NAME": where the schema is not named DuckDB looks for a schema temp in the lake. */
void append_temporary(struct buffer *sql, const char *prefix, const struct model *model);
void append_delta(struct buffer *sql, enum delta delta, const char *schema, const char *table);
/* Of the rows of `from`, an alias: what two of them have in common only where they are the same, -0.0 and 0.0 told
 * apart. */
void append_exact_row(struct buffer *sql, const char *from, const struct described *columns);
/* Deletes from the model's table the rows of a temporary one, each as often as it is there. ret_missing: how many were
 * not found. */
int delete_rows(struct refresh *r, const char *table, const char *gone, const struct described *columns,
                int64_t *ret_missing);

/* ---- transaction.c */

/* How long to try again, and how soon. */
struct patience {
	int64_t until_ms, pause_ms;
};

struct patience patience_of(int64_t patience_ms);
/* Waits, and says to try again; false: the error stays, or the time is over. */
bool patience_again(struct patience *patience, const struct error *err);

/* A session for refreshes: outside of a transaction. */
int prepare_session(struct pipeline *pipeline, struct lake_session *session, struct error *err);
/* Also where it failed transaction_close follows. */
int transaction_open(struct refresh *r);
/* work: 1 - COMMIT; 0 - there is nothing to, or -1: ROLLBACK. r->committed says what came of it; append_note adds
 * members to the JSON object that the snapshot has for a message. */
int transaction_run(struct refresh *r, int (*work)(struct refresh *),
                    void (*append_note)(const struct refresh *, struct buffer *));
void transaction_close(struct refresh *r);

/* ---- quarantined.c */

/* Remembers what options.replay has in quarantine; at the end: how many of these are not there any more, in the report.
 */
int quarantined_note(struct refresh *r);
int quarantined_compare(struct refresh *r);
/* Before the quarantine of the model is emptied: its discarded rows, which shall be so when they are refused again. */
int quarantined_keep_discards(struct refresh *r, struct model_run *run);
/* INSERT of refused rows. ret_rows: how many. */
int quarantined_insert(struct refresh *r, const struct model_run *run, const char *refused, int64_t *ret_rows);
/* Of the model, as the transaction has it. */
int quarantined_count_discards(struct refresh *r, const struct model *model, int64_t *ret_rows);

/* ---- state.c */

int state_create(struct lake_session *session, struct error *err);
/* The turn, and what is known of each model. The first thing that the transaction reads. */
int state_read(struct refresh *r);
int state_write(struct refresh *r);
/* The turn alone, and raised by one: the fence of a transaction. */
int state_read_turn(struct refresh *r);
int state_raise_turn(struct refresh *r);
void model_state_release(struct model_state *state);
/* After a COMMIT that failed: is the turn this pipeline's own of that attempt? */
int state_outcome(struct pipeline *pipeline, int64_t turn, bool *ret_mine, struct error *err);

/* ---- feed.c */

/* Temporary tables or views of what the table lost and got since the snapshot; there are none where ret_feed's why says
 * that it cannot be told. What was read already is not read again. Not on backend file. ret_feed: borrowed, until the
 * next feed_read. */
int feed_read(struct refresh *r, const char *schema, const char *table, int64_t since, const struct fed **ret_feed);
/* Makes the temporary table of what the model's own table lost or got, of the same columns, with the rows of a SELECT.
 */
int feed_write(struct refresh *r, struct model_run *run, enum delta delta, const struct buffer *rows);
/* A view instead: for a model that has no other deltas than views. */
int feed_write_nothing(struct refresh *r, struct model_run *run, enum delta delta);
/* The same of a SELECT of rows with their fates (compose.h), of which each is computed once: the delta is a view of
 * those that are kept. ret_fates: a SELECT of all of them, with COLUMN_ROW of those that failed. */
int feed_write_fates(struct refresh *r, struct model_run *run, enum delta delta, const char *rows,
                     struct buffer *ret_fates);
/* A temporary table of rows with their fates, in the types of the model's table. */
int fates_write(struct refresh *r, const struct model_run *run, const char *name, const char *rows);
/* How many rows they have. */
int feed_count(struct refresh *r, const char *schema, const char *table, enum delta delta, int64_t *ret_count);
void feed_release(struct refresh *r);

/* ---- decide.c, refresh.c */

/* What is to be done with the model: its report's how and why. Its sources' changes are there afterwards. */
int decide(struct refresh *r, struct model_run *run);
/* The columns of the model's table, or what is wrong with its SQL, with the line. */
int bind_model(struct refresh *r, struct model_run *run);
/* Does the refresh change a model's table? */
bool has_changes(const struct refresh *r);
/* Is it the table of spec.model.scores? */
bool is_of_scores(const struct refresh *r, const struct reference *read);

/* The model reads that, too. */
int add_read(struct refresh *r, struct model_run *run, const struct reference *read);
/* Is the word in the SQL? Also in a remark or a text. */
bool has_word(const char *sql, const char *word);

enum found { FOUND_NONE, FOUND_LATER /* a stream makes it with its first rows */, FOUND };

/* Is the table that is read, which is no model's, in the lake? */
int look_for_table(struct refresh *r, const struct reference *read, enum found *ret_found);
void wait_for(struct refresh *r, const struct reference *read);

/* ---- definitions.c: views and macros of the lake */

/* What those of its macros read whose names are in the SQL, and what the view reads, are read by the model. */
int definitions_called(struct refresh *r, struct model_run *run, const char *sql);
int definitions_of(struct refresh *r, struct model_run *run, const struct reference *read);
/* Of the view's text; NULL: it is no view whose reads are read. */
const char *definition_hash(const struct refresh *r, const struct model_run *run, const struct reference *read);
/* The lines of macros, as read_sources has them. */
void definitions_append(const struct refresh *r, const struct model_run *run, struct buffer *out);
/* Why changes cannot be followed where there is one. */
void definitions_tell(const struct refresh *r, const struct model_run *run, char *ret_why, size_t size);
void definitions_release(struct model_run *run);

/* ---- pipeline.c */

/* Is it the table of spec.model.scores? */
bool names_scores(const struct spec_pipeline *spec, const char *schema, const char *table);

/* ---- rows.c, groups.c, whole.c: each makes the model's table anew, or changes it */

int rows_anew(struct refresh *r, struct model_run *run);
int rows_change(struct refresh *r, struct model_run *run);
int groups_anew(struct refresh *r, struct model_run *run);
int groups_change(struct refresh *r, struct model_run *run);
int whole_anew(struct refresh *r, struct model_run *run);
/* groups_types.c. Once: they are run->parts afterwards, and run->parts_why. */
int groups_types(struct refresh *r, struct model_run *run);
/* Why the model cannot be incremental; "": it can. Needs run->source. */
int groups_check(struct refresh *r, struct model_run *run, char *ret_why, size_t size);

/* ---- culprit.c */

/* Whether a row is found or not. In a transaction that has got to the model and no further; what makes it fail again is
 * an error. */
int culprit_find(struct refresh *r, const struct model_run *run, struct culprit *ret_culprit);

/* ---- count.c: what becomes of rows */

enum level { LEVEL_ROWS, LEVEL_GROUPS };

/* Its source, behind FROM; nothing where the shape has another FROM. */
void append_from(const struct model_run *run, struct buffer *sql);
/* Can a CAST of it refuse? */
bool stage_may_fail(const struct stage *stage);
/* The SQL of `rows` over a source with the columns of run->source. */
void append_rows_of(const struct model_run *run, const char *source, struct buffer *sql);
/* The model's own columns, put together again from its parts. */
void append_kept_of(const struct model_run *run, const char *source, struct buffer *sql);
/* Can rows of that level be filtered, or fail? */
bool may_drop(const struct model_run *run, enum level level);
/*
 * Counts the rows of a SELECT with COLUMN_FAILED and COLUMN_FILTERED into the report, added or taken away by sign, and
 * puts those that failed into quarantine, or takes them out. kept: how many others there are; -1: they are counted.
 */
int count_rows(struct refresh *r, struct model_run *run, const char *rows, enum level level, int sign, int64_t *kept);
/* INVARIANT 2: is the sum right? */
int check_counts(struct refresh *r, const struct model_run *run);
/* Forgets the counts and the quarantine of the model: it is made anew. */
int forget_counts(struct refresh *r, struct model_run *run);
/* The model's table as it shall be: empty, with its columns. Refuses one that is not the pipeline's. */
int empty_table(struct refresh *r, struct model_run *run);
/* All rows of the model's table, which has its columns. */
int delete_all(struct refresh *r, struct model_run *run);

/* INTEGER, DECIMAL(5,2), ...; of a type as DuckDB writes it. */
bool type_is_number(const char *type);

/* ---- expectation_bind.c: can they be evaluated? */

/* Before anything is computed, outside of a transaction: the columns of models are those that their SQL gives, also
 * where it gives others than the tables have. What depends on a model that cannot be bound yet is left for later. */
int expectations_bind(struct refresh *r);
/* In the transaction, when its tables are there. */
int expectation_bind_late(struct refresh *r, struct expectation *e);

/* ---- expect.c: evaluated when all models are written, before the COMMIT */

int expect_prepare(struct refresh *r);
void expect_release(struct refresh *r);
/* 1: the tables that they read are there; 0: one is still to come; -1: there is none. */
int expect_find_tables(struct refresh *r);
/* Evaluates what may have changed. r->held_back is set where the refresh must not be committed. */
int expect_evaluate(struct refresh *r);
/* Is there a result, of this refresh or from before? Is it met? */
bool expected_is_known(const struct expected *x);
bool expected_passed(const struct expected *x);
/* Is there a result that tarn.expectations does not have? */
bool expect_has_news(const struct refresh *r);
/* The results, as the pipeline's. */
int expect_report(struct refresh *r);
void expect_forget(struct pipeline *pipeline);
/* Why the refresh is held back. */
int expect_tell_held_back(struct refresh *r);

/* ---- expect_state.c: tarn.expectations, tarn.expectation_history */

int expect_read(struct refresh *r);
/* In the transaction that commits the refresh. */
int expect_write(struct refresh *r);
/* After a refresh that was held back was rolled back: what held it back, in a transaction of its own. Where that fails
 * it is told in the log, and the next refresh will try again. */
void expect_note_held_back(struct refresh *r);

#endif
