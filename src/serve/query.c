/*
 * query.c - POST /query: one SELECT, its rows in the form that was asked for, as they come.
 *
 * An answer that is there at once goes out whole, with its length and its rows as headers. A longer one is chunks, and
 * what is known at the end only comes as trailers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "serve/query_body.h"
#include "serve/reply.h"
#include "serve/routes.h"
#include "serve/serving.h"

/* ---- the request */

static bool is_type(const char *header, const char *type)
{
	size_t size = strlen(type);
	const char *rest = header ? header + size : "";
	const char *charset;

	if (!header || strncasecmp(header, type, size) != 0 || (*rest && *rest != ';' && *rest != ' '))
		return false;
	charset = strcasestr(rest, "charset=");
	if (!charset)
		return true;
	charset += strlen("charset=");
	charset += *charset == '"';
	return !strncasecmp(charset, "utf-8", 5) && !strpbrk(charset + 5, "0123456789");
}

struct options {
	struct query_body *body;
	struct error *err;
	bool failed;
};

static bool take_option(void *context, const char *name, const char *value)
{
	struct options *options = context;

	options->failed = query_body_option(options->body, name, value, options->err);
	return !options->failed;
}

static bool no_option(void *context, const char *name, const char *value)
{
	*(bool *)context = true;
	return false;
}

static int read_json(struct call *call, struct query_body *body, struct error *err)
{
	size_t size;
	const char *text = http_body(call->request, &size);
	bool any = false;

	http_arguments(call->request, no_option, &any);
	if (query_body_json(text, size, body, err))
		return -1;
	return any ? error_set(err, ERROR_INVALID, 0, "with a JSON body nothing stands behind '?'") : 0;
}

static int read_sql(struct call *call, struct query_body *body, struct error *err)
{
	struct options options = {.body = body, .err = err};
	size_t size;
	const char *text = http_body(call->request, &size);

	if (query_body_sql(text, size, body, err))
		return -1;
	http_arguments(call->request, take_option, &options);
	return options.failed ? -1 : 0;
}

/* False: the response is 400, 406, or 415. */
static bool read_body(struct call *call, struct query_body *body)
{
	const char *type = http_header(call->request, "Content-Type");
	const char *coding = http_header(call->request, "Content-Encoding");
	struct error err = {0};
	int failed;

	if ((coding && strcasecmp(coding, "identity") != 0) ||
	    (!is_type(type, "application/json") && !is_type(type, "application/sql"))) {
		http_add(call->response, "Accept-Post", "application/json, application/sql");
		problem_reply(call->response, call->request, PROBLEM_MEDIA_TYPE,
		              "Send the body as application/json or application/sql, in UTF-8, and not compressed.");
		return false;
	}
	failed = is_type(type, "application/json") ? read_json(call, body, &err) : read_sql(call, body, &err);
	if (failed) {
		problem_reply(call->response, call->request,
		              err.kind == ERROR_MEMORY ? PROBLEM_FAULT : PROBLEM_BAD_REQUEST, "%c%s.",
		              err.message[0] == 't'   ? 'T'
		              : err.message[0] == 'a' ? 'A'
		                                      : err.message[0],
		              err.message + 1);
		return false;
	}
	if (body->has_format || answer_format_accepted(http_header(call->request, "Accept"), &body->format))
		return true;
	problem_reply(call->response, call->request, PROBLEM_NOT_ACCEPTABLE,
	              "Accept one of text/csv, application/json, application/x-ndjson, "
	              "application/vnd.apache.arrow.stream and application/vnd.apache.parquet.");
	return false;
}

static const struct spec_catalog *find_catalog(struct call *call, const struct query_body *body)
{
	const struct spec_catalog *catalog = service_catalog(call->serving->service, body->catalog);

	if (!catalog)
		problem_reply(call->response, call->request, body->catalog ? PROBLEM_NO_CATALOG : PROBLEM_BAD_REQUEST,
		              body->catalog ? "There is no catalog of that name."
		                            : "There are several catalogs: \"catalog\" says which one.");
	return catalog;
}

void route_query(struct call *call)
{
	struct query_body body = {.snapshot = -1};
	struct service_refusal refusal;
	struct request request;
	struct service_ask ask;

	if (read_body(call, &body)) {
		request = (struct request){.op = REQUEST_QUERY,
		                           .sql = body.sql,
		                           .parameters = body.parameters,
		                           .parameter_count = body.parameter_count,
		                           .format = body.format,
		                           .snapshot = body.snapshot,
		                           .table_count = -1,
		                           .page_rows = body.limit};
		ask = (struct service_ask){.catalog = find_catalog(call, &body),
		                           .token = call->token,
		                           .request = &request,
		                           .route = "POST /query",
		                           .client_fd = http_client_fd(call->request),
		                           .client = http_client_address(call->request)};
		if (ask.catalog)
			reply_answer(call, service_run(call->serving->service, &ask, &refusal), &refusal,
			             body.format != ANSWER_PARQUET);
	}
	query_body_release(&body);
}
