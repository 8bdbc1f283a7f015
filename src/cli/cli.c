#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static atomic_bool interrupted;
static int interrupt_pipe[2] = {-1, -1};

/* A second one of another mind stops at once; timeout(1) and service managers send the first one twice. */
#define SAME_SIGNAL_MS 300

static void on_signal(int number)
{
	static int64_t first_ms;
	int before = errno;

	if (interrupted && clock_monotonic_ms() > first_ms + SAME_SIGNAL_MS)
		_exit(EXIT_INTERRUPTED);
	if (interrupted)
		return;
	first_ms = clock_monotonic_ms();
	interrupted = true;
	/* A full pipe is readable as well. */
	if (interrupt_pipe[1] >= 0 && write(interrupt_pipe[1], "", 1) < 0)
		errno = before;
	errno = before;
}

void cli_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (interrupt_pipe[0] >= 0)
		return;
	if (pipe2(interrupt_pipe, O_CLOEXEC | O_NONBLOCK))
		interrupt_pipe[0] = interrupt_pipe[1] = -1;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
	return interrupted;
}

const atomic_bool *cli_interrupt_flag(void)
{
	return &interrupted;
}

int cli_interrupt_fd(void)
{
	return interrupt_pipe[0];
}

static void say(const struct error *err)
{
	char text[sizeof err->message];

	snprintf(text, sizeof text, "%s", err->message);
	log_mask(text);
	/* What the command wrote comes first, also where both go to one terminal. */
	fflush(stdout);
	log_progress(NULL);
	fprintf(stderr, "tarn: %s\n", text);
}

int cli_fail(const struct error *err)
{
	say(err);
	return exit_code(err->kind);
}

int cli_usage(enum command_id command, const struct error *err)
{
	say(err);
	if (command == COMMAND_COUNT || command == COMMAND_HELP)
		fputs("'tarn help' lists commands and options\n", stderr);
	else
		fprintf(stderr, "'tarn help %s' explains the command\n", command_row(command)->name);
	return EXIT_USAGE;
}

/* The pipe's or socket's other end is closed. */
static bool reader_is_gone(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&output, 1, 0) > 0 && (output.revents & POLLERR);
}

int cli_finish(int status)
{
	int code;

	/* The command saw it and said so. */
	if (status == EXIT_OUTPUT || status == EXIT_PIPE)
		return status;
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	code = errno;
	if (code == EPIPE || reader_is_gone())
		return EXIT_PIPE;
	/* Where an earlier write failed its errno is gone. */
	fprintf(stderr, "tarn: cannot write the output: %s\n", code ? strerror(code) : "a write failed");
	return EXIT_OUTPUT;
}
