/* run.c - tarn run FILE: all that the file declares, in one process. */
#include <stdio.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/listening.h"
#include "cli/runtime.h"

static int run(struct manifest *manifest, const struct invocation *invocation, struct error *err)
{
	struct serving_options serving;
	struct runtime *runtime;
	int state;

	if (listening_options(invocation, manifest, &serving, err))
		return -1;
	runtime = runtime_start(manifest, serving.listen ? &serving : NULL, err);
	if (!runtime)
		return -1;
	log_event(EVENT_START,
	          FIELDS(LOG_NUMBER("streams", runtime_stream_count(runtime)), LOG_TEXT("manifest", manifest->file)),
	          "running %s: %d stream(s)", manifest->file, runtime_stream_count(runtime));
	runtime_mend(runtime);
	if (option_flag(invocation, "once") && runtime_finish(runtime, err)) {
		runtime_free(runtime);
		return -1;
	}
	while ((state = runtime_wait(runtime, 1000, err)) == 0)
		;
	runtime_free(runtime);
	return state < 0 ? -1 : 0;
}

int cmd_run(const struct invocation *invocation)
{
	struct error err = {0};
	struct manifest *manifest = manifest_load(invocation->positional[0], &err);
	int failed;

	if (!manifest)
		return cli_fail(&err);
	cli_catch_signals();
	failed = run(manifest, invocation, &err);
	manifest_free(manifest);
	return failed ? cli_fail(&err) : EXIT_DONE;
}
