/*
 * cli.h - the commands. Each is one file, cli/NAME.c, with one entry point: int cmd_NAME(const struct invocation *),
 * which returns the process's exit status (exits.def).
 *
 * A command writes its result to standard output and everything else to standard error (log.h). It need not check
 * standard output: cli_finish does, once, at the end.
 */
#ifndef TARN_CLI_CLI_H
#define TARN_CLI_CLI_H

#include <stdatomic.h>

#include "base/error.h"
#include "cli/options.h"

#define COMMAND(id, name, arguments, least, most, summary, description)                                                \
	int cmd_##name(const struct invocation *invocation);
#include "cli/commands.def"
#undef COMMAND

/* "tarn: MESSAGE" on standard error, secrets masked; the exit status of its kind, for `return cli_fail(&err)`. */
int cli_fail(const struct error *err);
/* The same for a mistake in the command line: exit status 2, and where to read on. */
int cli_usage(enum command_id command, const struct error *err);
/* `status`, or what the last writes to standard output make of it: a full disk is an error, a reader that went away
 * (EPIPE) ends the program quietly. */
int cli_finish(int status);

/* From now on the first SIGINT or SIGTERM only makes cli_interrupted true and cli_interrupt_fd readable; the second one
 * ends the process at once. */
void cli_catch_signals(void);
bool cli_interrupted(void);
const atomic_bool *cli_interrupt_flag(void); /* the same, for who only knows flags */
/* Never read it: it stays readable. -1 before cli_catch_signals. */
int cli_interrupt_fd(void);

#endif
