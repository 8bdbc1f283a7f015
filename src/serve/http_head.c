/*
 * http_head.c - the headers of a request: gathered, and refused where they could be read in two ways (RFC 9112 sections
 * 3.2, 5.1, 6.3, 11.2).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serve/accept.h"
#include "serve/http_private.h"
#include "serve/problem.h"

#define LENGTH_DIGITS_MAX 15

static const char *const singular[] = {"Host",   "Content-Length", "Content-Type", "Authorization", "Transfer-Encoding",
                                       "Expect", "Origin"};

static struct header *find(struct http_request *request, const char *name)
{
	for (int i = 0; i < request->header_count; i++)
		if (!strcasecmp(request->headers[i].name, name))
			return &request->headers[i];
	return NULL;
}

const char *http_header(const struct http_request *request, const char *name)
{
	const struct header *header = find((struct http_request *)(uintptr_t)request, name);

	return header ? header->value : NULL;
}

static void join(struct http_request *request, struct header *header, const char *value)
{
	char *joined = NULL;

	for (size_t i = 0; i < sizeof singular / sizeof *singular; i++)
		if (!strcasecmp(header->name, singular[i]))
			request->malformed = "a header stands there twice that may stand there once";
	if (asprintf(&joined, "%s, %s", header->value, value) < 0) {
		request->malformed = "a header cannot be read";
		return;
	}
	free(header->joined);
	header->joined = joined;
	header->value = joined;
}

static bool is_name(const char *name, size_t size)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return size && strspn(name, token) == size;
}

static bool is_value(const char *value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
			return false;
	return true;
}

static enum MHD_Result take(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size,
                            const char *value, size_t value_size)
{
	struct http_request *request = context;
	struct header *header;

	value = value ? value : "";
	request->header_bytes += name_size + value_size + 4;
	if (!is_name(name, name_size) || !is_value(value, value_size)) {
		request->malformed = "a header has a character that may not stand there";
		return MHD_NO;
	}
	header = find(request, name);
	if (header) {
		join(request, header, value);
		return MHD_YES;
	}
	if (request->header_count == HEADERS_MAX) {
		request->header_bytes += HEADER_BYTES_MAX;
		return MHD_NO;
	}
	request->headers[request->header_count++] = (struct header){.name = name, .value = value};
	return MHD_YES;
}

/* What is wrong with how long the body is said to be, or NULL. */
static const char *check_length(struct http_request *request)
{
	const char *length = http_header(request, "Content-Length");
	const char *encoding = http_header(request, "Transfer-Encoding");

	if (length && encoding)
		return "there are both Content-Length and Transfer-Encoding";
	if (encoding && (request->old || strcasecmp(encoding, "chunked") != 0))
		return "Transfer-Encoding is not chunked, or not of HTTP/1.1";
	request->chunked = encoding;
	if (!length)
		return NULL;
	if (!*length || strspn(length, "0123456789") != strlen(length))
		return "Content-Length is not a number";
	request->length = strlen(length) > LENGTH_DIGITS_MAX ? SIZE_MAX : strtoul(length, NULL, 10);
	return NULL;
}

static const char *check_host(const struct http_request *request)
{
	const char *host = http_header(request, "Host");

	if (!host)
		return request->old ? NULL : "the header Host is missing";
	return strpbrk(host, " \t/?#@\\,") ? "the header Host is not HOST or HOST:PORT" : NULL;
}

static bool takes_trailers(const struct http_request *request)
{
	const char *te = http_header(request, "TE");

	return te && !request->old && accept_coding(te, "trailers") > 0;
}

static int refuse(struct http_request *request, struct http_response *response, enum problem problem, const char *why)
{
	problem_reply(response, request, problem, "%c%s.", *why >= 'a' && *why <= 'z' ? *why - 'a' + 'A' : *why,
	              why + 1);
	return -1;
}

int http_head_check(struct http_request *request, const char *method, const char *version,
                    struct http_response *response)
{
	const char *why;
	enum encoding encoding;

	snprintf(request->method, sizeof request->method, "%s", method);
	request->head = !strcmp(method, "HEAD");
	request->old = strcmp(version, "HTTP/1.1") != 0;
	MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, take, request);
	request->trailers = takes_trailers(request);
	if (request->target_status)
		return refuse(request, response, problem_of_status(request->target_status), request->target_why);
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
		return refuse(request, response, PROBLEM_BAD_REQUEST, "the version is neither HTTP/1.1 nor HTTP/1.0");
	if (request->header_bytes > HEADER_BYTES_MAX)
		return refuse(request, response, PROBLEM_HEADER_SIZE, "there are too many headers, or too long ones");
	why = request->malformed ? request->malformed : check_host(request);
	if (!why)
		why = check_length(request);
	if (why)
		return refuse(request, response, PROBLEM_BAD_REQUEST, why);
	if (request->length > request->server->options.body_bytes)
		return refuse(request, response, PROBLEM_BODY_SIZE, "the body is too large");
	if (!encoding_choose(http_header(request, "Accept-Encoding"), &encoding))
		return refuse(request, response, PROBLEM_NOT_ACCEPTABLE,
		              "Accept-Encoding takes neither gzip nor zstd nor identity");
	return 0;
}
