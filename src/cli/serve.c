/* serve.c - tarn serve FILE: the service of what the file declares. */
#include <poll.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/listening.h"

#define DRAIN_MS 30000

static int serve(const struct serving_options *options, struct error *err)
{
	struct pollfd stop = {.fd = cli_interrupt_fd(), .events = POLLIN};
	struct serving *serving = serving_start(options, err);

	if (!serving)
		return -1;
	listening_tell(serving);
	while (!cli_interrupted())
		poll(&stop, 1, 1000);
	log_event(EVENT_STOP, NO_FIELDS,
	          "stopping: answers that are under way end first (a second signal stops at once)");
	serving_stop(serving, DRAIN_MS);
	return 0;
}

int cmd_serve(const struct invocation *invocation)
{
	struct error err = {0};
	struct manifest *manifest = manifest_load(invocation->positional[0], &err);
	struct serving_options options;
	int failed;

	if (!manifest)
		return cli_fail(&err);
	cli_catch_signals();
	failed = listening_options(invocation, manifest, &options, &err) || serve(&options, &err);
	manifest_free(manifest);
	return failed ? cli_fail(&err) : EXIT_DONE;
}
