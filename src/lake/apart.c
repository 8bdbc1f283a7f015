#include "lake/apart.h"

#include "lake/lake_private.h"
#include "lake/object_store.h"

int apart_open(struct lake_session *session, struct apart *ret_apart, struct error *err)
{
	struct apart apart = {.session = session};
	struct lake *lake = session->lake;

	if (lake_has_many_writers(lake)) {
		apart.lake = lake_open(lake->catalog, &lake->options, err);
		apart.session = apart.lake ? lake_session_new(apart.lake, err) : NULL;
		if (!apart.session) {
			lake_close(apart.lake);
			return -1;
		}
	}
	*ret_apart = apart;
	return 0;
}

enum commit_outcome apart_commit(struct apart *apart, const char *note, struct error *err)
{
	struct lake_session *session = apart->session;

	if (apart->lake) {
		session->files_closed = true;
		if (duck_execf(session->connection, err, "SET disabled_filesystems = '%s'",
		               object_store_used(apart->lake->catalog) ? "S3FileSystem" : "LocalFileSystem")) {
			lake_rollback(session);
			return COMMIT_UNKNOWN;
		}
	}
	return lake_commit(session, note, err);
}

bool apart_is_over(const struct apart *apart)
{
	return apart->lake && apart->session->files_closed;
}

void apart_close(struct apart *apart)
{
	if (apart->lake)
		lake_session_free(apart->session);
	lake_close(apart->lake);
	*apart = (struct apart){0};
}
