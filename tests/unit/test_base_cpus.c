/*
 * How many processors a control group leaves, of both versions, from folders that look like /proc and /sys.
 */
#include "check.h"

#include <sys/stat.h>

#include "base/cpus.h"
#include "base/folder.h"

static char root[] = "/tmp/tarn-cpus.XXXXXX";

static void put(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *out;

	snprintf(full, sizeof full, "%s%s", root, path);
	for (slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(full, 0755);
		*slash = '/';
	}
	out = fopen(full, "w");
	if (!out)
		abort();
	fputs(text, out);
	fclose(out);
}

static void without_groups_all_are(void)
{
	CHECK_INT(cpus_under(root, 6), 6);
	CHECK_INT(cpus_under(root, 0), 1);
	CHECK(cpus() >= 1);
}

static void version_two(void)
{
	put("/proc/self/cgroup", "0::/pod/tarn\n");
	CHECK_INT(cpus_under(root, 6), 6);
	put("/sys/fs/cgroup/pod/tarn/cpu.max", "max 100000\n");
	CHECK_INT(cpus_under(root, 6), 6);
	put("/sys/fs/cgroup/pod/tarn/cpu.max", "10000 100000\n");
	CHECK_INT(cpus_under(root, 6), 1);
	put("/sys/fs/cgroup/pod/tarn/cpu.max", "250000 100000\n");
	CHECK_INT(cpus_under(root, 6), 3);
	put("/sys/fs/cgroup/pod/cpu.max", "200000 100000\n");
	CHECK_INT(cpus_under(root, 6), 2);
	CHECK_INT(cpus_under(root, 1), 1);
}

/* A container sees the path of its host, and its own group as the mount's root. */
static void of_the_mount(void)
{
	put("/proc/self/cgroup", "0::/elsewhere/on/the/host\n");
	put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
	CHECK_INT(cpus_under(root, 6), 4);
}

static void version_one(void)
{
	put("/proc/self/cgroup", "7:memory:/m\n4:cpu,cpuacct:/a\n1:name=systemd:/\n");
	CHECK_INT(cpus_under(root, 6), 6);
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
	CHECK_INT(cpus_under(root, 6), 6);
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "150000\n");
	CHECK_INT(cpus_under(root, 6), 2);
}

static void nonsense_is_none(void)
{
	put("/proc/self/cgroup", "\n:\n::\n0::\n4:cpu:\nnonsense");
	put("/sys/fs/cgroup/cpu.max", "many of them\n");
	CHECK_INT(cpus_under(root, 6), 6);
}

int main(int argc, char **argv)
{
	struct error err;
	int status;

	if (!mkdtemp(root))
		return 1;
	status = CHECK_MAIN(argc, argv, TEST(without_groups_all_are), TEST(version_two), TEST(of_the_mount),
	                    TEST(version_one), TEST(nonsense_is_none));
	return folder_remove(root, &err) ? 1 : status;
}
