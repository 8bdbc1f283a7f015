/*
 * quarantine.h - what the files of `tarn quarantine` share: quarantine.c (the verbs), quarantine_show.c,
 * quarantine_replay.c; quarantine_rows.c (the verbs, of rows that models refused).
 */
#ifndef TARN_CLI_QUARANTINE_H
#define TARN_CLI_QUARANTINE_H

#include "cli/cli.h"
#include "lake/lake.h"
#include "lake/quarantine.h"
#include "spec/spec.h"

/* What a verb works on. */
struct quarantine_job {
	const struct invocation *invocation;
	struct manifest *manifest;
	struct spec_catalog *catalog;
	struct quarantine_selection selection; /* its parts borrow from the invocation and from `places` */
	struct place *places; /* owned */
	struct lake *lake;
	struct lake_session *session;
};

/* Each does one verb and returns the process's exit status. */
int quarantine_show(struct quarantine_job *job, struct error *err);
int quarantine_replay(struct quarantine_job *job, struct error *err);
int quarantine_rows_list(struct quarantine_job *job, struct error *err);
int quarantine_rows_replay(struct quarantine_job *job, struct error *err);
int quarantine_rows_discard(struct quarantine_job *job, const char *because, struct error *err);

/* SQL of the lake's quarantine, written to standard output in the form of --format. -1 where *err is filled or a write
 * failed (cli_finish tells that). */
int quarantine_print(struct quarantine_job *job, const char *sql, struct error *err);
/* What list prints by --summary and --format: the SQL's rows, and under the title, for people, their totals. */
int quarantine_print_list(struct quarantine_job *job, const struct buffer *listed, const char *title,
                          const struct buffer *totals, struct error *err);
/* How many rows list shows; -1: all. */
int64_t quarantine_limit(const struct quarantine_job *job);
/* True for --format NAME. */
bool quarantine_format(const struct quarantine_job *job, const char *name);

#endif
