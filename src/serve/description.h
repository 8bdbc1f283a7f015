/*
 * description.h - what a worker tells of the tables (REQUEST_DESCRIBE), kept for as long as the lake's newest snapshot
 * is the one that it was made at: asking the catalog for that costs next to nothing, reading values of each table does
 * not.
 *
 * Invariants:
 *  1. What is kept is given only to whoever may read the same tables of the same catalog.
 *  2. Of a catalog without snapshots nothing is kept. At most DESCRIPTIONS_MAX are, of DESCRIPTION_BYTES_MAX each.
 *
 * Threads: any. Life cycle: descriptions_new -> descriptions_get... -> descriptions_free.
 */
#ifndef TARN_SERVE_DESCRIPTION_H
#define TARN_SERVE_DESCRIPTION_H

#include "base/buffer.h"
#include "base/error.h"
#include "serve/service.h"

#define DESCRIPTIONS_MAX 32
#define DESCRIPTION_BYTES_MAX ((size_t)1 << 20)

struct descriptions;

struct descriptions *descriptions_new(struct error *err);
void descriptions_free(struct descriptions *descriptions);
/* ask: its request is REQUEST_DESCRIBE. -1: *refusal says why. */
int descriptions_get(struct descriptions *descriptions, struct service *service, const struct service_ask *ask,
                     struct buffer *out, struct service_refusal *refusal);

#endif
