#include "pool/worker_places.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"

#define POSTGRES_PORT 5432

/* What does not fit is told at the end: a place that is missing is a file that cannot be opened once it is needed. */
static void add_read(struct worker_places *places, const char *path)
{
	struct sandbox *sandbox = &places->sandbox;

	if (!path)
		return;
	for (int i = 0; i < sandbox->read_count; i++)
		if (!strcmp(sandbox->read[i], path))
			return;
	places->too_many |= sandbox->read_count == SANDBOX_PATHS_MAX;
	if (!places->too_many)
		sandbox->read[sandbox->read_count++] = path;
}

static void add_port(struct worker_places *places, long port)
{
	struct sandbox *sandbox = &places->sandbox;

	if (port <= 0 || port >= 65536)
		return;
	places->too_many |= sandbox->port_count == SANDBOX_PATHS_MAX;
	if (!places->too_many)
		sandbox->ports[sandbox->port_count++] = (uint16_t)port;
}

/* The first `size` bytes of `a`, then `b`; the same text is kept once. NULL: it does not fit. */
static char *keep_text(struct worker_places *places, const char *a, size_t size, const char *b)
{
	char *text = places->text_count < SANDBOX_PATHS_MAX ? places->texts[places->text_count] : NULL;

	if (size + strlen(b) >= sizeof places->texts[0]) {
		places->too_long = true;
		return NULL;
	}
	places->too_many |= !text;
	if (!text)
		return NULL;
	memcpy(text, a, size);
	memcpy(text + size, b, strlen(b) + 1);
	for (int i = 0; i < places->text_count; i++)
		if (!strcmp(places->texts[i], text))
			return places->texts[i];
	places->text_count++;
	return text;
}

/* Who asks names for addresses reads these (resolv.conf(5), nsswitch.conf(5)), and with TLS the certificates. */
static void add_names(struct worker_places *places)
{
	places->sandbox.names = true;
	add_read(places, "/etc/resolv.conf");
	add_read(places, "/etc/hosts");
	add_read(places, "/etc/nsswitch.conf");
	add_read(places, "/etc/gai.conf");
	add_read(places, "/etc/host.conf");
}

static void add_certificates(struct worker_places *places)
{
	add_read(places, "/etc/ssl");
	add_read(places, "/usr/share/ca-certificates");
	add_read(places, "/usr/lib/ssl");
}

static bool is_address(const char *host, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!isxdigit((unsigned char)host[i]) && !strchr(".:[]", host[i]))
			return false;
	return size > 0;
}

/* Of libpq's text: key = value, the value perhaps in single quotes. False: it has no such key. */
static bool read_key(const char *connection, const char *key, char *value, size_t size)
{
	size_t length = strlen(key);

	for (const char *at = connection; (at = strstr(at, key)); at += length) {
		const char *start = at + length;
		size_t used = 0;
		char end = ' ';

		start += strspn(start, " ");
		if ((at != connection && !isspace((unsigned char)at[-1])) || *start != '=')
			continue;
		start += 1 + strspn(start + 1, " ");
		if (*start == '\'') {
			end = '\'';
			start++;
		}
		for (; *start && *start != end && used + 1 < size; start++) {
			if (*start == '\\' && start[1])
				start++;
			value[used++] = *start;
		}
		value[used] = 0;
		return true;
	}
	return false;
}

static void add_postgres(struct worker_places *places, const char *connection)
{
	char host[1024], port[32] = "";
	bool given = read_key(connection, "host", host, sizeof host);

	if (!given && (given = getenv("PGHOST") != NULL))
		snprintf(host, sizeof host, "%s", getenv("PGHOST"));
	if (!read_key(connection, "port", port, sizeof port) && getenv("PGPORT"))
		snprintf(port, sizeof port, "%s", getenv("PGPORT"));
	if (!given || *host == '/') {
		places->sandbox.local_socket = true;
		return;
	}
	add_port(places, *port ? strtol(port, NULL, 10) : POSTGRES_PORT);
	add_certificates(places);
	if (!is_address(host, strlen(host)))
		add_names(places);
}

/* An endpoint is SCHEME://HOST[:PORT]. */
static void add_store(struct worker_places *places, const struct spec_catalog *catalog)
{
	const char *endpoint = catalog->store.endpoint, *host = endpoint ? strstr(endpoint, "://") : NULL, *colon;
	bool plain = endpoint && !strncmp(endpoint, "http://", 7);
	size_t size;

	host = host ? host + 3 : NULL;
	colon = host ? strrchr(host, ':') : NULL;
	if (colon && strchr(colon, ']'))
		colon = NULL; /* of an IPv6 address */
	add_port(places, colon ? strtol(colon + 1, NULL, 10) : plain ? 80 : 443);
	size = host ? (colon ? (size_t)(colon - host) : strcspn(host, "/")) : 0;
	if (!plain)
		add_certificates(places);
	if (!host || !is_address(host, size))
		add_names(places);
	if (catalog->store.credentials != CREDENTIALS_INSTANCE)
		return;
	/* Keys are asked for again: of the instance, or of the token service. */
	add_port(places, 80);
	add_port(places, 443);
	add_names(places);
	add_certificates(places);
}

/* SQLite has its other files beside the file that a symbolic link leads to. */
static void add_sqlite(struct worker_places *places, const char *path)
{
	struct sandbox *sandbox = &places->sandbox;
	OWNED_FREE char *real = realpath(path, NULL);
	const char *main = real ? real : path, *shared = keep_text(places, main, strlen(main), "-shm");

	add_read(places, path);
	add_read(places, keep_text(places, main, strlen(main), "-wal"));
	if (shared)
		sandbox->read_write[sandbox->read_write_count++] = shared;
}

/* A model that is trained again is a new file of the same name. */
static void add_folder_of(struct worker_places *places, const char *file)
{
	const char *slash = strrchr(file, '/');

	add_read(places, keep_text(places, file, slash ? (size_t)(slash - file) : strlen(file), ""));
}

static int check(const struct worker_places *places, struct error *err)
{
	if (places->too_long)
		return error_set(err, ERROR_INVALID, 0, "a path of the lake or of a model has more than %zu bytes",
		                 sizeof places->texts[0] - 1);
	if (places->too_many)
		return error_set(err, ERROR_INVALID, 0,
		                 "a worker's sandbox holds at most %d files and folders, and the lake with its models "
		                 "has more: models' files in one folder count once",
		                 SANDBOX_PATHS_MAX);
	return 0;
}

int worker_places(const struct manifest *manifest, const struct spec_catalog *catalog, const struct spec_pool *pool,
                  struct worker_places *ret_places, struct error *err)
{
	*ret_places = (struct worker_places){.sandbox.memory_bytes = pool->memory_bytes};
	if (catalog->backend.type == BACKEND_POSTGRES)
		add_postgres(ret_places, catalog->backend.connection);
	else if (catalog->backend.type == BACKEND_SQLITE)
		add_sqlite(ret_places, catalog->backend.path);
	else
		add_read(ret_places, catalog->backend.path);
	if (catalog->store.bucket)
		add_store(ret_places, catalog);
	else
		add_read(ret_places, catalog->data_path);
	for (int i = 0; i < manifest->pipeline_count; i++)
		if (manifest->pipelines[i].catalog == catalog && manifest->pipelines[i].model.file)
			add_folder_of(ret_places, manifest->pipelines[i].model.file);
	return check(ret_places, err);
}
