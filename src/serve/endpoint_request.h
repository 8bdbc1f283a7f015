/*
 * endpoint_request.h - from a path and what stands behind its '?' to an endpoint and its parameters' values. No
 * protocol, no lake: texts in, values out.
 *
 * Invariants:
 *  1. A value is JSON in the one form that parameter.h gives it; texts of the request stand in no SQL.
 *  2. Nothing is passed over: an argument that the endpoint does not declare, or twice, is a mistake that is told.
 */
#ifndef TARN_SERVE_ENDPOINT_REQUEST_H
#define TARN_SERVE_ENDPOINT_REQUEST_H

#include "base/buffer.h"
#include "base/error.h"
#include "spec/spec.h"

struct endpoint_argument {
	const char *name, *value; /* decoded */
};

/* Of several that the path means the one whose words go furthest to the left: /a/top before /a/{id}. NULL: none. */
const struct spec_endpoint *endpoint_find(const struct manifest *manifest, const char *path);

struct endpoint_values {
	char **json; /* one a parameter of the endpoint; NULL: it was not given and has no default */
	int count;
	const char *cursor; /* of pages; borrowed from the argument; NULL: the first page */
	int64_t page_rows; /* 0: there are no pages */
};

/* INVALID with one sentence for whoever asked. path: one that means the endpoint. */
int endpoint_values_read(const struct spec_endpoint *endpoint, const char *path,
                         const struct endpoint_argument *arguments, int argument_count,
                         struct endpoint_values *ret_values, struct error *err);
void endpoint_values_release(struct endpoint_values *values);
/* The values as one JSON list, the same for equal requests. pages: with the size of pages. */
void endpoint_values_key(const struct spec_endpoint *endpoint, const struct endpoint_values *values, bool pages,
                         struct buffer *out);

#endif
