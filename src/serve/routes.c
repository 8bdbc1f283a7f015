#include "serve/routes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/owned.h"
#include "serve/serving.h"

struct route {
	const char *method, *path;
	void (*handle)(struct call *call);
	enum route_access access;
};

static const struct route table[] = {
#define ROUTE(method, path, handler, access) {method, path, handler, ROUTE_##access},
#include "serve/routes.def"
#undef ROUTE
};

static bool is_at(const struct route *route, const char *path)
{
	size_t size = strlen(route->path);

	return route->path[size - 1] == '*' ? !strncmp(route->path, path, size - 1) : !strcmp(route->path, path);
}

static bool takes(const struct route *route, const char *method)
{
	return !strcmp(route->method, method) || !strcmp(route->method, "*") ||
	       (!strcmp(route->method, "GET") && !strcmp(method, "HEAD"));
}

/* The row, or NULL with the methods that the path has ("" where it is none). */
static const struct route *find(const char *method, const char *path, char *allow, size_t size)
{
	*allow = 0;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		size_t used = strlen(allow);

		if (!is_at(&table[i], path) || (*allow && !strcmp(table[i].method, "*")))
			continue;
		if (takes(&table[i], method))
			return &table[i];
		snprintf(allow + used, size - used, "%s%s%s", used ? ", " : "", table[i].method,
		         !strcmp(table[i].method, "GET") ? ", HEAD" : "");
	}
	return NULL;
}

void call_no_such_path(struct call *call)
{
	problem_reply(call->response, call->request, PROBLEM_NO_SUCH_PATH, "There is nothing at this path.");
}

void call_other_method(struct call *call, const char *allow)
{
	http_add(call->response, "Allow", "%s, OPTIONS", allow);
	if (!strcmp(http_method(call->request), "OPTIONS"))
		call->response->status = 204;
	else
		problem_reply(call->response, call->request, PROBLEM_METHOD, "Only %s and OPTIONS are answered here.",
		              allow);
}

/* ---- who may */

/* Who looks whether the process is well may know it by another name. */
static bool is_health(const struct route *route)
{
	return route && (route->handle == route_healthz || route->handle == route_readyz);
}

/*
 * Without tokens whoever reaches the address may ask, and a page in a browser of this machine reaches it under any name
 * that its owner points here. Such a request has that name as its Host.
 */
static bool is_meant_for_us(struct call *call)
{
	const char *host = http_header(call->request, "Host");
	size_t size = host ? host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":") : 0;

	if (!host || (size == 9 && (!strncasecmp(host, "localhost", 9) || !strncmp(host, "127.0.0.1", 9))) ||
	    (size == 5 && !strncmp(host, "[::1]", 5)))
		return true;
	problem_reply(call->response, call->request, PROBLEM_WRONG_HOST,
	              "Without tokens only requests to localhost, 127.0.0.1 and [::1] are answered.");
	return false;
}

static void refuse_unknown(struct call *call, bool presented)
{
	http_add(call->response, "WWW-Authenticate", "Bearer realm=\"tarn\"%s",
	         presented ? ", error=\"invalid_token\"" : "");
	problem_reply(call->response, call->request, PROBLEM_UNAUTHORIZED, "%s",
	              presented ? "The token is not one that is known here."
	                        : "Send a token: Authorization: Bearer TOKEN.");
}

bool call_authorize(struct call *call)
{
	const char *presented = http_header(call->request, "Authorization");
	int64_t now_ms, wait_ms;

	if (call->token)
		return true;
	call->token = call->serving->options.anyone ? tokens_anyone(call->serving->tokens)
	                                            : tokens_find(call->serving->tokens, presented);
	if (!call->token) {
		refuse_unknown(call, presented != NULL);
		return false;
	}
	now_ms = clock_monotonic_ms();
	wait_ms = call->looks ? token_look(call->token, now_ms) : token_take(call->token, now_ms);
	if (!wait_ms)
		return true;
	http_add(call->response, "Retry-After", "%lld", (long long)(wait_ms + 999) / 1000);
	problem_reply(call->response, call->request, PROBLEM_RATE, "The token may ask %d times in %lld ms.",
	              token_spec(call->token)->rate_requests, (long long)token_spec(call->token)->rate_ms);
	return false;
}

static bool may(struct call *call, enum route_access access)
{
	if (access == ROUTE_PROBE)
		return true;
	if (!call->serving->service) {
		problem_reply(call->response, call->request, PROBLEM_NO_SUCH_PATH,
		              "There is /metrics, /healthz and /readyz: the manifest declares nothing that is served.");
		return false;
	}
	if (access == ROUTE_ANYBODY || access == ROUTE_SELF)
		return true;
	if (!call_authorize(call))
		return false;
	if (access != ROUTE_QUERY || token_spec(call->token)->query)
		return true;
	problem_reply(call->response, call->request, PROBLEM_NOT_ALLOWED,
	              "The token may not ask SQL of its own, only endpoints.");
	return false;
}

/* What holds for whatever is here; false: the response is its refusal. */
static bool receive(struct call *call, const struct route *route)
{
	/* http_add replaces: a handler that knows better says so. */
	http_add(call->response, "X-Content-Type-Options", "nosniff");
	http_add(call->response, "Cache-Control", "no-store");
	if (route)
		call->response->route = route->path;
	return !call->serving->options.anyone || is_health(route) || is_meant_for_us(call);
}

bool routes_before_body(void *context, const struct http_request *request, struct http_response *response)
{
	struct call call = {.serving = context, .request = request, .response = response, .looks = true};
	char allow[128];
	const struct route *route = find(http_method(request), http_path(request), allow, sizeof allow);
	bool wanted;

	if (!route || strcmp(route->method, "POST") != 0) {
		routes_handle(context, request, response);
		return false;
	}
	wanted = receive(&call, route) && may(&call, route->access);
	token_release(call.token);
	return wanted;
}

void routes_handle(void *context, const struct http_request *request, struct http_response *response)
{
	struct call call = {.serving = context, .request = request, .response = response};
	const char *method = http_method(request), *path = http_path(request);
	char allow[128];
	const struct route *route = find(method, path, allow, sizeof allow);

	if (!receive(&call, route))
		return;
	if (route) {
		if (may(&call, route->access))
			route->handle(&call);
	} else if (!strcmp(path, "*") && !strcmp(method, "OPTIONS")) {
		call_other_method(&call, "GET, HEAD, POST");
	} else if (*allow) {
		call_other_method(&call, allow);
	} else {
		call_no_such_path(&call);
	}
	token_release(call.token);
}
