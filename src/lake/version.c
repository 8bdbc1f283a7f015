#include "lake/version.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "lake/version_private.h"

#define KNOWN_MAX 64 /* tables whose last change is remembered */

struct known { /* a table's last change, as of a snapshot */
	char *name; /* SCHEMA.TABLE; owned */
	int64_t table, snapshot, changed;
};

struct version {
	pthread_mutex_t lock;
	enum backend_type backend;
	struct version_sqlite *sqlite;
	struct version_postgres *postgres;
	struct version_seen seen; /* by the last version_now; lake "": nothing yet */
	int64_t lineage;
	struct known known[KNOWN_MAX];
	int known_count, next_known;
};

struct version *version_open(const struct spec_catalog *catalog, struct error *err)
{
	struct version *version = calloc(1, sizeof *version);
	bool failed = false;

	if (!version) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&version->lock, NULL);
	version->backend = catalog->backend.type;
	if (version->backend == BACKEND_SQLITE)
		failed = !(version->sqlite = version_sqlite_new(catalog->backend.path, err));
	else if (version->backend == BACKEND_POSTGRES)
		failed = !(version->postgres = version_postgres_new(catalog->backend.connection, err));
	if (failed) {
		version_close(version);
		return NULL;
	}
	return version;
}

static void forget(struct version *version)
{
	for (int i = 0; i < version->known_count; i++)
		free(version->known[i].name);
	version->known_count = version->next_known = 0;
}

void version_close(struct version *version)
{
	if (!version)
		return;
	version_sqlite_free(version->sqlite);
	version_postgres_free(version->postgres);
	forget(version);
	pthread_mutex_destroy(&version->lock);
	free(version);
}

/* ---- the catalogs */

static int newest(struct version *version, struct version_seen *ret_seen, struct error *err)
{
	if (version->sqlite)
		return version_sqlite_newest(version->sqlite, ret_seen, err);
	if (version->postgres)
		return version_postgres_newest(version->postgres, ret_seen, err);
	return 0;
}

static int find_table(struct version *version, const char *schema, const char *table, int64_t snapshot, int64_t *ret_id,
                      int64_t *ret_begin, struct error *err)
{
	if (version->sqlite)
		return version_sqlite_table(version->sqlite, schema, table, snapshot, ret_id, ret_begin, err);
	return version_postgres_table(version->postgres, schema, table, snapshot, ret_id, ret_begin, err);
}

static int read_changes(struct version *version, int64_t after, int64_t until, version_take *take, void *context,
                        struct error *err)
{
	if (version->sqlite)
		return version_sqlite_changes(version->sqlite, after, until, take, context, err);
	return version_postgres_changes(version->postgres, after, until, take, context, err);
}

/* "" where it is not there, or cannot be asked. */
static void time_of(struct version *version, int64_t snapshot, char ret_time[VERSION_TIME_SIZE])
{
	struct error ignored = {0};
	int failed = 0;

	*ret_time = 0;
	if (version->sqlite)
		failed = version_sqlite_time(version->sqlite, snapshot, ret_time, &ignored);
	else if (version->postgres)
		failed = version_postgres_time(version->postgres, snapshot, ret_time, &ignored);
	if (failed)
		*ret_time = 0;
}

/* Where there is a new snapshot the one that was the newest is looked at again; if it expired meanwhile it says
 * nothing. */
static bool is_another(struct version *version, const struct version_seen *is)
{
	const struct version_seen *was = &version->seen;
	char time[VERSION_TIME_SIZE];

	if (!*was->lake)
		return false;
	if (strcmp(was->lake, is->lake) != 0 || is->snapshot < was->snapshot)
		return true;
	if (is->snapshot == was->snapshot)
		return strcmp(is->time, was->time) != 0;
	time_of(version, was->snapshot, time);
	return *time && strcmp(time, was->time) != 0;
}

int version_now(struct version *version, int64_t *ret_snapshot, struct error *err)
{
	struct version_seen seen = {0};
	int failed;

	pthread_mutex_lock(&version->lock);
	failed = newest(version, &seen, err);
	if (!failed && is_another(version, &seen)) {
		version->lineage++;
		forget(version);
	}
	if (!failed) {
		version->seen = seen;
		*ret_snapshot = seen.snapshot;
	}
	pthread_mutex_unlock(&version->lock);
	return failed;
}

int64_t version_lineage(struct version *version)
{
	int64_t lineage;

	pthread_mutex_lock(&version->lock);
	lineage = version->lineage;
	pthread_mutex_unlock(&version->lock);
	return lineage;
}

void version_lake(struct version *version, char ret_lake[VERSION_LAKE_SIZE])
{
	pthread_mutex_lock(&version->lock);
	snprintf(ret_lake, VERSION_LAKE_SIZE, "%s", version->seen.lake);
	pthread_mutex_unlock(&version->lock);
}

void version_time(struct version *version, int64_t snapshot, char ret_time[VERSION_TIME_SIZE])
{
	pthread_mutex_lock(&version->lock);
	time_of(version, snapshot, ret_time);
	pthread_mutex_unlock(&version->lock);
}

int64_t version_inlined(struct version *version)
{
	int64_t inlined;

	pthread_mutex_lock(&version->lock);
	inlined = version->seen.inlined;
	pthread_mutex_unlock(&version->lock);
	return inlined;
}

/* ---- a table's last change */

/* Words that DuckLake has for what leaves the rows as they were. */
static bool is_innocent(const char *word, size_t size)
{
	static const char *const innocent[] = {"merge_adjacent", "compacted_table", "rewrite_delete", "flushed_inlined",
	                                       "flushed_inlined_data"};

	for (size_t i = 0; i < COUNT_OF(innocent); i++)
		if (size == strlen(innocent[i]) && !memcmp(word, innocent[i], size))
			return true;
	return false;
}

bool version_changes_touch(const char *changes, int64_t table_id)
{
	char id[24];
	size_t size = (size_t)snprintf(id, sizeof id, "%lld", (long long)table_id);

	for (const char *at = changes; at && *at;) {
		size_t word = strcspn(at, ":,\""), value;

		if (at[word] == ':' && at[word + 1] != '"') {
			value = strcspn(at + word + 1, ",");
			if (value == size && !memcmp(at + word + 1, id, size) && !is_innocent(at, word))
				return true;
			at += word + 1 + value;
		} else if (at[word] == ':' || at[word] == '"') {
			/* created_table:"main"."a,b": a name, in which "" stands for ". */
			const char *end = at + word + (at[word] == ':');

			for (bool quoted = false; *end && (quoted || *end != ','); end++)
				quoted ^= *end == '"';
			at = end;
		} else {
			at += word;
		}
		at += *at == ',';
	}
	return false;
}

struct search {
	int64_t table, previous; /* the snapshot that was looked at last */
	bool found;
};

/* Backwards from the snapshot, until a change, or until one is missing: what was in that nobody knows, and the one
 * behind it counts. */
static bool look_at(void *context, int64_t snapshot, const char *changes)
{
	struct search *search = context;

	if (snapshot != search->previous - 1) {
		search->found = true;
		return false;
	}
	search->previous = snapshot;
	search->found = version_changes_touch(changes, search->table);
	return !search->found;
}

static struct known *find_known(struct version *version, const char *name)
{
	for (int i = 0; i < version->known_count; i++)
		if (!strcmp(version->known[i].name, name))
			return &version->known[i];
	return NULL;
}

static void remember(struct version *version, const char *name, int64_t table, int64_t snapshot, int64_t changed)
{
	struct known *known = find_known(version, name);
	char *copy;

	if (known && known->snapshot > snapshot)
		return;
	if (!known) {
		copy = strdup(name);
		if (!copy)
			return;
		if (version->known_count < KNOWN_MAX) {
			known = &version->known[version->known_count++];
		} else {
			known = &version->known[version->next_known++ % KNOWN_MAX];
			free(known->name);
		}
		known->name = copy;
	}
	known->table = table;
	known->snapshot = snapshot;
	known->changed = changed;
}

/* Behind a snapshot for which the answer is known only the later ones are looked at. */
static int find_change(struct version *version, const struct known *known, int64_t table, int64_t snapshot,
                       int64_t *ret_changed, struct error *err)
{
	bool goes_on = known && known->table == table && known->snapshot < snapshot;
	struct search search = {table, snapshot + 1, false};

	if (read_changes(version, goes_on ? known->snapshot : -1, snapshot, look_at, &search, err))
		return -1;
	if (search.previous > snapshot)
		*ret_changed = snapshot; /* nothing is known of it */
	else if (goes_on && !search.found && search.previous == known->snapshot + 1)
		*ret_changed = known->changed;
	else
		*ret_changed = search.previous;
	return 0;
}

static int change_of(struct version *version, const char *schema, const char *table, const char *name, int64_t snapshot,
                     int64_t *ret_changed, struct error *err)
{
	const struct known *known = find_known(version, name);
	int64_t id, begin;

	if (known && known->snapshot == snapshot) {
		*ret_changed = known->changed;
		return 0;
	}
	if (find_table(version, schema, table, snapshot, &id, &begin, err))
		return -1;
	if (id < 0) {
		*ret_changed = snapshot;
		return 1;
	}
	if (find_change(version, known, id, snapshot, ret_changed, err))
		return -1;
	if (*ret_changed < begin)
		*ret_changed = begin;
	remember(version, name, id, snapshot, *ret_changed);
	return 0;
}

int version_of_table(struct version *version, const char *schema, const char *table, int64_t snapshot,
                     int64_t *ret_changed, struct error *err)
{
	OWNED_FREE char *name = NULL;
	int failed;

	*ret_changed = 0;
	if (!version->sqlite && !version->postgres)
		return 0;
	if (asprintf(&name, "%s.%s", schema, table) < 0) {
		name = NULL;
		return error_no_memory(err);
	}
	pthread_mutex_lock(&version->lock);
	failed = change_of(version, schema, table, name, snapshot, ret_changed, err);
	pthread_mutex_unlock(&version->lock);
	return failed;
}

int version_of_name(struct version *version, const char *name, int64_t snapshot, int64_t *ret_changed)
{
	const char *point = strchr(name, '.');
	char schema[128] = "main";

	if (point && (size_t)(point - name) >= sizeof schema)
		return -1;
	if (point)
		snprintf(schema, sizeof schema, "%.*s", (int)(point - name), name);
	return version_of_table(version, schema, point ? point + 1 : name, snapshot, ret_changed, NULL);
}
