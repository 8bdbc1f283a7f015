/*
 * routes.h - which handler answers what: one table (routes.def), and what every request passes before its handler.
 *
 * A row is a method and a path; a path that ends with '*' stands for all that begin with what is before it. GET is
 * HEAD, too. The first row of the path and method counts. What a path has no row for is 404, what a method has none for
 * 405 with Allow, and OPTIONS is answered for every row; of a row with the method "*" the handler does all that itself,
 * and it stands last.
 *
 * Where no token is asked for, a request whose Host is another machine is 421, but for /healthz and /readyz. Before a
 * handler is called its row's access was checked:
 *     PROBE    nobody is asked who they are, and it is answered without a service, too (serving_is_service)
 *     ANYBODY  nobody is asked who they are
 *     TOKEN    call->token is somebody's (or anyone's, where the service asks for none), its rate not used up (401,
 * 429) QUERY    the same, and the token may ask SQL of its own (403) SELF     the handler does that itself
 * (call_authorize)
 *
 * A row of POST takes a body, and no other. Before it is read all of this was checked, too, with the token's rate
 * looked at and not used up; what takes none is answered without it.
 *
 * To add one: a row of routes.def, and a function `void NAME(struct call *call)`.
 */
#ifndef TARN_SERVE_ROUTES_H
#define TARN_SERVE_ROUTES_H

#include "serve/http.h"
#include "serve/problem.h"
#include "serve/token.h"

struct serving; /* serving.h: the service, and the state of each part */

struct call {
	struct serving *serving;
	const struct http_request *request;
	struct http_response *response;
	const struct token *token; /* NULL of a row for anyone; released behind the handler */
	bool looks; /* before its body: the token's rate is looked at, and its use counted when the handler is called */
};

enum route_access { ROUTE_PROBE, ROUTE_ANYBODY, ROUTE_TOKEN, ROUTE_QUERY, ROUTE_SELF };

#define ROUTE(method, path, handler, access) void handler(struct call *call);
#include "serve/routes.def"
#undef ROUTE

/* Who is it (call->token), and is its rate used up? False: the response is 401 or 429. */
bool call_authorize(struct call *call);
/* 404; 405, or 204 of OPTIONS, with `allow` as the methods ("GET, HEAD"). */
void call_no_such_path(struct call *call);
void call_other_method(struct call *call, const char *allow);

/* Answers a request (struct http_options.handle with the serving as its context). */
void routes_handle(void *serving, const struct http_request *request, struct http_response *response);
/* Is its body taken? False: it was answered (struct http_options.before_body). */
bool routes_before_body(void *serving, const struct http_request *request, struct http_response *response);

#endif
