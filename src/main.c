/*
 * main.c - the process: parse, set up, run one command, exit status.
 */
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/table.h"

static int (*const commands[COMMAND_COUNT])(const struct invocation *) = {
#define COMMAND(id, name, arguments, least, most, summary, description) [COMMAND_##id] = cmd_##name,
#include "cli/commands.def"
#undef COMMAND
};

/* The place of the option's value among its choices, which are in the order of the enum. */
static int choice(const struct invocation *invocation, const char *name, const char *const *choices, int count)
{
	for (int i = 1; i < count; i++)
		if (!strcmp(choices[i], option_text(invocation, name)))
			return i;
	return 0;
}

static void set_up(const struct invocation *invocation)
{
	static const char *const colors[] = {"auto", "always", "never"};

	color_choose((enum color_choice)choice(invocation, "color", colors, COUNT_OF(colors)));
	log_init(!strcmp(option_text(invocation, "log-format"), "json"),
	         (enum log_level)choice(invocation, "log-level", log_level_names, LOG_LEVELS), color_for(stderr));
}

int main(int argc, char **argv)
{
	struct invocation invocation = {0};
	struct error err = {0};
	int status;

	/* A reader that went away is an error of the write, which cli_finish sees. */
	signal(SIGPIPE, SIG_IGN);
	log_init(false, LOG_INFO, color_for(stderr));
	if (options_parse(argc, argv, &invocation, &err))
		return cli_usage(invocation.command, &err);
	set_up(&invocation);
	status = fault_init(&err) ? cli_fail(&err) : cli_finish(commands[invocation.command](&invocation));
	invocation_release(&invocation);
	return status;
}
