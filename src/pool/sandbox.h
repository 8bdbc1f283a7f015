/*
 * sandbox.h - what a worker can still ask of the machine once it is warm.
 *
 * Layers, each of which holds alone: no_new_privs; rlimits (no core, no file larger than an answer, few descriptors);
 * Landlock (reading below the lake's data and the models' folder, the catalog's own files, nothing else; TCP to the
 * catalog server's and object store's ports alone; no signal to others); seccomp (what is not on the list of calls that
 * DuckDB needs, sandbox_calls.def, ends with EPERM; what only an attacker would call ends the process).
 *
 * Invariants:
 *  1. All of the process is in it: Landlock holds for the thread that enters and those that it starts, so there must be
 *     no other thread yet. sandbox_enter counts them.
 *  2. No process can be made and none begun: clone makes threads alone.
 *  3. Memory is never written and run: no mapping is executable any more.
 *  4. Without sockets in the list none can be made; with some, TCP to their ports alone (and names are asked for).
 *
 * What the kernel does not offer is told once as a warning; without seccomp nothing starts. Without Landlock no file
 * can be opened for writing all the same, and any file could be read that the process's user may read: then DuckDB's
 * own lock (lake_lock_down) alone keeps queries to the lake's files. Source: seccomp(2), landlock(7).
 */
#ifndef TARN_POOL_SANDBOX_H
#define TARN_POOL_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define SANDBOX_PATHS_MAX 64

struct sandbox {
	const char *read[SANDBOX_PATHS_MAX]; /* files and folders; those that are not there are left out */
	const char *read_write[SANDBOX_PATHS_MAX]; /* existing files alone: nothing can be made (SQLite's -shm) */
	uint16_t ports[SANDBOX_PATHS_MAX]; /* TCP ports that may be connected to; none: no TCP at all */
	int read_count, read_write_count, port_count;
	bool names; /* the ports' hosts are names, which are asked of a name server */
	bool local_socket; /* a server's Unix socket */
	int64_t memory_bytes; /* a hard bound of what the process may map for itself beyond what it has; 0: none */
};

/* Of the whole process. Cannot be undone. FATAL: without seccomp, or where there are other threads. */
int sandbox_enter(const struct sandbox *sandbox, struct error *err);

#endif
