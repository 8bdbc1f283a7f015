#include "lake/files.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fault.h"
#include "base/owned.h"
#include "lake/lake_private.h"

int files_create(struct lake_session *session, struct error *err)
{
	static const char *const tables[] = {
	        "CREATE TABLE IF NOT EXISTS lake.tarn.files (stream VARCHAR, number BIGINT, name VARCHAR, size BIGINT,"
	        " modified_at TIMESTAMP, hash VARCHAR, first_offset BIGINT, next_offset BIGINT,"
	        " registered_at TIMESTAMP WITH TIME ZONE)",
	};
	bool exists;

	if (lake_has_table(session, "tarn", "files", &exists, err))
		return -1;
	return exists ? 0 : lake_execute_all(session, tables, COUNT_OF(tables), err);
}

int files_append(struct lake_session *session, const struct lane_key *key, const struct lake_file *files, int count,
                 struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	if (!count)
		return 0;
	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	buffer_text(&sql, "INSERT INTO lake.tarn.files VALUES ");
	for (int i = 0; i < count; i++) {
		const struct lake_file *file = &files[i];

		buffer_text(&sql, i ? ", (" : "(");
		buffer_sql_text(&sql, key->stream);
		buffer_printf(&sql, ", %" PRId64 ", ", file->number);
		buffer_sql_text(&sql, file->name);
		buffer_printf(&sql, ", %" PRId64 ", make_timestamp(%" PRId64 "), ", file->size,
		              file->modified_ms * 1000);
		buffer_sql_text(&sql, file->hash);
		buffer_printf(&sql, ", %" PRId64 ", ", file->first_offset);
		if (file->next_offset < 0)
			buffer_text(&sql, "NULL");
		else
			buffer_printf(&sql, "%" PRId64, file->next_offset);
		buffer_text(&sql, ", now())");
	}
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_exec(session->connection, buffer_string(&sql), NULL, err))
		return -1;
	return fault_error(FAULT_FILES_AFTER, err) ? -1 : 0;
}

int files_read(struct lake_session *session, const struct lane_key *key,
               void (*each)(void *context, const struct lake_file *file), void *context, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	bool exists;

	if (lake_has_table(session, "tarn", "files", &exists, err))
		return -1;
	if (!exists)
		return 0;
	buffer_init(&sql, 1 << 16);
	buffer_text(&sql, "SELECT number, name, size, epoch_ms(max(modified_at)), hash, first_offset, "
	                  "coalesce(max(next_offset), -1) "
	                  "FROM lake.tarn.files WHERE stream = ");
	buffer_sql_text(&sql, key->stream);
	buffer_text(&sql, " GROUP BY number, name, size, hash, first_offset ORDER BY number");
	if (duck_query(session->connection, buffer_string(&sql), &rows, err))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		struct lake_file file = {
		        .number = duck_cell_int(&rows, i, 0),
		        .name = duck_cell(&rows, i, 1),
		        .size = duck_cell_int(&rows, i, 2),
		        .modified_ms = duck_cell_int(&rows, i, 3),
		        .hash = duck_cell(&rows, i, 4),
		        .first_offset = duck_cell_int(&rows, i, 5),
		        .next_offset = duck_cell_int(&rows, i, 6),
		};

		if (file.name && file.hash)
			each(context, &file);
	}
	return 0;
}
