/*
 * worker.h - a worker: one lake, READ_ONLY, asked over one socket until it is closed.
 *
 * What it does before it says READY, in this order: LOAD the extensions; ATTACH the catalog READ_ONLY; read the models
 * that SQL may ask (score/); copy the hot tables into memory; run a query; lock DuckDB's configuration (no external
 * access beyond the lake's own files); enter the sandbox.
 *
 * A request then: guard_check (query/guard.h), bind, run, write rows as FRAME_DATA. A second thread reads the socket
 * meanwhile for CANCEL, and interrupts what runs too long.
 *
 * Invariants:
 *  1. Nothing of a statement runs before the guard let it pass.
 *  2. A message to the client names no path, no key and no part of the program.
 *  3. All of a statement is read from one snapshot, which START names.
 *  4. Between two requests nothing of the first is left: no transaction, temporary table, setting or prepared statement
 *     of it.
 */
#ifndef TARN_POOL_WORKER_H
#define TARN_POOL_WORKER_H

#include <stdbool.h>

#include "base/error.h"
#include "spec/spec.h"

struct worker_options {
	const struct manifest *manifest; /* borrowed */
	const struct spec_pool *pool; /* borrowed */
	int fd; /* the socket to the server */
	bool one_shot; /* ends after its first request */
	/* For the tests of one defence without the other (tests/escapes): each needs TARN_UNSAFE=1 in the environment.
	 */
	bool without_guard, without_sandbox;
};

/* Returns when the socket is closed (0) or cannot go on (-1). */
int worker_run(const struct worker_options *options, struct error *err);

#endif
