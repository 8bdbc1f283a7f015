/*
 * parameter.h - texts as values of an endpoint's parameter: its default and enum in the manifest, what a request brings
 * later. One function for both, so that a default is never what a request could not say.
 *
 * The value comes out as JSON, and in one form for each value: 007 is 7, a time is UTC with a Z. Whoever compares
 * requests compares these.
 */
#ifndef TARN_SPEC_PARAMETER_H
#define TARN_SPEC_PARAMETER_H

#include "base/buffer.h"
#include "base/error.h"
#include "spec/spec.h"

/* Appends JSON to *json (NULL: it is only checked). INVALID: "is not a whole number; would be ..." */
int parameter_value(const struct spec_parameter *parameter, const char *text, struct buffer *json, struct error *err);
/* "integer", "varchar"... as in a manifest. */
const char *parameter_type_name(enum parameter_type type);

/* YYYY-MM-DD, of a day that there is. */
const char *value_date(const char *text);
/* RFC 3339 (T, t or a space; UTC where there is no offset), as microseconds since 1970. */
const char *value_timestamp(const char *text, int64_t *ret_us);
/* A number, true, false, null, or a text, as RFC 8259 writes them. */
const char *value_json_scalar(const char *text);

#endif
