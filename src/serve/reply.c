#include "serve/reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/serving.h"

#define AT_ONCE_BYTES ((size_t)1 << 20)
#define AT_ONCE_MS 2 /* so long the first rows may wait for the end */

void reply_refusal(struct call *call, const struct service_refusal *refusal)
{
	char instance[64];

	snprintf(instance, sizeof instance, "urn:tarn:query:%" PRId64, refusal->query);
	if (refusal->retry_after_s)
		http_add(call->response, "Retry-After", "%d", refusal->retry_after_s);
	if (refusal->query)
		http_add(call->response, "Tarn-Query", "%" PRId64, refusal->query);
	problem_write(call->response, refusal->status, refusal->name, refusal->title, refusal->detail,
	              refusal->query ? instance : http_path(call->request));
}

void reply_facts(struct http_response *response, const struct answer_facts *facts, bool whole)
{
	http_add(response, "Tarn-Query", "%" PRId64, facts->query);
	if (facts->snapshot >= 0)
		http_add(response, "Tarn-Snapshot", "%" PRId64, facts->snapshot);
	if (facts->one_shot)
		http_add(response, "Tarn-Worker", "one-shot");
	else
		http_add(response, "Tarn-Worker", "%" PRId64, facts->worker);
	http_add(response, "Tarn-Queue-Ms", "%.3f", (double)facts->waited_us / 1000);
	if (!whole)
		return;
	http_add(response, "Tarn-Rows", "%" PRId64, facts->rows);
	http_add(response, "Tarn-Duration-Ms", "%.3f", (double)facts->took_us / 1000);
}

/* ---- a stream */

struct streaming {
	struct answer *answer;
	struct buffer begun; /* what was read before the response began */
	struct service_refusal refusal;
	bool failed;
};

static int next_block(void *context, struct buffer *block)
{
	struct streaming *streaming = context;
	int more;

	if (streaming->begun.size) {
		buffer_append(block, streaming->begun.data, streaming->begun.size);
		buffer_release(&streaming->begun);
		return 1;
	}
	more = answer_next(streaming->answer, block, &streaming->refusal);
	streaming->failed = more < 0;
	return more;
}

static void trail(void *context, struct http_response *response)
{
	struct streaming *streaming = context;
	struct answer_facts facts = answer_facts(streaming->answer);

	if (streaming->failed)
		http_add(response, "Tarn-Error", "%s", streaming->refusal.name);
	else
		http_add(response, "Tarn-Rows", "%" PRId64, facts.rows);
	http_add(response, "Tarn-Duration-Ms", "%.3f", (double)facts.took_us / 1000);
}

static void close_stream(void *context)
{
	struct streaming *streaming = context;

	answer_close(streaming->answer);
	buffer_release(&streaming->begun);
	free(streaming);
}

static void send_stream(struct call *call, struct streaming *streaming)
{
	struct answer_facts facts = answer_facts(streaming->answer);

	reply_facts(call->response, &facts, false);
	http_add(call->response, "Trailer", "Tarn-Rows, Tarn-Duration-Ms, Tarn-Error");
	call->response->producer = (struct http_producer){streaming, next_block, trail, close_stream};
}

void reply_stream(struct call *call, struct answer *answer, struct buffer *begun)
{
	struct streaming *streaming = calloc(1, sizeof *streaming);

	if (!streaming) {
		problem_reply(call->response, call->request, PROBLEM_FAULT, "The server has no memory left.");
		answer_close(answer);
		buffer_release(begun);
		return;
	}
	streaming->answer = answer;
	streaming->begun = *begun;
	*begun = (struct buffer){0};
	send_stream(call, streaming);
}

/* ---- at once */

/*
 * Reads into streaming->begun what is there, or nearly. 1: that is all; 0: there is more; -1: it failed, and nothing of
 * it was sent.
 */
static int read_at_once(struct streaming *streaming)
{
	struct buffer block = {0};
	int more = 1;

	buffer_init(&block, FRAME_BYTES_MAX);
	while (more > 0 && streaming->begun.size < AT_ONCE_BYTES && answer_ready(streaming->answer, AT_ONCE_MS)) {
		more = answer_next(streaming->answer, &block, &streaming->refusal);
		if (more > 0)
			buffer_append(&streaming->begun, block.data, block.size);
	}
	buffer_release(&block);
	return more > 0 ? 0 : more == 0 ? 1 : -1;
}

void reply_answer(struct call *call, struct answer *answer, const struct service_refusal *refusal, bool compress)
{
	struct streaming *streaming = answer ? calloc(1, sizeof *streaming) : NULL;
	struct answer_facts facts;
	int whole;

	if (!streaming) {
		if (answer)
			problem_reply(call->response, call->request, PROBLEM_FAULT, "The server has no memory left.");
		else
			reply_refusal(call, refusal);
		answer_close(answer);
		return;
	}
	streaming->answer = answer;
	buffer_init(&streaming->begun, BUFFER_DEFAULT_MAXIMUM);
	whole = read_at_once(streaming);
	facts = answer_facts(answer);
	if (whole < 0) {
		reply_refusal(call, &streaming->refusal);
		close_stream(streaming);
		return;
	}
	http_add(call->response, "Content-Type", "%s", facts.content_type);
	call->response->compress = compress;
	if (!whole) {
		send_stream(call, streaming);
		return;
	}
	reply_facts(call->response, &facts, true);
	buffer_release(&call->response->body);
	call->response->body = streaming->begun;
	streaming->begun = (struct buffer){0};
	close_stream(streaming);
}
