#include "pool/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/owned.h"

#define DESCRIPTORS_MAX 1024
#define LARGEST_FILE ((rlim_t)1 << 30)

/* ---- Landlock, of which libc and older headers know nothing (landlock(7)) */

#define LANDLOCK_CREATE 444
#define LANDLOCK_ADD 445
#define LANDLOCK_RESTRICT 446
#define LANDLOCK_VERSION 1u
#define RULE_PATH 1
#define RULE_PORT 2

#define FS_READ_FILE (1ull << 2)
#define FS_READ_FOLDER (1ull << 3)
#define FS_WRITE_FILE (1ull << 1)
#define FS_ALL_OF_1 ((1ull << 13) - 1)
#define FS_REFER (1ull << 13) /* version 2 */
#define FS_TRUNCATE (1ull << 14) /* 3 */
#define FS_IOCTL (1ull << 15) /* 5 */
#define NET_BIND 1ull /* 4 */
#define NET_CONNECT 2ull
#define SCOPE_SOCKETS 1ull /* 6: abstract Unix sockets of others */
#define SCOPE_SIGNALS 2ull

struct ruleset {
	uint64_t fs, net, scope;
};

struct path_rule {
	uint64_t allowed;
	int32_t folder;
} __attribute__((packed));

struct port_rule {
	uint64_t allowed, port;
};

static void warn(const char *what)
{
	log_event(EVENT_WORKER, NO_FIELDS, "%s", what);
}

/* Files have no folder's rights. One that is not there has none at all. */
static int allow_path(int ruleset, const char *path, uint64_t rights, struct error *err)
{
	OWNED_FD int fd = open(path, O_PATH | O_CLOEXEC);
	struct path_rule rule = {.allowed = rights, .folder = fd};
	struct stat is;

	if (fd < 0 || fstat(fd, &is))
		return 0;
	if (!S_ISDIR(is.st_mode))
		rule.allowed &= ~FS_READ_FOLDER;
	if (syscall(LANDLOCK_ADD, ruleset, RULE_PATH, &rule, 0))
		return error_set(err, ERROR_FATAL, errno, "Landlock takes no rule: %s", strerror(errno));
	return 0;
}

static int allow_ports(int ruleset, const struct sandbox *sandbox, struct error *err)
{
	for (int i = 0; i < sandbox->port_count; i++) {
		struct port_rule rule = {NET_CONNECT, sandbox->ports[i]};

		if (syscall(LANDLOCK_ADD, ruleset, RULE_PORT, &rule, 0))
			return error_set(err, ERROR_FATAL, errno, "Landlock takes no port: %s", strerror(errno));
	}
	return 0;
}

static struct ruleset rights_of(int version)
{
	struct ruleset rights = {.fs = FS_ALL_OF_1};

	if (version >= 2)
		rights.fs |= FS_REFER;
	if (version >= 3)
		rights.fs |= FS_TRUNCATE;
	if (version >= 4)
		rights.net = NET_BIND | NET_CONNECT;
	if (version >= 5)
		rights.fs |= FS_IOCTL;
	if (version >= 6)
		rights.scope = SCOPE_SOCKETS | SCOPE_SIGNALS;
	return rights;
}

static int restrict_files(const struct sandbox *sandbox, int version, struct error *err)
{
	struct ruleset rights = rights_of(version);
	size_t size = version >= 6   ? sizeof rights
	              : version >= 4 ? offsetof(struct ruleset, scope)
	                             : offsetof(struct ruleset, net);
	OWNED_FD int ruleset = (int)syscall(LANDLOCK_CREATE, &rights, size, 0);

	if (ruleset < 0)
		return error_set(err, ERROR_FATAL, errno, "Landlock takes no rules: %s", strerror(errno));
	for (int i = 0; i < sandbox->read_count; i++)
		if (allow_path(ruleset, sandbox->read[i], FS_READ_FILE | FS_READ_FOLDER, err))
			return -1;
	for (int i = 0; i < sandbox->read_write_count; i++)
		if (allow_path(ruleset, sandbox->read_write[i],
		               (FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE) & rights.fs, err))
			return -1;
	if (version >= 4 && allow_ports(ruleset, sandbox, err))
		return -1;
	if (syscall(LANDLOCK_RESTRICT, ruleset, 0))
		return error_set(err, ERROR_FATAL, errno, "Landlock does not hold: %s", strerror(errno));
	if (version < 4 && sandbox->port_count)
		warn("this kernel's Landlock knows no ports: a worker may connect to any, were its query to get so "
		     "far");
	return 0;
}

/* ---- seccomp */

/* Adds to `failed` instead of returning at each of them. */
struct rules {
	scmp_filter_ctx filter;
	int failed;
};

static void add(struct rules *rules, uint32_t action, int call, unsigned count, const struct scmp_arg_cmp *conditions)
{
	int failed =
	        call == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(rules->filter, action, call, count, conditions);

	if (failed && !rules->failed)
		rules->failed = failed;
}

static void allow_masked(struct rules *rules, int call, unsigned argument, uint64_t mask, uint64_t value)
{
	struct scmp_arg_cmp condition = {argument, SCMP_CMP_MASKED_EQ, mask, value};

	add(rules, SCMP_ACT_ALLOW, call, 1, &condition);
}

static void allow_equal(struct rules *rules, int call, unsigned argument, uint64_t value)
{
	struct scmp_arg_cmp condition = {argument, SCMP_CMP_EQ, value, 0};

	add(rules, SCMP_ACT_ALLOW, call, 1, &condition);
}

static void add_lists(struct rules *rules)
{
#define ALLOWED(name) add(rules, SCMP_ACT_ALLOW, SCMP_SYS(name), 0, NULL);
#define KILLED(name) add(rules, SCMP_ACT_KILL_PROCESS, SCMP_SYS(name), 0, NULL);
#include "pool/sandbox_calls.def"
#undef ALLOWED
#undef KILLED
}

/* Without Landlock: to read alone. SQLite opens its -shm for writing, and where it may not, for reading. */
static void add_files(struct rules *rules, bool landlock)
{
	uint64_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | __O_TMPFILE;

	if (landlock) {
		add(rules, SCMP_ACT_ALLOW, SCMP_SYS(open), 0, NULL);
		add(rules, SCMP_ACT_ALLOW, SCMP_SYS(openat), 0, NULL);
		return;
	}
	allow_masked(rules, SCMP_SYS(open), 1, writing, 0);
	allow_masked(rules, SCMP_SYS(openat), 2, writing, 0);
}

static void allow_socket(struct rules *rules, int family, int type)
{
	struct scmp_arg_cmp conditions[] = {
	        {0, SCMP_CMP_EQ, (uint64_t)family, 0},
	        {1, SCMP_CMP_MASKED_EQ, 0xf, (uint64_t)type},
	};

	add(rules, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, conditions);
}

static void add_sockets(struct rules *rules, const struct sandbox *sandbox)
{
	if (sandbox->port_count) {
		allow_socket(rules, AF_INET, SOCK_STREAM);
		allow_socket(rules, AF_INET6, SOCK_STREAM);
	}
	if (sandbox->names) {
		allow_socket(rules, AF_INET, SOCK_DGRAM);
		allow_socket(rules, AF_INET6, SOCK_DGRAM);
		allow_socket(rules, AF_NETLINK, SOCK_RAW); /* which addresses this machine has */
		add(rules, SCMP_ACT_ALLOW, SCMP_SYS(bind), 0, NULL); /* of that one; of TCP Landlock refuses it */
	}
	if (sandbox->local_socket)
		allow_socket(rules, AF_UNIX, SOCK_STREAM);
	if (sandbox->port_count || sandbox->local_socket)
		add(rules, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0, NULL);
}

static void add_conditions(struct rules *rules)
{
	/* Threads, and no processes. */
	allow_masked(rules, SCMP_SYS(clone), 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM);
	add(rules, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
	add(rules, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0, NULL);
	allow_masked(rules, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	allow_masked(rules, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	allow_equal(rules, SCMP_SYS(prctl), 0, PR_SET_NAME);
	allow_equal(rules, SCMP_SYS(tgkill), 0, (uint64_t)getpid());
	/* To read its own limits, not to change them. */
	allow_equal(rules, SCMP_SYS(prlimit64), 2, 0);
}

static int restrict_calls(const struct sandbox *sandbox, bool landlock, struct error *err)
{
	struct rules rules = {.filter = seccomp_init(SCMP_ACT_ERRNO(EPERM))};
	int failed;

	if (!rules.filter)
		return error_no_memory(err);
	/* On the threads that were there, too. */
	rules.failed = seccomp_attr_set(rules.filter, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(rules.filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	add_lists(&rules);
	add_files(&rules, landlock);
	add_sockets(&rules, sandbox);
	add_conditions(&rules);
	failed = rules.failed ? rules.failed : seccomp_load(rules.filter);
	seccomp_release(rules.filter);
	if (failed)
		return error_set(err, ERROR_FATAL, -failed,
		                 "this machine gives no seccomp filter (%s), and without one no worker runs: it needs "
		                 "Linux with CONFIG_SECCOMP_FILTER",
		                 strerror(-failed));
	return 0;
}

/* ---- limits */

static int64_t mapped_bytes(void)
{
	/* Of /proc/self/statm the sixth number: what is mapped for writing, in pages. */
	char text[128];
	long long pages = 0;
	OWNED_FD int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	char *at = text;

	if (got <= 0)
		return 0;
	text[got] = 0;
	for (int i = 0; i < 5 && at; i++)
		at = strchr(at + 1, ' ');
	if (at)
		pages = strtoll(at, NULL, 10);
	return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int limit(__rlimit_resource_t resource, rlim_t most, struct error *err)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits))
		return error_set(err, ERROR_FATAL, errno, "a limit cannot be read: %s", strerror(errno));
	if (limits.rlim_max < most)
		most = limits.rlim_max;
	limits = (struct rlimit){most, most};
	if (setrlimit(resource, &limits))
		return error_set(err, ERROR_FATAL, errno, "a limit cannot be set: %s", strerror(errno));
	return 0;
}

static int set_limits(const struct sandbox *sandbox, struct error *err)
{
	if (limit(RLIMIT_CORE, 0, err) || limit(RLIMIT_NOFILE, DESCRIPTORS_MAX, err) ||
	    limit(RLIMIT_FSIZE, LARGEST_FILE, err) || limit(RLIMIT_MEMLOCK, 0, err) || limit(RLIMIT_MSGQUEUE, 0, err))
		return -1;
	if (!sandbox->memory_bytes)
		return 0;
	return limit(RLIMIT_DATA, (rlim_t)(mapped_bytes() + sandbox->memory_bytes), err);
}

/* ---- entering */

static int count_threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	int count = 0;

	if (!folder)
		return -1;
	for (struct dirent *entry; (entry = readdir(folder));)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

int sandbox_enter(const struct sandbox *sandbox, struct error *err)
{
	int version = (int)syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION), threads = count_threads();

	if (threads != 1)
		return error_set(err, ERROR_FATAL, 0, "the sandbox is entered with %d threads, and would not hold all",
		                 threads);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return error_set(err, ERROR_FATAL, errno, "no_new_privs cannot be set: %s", strerror(errno));
	signal(SIGXFSZ, SIG_IGN);
	if (set_limits(sandbox, err))
		return -1;
	if (version < 1)
		warn("this kernel has no Landlock: DuckDB's own lock alone keeps queries to the lake's files");
	else if (restrict_files(sandbox, version, err))
		return -1;
	return restrict_calls(sandbox, version >= 1, err);
}
