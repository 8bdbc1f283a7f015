/* tarn worker: what a pool starts. */
#include <string.h>
#include <unistd.h>

#include "base/owned.h"
#include "cli/cli.h"
#include "pool/default.h"
#include "pool/worker.h"
#include "spec/spec.h"

static const struct spec_pool *find_pool(struct manifest *manifest, const char *name, struct error *err)
{
	for (int i = 0; i < manifest->pool_count; i++)
		if (!strcmp(manifest->pools[i].name, name))
			return &manifest->pools[i];
	error_set(err, ERROR_INVALID, 0, "%s has no DuckLakePool %s", manifest->file, name);
	return NULL;
}

/* The pool that --pool names, or the catalog's. */
static const struct spec_pool *choose_pool(const struct invocation *invocation, struct manifest *manifest,
                                           struct spec_pool *standard, struct error *err)
{
	const struct spec_catalog *catalog;
	const struct spec_pool *pool;

	if (option_given(invocation, "pool"))
		return find_pool(manifest, option_text(invocation, "pool"), err);
	catalog = manifest_catalog(manifest, option_text(invocation, "catalog"), err);
	if (!catalog)
		return NULL;
	pool = pool_find(manifest, catalog);
	*standard = pool_default(catalog);
	return pool ? pool : standard;
}

/* What a worker has no use for does not stay in its memory, where a statement's bug could find it. */
static void forget_secrets(struct manifest *manifest)
{
	for (int i = 0; i < manifest->assistant_count; i++)
		if (manifest->assistants[i].api_key)
			explicit_bzero(manifest->assistants[i].api_key, strlen(manifest->assistants[i].api_key));
	for (int i = 0; i < manifest->token_count; i++)
		explicit_bzero(manifest->tokens[i].sha256, strlen(manifest->tokens[i].sha256));
}

int cmd_worker(const struct invocation *invocation)
{
	struct manifest *manifest;
	struct spec_pool standard;
	struct worker_options options = {.fd = STDIN_FILENO, .one_shot = option_flag(invocation, "one-shot")};
	struct error err = {0};
	int status = EXIT_DONE;

	manifest = manifest_load(invocation->positional[0], &err);
	if (!manifest)
		return cli_fail(&err);
	forget_secrets(manifest);
	options.manifest = manifest;
	options.pool = choose_pool(invocation, manifest, &standard, &err);
	options.without_guard = option_flag(invocation, "without-guard");
	options.without_sandbox = option_flag(invocation, "without-sandbox");
	if (!options.pool || worker_run(&options, &err))
		status = cli_fail(&err);
	/* DuckDB's threads would be waited for, and nothing is left to be written. */
	_exit(status);
}
