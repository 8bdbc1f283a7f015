/*
 * token.c - tarn token: a new token, and the document that lets it in.
 *
 * The document, which holds no secret, goes to standard output, so that `tarn token dashboard >> tokens.yaml` works.
 * The token itself goes to a terminal or to a new file: never where a log or a pipe would keep it unasked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/owned.h"
#include "cli/cli.h"
#include "serve/token.h"
#include "spec/spec.h"

static void write_list(struct buffer *out, const struct invocation *invocation, const char *option, const char *field)
{
	const char *const *items;
	int count = option_list(invocation, option, &items);

	if (!count)
		return;
	buffer_printf(out, "  %s: [", field);
	for (int i = 0; i < count; i++) {
		buffer_text(out, i ? ", " : "");
		buffer_json_text(out, items[i], strlen(items[i]));
	}
	buffer_text(out, "]\n");
}

static void write_document(struct buffer *out, const struct invocation *invocation, const char *sha256)
{
	const char *name = invocation->positional_count ? invocation->positional[0] : NULL;

	buffer_text(out, "---\napiVersion: " SPEC_API_VERSION "\nkind: DuckLakeToken\nmetadata: {name: ");
	if (name)
		buffer_json_text(out, name, strlen(name));
	else
		buffer_printf(out, "token-%.8s", sha256);
	buffer_printf(out, "}\nspec:\n  sha256: \"%s\"\n", sha256);
	write_list(out, invocation, "catalog", "catalogs");
	write_list(out, invocation, "table", "tables");
	write_list(out, invocation, "endpoint", "endpoints");
	if (option_flag(invocation, "endpoints-only"))
		buffer_text(out, "  query: false\n");
	if (option_given(invocation, "max-rows"))
		buffer_printf(out, "  maxRows: %lld\n", (long long)option_int(invocation, "max-rows"));
	if (option_given(invocation, "max-duration"))
		buffer_printf(out, "  maxDuration: %lldms\n", (long long)option_int(invocation, "max-duration"));
	if (option_given(invocation, "memory"))
		buffer_printf(out, "  memory: %lld\n", (long long)option_int(invocation, "memory"));
	if (option_given(invocation, "rate"))
		buffer_printf(out, "  rate: {requests: %lld, per: %lldms}\n", (long long)option_int(invocation, "rate"),
		              (long long)option_int(invocation, "per"));
}

/* A new file of this user's alone. */
static int write_token(const char *file, const char *token, struct error *err)
{
	OWNED_FD int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set(err, ERROR_INVALID, errno, "--token-file %s: %s", file, strerror(errno));
	if (dprintf(fd, "%s\n", token) == (int)strlen(token) + 1)
		return 0;
	unlink(file);
	return error_set(err, ERROR_INVALID, errno, "--token-file %s: %s", file, strerror(errno));
}

static int make(const struct invocation *invocation, struct error *err)
{
	const char *file = option_text(invocation, "token-file");
	OWNED_BUFFER struct buffer document = {0};
	struct manifest *manifest;
	char token[44], sha256[65];

	if (!file && !isatty(STDERR_FILENO))
		return error_set(err, ERROR_INVALID, 0,
		                 "there is no terminal to show the token on: say --token-file FILE, which is made");
	buffer_init(&document, BUFFER_DEFAULT_MAXIMUM);
	if (token_make(token, sha256, err))
		return -1;
	write_document(&document, invocation, sha256);
	manifest = manifest_parse(buffer_string(&document), document.size, "the token", "/", err);
	if (!manifest)
		return -1;
	manifest_free(manifest);
	if (file && write_token(file, token, err))
		return -1;
	fputs(buffer_string(&document), stdout);
	fflush(stdout);
	if (!file)
		fprintf(stderr, "The token, which is not kept anywhere: %s\n", token);
	explicit_bzero(token, sizeof token);
	return 0;
}

int cmd_token(const struct invocation *invocation)
{
	struct error err = {0};

	return make(invocation, &err) ? cli_fail(&err) : EXIT_DONE;
}
