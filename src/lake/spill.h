/*
 * spill.h - the folder that DuckDB spills to: one a lake, made when it is opened and removed when it is closed. It is
 * held (base/folder.h): what a killed process leaves is swept away by the next lake that opens.
 */
#ifndef TARN_LAKE_SPILL_H
#define TARN_LAKE_SPILL_H

#include "base/folder.h"

struct spill {
	struct held_folder folder;
	const char *path; /* borrowed from `folder`; "": there is none, and DuckDB must not spill */
};

/* Sweeps, then makes a folder in $TMPDIR or /tmp. Where that cannot be done (a read-only machine) it says so in the log
 * and path is "". */
void spill_open(struct spill *ret_spill);

/* After DuckDB is closed. A spill of zeros is closed already. */
void spill_close(struct spill *spill);

#endif
