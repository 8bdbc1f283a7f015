/*
 * write_parquet.c - DuckDB writes Parquet to files only, and a sandboxed worker has none. A pipe has a name, too:
 * /dev/fd/N. DuckDB writes on a thread of its own, and what comes out goes to the sink here.
 *
 * The file's end, without which no reader takes it, is held back until DuckDB says that it is done and how many rows
 * there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/owned.h"
#include "query/write_private.h"

#define BLOCK_BYTES (64 << 10)
#define PIPE_BYTES (1 << 20)

struct copy {
	struct write *w;
	int to; /* the pipe's end that DuckDB writes to; owned */
	int64_t rows;
	int failed;
	struct error err;
};

static void *run_copy(void *context)
{
	struct copy *copy = context;
	char path[32];

	snprintf(path, sizeof path, "/dev/fd/%d", copy->to);
	copy->failed = query_copy_parquet(copy->w->query, path, copy->w->options->max_rows, &copy->rows, &copy->err);
	close(copy->to);
	return NULL;
}

/* Reads to the pipe's end, and puts all but the last block, which stays in w->out. A sink that takes no more does not
 * stop DuckDB, which would die of a broken pipe: it is interrupted, and the rest is read into nothing. */
static int pass_on(struct write *w, int from, struct error *err)
{
	OWNED_FREE char *block = malloc(BLOCK_BYTES);
	int failed = block ? 0 : error_no_memory(err);
	ssize_t got = 1;
	char nothing[4096];

	if (failed)
		query_stop(w->query);
	while (got > 0 || (got < 0 && errno == EINTR)) {
		got = read(from, block ? block : nothing, block ? BLOCK_BYTES : sizeof nothing);
		if (got <= 0 || failed)
			continue;
		failed = w->out.size && w->sink->put(w->sink->context, w->out.data, w->out.size, err);
		buffer_clear(&w->out);
		buffer_append(&w->out, block, (size_t)got);
		if (failed)
			query_stop(w->query);
	}
	return failed ? -1 : 0;
}

static int open_pipe(int ends[2], struct error *err)
{
	int to;

	if (pipe2(ends, O_CLOEXEC))
		return error_set(err, ERROR_TRANSIENT, errno, "cannot make a pipe: %s", strerror(errno));
	to = fcntl(ends[1], F_DUPFD_CLOEXEC, WRITE_PARQUET_FD);
	close(ends[1]);
	ends[1] = to;
	if (to < 0) {
		close(ends[0]);
		return error_set(err, ERROR_TRANSIENT, errno, "cannot make a pipe: %s", strerror(errno));
	}
	fcntl(to, F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

/* The end, once all went well. */
static int finish(struct write *w, const struct copy *copy, struct error *err)
{
	if (copy->failed) {
		*err = copy->err;
		return -1;
	}
	return write_count(w, copy->rows, err) || write_drain(w, true, err) ? -1 : 0;
}

int write_parquet(struct write *w, struct error *err)
{
	struct copy copy = {.w = w};
	int ends[2], failed;
	pthread_t thread;

	if (open_pipe(ends, err))
		return -1;
	copy.to = ends[1];
	failed = pthread_create(&thread, NULL, run_copy, &copy);
	if (failed) {
		close(ends[0]);
		close(ends[1]);
		return error_set(err, ERROR_TRANSIENT, failed, "cannot start a thread: %s", strerror(failed));
	}
	failed = pass_on(w, ends[0], err);
	pthread_join(thread, NULL);
	close(ends[0]);
	return failed ? -1 : finish(w, &copy, err);
}
