#include "base/cpus.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/owned.h"

/* The file's first line; "": there is none. */
static void read_line(const char *root, const char *folder, const char *group, const char *file, char ret_line[128])
{
	OWNED_FREE char *path = NULL;
	FILE *in;

	*ret_line = 0;
	if (asprintf(&path, "%s%s%s/%s", root, folder, group, file) < 0) {
		path = NULL;
		return;
	}
	in = fopen(path, "re");
	if (!in)
		return;
	if (!fgets(ret_line, 128, in))
		*ret_line = 0;
	fclose(in);
}

/* "10000 100000" or "max 100000", and of version 1 the same in two files. 0: no bound. */
static int64_t quota_of(const char *root, const char *folder, const char *group, bool two)
{
	char line[128], period_line[128];
	int64_t quota, period;
	char *rest;

	if (two) {
		read_line(root, folder, group, "cpu.cfs_quota_us", line);
		read_line(root, folder, group, "cpu.cfs_period_us", period_line);
		quota = strtoll(line, NULL, 10);
		period = strtoll(period_line, NULL, 10);
	} else {
		read_line(root, folder, group, "cpu.max", line);
		quota = strtoll(line, &rest, 10);
		period = strtoll(rest, NULL, 10);
	}
	return quota > 0 && period > 0 ? (quota + period - 1) / period : 0;
}

/* The least of the group and those above it. In a container the group's own folder may be the mount's. */
static int least_of(const char *root, const char *folder, char *group, bool two, int most)
{
	for (;;) {
		int64_t quota = quota_of(root, folder, group, two);
		char *slash = strrchr(group, '/');

		most = quota && quota < most ? (int)quota : most;
		if (!slash)
			return most;
		*slash = 0;
	}
}

/* "0::/a/b" of version 2, "4:cpu,cpuacct:/a/b" of version 1. */
static int bound_by(const char *root, char *line, int most)
{
	char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group)
		return most;
	*group++ = 0;
	group[strcspn(group, "\n")] = 0;
	controllers++;
	if (!*controllers)
		return least_of(root, "/sys/fs/cgroup", group, false, most);
	for (char *rest, *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		if (!strcmp(name, "cpu"))
			return least_of(root, "/sys/fs/cgroup/cpu", group, true, most);
	return most;
}

int cpus_under(const char *root, int online)
{
	OWNED_FREE char *path = NULL;
	char line[4096];
	FILE *in;

	if (asprintf(&path, "%s/proc/self/cgroup", root) < 0) {
		path = NULL;
		return online;
	}
	in = fopen(path, "re");
	while (in && fgets(line, sizeof line, in))
		online = bound_by(root, line, online);
	if (in)
		fclose(in);
	return online < 1 ? 1 : online;
}

int cpus(void)
{
	cpu_set_t set;
	int online = sched_getaffinity(0, sizeof set, &set) ? (int)sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);

	return cpus_under("", online);
}
