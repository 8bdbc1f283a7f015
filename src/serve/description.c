#include "serve/description.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"

#define WORKER_BYTES_MAX ((size_t)32 << 20)

struct description {
	struct buffer key, text; /* key.size 0: free */
	int64_t snapshot;
	int64_t used_us;
};

struct descriptions {
	pthread_mutex_t lock;
	struct description kept[DESCRIPTIONS_MAX];
};

struct descriptions *descriptions_new(struct error *err)
{
	struct descriptions *descriptions = calloc(1, sizeof *descriptions);

	if (!descriptions) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&descriptions->lock, NULL);
	for (int i = 0; i < DESCRIPTIONS_MAX; i++) {
		buffer_init(&descriptions->kept[i].key, DESCRIPTION_BYTES_MAX);
		buffer_init(&descriptions->kept[i].text, DESCRIPTION_BYTES_MAX);
	}
	return descriptions;
}

void descriptions_free(struct descriptions *descriptions)
{
	if (!descriptions)
		return;
	for (int i = 0; i < DESCRIPTIONS_MAX; i++) {
		buffer_release(&descriptions->kept[i].key);
		buffer_release(&descriptions->kept[i].text);
	}
	pthread_mutex_destroy(&descriptions->lock);
	free(descriptions);
}

/* Who may read the same tables has the same key, whatever the token. */
static void make_key(const struct service_ask *ask, struct buffer *key)
{
	const struct spec_token *token = ask->token ? token_spec(ask->token) : NULL;

	buffer_json_text(key, ask->catalog->name, strlen(ask->catalog->name));
	for (int i = 0; token && i < token->table_count; i++)
		buffer_json_text(key, token->tables[i], strlen(token->tables[i]));
}

/* Under the lock. */
static struct description *find(struct descriptions *descriptions, const struct buffer *key)
{
	for (int i = 0; i < DESCRIPTIONS_MAX; i++)
		if (descriptions->kept[i].key.size == key->size &&
		    !memcmp(descriptions->kept[i].key.data, key->data, key->size))
			return &descriptions->kept[i];
	return NULL;
}

static bool take(struct descriptions *descriptions, const struct buffer *key, int64_t snapshot, struct buffer *out)
{
	struct description *found;
	bool is_new;

	pthread_mutex_lock(&descriptions->lock);
	found = find(descriptions, key);
	is_new = found && found->snapshot == snapshot;
	if (is_new) {
		found->used_us = clock_monotonic_us();
		buffer_append(out, found->text.data, found->text.size);
	}
	pthread_mutex_unlock(&descriptions->lock);
	return is_new;
}

static void keep(struct descriptions *descriptions, const struct buffer *key, int64_t snapshot,
                 const struct buffer *text)
{
	struct description *place;

	if (text->size > DESCRIPTION_BYTES_MAX)
		return;
	pthread_mutex_lock(&descriptions->lock);
	place = find(descriptions, key);
	for (int i = 0; !place && i < DESCRIPTIONS_MAX; i++)
		if (!descriptions->kept[i].key.size)
			place = &descriptions->kept[i];
	for (int i = 0; !place && i < DESCRIPTIONS_MAX; i++)
		if (!i || descriptions->kept[i].used_us < place->used_us)
			place = &descriptions->kept[i];
	buffer_clear(&place->key);
	buffer_clear(&place->text);
	buffer_append(&place->key, key->data, key->size);
	buffer_append(&place->text, text->data, text->size);
	place->snapshot = snapshot;
	place->used_us = clock_monotonic_us();
	if (!buffer_ok(&place->key) || !buffer_ok(&place->text))
		buffer_clear(&place->key);
	pthread_mutex_unlock(&descriptions->lock);
}

int descriptions_get(struct descriptions *descriptions, struct service *service, const struct service_ask *ask,
                     struct buffer *out, struct service_refusal *refusal)
{
	OWNED_BUFFER struct buffer key = {0};
	struct version *version = service_version(service, ask->catalog);
	struct answer_facts facts;
	struct answer *answer;
	struct error ignored;
	int64_t newest = -1;

	buffer_init(&key, DESCRIPTION_BYTES_MAX);
	make_key(ask, &key);
	if (ask->catalog->backend.type != BACKEND_SQLITE && ask->catalog->backend.type != BACKEND_POSTGRES)
		version = NULL;
	if (version && !version_now(version, &newest, &ignored)) {
		buffer_printf(&key, " %lld", (long long)version_lineage(version));
		if (buffer_ok(&key) && take(descriptions, &key, newest, out))
			return 0;
	}
	answer = service_run(service, ask, refusal);
	if (!answer || answer_collect(answer, out, WORKER_BYTES_MAX, &facts, refusal))
		return -1;
	if (version && buffer_ok(&key) && facts.snapshot >= 0)
		keep(descriptions, &key, facts.snapshot, out);
	return 0;
}
