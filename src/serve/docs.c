/* docs.c - GET /docs: a page of this program (docs/) that shows /openapi.json; and that. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "serve/docs_files.h"
#include "serve/endpoint.h"
#include "serve/routes.h"
#include "serve/serving.h"

static const char policy[] =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/* 304 where the client has it. */
static bool is_known(struct call *call, const char *etag)
{
	const char *known = http_header(call->request, "If-None-Match");

	http_add(call->response, "ETag", "%s", etag);
	http_add(call->response, "Cache-Control", "no-cache");
	call->response->compress = true; /* of a 304, too, so that its ETag is the answer's */
	if (!known || (strcmp(known, "*") != 0 && !strstr(known, etag)))
		return false;
	call->response->status = 304;
	return true;
}

static void send(struct call *call, const char *content_type, const char *bytes, size_t size)
{
	http_add(call->response, "Content-Type", "%s", content_type);
	buffer_append(&call->response->body, bytes, size);
}

void route_docs(struct call *call)
{
	static const struct {
		const char *path, *content_type;
		int file;
	} pages[] = {
	        {"/docs", "text/html; charset=utf-8", DOCS_HTML},
	        {"/docs/docs.css", "text/css; charset=utf-8", DOCS_CSS},
	        {"/docs/docs.js", "text/javascript; charset=utf-8", DOCS_JS},
	};

	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		const struct docs_file *file = &docs_files[pages[i].file];

		if (strcmp(pages[i].path, http_path(call->request)) != 0)
			continue;
		http_add(call->response, "Content-Security-Policy", "%s", policy);
		http_add(call->response, "Referrer-Policy", "no-referrer");
		http_add(call->response, "X-Frame-Options", "DENY");
		if (!is_known(call, file->etag))
			send(call, pages[i].content_type, file->bytes, file->size);
		return;
	}
	call_no_such_path(call);
}

/* Without a token, what everybody may ask. */
void route_openapi(struct call *call)
{
	OWNED_BUFFER struct buffer json = {0};
	char digits[HASH_HEX_SIZE], etag[20];
	bool anyone = call->serving->options.anyone;

	if ((anyone || http_header(call->request, "Authorization")) && !call_authorize(call))
		return;
	buffer_init(&json, BUFFER_DEFAULT_MAXIMUM);
	endpoints_openapi(call->serving->endpoints, call->token, anyone, &json);
	if (!buffer_ok(&json) || !hash_whole(buffer_string(&json), json.size, digits)) {
		problem_reply(call->response, call->request, PROBLEM_UNAVAILABLE, "There is no memory for this.");
		return;
	}
	snprintf(etag, sizeof etag, "\"%.16s\"", digits);
	http_add(call->response, "Vary", "Authorization, Accept-Encoding");
	if (!is_known(call, etag))
		send(call, "application/json", json.data, json.size);
}

void route_endpoint(struct call *call)
{
	endpoints_answer(call->serving->endpoints, call);
}
