/*
 * headers.h - a message's headers as JSON text: an array of [name, value] pairs.
 *
 * A value is text where it is UTF-8, else "base64:" and RFC 4648 base64; text that itself begins with "base64:" is
 * written in base64 too, so that reading back is never a guess. A header without a value has null.
 */
#ifndef TARN_WIRE_HEADERS_H
#define TARN_WIRE_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Appends one pair, without brackets or commas around it. value NULL: null. */
void headers_pair_json(struct buffer *out, const char *name, const void *value, size_t size);

/* RFC 3629 section 4. */
bool headers_is_utf8(const void *bytes, size_t size);

#endif
