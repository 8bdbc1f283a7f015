/*
 * cut.h - Arrow and Parquet files as messages of one Arrow IPC stream each: wire/ cuts lines by itself, and knows
 * neither of these formats.
 */
#ifndef TARN_STREAM_CUT_H
#define TARN_STREAM_CUT_H

#include "lake/fetch.h"
#include "wire/cut.h"

/* IPC streams and IPC files: a message a record batch. */
extern const struct cutting cutting_arrow;
/* A message a few thousand rows. `fetch` is borrowed. */
struct cutting cutting_parquet(struct fetch *fetch);

#endif
