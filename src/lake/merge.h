/*
 * merge.h - small files of a table into larger ones, between commits.
 *
 * A commit every few seconds makes many small files. They are kept in tiers by size: below 1, below 8, below 64 MiB.
 * Where a tier has MERGE_FILES, these become one file of the next tier. So a row is written again at most three times,
 * one call writes at most 64 MiB a tier, and after enough calls (`more` says so) a table keeps fewer than MERGE_FILES
 * small files a tier - and a few more where files of other columns (schema versions) stand between them, which DuckLake
 * does not join.
 *
 * Merging changes no rows: snapshots, time travel and the change feed answer as before. The old files are deleted
 * MERGE_GRACE_HOURS later, for readers that still go by them: at least one hour later, for in a SQLite catalog DuckLake
 * compares dates alone (tried: with one hour it deleted files that were seconds old).
 *
 * Where the catalog is a server a COMMIT's answer can be lost, and DuckLake would delete a file that is committed:
 * there the merge runs apart (apart.h).
 */
#ifndef TARN_LAKE_MERGE_H
#define TARN_LAKE_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lake/lake.h"

#define MERGE_FILES 8
#define MERGE_GRACE_HOURS 25
#define REWRITE_SHARE "0.3" /* of a file's rows that are deleted */

struct merge_report {
	int64_t files_before, files_after; /* of the tiers that were merged; 0: nothing was due */
	bool more; /* of a tier that was merged there are still MERGE_FILES */
};

/* Merges what is due of the table; small_only: not the tier of 8 to 64 MiB, which is large enough to be read well and
 * most of the work. Errors: as DuckDB gives them; nothing has changed then, or all of a tier. */
int lake_merge(struct lake_session *session, const char *schema, const char *table, bool small_only,
               struct merge_report *ret_report, struct error *err);
/*
 * Of a table whose rows are deleted and come anew, files keep fewer and fewer of their rows, and merges leave them
 * alone. Where MERGE_FILES have deleted rows, those that lost REWRITE_SHARE of theirs are written again without them.
 * In the change feed the rows that stay are deleted and inserted.
 */
int lake_rewrite(struct lake_session *session, const char *schema, const char *table, struct merge_report *ret_report,
                 struct error *err);
/* Deletes the files that merges replaced MERGE_GRACE_HOURS ago. */
int lake_merge_cleanup(struct lake_session *session, struct error *err);

#endif
