/*
 * spill.h - the folder that DuckDB spills to: one a lake, made when it is opened and removed when it is closed.
 *
 * The folder is locked (flock) while its lake is open, so that the folder of a process that was killed can be told from
 * one that is in use, also across containers that share a $TMPDIR, and is swept away by the next lake that opens.
 */
#ifndef TARN_LAKE_SPILL_H
#define TARN_LAKE_SPILL_H

struct spill {
	char *path; /* "": there is no folder, and DuckDB must not spill */
	int lock;
};

/* Sweeps, then makes a folder in $TMPDIR or /tmp. Where that cannot be done (a read-only machine) it says so once in
 * the log and path is "". -1: out of memory. */
int spill_open(struct spill *ret_spill);

/* After DuckDB is closed. A spill of zeros but for lock = -1 is closed already. */
void spill_close(struct spill *spill);

#endif
