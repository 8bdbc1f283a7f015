/*
 * publish.h - rows into a table by a Parquet file of our own, which is then registered: instead of INSERT, where the
 * catalog is a server. Private to lake/.
 *
 * When a COMMIT fails DuckLake deletes the files that it wrote in it, also where the server had committed and only its
 * answer was lost: the catalog then names files that are gone, and the table cannot be read. Files that are registered
 * (ducklake_add_data_files) it leaves alone.
 *
 * Invariants:
 *  1. A file is complete before the catalog learns of it: it is written and closed, or its upload completed, by COPY.
 *  2. A file is deleted only where nothing can have been committed: by lake_rollback, and where data are local. One of
 * a failed COMMIT, or in a bucket, stays: an orphan, for ducklake_delete_orphaned_files with an age of days.
 *  3. The file's columns have the table's types and names: what INSERT would have made of the rows.
 *
 * Life cycle: layout_read, when the table's columns or options may have changed -> publish_rows... -> layout_release.
 */
#ifndef TARN_LAKE_PUBLISH_H
#define TARN_LAKE_PUBLISH_H

#include "lake/table.h"

/* How files of a table are written. */
struct layout {
	char *folder; /* with its final '/'; owned. NULL: not by publish_rows, the table is INSERTed into */
	struct buffer options; /* of COPY: ", COMPRESSION 'zstd'..." */
	struct buffer columns; /* the select list, from the source's columns to the table's */
};

/*
 * Is the table to be written this way, and how? source: name and type of each column that comes. Reads what the
 * session's transaction sees. FATAL where it should be and cannot: the reason for the user.
 */
int layout_read(const struct table *table, const struct duck_rows *source, struct layout *ret_layout,
                struct error *err);
void layout_release(struct layout *layout);

/* In the session's transaction: `SELECT columns FROM from` into a file, and the file into the table. *ret_rows: how
 * many. from: a table function or a table, as SQL. */
int publish_rows(const struct table *table, const struct layout *layout, const char *from, int64_t *ret_rows,
                 struct error *err);

/* The session's transaction is over. nothing_committed: its local files are deleted. */
void publish_end(struct lake_session *session, bool nothing_committed);

#endif
