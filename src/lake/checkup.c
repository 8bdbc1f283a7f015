#include "lake/checkup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/owned.h"
#include "lake/extension.h"
#include "lake/lake_private.h"

static const char *const extensions[] = {"ducklake", "sqlite_scanner", "postgres_scanner", "httpfs", "aws"};

static int load_all(struct duck_connection *connection, char *ret_version, size_t size, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	for (size_t i = 0; i < COUNT_OF(extensions); i++)
		if (lake_load_extension(connection, extensions[i], err))
			return -1;
	if (lake_extensions_end(connection, err) || duck_query(connection, "SELECT version()", &rows, err))
		return -1;
	snprintf(ret_version, size, "%s", duck_cell(&rows, 0, 0));
	return 0;
}

int checkup_installed(char *ret_version, size_t size, struct error *err)
{
	const struct duck_setting settings[] = {
	        EXTENSION_SETTINGS,
	        {"threads", "1"},
	};
	struct duck *duck = duck_open(NULL, settings, COUNT_OF(settings), err);
	struct duck_connection *connection = duck ? duck_connect(duck, err) : NULL;
	int failed = !connection || load_all(connection, ret_version, size, err);

	duck_disconnect(connection);
	duck_close(duck);
	return failed ? -1 : 0;
}

int checkup_writer(const struct spec_catalog *catalog)
{
	OWNED_FREE char *path = NULL;
	OWNED_FD int fd = -1;
	char text[32] = "";

	if (!catalog->backend.path || asprintf(&path, "%s.writer-lock", catalog->backend.path) < 0) {
		path = NULL;
		return 0;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
		return 0; /* the look ends with fd */
	if (read(fd, text, sizeof text - 1) <= 0 || atoi(text) <= 0)
		return -1;
	return atoi(text);
}

int checkup_postgres(struct lake_session *session, const char *setting, char *ret_value, size_t size, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 4096);
	buffer_text(&sql, "FROM postgres_query('__ducklake_metadata_lake', 'SELECT current_setting(''");
	buffer_text(&sql, setting);
	buffer_text(&sql, "'')')");
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	snprintf(ret_value, size, "%s", rows.row_count && duck_cell(&rows, 0, 0) ? duck_cell(&rows, 0, 0) : "");
	return 0;
}
