#include "serve/console.h"

#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "serve/console_files.h"
#include "serve/service.h"
#include "serve/serving.h"

/*
 * Scripts, styles and requests of this origin alone, and no way to make markup of a text. A picture may be made by the
 * page (blob:) from what it fetched with its token.
 */
static const char policy[] =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'";

struct console *console_new(struct error *err)
{
	struct console *console = calloc(1, sizeof *console);

	if (!console) {
		error_no_memory(err);
		return NULL;
	}
	console->overviews = console_overviews_new(err);
	console->lineage = console->overviews ? console_lineage_new(err) : NULL;
	if (console->lineage)
		return console;
	console_free(console);
	return NULL;
}

void console_free(struct console *console)
{
	if (!console)
		return;
	console_overviews_free(console->overviews);
	console_lineage_free(console->lineage);
	free(console);
}

/* ---- the page */

bool console_has_it(struct call *call, const char *etag)
{
	const char *known = http_header(call->request, "If-None-Match");

	call->response->compress = true; /* of a 304, too, so that its ETag is the answer's */
	/* A quoted tag of hexadecimal digits stands in a list only where it is one of the list's, weak or not. */
	if (!known || (strcmp(known, "*") != 0 && !strstr(known, etag)))
		return false;
	call->response->status = 304;
	return true;
}

static void send_file(struct call *call, const struct console_file *file)
{
	struct http_response *response = call->response;

	http_add(response, "Content-Security-Policy", "%s", policy);
	http_add(response, "Referrer-Policy", "no-referrer");
	http_add(response, "X-Frame-Options", "DENY");
	http_add(response, "Cross-Origin-Opener-Policy", "same-origin");
	http_add(response, "Cross-Origin-Resource-Policy", "same-origin");
	http_add(response, "ETag", "%s", file->etag);
	http_add(response, "Cache-Control", "%s", file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
	if (console_has_it(call, file->etag))
		return;
	http_add(response, "Content-Type", "%s", file->content_type);
	buffer_append(&response->body, file->bytes, file->size);
}

void route_console_file(struct call *call)
{
	for (int i = 0; i < CONSOLE_FILES; i++) {
		if (!strcmp(console_files[i].path, http_path(call->request))) {
			send_file(call, &console_files[i]);
			return;
		}
	}
	call_no_such_path(call);
}

/* ---- who it is */

static bool is_served(struct call *call, const struct spec_catalog *catalog)
{
	const char *why_not = service_why_not(call->serving->service, catalog);

	if (!why_not)
		return true;
	http_add(call->response, "Retry-After", "%d", SERVICE_NOT_SERVED_RETRY_S);
	problem_reply(call->response, call->request, PROBLEM_NOT_SERVED, "The catalog %s is not served: %s.",
	              catalog->name, why_not);
	return false;
}

const struct spec_catalog *console_catalog(struct call *call)
{
	const struct manifest *manifest = call->serving->options.manifest;
	const char *wanted = http_argument(call->request, "catalog");
	const struct spec_catalog *found = NULL;
	int count = 0;

	for (int i = 0; i < manifest->catalog_count; i++) {
		const struct spec_catalog *catalog = &manifest->catalogs[i];

		if (!token_may_catalog(call->token, catalog->name) || (wanted && strcmp(wanted, catalog->name) != 0))
			continue;
		found = catalog;
		count++;
	}
	if (count == 1)
		return is_served(call, found) ? found : NULL;
	/* One that is not the token's to see is as one that is not there. */
	problem_reply(call->response, call->request, PROBLEM_NO_SUCH_PATH,
	              count ? "There are several catalogs: name one by ?catalog=NAME."
	                    : "There is no such catalog that the token may see.");
	return NULL;
}

bool console_sees_all(const struct call *call)
{
	const struct manifest *manifest = call->serving->options.manifest;
	const struct spec_token *spec = token_spec(call->token);
	bool all = spec->table_count == 0;

	for (int i = 0; i < spec->table_count; i++)
		all = all || !strcmp(spec->tables[i], "*.*");
	for (int i = 0; i < manifest->catalog_count; i++)
		all = all && token_may_catalog(call->token, manifest->catalogs[i].name);
	return all;
}

void console_json_text(struct buffer *out, const char *text)
{
	buffer_json_text(out, text, strlen(text));
}

static void write_catalogs(struct call *call, struct buffer *out)
{
	const struct manifest *manifest = call->serving->options.manifest;
	const char *comma = "";

	buffer_text(out, ", \"catalogs\": [");
	for (int i = 0; i < manifest->catalog_count; i++) {
		const struct spec_catalog *catalog = &manifest->catalogs[i];
		bool ask = false;

		if (!token_may_catalog(call->token, catalog->name))
			continue;
		for (int a = 0; a < manifest->assistant_count; a++)
			ask = ask || manifest->assistants[a].catalog == catalog;
		buffer_printf(out, "%s{\"name\": ", comma);
		console_json_text(out, catalog->name);
		buffer_printf(out, ", \"backend\": \"%s\", \"ask\": %s}", backend_name(catalog->backend.type),
		              ask ? "true" : "false");
		comma = ", ";
	}
	buffer_char(out, ']');
}

static void write_endpoints(struct call *call, struct buffer *out)
{
	const struct manifest *manifest = call->serving->options.manifest;
	const char *comma = "";

	buffer_text(out, ", \"endpoints\": [");
	for (int i = 0; i < manifest->endpoint_count; i++) {
		const struct spec_endpoint *endpoint = &manifest->endpoints[i];

		if (endpoint->access != ACCESS_ANYONE && !token_may_endpoint(call->token, endpoint->name))
			continue;
		buffer_printf(out, "%s{\"name\": ", comma);
		console_json_text(out, endpoint->name);
		buffer_text(out, ", \"method\": \"GET\", \"path\": ");
		console_json_text(out, endpoint->path);
		buffer_text(out, ", \"description\": ");
		if (endpoint->description)
			console_json_text(out, endpoint->description);
		else
			buffer_text(out, "null");
		buffer_char(out, '}');
		comma = ", ";
	}
	buffer_char(out, ']');
}

/* The lineage's picture is of streams and models. */
static bool has_lineage(const struct call *call)
{
	const struct manifest *manifest = call->serving->options.manifest;

	return token_spec(call->token)->query && manifest->stream_count + manifest->pipeline_count > 0 &&
	       console_sees_all(call);
}

void route_console_me(struct call *call)
{
	const struct spec_token *spec = token_spec(call->token);
	struct buffer *out = &call->response->body;

	http_add(call->response, "Content-Type", "application/json");
	buffer_text(out, "{\"token\": ");
	console_json_text(out, spec->name);
	buffer_printf(out, ", \"anyone\": %s, \"query\": %s, \"lineage\": %s",
	              call->serving->options.anyone ? "true" : "false", spec->query ? "true" : "false",
	              has_lineage(call) ? "true" : "false");
	write_catalogs(call, out);
	buffer_text(out, ", \"tables\": [");
	for (int i = 0; i < spec->table_count; i++) {
		buffer_text(out, i ? ", " : "");
		console_json_text(out, spec->tables[i]);
	}
	buffer_char(out, ']');
	write_endpoints(call, out);
	buffer_printf(
	        out,
	        ", \"limits\": {\"rows\": %d, \"ms\": %lld, \"memory\": %lld, \"requests\": %d, \"per_ms\": %lld}}\n",
	        spec->max_rows, (long long)spec->max_ms, (long long)spec->memory_bytes, spec->rate_requests,
	        (long long)spec->rate_ms);
}

/* ---- lineage */

void route_console_lineage(struct call *call)
{
	OWNED_FREE char *svg = NULL;
	size_t size = 0;

	if (!has_lineage(call)) {
		problem_reply(call->response, call->request, PROBLEM_NOT_ALLOWED,
		              "The picture names every table, and the token may not read them all, or there is none to "
		              "draw.");
		return;
	}
	svg = console_lineage_svg(call->serving->console->lineage, call->serving->options.manifest->file, &size);
	if (!svg) {
		problem_reply(call->response, call->request, PROBLEM_UNAVAILABLE,
		              "The picture cannot be made just now; the server's log says why.");
		return;
	}
	http_add(call->response, "Content-Type", "image/svg+xml");
	http_add(call->response, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox");
	buffer_append(&call->response->body, svg, size);
	call->response->compress = true;
}
