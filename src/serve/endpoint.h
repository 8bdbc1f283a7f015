/*
 * endpoint.h - DuckLakeEndpoints over HTTP: a path, values, a SELECT of the manifest, an answer that may be kept.
 *
 *     endpoint_find, endpoint_values_read (endpoint_request.h)    404, 400
 *       -> endpoint_version (endpoint_private.h)                  has anything changed that it is made of? 304
 *       -> answers_take (answers.h)                               a kept answer, or one that is being made
 *       -> service_run (service.h)                                a worker's
 *
 * An answer is good as long as no table changed that the SELECT reads, however many snapshots there are meanwhile; so
 * its ETag names the newest snapshot in which one of them did. SELECTs that call now() or the like, or read views, are
 * not kept and have no ETag.
 *
 * Life cycle: endpoints_new -> endpoints_answer... -> endpoints_free. Any thread.
 */
#ifndef TARN_SERVE_ENDPOINT_H
#define TARN_SERVE_ENDPOINT_H

#include "base/buffer.h"
#include "base/error.h"
#include "serve/service.h"

struct call; /* routes.h */
struct endpoints;

/* manifest and service are borrowed until endpoints_free. INVALID: a SELECT that may not run, with file and line. */
struct endpoints *endpoints_new(const struct manifest *manifest, struct service *service, struct error *err);
void endpoints_free(struct endpoints *endpoints);

/* A request to a path that is none of Tarn's own; a path that is no endpoint's is 404. */
void endpoints_answer(struct endpoints *endpoints, struct call *call);

/* OpenAPI 3.1 of what the token may ask; NULL: of what everybody may. anyone: no token is asked for. */
void endpoints_openapi(struct endpoints *endpoints, const struct token *token, bool anyone, struct buffer *out);

#endif
