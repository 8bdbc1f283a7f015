/*
 * console_lineage.c - the lineage's picture, from this program itself as `tarn lineage FILE --format svg`.
 *
 * A process of its own: drawing reads the models' files with DuckDB's parser, which a server that holds no lake has no
 * business with, and it can be bounded and ended like any other. One runs at a time; a picture is kept for a minute,
 * and a failure for a few seconds, so that who waits for it does not run it once more each.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "serve/console.h"

#define KEPT_MS 60000
#define FAILED_MS 5000
#define RUN_MS 20000
#define RUN_CPU_S 20
#define RUN_MEMORY_BYTES ((rlim_t)1 << 30)
#define SVG_BYTES_MAX ((size_t)4 << 20)
#define RUN_FILE_BYTES ((rlim_t)16 << 20) /* SQLite makes its -shm */

struct console_lineage {
	pthread_mutex_t mutex; /* held while it is drawn */
	struct buffer svg; /* empty: the last time failed, or there was none */
	int64_t drawn_ms;
	bool drawn;
};

struct console_lineage *console_lineage_new(struct error *err)
{
	struct console_lineage *lineage = calloc(1, sizeof *lineage);

	if (!lineage) {
		error_no_memory(err);
		return NULL;
	}
	buffer_init(&lineage->svg, SVG_BYTES_MAX);
	pthread_mutex_init(&lineage->mutex, NULL);
	return lineage;
}

void console_lineage_free(struct console_lineage *lineage)
{
	if (!lineage)
		return;
	buffer_release(&lineage->svg);
	pthread_mutex_destroy(&lineage->mutex);
	free(lineage);
}

/* ---- in the child: only what a signal handler might call, too, until exec */

static void bound(int what, rlim_t most)
{
	struct rlimit limit = {.rlim_cur = most, .rlim_max = most};

	setrlimit(what, &limit);
}

static _Noreturn void become_lineage(int out, pid_t server, const char *manifest)
{
	const char *const arguments[] = {"tarn", "lineage", manifest, "--format", "svg", "--log-level", "error", NULL};
	int nothing = open("/dev/null", O_RDONLY);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bound(RLIMIT_CPU, RUN_CPU_S);
	bound(RLIMIT_DATA, RUN_MEMORY_BYTES);
	bound(RLIMIT_CORE, 0);
	bound(RLIMIT_FSIZE, RUN_FILE_BYTES);
	if (getppid() == server && nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0) {
		close_range(STDERR_FILENO + 1, ~0U, 0);
		execv("/proc/self/exe", (char *const *)(uintptr_t)arguments);
	}
	_exit(127);
}

/* ---- in the server */

/* All that comes until the end of file. False: too much of it, or not in time. */
static bool read_all(int fd, struct buffer *out)
{
	int64_t end = clock_monotonic_ms() + RUN_MS;

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left = end - clock_monotonic_ms();
		char *space;
		ssize_t got;

		if (left <= 0 || poll(&wait, 1, (int)left) == 0)
			return false;
		space = buffer_reserve(out, 16384);
		got = space ? read(fd, space, 16384) : -1;
		if (got < 0 && space && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		out->size += (size_t)got;
		out->data[out->size] = 0;
		if (!got)
			return true;
	}
}

static bool run(const char *manifest, struct buffer *out)
{
	pid_t server = getpid(), child;
	int ends[2], status = 0;
	bool whole;

	if (pipe2(ends, O_CLOEXEC))
		return false;
	child = fork();
	if (!child)
		become_lineage(ends[1], server, manifest);
	close(ends[1]);
	whole = child > 0 && read_all(ends[0], out);
	close(ends[0]);
	if (child <= 0)
		return false;
	if (!whole)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return whole && WIFEXITED(status) && WEXITSTATUS(status) == 0 && out->size > 0;
}

char *console_lineage_svg(struct console_lineage *lineage, const char *manifest, size_t *ret_size)
{
	char *copy = NULL;
	int64_t now_ms;

	pthread_mutex_lock(&lineage->mutex);
	now_ms = clock_monotonic_ms();
	if (!lineage->drawn || now_ms - lineage->drawn_ms > (lineage->svg.size ? KEPT_MS : FAILED_MS)) {
		buffer_clear(&lineage->svg);
		if (!run(manifest, &lineage->svg)) {
			buffer_clear(&lineage->svg);
			log_event(EVENT_LINEAGE_PICTURE, NO_FIELDS, "tarn lineage made no picture for the console");
		}
		lineage->drawn = true;
		lineage->drawn_ms = clock_monotonic_ms();
	}
	if (lineage->svg.size && (copy = malloc(lineage->svg.size)))
		memcpy(copy, lineage->svg.data, *ret_size = lineage->svg.size);
	pthread_mutex_unlock(&lineage->mutex);
	return copy;
}
