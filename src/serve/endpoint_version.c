/* endpoint_version.c - what an answer is made of, and its ETag. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/owned.h"
#include "serve/endpoint_private.h"

#define REPRESENTATION 1 /* another number where the bytes of answers become others by a change of this program */

/* ---- the lake, and files beside it */

static void append_file(struct buffer *out, const char *path)
{
	struct stat file;

	if (!path || stat(path, &file))
		buffer_text(out, "-;");
	else
		buffer_printf(out, "%lld.%lld.%lld.%lld.%ld;", (long long)file.st_dev, (long long)file.st_ino,
		              (long long)file.st_size, (long long)file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
}

/* Models' files. */
static void append_files(const struct endpoint *endpoint, struct buffer *out)
{
	const struct manifest *manifest = endpoint->all->manifest;
	const struct spec_catalog *catalog = endpoint->spec->catalog;

	for (int i = 0; i < manifest->pipeline_count && endpoint->reads.models; i++)
		if (manifest->pipelines[i].catalog == catalog && manifest->pipelines[i].model.file)
			append_file(out, manifest->pipelines[i].model.file);
}

static void stamp(const struct endpoint *endpoint, struct version *lake, int64_t lineage,
                  struct endpoint_version *version)
{
	OWNED_BUFFER struct buffer all = {0};
	char digits[HASH_HEX_SIZE], name[VERSION_LAKE_SIZE];

	version->stamp[0] = 0;
	buffer_init(&all, BUFFER_DEFAULT_MAXIMUM);
	version_lake(lake, name);
	buffer_printf(&all, "%s.%" PRId64 ";", name, lineage);
	append_files(endpoint, &all);
	if (!buffer_ok(&all) || !hash_whole(buffer_string(&all), all.size, digits))
		version->keeps = false;
	else
		snprintf(version->stamp, sizeof version->stamp, "%.32s", digits);
}

/* ---- tables */

/* False: one of them is no table whose changes are known. */
static bool tables_changed(struct endpoint *endpoint, struct version *version, int64_t snapshot, int64_t *ret_changed)
{
	*ret_changed = 0;
	for (int i = 0; i < endpoint->reads.table_count; i++) {
		int64_t changed;

		if (version_of_name(version, endpoint->reads.tables[i], snapshot, &changed))
			return false;
		if (changed > *ret_changed)
			*ret_changed = changed;
	}
	return true;
}

/* A catalog in a DuckDB file can be asked by a worker alone: nobody else tells what changed in it. */
static bool is_file(const struct endpoint *endpoint)
{
	enum backend_type type = endpoint->spec->catalog->backend.type;

	return type == BACKEND_FILE || type == BACKEND_DUCKDB;
}

/* The endpoint's lock is held. */
static void look_at(struct endpoint *endpoint, struct version *version, int64_t snapshot, int64_t lineage)
{
	if (endpoint->looked_at == snapshot && endpoint->lineage == lineage)
		return;
	endpoint->tables_known = tables_changed(endpoint, version, snapshot, &endpoint->changed);
	version_time(version, endpoint->changed, endpoint->changed_at);
	endpoint->looked_at = snapshot;
	endpoint->lineage = lineage;
}

void endpoint_version(struct endpoint *endpoint, int64_t snapshot, struct endpoint_version *ret_version)
{
	struct version *version = service_version(endpoint->all->service, endpoint->spec->catalog);
	int64_t lineage;

	*ret_version = (struct endpoint_version){.snapshot = snapshot};
	if (snapshot < 0 && (!version || version_now(version, &ret_version->snapshot, NULL))) {
		ret_version->snapshot = -1;
		return;
	}
	ret_version->keeps = !endpoint->reads.is_volatile && !is_file(endpoint);
	if (!ret_version->keeps)
		return;
	lineage = version_lineage(version);
	stamp(endpoint, version, lineage, ret_version);
	pthread_mutex_lock(&endpoint->lock);
	look_at(endpoint, version, ret_version->snapshot, lineage);
	ret_version->keeps &= endpoint->tables_known;
	ret_version->version = endpoint->changed;
	memcpy(ret_version->at, endpoint->changed_at, sizeof ret_version->at);
	pthread_mutex_unlock(&endpoint->lock);
}

void endpoint_origin(const struct endpoint *endpoint, int64_t snapshot, struct cursor_origin *ret_origin)
{
	struct version *version = service_version(endpoint->all->service, endpoint->spec->catalog);

	*ret_origin = (struct cursor_origin){0};
	if (!version || is_file(endpoint))
		return;
	version_lake(version, ret_origin->lake);
	version_time(version, snapshot, ret_origin->time);
}

bool endpoint_is_another_lake(const struct endpoint *endpoint, const struct cursor *cursor, int64_t newest)
{
	struct cursor_origin now;

	endpoint_origin(endpoint, cursor->snapshot, &now);
	return cursor_origins_differ(&cursor->origin, &now) ||
	       (!is_file(endpoint) && newest >= 0 && cursor->snapshot > newest);
}

const char *endpoint_missing(struct endpoint *endpoint)
{
	struct version *version = service_version(endpoint->all->service, endpoint->spec->catalog);
	int64_t snapshot, changed;

	if (!version || version_now(version, &snapshot, NULL))
		return NULL;
	for (int i = 0; i < endpoint->reads.table_count; i++)
		if (version_of_name(version, endpoint->reads.tables[i], snapshot, &changed))
			return endpoint->reads.tables[i];
	return NULL;
}

bool endpoint_lacks_model(const struct endpoint *endpoint)
{
	const struct manifest *manifest = endpoint->all->manifest;

	for (int i = 0; i < manifest->pipeline_count && endpoint->reads.models; i++)
		if (manifest->pipelines[i].catalog == endpoint->spec->catalog && manifest->pipelines[i].model.file &&
		    access(manifest->pipelines[i].model.file, F_OK))
			return true;
	return false;
}

void endpoint_etag(const struct asked *asked, int64_t version, const char *at, char ret_etag[ETAG_SIZE])
{
	OWNED_BUFFER struct buffer all = {0};
	char digits[HASH_HEX_SIZE];

	buffer_init(&all, BUFFER_DEFAULT_MAXIMUM);
	buffer_printf(&all, "%d\n%s\n%s\n%s", REPRESENTATION, asked->endpoint->definition, at,
	              buffer_string(&asked->key));
	ret_etag[0] = 0;
	if (buffer_ok(&all) && hash_whole(buffer_string(&all), all.size, digits))
		snprintf(ret_etag, ETAG_SIZE, "\"%" PRId64 "-%.16s\"", version, digits);
}
