/*
 * reply.h - an answer of the service as a response: for /query, and whoever streams rows.
 *
 * Headers: Tarn-Query (its id in the audit log), Tarn-Snapshot, Tarn-Worker, Tarn-Queue-Ms; of an answer that is there
 * at once Tarn-Rows and Tarn-Duration-Ms, which are trailers otherwise. An answer that fails behind its first byte has
 * the trailer Tarn-Error, and its connection is cut (http.h).
 */
#ifndef TARN_SERVE_REPLY_H
#define TARN_SERVE_REPLY_H

#include "serve/routes.h"
#include "serve/service.h"

/* Takes the answer, or where it is NULL tells the refusal. */
void reply_answer(struct call *call, struct answer *answer, const struct service_refusal *refusal, bool compress);
/* Takes the answer and what was read of it, and sends it as it comes; the Content-Type is the caller's to tell. */
void reply_stream(struct call *call, struct answer *answer, struct buffer *begun);
/* The refusal as a problem. */
void reply_refusal(struct call *call, const struct service_refusal *refusal);
/* The headers of an answer, all that is known of it; whole: its rows and how long it took, too. */
void reply_facts(struct http_response *response, const struct answer_facts *facts, bool whole);

#endif
