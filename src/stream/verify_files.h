/*
 * verify_files.h - the register of a stream of files, judged: each file begins where the one before it ends, the last
 * one ends where the lane stands, and no name is there twice. Against the source also: every file that is there and
 * whole has the size that was taken; those that were not taken are the lag.
 */
#ifndef TARN_STREAM_VERIFY_FILES_H
#define TARN_STREAM_VERIFY_FILES_H

#include "stream/verify.h"

/* Fills what the verification says of files, and the problem of its lane (partition 0; made where it has none). */
int verify_files(const struct spec_stream *spec, struct lake_session *session, bool with_source,
                 struct verification *verification, struct error *err);

#endif
