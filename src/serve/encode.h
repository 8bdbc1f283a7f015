/*
 * encode.h - content codings of answers: gzip (RFC 1952) and zstd (RFC 8878), as Accept-Encoding has them.
 *
 * Life cycle: encoder_new -> encoder_put... -> encoder_end -> encoder_free. One thread.
 */
#ifndef TARN_SERVE_ENCODE_H
#define TARN_SERVE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

#define ENCODE_BYTES_MIN 1024 /* what is smaller stays as it is */

enum encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_ZSTD };

struct encoder;

/* Of those with the highest weight zstd goes before gzip, and gzip before identity. header NULL: identity. False: the
 * client takes none, not even identity. */
bool encoding_choose(const char *accept, enum encoding *ret_encoding);
const char *encoding_name(enum encoding encoding); /* as in Content-Encoding */

/* GZIP or ZSTD. */
struct encoder *encoder_new(enum encoding encoding, struct error *err);
void encoder_free(struct encoder *encoder);
/* Appends to *out what can be decoded of all that was put so far. */
int encoder_put(struct encoder *encoder, const void *bytes, size_t size, struct buffer *out, struct error *err);
int encoder_end(struct encoder *encoder, struct buffer *out, struct error *err);

#endif
