/*
 * test_lake_pin.c - lake/pin.h: what DuckLake deletes after a failed COMMIT comes back, from this process or the next.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include "base/clock.h"
#include "base/folder.h"
#include "base/log.h"
#include "check.h"
#include "lake/pin.h"

static char data[64];
static char file[256];

/* DATA/main/t/ducklake-UUIDv7.parquet, named `ago_ms` ago. */
static void make_data(int64_t ago_ms)
{
	unsigned long long ms = (unsigned long long)(clock_wall_ms() - ago_ms);
	char path[128];
	FILE *out;

	snprintf(data, sizeof data, "/tmp/tarn-pin.XXXXXX");
	CHECK(mkdtemp(data));
	snprintf(path, sizeof path, "%s/main", data);
	CHECK_INT(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/main/t", data);
	CHECK_INT(mkdir(path, 0755), 0);
	snprintf(file, sizeof file, "%s/ducklake-%08llx-%04llx-7b3b-a3c3-0123456789ab.parquet", path, ms >> 16,
	         ms & 0xffff);
	out = fopen(file, "w");
	CHECK(out && fputs("rows", out) > 0 && !fclose(out));
}

static void remove_data(void)
{
	struct error err;

	CHECK_INT(folder_remove(data, &err), 0);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool has_no_pins(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/.tarn", data);
	return rmdir(path) == 0;
}

static void deleted_files_come_back(void)
{
	struct pins pins;

	make_data(0);
	pins_take(data, clock_wall_ms(), &pins);
	CHECK_INT(pins.count, 1);
	CHECK_INT(unlink(file), 0);
	CHECK_INT(pins_drop(&pins, true), 1);
	CHECK(is_there(file));
	CHECK(has_no_pins());
	remove_data();
}

static void committed_files_stay_as_they_are(void)
{
	struct pins pins;

	make_data(0);
	pins_take(data, clock_wall_ms(), &pins);
	CHECK_INT(pins_drop(&pins, true), 0);
	CHECK(is_there(file));
	pins_take(data, clock_wall_ms(), &pins);
	CHECK_INT(unlink(file), 0);
	CHECK_INT(pins_drop(&pins, false), 0); /* a conflict: DuckLake was right */
	CHECK(!is_there(file));
	CHECK(has_no_pins());
	remove_data();
}

static void old_files_are_left_out(void)
{
	struct pins pins;

	make_data(60000);
	pins_take(data, clock_wall_ms(), &pins);
	CHECK_INT(pins.count, 0);
	pins_drop(&pins, true);
	pins_take("s3://bucket/data", 0, &pins);
	CHECK_INT(pins.count, 0);
	CHECK_INT(pins_drop(&pins, true), 0);
	remove_data();
}

/* A process that was killed in its COMMIT, after DuckLake deleted the file. */
static void the_next_process_brings_them_back(void)
{
	char folder[128], command[256];
	struct utimbuf long_ago = {.modtime = 1};
	pid_t child;
	FILE *names;

	make_data(0);
	child = fork();
	if (!child) {
		struct pins pins;

		pins_take(data, clock_wall_ms(), &pins);
		unlink(file);
		raise(SIGKILL);
	}
	CHECK_INT(waitpid(child, NULL, 0), child);
	CHECK(!is_there(file));
	CHECK_INT(pins_recover(data), 0); /* too young: its process may be about to lock it */
	snprintf(command, sizeof command, "ls -d %s/.tarn/*", data);
	names = popen(command, "r");
	CHECK(names && fgets(folder, sizeof folder, names) && pclose(names) == 0);
	folder[strcspn(folder, "\n")] = 0;
	CHECK_INT(utime(folder, &long_ago), 0);
	CHECK_INT(pins_recover(data), 1);
	CHECK(is_there(file));
	CHECK(has_no_pins());
	remove_data();
}

static void a_living_process_keeps_its_own(void)
{
	struct utimbuf long_ago = {.modtime = 1};
	struct pins pins;

	make_data(0);
	pins_take(data, clock_wall_ms(), &pins);
	CHECK_INT(utime(pins.folder.path, &long_ago), 0);
	CHECK_INT(unlink(file), 0);
	CHECK_INT(pins_recover(data), 0);
	CHECK(!is_there(file));
	CHECK_INT(pins_drop(&pins, true), 1);
	CHECK(is_there(file));
	remove_data();
}

int main(int argc, char **argv)
{
	log_init(true, LOG_ERROR, false);
	return CHECK_MAIN(argc, argv, TEST(deleted_files_come_back), TEST(committed_files_stay_as_they_are),
	                  TEST(old_files_are_left_out), TEST(the_next_process_brings_them_back),
	                  TEST(a_living_process_keeps_its_own));
}
