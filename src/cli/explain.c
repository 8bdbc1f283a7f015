/*
 * explain.c - `tarn explain`: the table of kinds for people who write manifests.
 */
#include <stdio.h>

#include "base/buffer.h"
#include "cli/cli.h"
#include "spec/spec.h"

int cmd_explain(const struct invocation *invocation)
{
	OWNED_BUFFER struct buffer out = {0};
	struct error err;

	buffer_init(&out, 1 << 22);
	if (option_flag(invocation, "markdown"))
		spec_reference(&out);
	else if (spec_explain(invocation->positional_count ? invocation->positional[0] : NULL, &out, &err))
		return cli_fail(&err);
	fputs(buffer_string(&out), stdout);
	return EXIT_DONE;
}
