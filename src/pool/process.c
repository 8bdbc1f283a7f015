#include "pool/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/owned.h"

#define PROGRAM "/proc/self/exe"
/* What belongs to a person's session, and nothing that a manifest needs. */
static const char *const not_passed[] = {
        "SSH_", "DBUS_", "XDG_", "GPG_", "DISPLAY=", "WAYLAND_", "TARN_FAULT=", "KUBERNETES_", "LD_PRELOAD=", "OLDPWD=",
};

struct processes {
	char *manifest, *pool, *catalog; /* owned; pool or catalog */
	char **environment; /* owned, its texts are borrowed of the process */
};

extern char **environ;

static bool is_passed(const char *variable)
{
	for (size_t i = 0; i < COUNT_OF(not_passed); i++)
		if (!strncmp(variable, not_passed[i], strlen(not_passed[i])))
			return false;
	return true;
}

static char **copy_environment(void)
{
	size_t count = 0, kept = 0;
	char **copy;

	while (environ[count])
		count++;
	copy = calloc(count + 1, sizeof *copy);
	for (size_t i = 0; copy && i < count; i++)
		if (is_passed(environ[i]))
			copy[kept++] = environ[i];
	return copy;
}

struct processes *processes_new(const char *manifest, const char *pool, const char *catalog, struct error *err)
{
	struct processes *processes = calloc(1, sizeof *processes);

	if (!processes || !(processes->manifest = strdup(manifest)) || (pool && !(processes->pool = strdup(pool))) ||
	    (catalog && !(processes->catalog = strdup(catalog))) || !(processes->environment = copy_environment())) {
		processes_free(processes);
		error_no_memory(err);
		return NULL;
	}
	return processes;
}

void processes_free(struct processes *processes)
{
	if (!processes)
		return;
	free(processes->manifest);
	free(processes->pool);
	free(processes->catalog);
	free(processes->environment);
	free(processes);
}

/* ---- starting one */

/* Its end of the socket becomes 0; nothing is printed, logs go where the server's go; all else is closed. */
static int set_files(posix_spawn_file_actions_t *files, int theirs)
{
	return posix_spawn_file_actions_adddup2(files, theirs, STDIN_FILENO) ||
	       posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) ||
	       posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
}

/* In a group of its own: a terminal's Ctrl-C is for the server, which lets its workers end what they do. */
static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t all, none;

	sigfillset(&all);
	sigemptyset(&none);
	return posix_spawnattr_setsigdefault(attributes, &all) || posix_spawnattr_setsigmask(attributes, &none) ||
	       posix_spawnattr_setpgroup(attributes, 0) ||
	       posix_spawnattr_setflags(attributes,
	                                POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
}

static int spawn(struct processes *processes, bool one_shot, int theirs, pid_t *ret_pid)
{
	const char *arguments[8] = {"tarn", "worker", processes->manifest, processes->pool ? "--pool" : "--catalog",
	                            processes->pool ? processes->pool : processes->catalog};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int failed;

	if (one_shot)
		arguments[5] = "--one-shot";
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	failed = set_files(&files, theirs) || set_attributes(&attributes);
	if (failed)
		failed = ENOMEM;
	else
		failed = posix_spawn(ret_pid, PROGRAM, &files, &attributes, (char *const *)(uintptr_t)arguments,
		                     processes->environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return failed;
}

static int start(void *context, bool one_shot, int64_t *ret_handle, struct error *err)
{
	int pair[2], failed;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return error_set(err, ERROR_TRANSIENT, errno, "no socket for a worker: %s", strerror(errno));
	failed = spawn(context, one_shot, pair[1], &pid);
	close(pair[1]);
	if (failed) {
		close(pair[0]);
		return error_set(err, ERROR_TRANSIENT, failed, "a worker could not be started: %s", strerror(failed));
	}
	*ret_handle = pid;
	return pair[0];
}

/* ---- looking after it */

static void kill_one(void *context, int64_t handle)
{
	kill((pid_t)handle, SIGKILL);
}

static bool ended(void *context, int64_t handle, char ret_why[64])
{
	int status;
	pid_t got = waitpid((pid_t)handle, &status, WNOHANG);

	if (!got)
		return false;
	if (got < 0)
		snprintf(ret_why, 64, "gone");
	else if (WIFSIGNALED(status))
		snprintf(ret_why, 64, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(ret_why, 64, "ended with %d", WEXITSTATUS(status));
	return true;
}

/* What is its own: pages of files are shared with the other workers. */
static int64_t memory_bytes(void *context, int64_t handle)
{
	char path[64], text[128];
	long long size, resident, shared;
	OWNED_FD int fd = -1;
	ssize_t got;

	snprintf(path, sizeof path, "/proc/%lld/statm", (long long)handle);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (got <= 0)
		return 0;
	text[got] = 0;
	if (sscanf(text, "%lld %lld %lld", &size, &resident, &shared) != 3)
		return 0;
	return (int64_t)(resident - shared) * sysconf(_SC_PAGESIZE);
}

struct pool_driver processes_driver(struct processes *processes)
{
	return (struct pool_driver){start, kill_one, ended, memory_bytes, processes};
}
