#include "serve/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"

#define SQL_BYTES_MAX 4096
#define LINE_BYTES_MAX ((size_t)64 << 10)
#define TELL_MS 60000
#define LOOK_MS 1000

struct audit {
	pthread_mutex_t lock;
	char *file; /* NULL: the log */
	int fd;
	int64_t next_id, told_ms, looked_ms;
};

static int open_file(const char *file)
{
	return open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

struct audit *audit_open(const char *file, struct error *err)
{
	struct audit *audit = calloc(1, sizeof *audit);

	if (!audit) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&audit->lock, NULL);
	audit->fd = -1;
	/* Ids of two runs do not meet, and fit in a double. */
	audit->next_id = clock_wall_ms() * 1000;
	if (!file)
		return audit;
	audit->file = strdup(file);
	audit->fd = audit->file ? open_file(file) : -1;
	if (audit->fd >= 0)
		return audit;
	if (!audit->file)
		error_no_memory(err);
	else
		error_set(err, ERROR_INVALID, errno, "--audit %s: %s", file, strerror(errno));
	audit_close(audit);
	return NULL;
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	if (audit->fd >= 0)
		close(audit->fd);
	pthread_mutex_destroy(&audit->lock);
	free(audit->file);
	free(audit);
}

/* A file that was moved away (logrotate) is made anew. Called with the lock. */
static void look(struct audit *audit)
{
	int64_t now = clock_monotonic_ms();
	struct stat there, mine;
	int fd;

	if (now < audit->looked_ms + LOOK_MS)
		return;
	audit->looked_ms = now;
	if (!stat(audit->file, &there) && !fstat(audit->fd, &mine) && there.st_ino == mine.st_ino &&
	    there.st_dev == mine.st_dev)
		return;
	fd = open_file(audit->file);
	if (fd < 0)
		return;
	close(audit->fd);
	audit->fd = fd;
}

/* One write a line: lines of several threads, and of several servers, do not mix. */
static void write_line(struct audit *audit, const struct buffer *line)
{
	int64_t now = clock_monotonic_ms();
	ssize_t written = -1;

	pthread_mutex_lock(&audit->lock);
	look(audit);
	errno = ENOMEM;
	if (buffer_ok(line))
		written = write(audit->fd, line->data, line->size);
	if (written != (ssize_t)line->size && (!audit->told_ms || now > audit->told_ms + TELL_MS)) {
		audit->told_ms = now;
		log_event(EVENT_AUDIT, NO_FIELDS, "the audit log %s cannot be written: %s", audit->file,
		          written < 0 ? strerror(errno) : "the disk is full");
	}
	pthread_mutex_unlock(&audit->lock);
}

static void add_text(struct buffer *line, const char *name, const char *text, size_t most)
{
	buffer_printf(line, ",\"%s\":", name);
	if (text)
		buffer_json_text(line, text, strnlen(text, most));
	else
		buffer_text(line, "null");
}

static void add_head(struct buffer *line, const char *event, int64_t id)
{
	char now[32];

	clock_format(clock_wall_ms(), now, sizeof now);
	buffer_init(line, LINE_BYTES_MAX);
	buffer_printf(line, "{\"ts\":\"%s\",\"event\":\"%s\",\"id\":%" PRId64, now, event, id);
}

int64_t audit_begin(struct audit *audit, const struct audit_start *start)
{
	OWNED_BUFFER struct buffer line = {0};
	int64_t id;

	pthread_mutex_lock(&audit->lock);
	id = audit->next_id++;
	pthread_mutex_unlock(&audit->lock);
	if (!audit->file) {
		log_event(EVENT_QUERY_START,
		          FIELDS(LOG_NUMBER("id", id), LOG_TEXT("token", start->token ? start->token : ""),
		                 LOG_TEXT("route", start->route), LOG_TEXT("catalog", start->catalog),
		                 LOG_TEXT("client", start->client ? start->client : "")),
		          "%.*s", SQL_BYTES_MAX, start->sql ? start->sql : "");
		return id;
	}
	add_head(&line, "QueryStart", id);
	add_text(&line, "token", start->token, SQL_BYTES_MAX);
	add_text(&line, "route", start->route, SQL_BYTES_MAX);
	add_text(&line, "catalog", start->catalog, SQL_BYTES_MAX);
	add_text(&line, "sql", start->sql, SQL_BYTES_MAX);
	add_text(&line, "client", start->client, SQL_BYTES_MAX);
	buffer_text(&line, "}\n");
	write_line(audit, &line);
	return id;
}

void audit_finish(struct audit *audit, int64_t id, const struct audit_end *end)
{
	OWNED_BUFFER struct buffer line = {0};

	if (!audit->file) {
		log_event(EVENT_QUERY_END,
		          FIELDS(LOG_NUMBER("id", id), LOG_TEXT("outcome", end->outcome),
		                 LOG_NUMBER("snapshot", end->snapshot), LOG_NUMBER("rows", end->rows),
		                 LOG_NUMBER("bytes", end->bytes), LOG_NUMBER("ms", end->ms),
		                 LOG_NUMBER("queue_ms", end->queue_ms), LOG_NUMBER("worker", end->worker)),
		          "%s", end->outcome);
		return;
	}
	add_head(&line, "QueryEnd", id);
	add_text(&line, "outcome", end->outcome, SQL_BYTES_MAX);
	buffer_printf(&line,
	              ",\"snapshot\":%" PRId64 ",\"rows\":%" PRId64 ",\"bytes\":%" PRId64 ",\"ms\":%" PRId64
	              ",\"queue_ms\":%" PRId64 ",\"worker\":%" PRId64 "}\n",
	              end->snapshot, end->rows, end->bytes, end->ms, end->queue_ms, end->worker);
	write_line(audit, &line);
}
