/*
 * apart.h - a transaction in a DuckDB of its own, whose file systems are closed before its COMMIT. Private to lake/ but
 * for stream/replay.c.
 *
 * When a COMMIT fails DuckLake deletes the files that it wrote, also where the catalog is a server that had committed
 * and only its answer was lost. Rows go round that (publish.h); merged files and lists of deleted rows must be
 * DuckLake's own. A DuckDB without file systems deletes nothing, and can do nothing else any more: so it is opened for
 * one COMMIT. What a COMMIT leaves behind that was none is an orphan, for ducklake_delete_orphaned_files with an age of
 * days.
 *
 * Where the catalog is no server this is the session that it was opened from, and its COMMIT a plain one.
 *
 * Life cycle: apart_open -> lake_begin... -> apart_commit -> apart_close.
 */
#ifndef TARN_LAKE_APART_H
#define TARN_LAKE_APART_H

#include "lake/lake.h"

struct apart {
	struct lake_session *session; /* NULL: not open */
	struct lake *lake; /* that was opened for it; NULL: none was */
};

int apart_open(struct lake_session *session, struct apart *ret_apart, struct error *err);
/* As lake_commit. Where a lake was opened nothing but apart_close may follow. */
enum commit_outcome apart_commit(struct apart *apart, const char *note, struct error *err);
/* After apart_commit: is it of no more use? */
bool apart_is_over(const struct apart *apart);
void apart_close(struct apart *apart);

#endif
