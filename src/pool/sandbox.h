/*
 * sandbox.h - what a worker can still ask of the machine once it is warm.
 *
 * Layers, each of which holds alone: no_new_privs; rlimits (no core, no new files of any size, few descriptors);
 * Landlock (reading below the lake's data and the models' folder, the catalog's own files, nothing else; TCP to the
 * catalog server's and object store's ports alone); seccomp (no exec, no fork of processes, no ptrace, no mount, no new
 * sockets where the lake needs none, ... : what is not on the list of calls that DuckDB needs ends with EPERM, what
 * only an attacker would call ends the process).
 *
 * What the kernel does not offer is told once as a warning; without seccomp nothing starts.
 * Source: seccomp(2), landlock(7).
 */
#ifndef TARN_POOL_SANDBOX_H
#define TARN_POOL_SANDBOX_H

#include <stdint.h>

#include "base/error.h"

#define SANDBOX_PATHS_MAX 16

struct sandbox {
	const char *read[SANDBOX_PATHS_MAX]; /* files and folders; those that are not there are left out */
	const char *read_write[SANDBOX_PATHS_MAX]; /* existing files alone: nothing can be made (SQLite's -shm) */
	uint16_t ports[SANDBOX_PATHS_MAX]; /* TCP ports that may be connected to; none: no sockets at all */
	int read_count, read_write_count, port_count;
	int64_t memory_bytes; /* a hard bound of the address space's data; 0: none */
};

/* Of all threads of the process, also those that are there (TSYNC). Cannot be undone. */
int sandbox_enter(const struct sandbox *sandbox, struct error *err);

#endif
