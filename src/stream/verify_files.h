/*
 * verify_files.h - the register of a stream of files, judged: each file begins where the one before it ends, the last
 * one ends where the lane stands, no name is there twice, and of the files that were taken those that are on this
 * machine have the size that was taken. Against the source also: objects have that size; what is there and was not
 * taken is the lag.
 */
#ifndef TARN_STREAM_VERIFY_FILES_H
#define TARN_STREAM_VERIFY_FILES_H

#include "stream/verify.h"

/* Fills what the verification says of files, and the problem of its lane (partition 0; made where it has none). */
int verify_files(const struct spec_stream *spec, struct lake_session *session, bool with_source,
                 struct verification *verification, struct error *err);

#endif
