/* test_lake_fetch.c - lake/fetch.h: the rows of a Parquet file are the same ones whenever the system refuses to open or
 * read it; only what is wrong in the file itself is CORRUPT. A copy is all of its object, or none. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "lake/fetch.h"

/* ---- the system, which DuckDB meets here: this program's pread comes before libc's */

static atomic_int reads_left = -1; /* until one fails; -1: none does */
static atomic_int reads;
static int failing_with;

ssize_t pread(int of, void *to, size_t size, off_t at)
{
	atomic_fetch_add(&reads, 1);
	if (atomic_load(&reads_left) >= 0 && atomic_fetch_sub(&reads_left, 1) == 0) {
		errno = failing_with;
		return -1;
	}
	return syscall(SYS_pread64, of, to, size, at);
}

static int64_t room = -1; /* on the disk; -1: what there is */
static int writes_left = -1; /* of large pieces, until the disk is full */

int statvfs(const char *of, struct statvfs *ret)
{
	*ret = (struct statvfs){.f_bavail = (unsigned long)(room < 0 ? 1 << 30 : room), .f_frsize = 1};
	return 0;
}

ssize_t write(int to, const void *bytes, size_t size)
{
	if (size >= 1 << 20 && writes_left >= 0 && writes_left-- == 0) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_write, to, bytes, size);
}

/* ---- a file */

static char folder[64], name[96], path[64];
static int fd;

static void make_file(void)
{
	struct error err = {0};
	struct duck *duck = duck_open(NULL, NULL, 0, &err);
	struct duck_connection *connection = duck_connect(duck, &err);

	snprintf(folder, sizeof folder, "/tmp/tarn-fetch-XXXXXX");
	CHECK(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/a.parquet", folder);
	/* Numbers that no encoding makes small: a row group is a read of its own. */
	CHECK_INT(duck_execf(connection, &err,
	                     "COPY (SELECT i, hash(i) AS h, hash(i)::VARCHAR AS t FROM range(60000) r(i)) TO '%s' "
	                     "(ROW_GROUP_SIZE 10240)",
	                     name),
	          0);
	duck_disconnect(connection);
	duck_close(duck);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
}

static void remove_file(void)
{
	close(fd);
	unlink(name);
	rmdir(folder);
}

static struct fetch *fetch_of_files(void)
{
	static const struct fetch_options options = {.memory_bytes = 256 << 20};

	return fetch_new(&options, NULL);
}

#define MESSAGES_MAX 32

struct messages {
	uint8_t *data[MESSAGES_MAX];
	size_t sizes[MESSAGES_MAX];
	int count, troubles, late; /* late: troubles behind the first message */
};

/* All of the file, tried again where that may help. */
static void read_all(struct fetch *fetch, struct messages *to)
{
	struct fetch_rows *rows = NULL;
	struct error err;
	int got = 1;

	*to = (struct messages){0};
	while (!rows && to->troubles < 5) {
		err = (struct error){0};
		rows = fetch_rows_open(fetch, path, &err);
		if (!rows && err.kind != ERROR_TRANSIENT)
			CHECK_FAIL("opening: %s", err.message);
		to->troubles += !rows;
	}
	while (got && to->count < MESSAGES_MAX && to->troubles < 5) {
		err = (struct error){0};
		got = fetch_rows_next(rows, &to->data[to->count], &to->sizes[to->count], &err);
		if (got < 0 && err.kind != ERROR_TRANSIENT)
			CHECK_FAIL("reading: %s", err.message);
		to->troubles += got < 0;
		to->late += got < 0 && to->count > 0;
		to->count += got > 0;
	}
	CHECK_INT(got, 0);
	fetch_rows_close(rows);
}

static void release(struct messages *messages)
{
	for (int i = 0; i < messages->count; i++)
		free(messages->data[i]);
}

/* Whichever read fails, once, the messages are those of a file that was read at once. */
static void a_read_that_fails_is_tried_again(void)
{
	static const int codes[] = {EIO, ESTALE, EINTR, ENOMEM};
	struct messages whole, again;
	struct fetch *fetch;
	int count, late = 0;

	make_file();
	fetch = fetch_of_files();
	read_all(fetch, &whole);
	fetch_free(fetch);
	count = atomic_load(&reads);
	CHECK_INT(whole.troubles, 0);
	CHECK(whole.count > 3);
	CHECK(count > 5);
	for (int nth = 0; nth < count; nth++) {
		/* A DuckDB of its own each: one that knows the file reads less of it. */
		fetch = fetch_of_files();
		failing_with = codes[nth % 4];
		atomic_store(&reads_left, nth);
		read_all(fetch, &again);
		fetch_free(fetch);
		CHECK_INT(atomic_load(&reads_left), -1);
		CHECK_INT(again.count, whole.count);
		for (int i = 0; i < again.count && i < whole.count; i++)
			CHECK(again.sizes[i] == whole.sizes[i] &&
			      !memcmp(again.data[i], whole.data[i], whole.sizes[i]));
		late += again.late;
		release(&again);
	}
	CHECK(late > 3);
	release(&whole);
	remove_file();
}

static void a_file_that_cannot_be_opened_now(void)
{
	struct fetch *fetch = fetch_of_files();
	struct fetch_rows *rows;
	struct error err = {0};
	uint8_t *data;
	size_t size;
	struct rlimit limit, none;

	make_file();
	rows = fetch_rows_open(fetch, path, &err); /* DuckDB has what it opens for itself */
	CHECK(rows);
	fetch_rows_close(rows);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = (rlim_t)dup(fd); /* the first that is free */
	close((int)none.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &none);
	rows = fetch_rows_open(fetch, path, &err);
	setrlimit(RLIMIT_NOFILE, &limit);
	CHECK(!rows);
	CHECK_INT(err.kind, ERROR_TRANSIENT);
	CHECK_HAS(err.message, "Too many open files");
	err = (struct error){0};
	rows = fetch_rows_open(fetch, path, &err);
	CHECK(rows);
	CHECK_INT(fetch_rows_next(rows, &data, &size, &err), 1);
	free(data);
	fetch_rows_close(rows);
	fetch_free(fetch);
	remove_file();
}

/* ---- what is wrong in the file */

static void overwrite(off_t at, const char *bytes, size_t size)
{
	int to = open(name, O_WRONLY | O_CLOEXEC);

	CHECK_INT(pwrite(to, bytes, size, at), size);
	close(to);
}

static void a_broken_file_is_told_once(void)
{
	struct fetch *fetch = fetch_of_files();
	struct fetch_rows *rows;
	struct error err = {0};
	uint8_t *data;
	size_t size;
	char zeros[1000] = "";
	int got = 1;

	make_file();
	overwrite(lseek(fd, 0, SEEK_END) * 3 / 4, zeros, sizeof zeros);
	rows = fetch_rows_open(fetch, path, &err);
	CHECK(rows);
	while (got > 0 && (got = fetch_rows_next(rows, &data, &size, &err)) > 0)
		free(data);
	CHECK_INT(got, -1);
	CHECK_INT(err.kind, ERROR_CORRUPT);
	CHECK_INT(fetch_rows_next(rows, &data, &size, &err), 0);
	fetch_rows_close(rows);
	fetch_free(fetch);
	overwrite(lseek(fd, 0, SEEK_END) - 4, "none", 4);
	fetch = fetch_of_files(); /* one that knows the file looks at its end no more */
	err = (struct error){0};
	CHECK(!fetch_rows_open(fetch, path, &err));
	CHECK_INT(err.kind, ERROR_CORRUPT);
	fetch_free(fetch);
	remove_file();
}

/* ---- copies, of what the name of an object would be */

#define OBJECT_BYTES (20 << 20)

static struct fetch *fetch_with_object(void)
{
	static const struct spec_catalog catalog = {.name = "c"};
	static const struct fetch_options options = {.memory_bytes = 64 << 20, .catalog = &catalog};
	uint32_t *bytes = malloc(OBJECT_BYTES);

	for (uint32_t i = 0; i < OBJECT_BYTES / 4; i++)
		bytes[i] = i;
	make_file();
	snprintf(name, sizeof name, "%s/[a]*", folder); /* no pattern: there is no a */
	close(fd);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (write(fd, bytes, OBJECT_BYTES) != OBJECT_BYTES)
		CHECK_FAIL("no object");
	free(bytes);
	return fetch_new(&options, NULL);
}

static void remove_object(struct fetch *fetch)
{
	char parquet[96];

	fetch_free(fetch);
	snprintf(parquet, sizeof parquet, "%s/a.parquet", folder);
	unlink(parquet);
	remove_file();
}

/* Steps until it is there, or fails. */
static int copy_all(struct fetch *fetch, char **ret_copy, int *ret_steps, struct error *err)
{
	int got;

	*err = (struct error){0};
	*ret_steps = 0;
	do
		got = fetch_copy(fetch, name, ret_copy, err);
	while (++*ret_steps < 100 && got == 0);
	return got;
}

static bool is_whole(const char *copy)
{
	OWNED_FD int of = open(copy, O_RDONLY | O_CLOEXEC);
	uint32_t *bytes = malloc(OBJECT_BYTES + 1);
	bool same = syscall(SYS_read, of, bytes, OBJECT_BYTES + 1) == OBJECT_BYTES;

	for (uint32_t i = 0; same && i < OBJECT_BYTES / 4; i++)
		same = bytes[i] == i;
	free(bytes);
	return same;
}

static void an_object_comes_in_pieces(void)
{
	struct fetch *fetch = fetch_with_object();
	char *copy = NULL;
	struct error err;
	int steps;

	CHECK_INT(copy_all(fetch, &copy, &steps, &err), 1);
	CHECK(steps > 2);
	CHECK(is_whole(copy));
	unlink(copy);
	free(copy);
	remove_object(fetch);
}

static void a_full_disk_is_told(void)
{
	struct fetch *fetch = fetch_with_object();
	char *copy = NULL;
	struct error err;
	int steps;

	room = OBJECT_BYTES - 1;
	CHECK_INT(copy_all(fetch, &copy, &steps, &err), -1);
	CHECK_INT(steps, 1);
	CHECK_INT(err.kind, ERROR_TRANSIENT);
	CHECK_HAS(err.message, "it has 20971520 bytes, and where it is copied to");
	CHECK_HAS(err.message, "there is room for 20971519: make room, or set TMPDIR");
	room = -1;
	writes_left = 1; /* others took what was there */
	CHECK_INT(copy_all(fetch, &copy, &steps, &err), -1);
	CHECK_INT(steps, 2);
	CHECK_INT(err.kind, ERROR_TRANSIENT);
	CHECK_HAS(err.message, "No space left on device: make room");
	CHECK(!copy);
	CHECK_INT(copy_all(fetch, &copy, &steps, &err), 1);
	CHECK(is_whole(copy));
	unlink(copy);
	free(copy);
	remove_object(fetch);
}

/* It shrinks, and one is let go of: what is copied next is whole, and nothing is left behind. */
static void half_a_copy_is_none(void)
{
	struct fetch *fetch = fetch_with_object();
	char *copy = NULL, left[160];
	struct error err;
	int steps;

	CHECK_INT(fetch_copy(fetch, name, &copy, &err), 0);
	if (ftruncate(fd, OBJECT_BYTES / 2))
		CHECK_FAIL("it does not shrink");
	CHECK_INT(copy_all(fetch, &copy, &steps, &err), -1);
	CHECK_INT(err.kind, ERROR_TRANSIENT);
	CHECK_HAS(err.message, "too soon");
	remove_object(fetch);
	fetch = fetch_with_object();
	CHECK_INT(fetch_copy(fetch, name, &copy, &err), 0);
	fetch_drop(fetch);
	CHECK(!copy);
	CHECK_INT(copy_all(fetch, &copy, &steps, &err), 1);
	CHECK(is_whole(copy));
	snprintf(left, sizeof left, "%.*s/object-0", (int)(strrchr(copy, '/') - copy), copy);
	CHECK(access(left, F_OK) != 0);
	unlink(copy);
	free(copy);
	remove_object(fetch);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(a_read_that_fails_is_tried_again), TEST(a_file_that_cannot_be_opened_now),
	                  TEST(a_broken_file_is_told_once), TEST(an_object_comes_in_pieces), TEST(a_full_disk_is_told),
	                  TEST(half_a_copy_is_none));
}
