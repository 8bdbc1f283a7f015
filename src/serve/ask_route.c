/*
 * ask_route.c - POST /sql {"question", "catalog", "limit"}.
 */
#include <string.h>
#include <strings.h>
#include <yyjson.h>

#include "base/owned.h"
#include "serve/ask.h"
#include "serve/routes.h"
#include "serve/serving.h"

#define BODY_BYTES_MAX ((size_t)64 << 10)

static void free_document(yyjson_doc **document)
{
	yyjson_doc_free(*document);
}

static bool refuse(struct call *call, enum problem problem, const char *what)
{
	problem_reply(call->response, call->request, problem, "%s", what);
	return false;
}

/* The member is a text, or not there. */
static bool take_text(struct call *call, yyjson_val *value, const char **ret_text)
{
	if (!yyjson_is_str(value))
		return refuse(call, PROBLEM_BAD_REQUEST, "question and catalog must be texts.");
	if (strlen(yyjson_get_str(value)) != yyjson_get_len(value))
		return refuse(call, PROBLEM_UNPROCESSABLE, "A text has a 0 character in it.");
	*ret_text = yyjson_get_str(value);
	return true;
}

static bool read_member(struct call *call, yyjson_val *name, struct ask_question *question, const char **ret_catalog)
{
	yyjson_val *value = yyjson_obj_iter_get_val(name);

	if (yyjson_equals_str(name, "question"))
		return take_text(call, value, &question->text);
	if (yyjson_equals_str(name, "catalog"))
		return yyjson_is_null(value) || take_text(call, value, ret_catalog);
	if (!yyjson_equals_str(name, "limit"))
		return refuse(call, PROBLEM_BAD_REQUEST, "The members are question, catalog and limit.");
	if (!yyjson_is_uint(value) || !yyjson_get_uint(value) || yyjson_get_uint(value) > ASK_ROWS_MAX)
		return refuse(call, PROBLEM_UNPROCESSABLE, "limit must be a whole number from 1 to 10000.");
	question->max_rows = (int64_t)yyjson_get_uint(value);
	return true;
}

static bool read_question(struct call *call, yyjson_val *root, struct ask_question *question)
{
	const char *catalog = NULL;
	yyjson_obj_iter iter;
	yyjson_val *name;

	if (!yyjson_is_obj(root))
		return refuse(call, PROBLEM_BAD_REQUEST,
		              "The body must be a JSON object, such as {\"question\": \"how many?\"}.");
	iter = yyjson_obj_iter_with(root);
	while ((name = yyjson_obj_iter_next(&iter)))
		if (!read_member(call, name, question, &catalog))
			return false;
	if (!question->text)
		return refuse(call, PROBLEM_BAD_REQUEST, "The body has no question.");
	question->catalog = service_catalog(call->serving->service, catalog);
	if (question->catalog && token_may_catalog(call->token, question->catalog->name))
		return true;
	return refuse(call, PROBLEM_NO_SUCH_PATH, "There is no such catalog, or it must be named.");
}

void route_sql(struct call *call)
{
	OWNED_ASK_ANSWER struct ask_answer answer = {0};
	OWNED_BY(free_document) yyjson_doc *document = NULL;
	struct ask_question question = {
	        .token = call->token,
	        .route = "POST /sql",
	        .client = http_client_address(call->request),
	        .client_fd = http_client_fd(call->request),
	        .max_rows = ASK_ROWS_DEFAULT,
	        .max_bytes = ASK_ROW_BYTES_MAX,
	};
	const char *type = http_header(call->request, "Content-Type");
	size_t size;
	const char *body = http_body(call->request, &size);

	/* A page of another origin can send text/plain without asking first. */
	if (!type || strncasecmp(type, "application/json", 16) || (type[16] && !strchr("; \t", type[16]))) {
		refuse(call, PROBLEM_MEDIA_TYPE, "The body's Content-Type must be application/json.");
		return;
	}
	if (size > BODY_BYTES_MAX) {
		refuse(call, PROBLEM_BODY_SIZE, "The body of a question has at most 65536 bytes.");
		return;
	}
	document = size ? yyjson_read(body, size, 0) : NULL;
	if (!read_question(call, yyjson_doc_get_root(document), &question))
		return;
	ask(call->serving->asker, &question, &answer);
	call->response->status = answer.status;
	if (answer.retry_after_s)
		http_add(call->response, "Retry-After", "%d", answer.retry_after_s);
	http_add(call->response, "Content-Type", answer.status == 200 ? "application/json" : PROBLEM_CONTENT_TYPE);
	http_add(call->response, "Cache-Control", "no-store");
	call->response->compress = answer.status == 200;
	ask_write_json(&answer, http_path(call->request), &call->response->body);
}
