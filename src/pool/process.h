/*
 * process.h - the driver whose workers are processes of this machine: this program again, as `tarn worker`, with one
 * end of a socketpair as its standard input.
 *
 * What it may know is what its manifest says and what it needs of the environment (no secret in its arguments): the
 * manifest's path and the pool's name stand in its arguments, secrets are read again by it from where the manifest
 * says. It dies with its server (PR_SET_PDEATHSIG).
 */
#ifndef TARN_POOL_PROCESS_H
#define TARN_POOL_PROCESS_H

#include "pool/pool.h"

struct processes;

/* manifest: its path; pool: the name of a DuckLakePool, or NULL for the default one of `catalog`. Texts are copied. */
struct processes *processes_new(const char *manifest, const char *pool, const char *catalog, struct error *err);
void processes_free(struct processes *processes);
struct pool_driver processes_driver(struct processes *processes);

#endif
