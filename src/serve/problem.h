/*
 * problem.h - refusals as application/problem+json (RFC 9457): type, title, status, detail, instance.
 *
 * A detail is one sentence for whoever asked; it names no path of the machine, no key and no part of the program.
 */
#ifndef TARN_SERVE_PROBLEM_H
#define TARN_SERVE_PROBLEM_H

#include "serve/http.h"

#define PROBLEM_CONTENT_TYPE "application/problem+json"
#define PROBLEM_URN "urn:tarn:problem:"

enum problem {
#define PROBLEM(id, ...) PROBLEM_##id,
#include "serve/problem.def"
#undef PROBLEM
	PROBLEM_COUNT
};

int problem_status(enum problem problem);
const char *problem_name(enum problem problem);
const char *problem_title(enum problem problem);

/* The response becomes the problem: what was in it is dropped, but for headers. instance: the path that was asked. */
void problem_reply(struct http_response *response, const struct http_request *request, enum problem problem,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same with names of others (pool/request.h). instance may be NULL. */
void problem_write(struct http_response *response, int status, const char *name, const char *title, const char *detail,
                   const char *instance);
/* The document alone. */
void problem_json(struct buffer *out, int status, const char *name, const char *title, const char *detail,
                  const char *instance);
/* The enum's member of this HTTP status; FAULT: none. */
enum problem problem_of_status(int status);

#endif
