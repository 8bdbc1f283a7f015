#include "lake/object_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "lake/extension.h"
#include "lake/lake_private.h"

#define RENEW_MS 120000
#define RENEW_AGAIN_MS 10000 /* where the instance gave none */
#define RENEW_SOONEST_MS 1000

bool object_store_used(const struct spec_catalog *catalog)
{
	return catalog->store.bucket != NULL;
}

/* Six attempts within about six seconds, and no request for longer than twenty. httpfs uploads parts of its largest
 * file's 10,000th: of 50 GB that is 5 MiB, which fifty threads would hold 250 MB of. */
static const char *const settings[][2] = {
        {"http_retries", "5"},  {"http_retry_wait_ms", "200"},          {"http_retry_backoff", "2"},
        {"http_timeout", "20"}, {"s3_uploader_max_filesize", "'50GB'"}, {"s3_uploader_thread_limit", "4"},
};

static void append_option(struct buffer *sql, const char *name, const char *value)
{
	if (!value)
		return;
	buffer_printf(sql, ", %s ", name);
	buffer_sql_text(sql, value);
}

static bool by_path(const struct spec_catalog *catalog)
{
	return catalog->store.url_style == URL_PATH ||
	       (catalog->store.url_style == URL_AUTO && catalog->store.endpoint != NULL);
}

/* The pair of keys and the token, whatever they come from; false where the environment has none. */
static bool append_keys(const struct spec_catalog *catalog, struct buffer *sql)
{
	const char *id = catalog->store.key_id, *secret = catalog->store.secret, *token = catalog->store.token;

	if (catalog->store.credentials == CREDENTIALS_ENVIRONMENT) {
		id = getenv("AWS_ACCESS_KEY_ID");
		secret = getenv("AWS_SECRET_ACCESS_KEY");
		token = getenv("AWS_SESSION_TOKEN");
		if (!id || !*id || !secret || !*secret)
			return false;
		log_mask_secret(secret);
		if (token && *token)
			log_mask_secret(token);
	}
	append_option(sql, "KEY_ID", id);
	append_option(sql, "SECRET", secret);
	append_option(sql, "SESSION_TOKEN", token && *token ? token : NULL);
	return true;
}

static int create_secret(const struct spec_catalog *catalog, const char *scope, struct duck_connection *connection,
                         struct error *err)
{
	const char *endpoint = catalog->store.endpoint;
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, 1 << 20);
	buffer_text(&sql, "CREATE OR REPLACE TEMPORARY SECRET tarn_store (TYPE s3");
	if (catalog->store.credentials == CREDENTIALS_INSTANCE)
		buffer_text(&sql, ", PROVIDER credential_chain, REFRESH auto");
	else if (!append_keys(catalog, &sql))
		return error_set(
		        err, ERROR_INVALID, 0,
		        "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set, and spec.objectStore.credentials "
		        "says that they are: set them, or choose another type");
	append_option(&sql, "REGION", catalog->store.region);
	if (endpoint) {
		append_option(&sql, "ENDPOINT", strstr(endpoint, "://") + 3);
		append_option(&sql, "USE_SSL", strncmp(endpoint, "http://", 7) ? "true" : "false");
	}
	append_option(&sql, "URL_STYLE", by_path(catalog) ? "path" : "vhost");
	append_option(&sql, "SCOPE", scope);
	buffer_char(&sql, ')');
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_exec(connection, buffer_string(&sql), NULL, err) == 0)
		return 0;
	/* DuckDB's words for it say neither what was asked nor what to do. */
	if (strstr(err->message, "Secret Validation Failure"))
		return error_set(err, ERROR_INVALID, 0,
		                 "neither a profile, a web identity, the container nor the instance gives keys: give "
		                 "this machine or pod a role, or choose another spec.objectStore.credentials.type");
	return -1;
}

int object_store_open(const struct spec_catalog *catalog, const char *scope, struct duck_connection *connection,
                      struct error *err)
{
	if (!object_store_used(catalog))
		return 0;
	if (lake_load_extension(connection, "httpfs", err))
		return -1;
	if (catalog->store.credentials == CREDENTIALS_INSTANCE && lake_load_extension(connection, "aws", err))
		return -1;
	for (size_t i = 0; i < COUNT_OF(settings); i++)
		if (duck_execf(connection, err, "SET %s = %s", settings[i][0], settings[i][1]))
			return -1;
	return create_secret(catalog, scope, connection, err) ? error_wrap(err, "object store") : 0;
}

void object_store_renew(const struct spec_catalog *catalog, const char *scope, struct object_store_keys *keys,
                        struct duck_connection *connection)
{
	int64_t now = clock_monotonic_ms(), next = atomic_load(&keys->next_ms);
	struct error err = {0};

	if (!object_store_used(catalog) || catalog->store.credentials != CREDENTIALS_INSTANCE || now < next)
		return;
	/* Of several threads one asks. */
	if (!atomic_compare_exchange_strong(&keys->next_ms, &next, now + RENEW_MS))
		return;
	atomic_store(&keys->asked_ms, now);
	if (!next) /* the database has just been opened with its keys */
		return;
	if (create_secret(catalog, scope, connection, &err) == 0)
		return;
	atomic_store(&keys->next_ms, now + RENEW_AGAIN_MS);
	log_event(EVENT_LAKE, FIELDS(LOG_TEXT("catalog", catalog->name)),
	          "the instance gives no new keys for the object store, the old ones stay: %s", err.message);
}

void object_store_doubt(struct object_store_keys *keys)
{
	int64_t soonest = atomic_load(&keys->asked_ms) + RENEW_SOONEST_MS;

	if (soonest < atomic_load(&keys->next_ms))
		atomic_store(&keys->next_ms, soonest);
}

int object_store_check(const struct spec_catalog *catalog, struct duck_connection *connection, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (!object_store_used(catalog))
		return 0;
	buffer_init(&sql, 65536);
	buffer_text(&sql, "SELECT count(*) FROM glob(");
	buffer_sql_text(&sql, catalog->data_path);
	buffer_text(&sql, " || '.tarn-probe*')");
	if (duck_query(connection, buffer_string(&sql), &rows, err) == 0)
		return 0;
	/* What a store answers with these it answers for ever; that it does not answer may pass. */
	if (strstr(err->message, "HTTP 400") || strstr(err->message, "HTTP 401") || strstr(err->message, "HTTP 403") ||
	    strstr(err->message, "HTTP 404"))
		err->kind = ERROR_INVALID;
	return error_wrap(err, "object store %s, bucket %s", catalog->store.endpoint ? catalog->store.endpoint : "AWS",
	                  catalog->store.bucket);
}
