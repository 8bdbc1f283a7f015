/*
 * test_lake_spill.c - lake/spill.h: a folder each, gone when the lake is closed; those of the dead are swept, those in
 * use are not.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/log.h"
#include "check.h"
#include "lake/spill.h"

static char parent[] = "/tmp/tarn-test-spill.XXXXXX";

static int folders(void)
{
	DIR *folder = opendir(parent);
	int count = 0;

	if (!folder)
		return -1;
	for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

static void leave_file(const struct spill *spill)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/duckdb_temp_storage_0.tmp", spill->path);
	file = fopen(path, "w");
	CHECK(file && fputs("spilled", file) > 0 && !fclose(file));
}

static void each_lake_has_its_own(void)
{
	struct spill one, two;

	spill_open(&one);
	spill_open(&two);
	CHECK(strcmp(one.path, two.path) != 0);
	CHECK(!strncmp(one.path, parent, strlen(parent)));
	leave_file(&one);
	CHECK_INT(folders(), 2);
	spill_close(&one);
	CHECK_INT(folders(), 1);
	spill_close(&two);
	CHECK_INT(folders(), 0);
}

static void a_killed_process_leaves_nothing_for_long(void)
{
	struct spill spill;
	int status, pipes[2];
	char ready;
	pid_t child;

	CHECK_INT(pipe(pipes), 0);
	child = fork();
	if (!child) {
		spill_open(&spill);
		leave_file(&spill);
		CHECK(write(pipes[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	CHECK(read(pipes[0], &ready, 1) == 1);
	spill_open(&spill);
	CHECK_INT(folders(), 2); /* the child lives: its folder stays */
	spill_close(&spill);
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(folders(), 1);
	spill_open(&spill);
	CHECK_INT(folders(), 1); /* ours alone */
	spill_close(&spill);
	CHECK_INT(folders(), 0);
	close(pipes[0]);
	close(pipes[1]);
}

static void what_has_another_name_stays(void)
{
	struct spill spill;
	char path[256];

	snprintf(path, sizeof path, "%s/tarn-notes", parent);
	CHECK_INT(mkdir(path, 0755), 0);
	spill_open(&spill);
	spill_close(&spill);
	CHECK_INT(rmdir(path), 0);
}

static void without_a_folder_it_does_not_spill(void)
{
	struct spill spill;

	setenv("TMPDIR", "/dev/null/none", 1);
	spill_open(&spill);
	CHECK_TEXT(spill.path, "");
	spill_close(&spill);
	setenv("TMPDIR", parent, 1);
}

int main(int argc, char **argv)
{
	struct error err;
	int status;

	log_init(true, LOG_ERROR, false);
	if (!mkdtemp(parent))
		return 1;
	setenv("TMPDIR", parent, 1);
	status = CHECK_MAIN(argc, argv, TEST(each_lake_has_its_own), TEST(a_killed_process_leaves_nothing_for_long),
	                    TEST(what_has_another_name_stays), TEST(without_a_folder_it_does_not_spill));
	return folder_remove(parent, &err) ? 1 : status;
}
