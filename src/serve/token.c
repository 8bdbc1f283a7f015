#include "serve/token.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/owned.h"
#include "serve/stamp.h"

#define LOOK_MS 200 /* the file is looked at no more often */
#define TOKEN_BYTES 32
#define TOKEN_CHARS 43
#define PRESENTED_MAX 512

struct bucket { /* outlives a reload: who has used up a rate does not get a new one by it */
	atomic_int references;
	pthread_mutex_t lock;
	double level; /* requests that may be made */
	int64_t at_ms;
};

struct token_set;

struct token {
	struct token_set *set;
	const struct spec_token *spec;
	struct bucket *bucket;
};

struct token_set { /* the tokens of one reading of one file */
	atomic_int references; /* of the set itself, and of each token that somebody has */
	struct manifest *manifest; /* owned; NULL: borrowed */
	struct token *tokens;
	int count;
};

struct tokens {
	pthread_mutex_t lock;
	struct token_set *fixed, *read; /* the manifest's; the file's, or NULL */
	struct token_set *anyone, *added; /* of a service without tokens */
	struct spec_token anyone_spec, added_spec;
	char added_sha256[65];
	char *file;
	struct stamp stamp;
	int64_t looked_ms;
};

/* ---- sets */

static void bucket_release(struct bucket *bucket)
{
	if (!bucket || atomic_fetch_sub(&bucket->references, 1) > 1)
		return;
	pthread_mutex_destroy(&bucket->lock);
	free(bucket);
}

static void set_release(struct token_set *set)
{
	if (!set || atomic_fetch_sub(&set->references, 1) > 1)
		return;
	for (int i = 0; i < set->count; i++)
		bucket_release(set->tokens[i].bucket);
	manifest_free(set->manifest);
	free(set->tokens);
	free(set);
}

static struct bucket *bucket_new(const struct spec_token *spec)
{
	struct bucket *bucket = calloc(1, sizeof *bucket);

	if (!bucket)
		return NULL;
	bucket->references = 1;
	bucket->level = spec->rate_requests;
	bucket->at_ms = clock_monotonic_ms();
	pthread_mutex_init(&bucket->lock, NULL);
	return bucket;
}

/* The bucket that the token had before, where its rate is the same. */
static struct bucket *bucket_before(const struct token_set *before, const struct spec_token *spec)
{
	for (int i = 0; before && i < before->count; i++) {
		const struct spec_token *old = before->tokens[i].spec;

		if (!strcmp(old->sha256, spec->sha256) && old->rate_requests == spec->rate_requests &&
		    old->rate_ms == spec->rate_ms) {
			atomic_fetch_add(&before->tokens[i].bucket->references, 1);
			return before->tokens[i].bucket;
		}
	}
	return NULL;
}

static struct token_set *set_new(const struct spec_token *specs, int count, const struct token_set *before,
                                 struct error *err)
{
	struct token_set *set = calloc(1, sizeof *set);

	if (set) {
		set->references = 1;
		set->tokens = calloc((size_t)count + 1, sizeof *set->tokens);
	}
	for (int i = 0; set && set->tokens && i < count; i++) {
		struct token *token = &set->tokens[set->count];

		*token = (struct token){set, &specs[i], bucket_before(before, &specs[i])};
		if (!token->bucket)
			token->bucket = bucket_new(&specs[i]);
		if (!token->bucket)
			break;
		set->count++;
	}
	if (set && set->tokens && set->count == count)
		return set;
	set_release(set);
	error_no_memory(err);
	return NULL;
}

static struct token_set *set_read(const char *file, const struct token_set *before, struct error *err)
{
	struct manifest *manifest = manifest_load(file, err);
	struct token_set *set;

	if (!manifest)
		return NULL;
	if (manifest->catalog_count || manifest->stream_count || manifest->pipeline_count || manifest->pool_count ||
	    manifest->endpoint_count || manifest->assistant_count) {
		error_set(err, ERROR_INVALID, 0, "%s: a file of tokens has documents of kind DuckLakeToken alone",
		          file);
		manifest_free(manifest);
		return NULL;
	}
	set = set_new(manifest->tokens, manifest->token_count, before, err);
	if (set)
		set->manifest = manifest;
	else
		manifest_free(manifest);
	return set;
}

/* May ask everything that the pools allow. Its texts are constants. */
static struct spec_token all_rights(const char *name, const char *sha256)
{
	return (struct spec_token){
	        .name = (char *)(uintptr_t)name,
	        .sha256 = (char *)(uintptr_t)sha256,
	        .query = true,
	        .max_rows = 100000000,
	        .max_ms = INT64_C(24) * 3600 * 1000,
	        .memory_bytes = INT64_C(1) << 40,
	        .rate_ms = 1000,
	};
}

struct tokens *tokens_new(const struct manifest *manifest, const char *file, struct error *err)
{
	struct tokens *tokens = calloc(1, sizeof *tokens);

	if (!tokens) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&tokens->lock, NULL);
	tokens->fixed = set_new(manifest->tokens, manifest->token_count, NULL, err);
	tokens->anyone_spec = all_rights("anyone", "");
	tokens->anyone = tokens->fixed ? set_new(&tokens->anyone_spec, 1, NULL, err) : NULL;
	if (tokens->anyone && file) {
		tokens->file = strdup(file);
		stamp_look(&tokens->stamp, file);
		tokens->looked_ms = clock_monotonic_ms();
		tokens->read = tokens->file ? set_read(file, NULL, err) : NULL;
		if (!tokens->file)
			error_no_memory(err);
	}
	if (tokens->anyone && (!file || tokens->read))
		return tokens;
	tokens_free(tokens);
	return NULL;
}

void tokens_free(struct tokens *tokens)
{
	if (!tokens)
		return;
	set_release(tokens->fixed);
	set_release(tokens->read);
	set_release(tokens->anyone);
	set_release(tokens->added);
	pthread_mutex_destroy(&tokens->lock);
	free(tokens->file);
	free(tokens);
}

int tokens_add(struct tokens *tokens, const char *sha256, struct error *err)
{
	memcpy(tokens->added_sha256, sha256, sizeof tokens->added_sha256);
	tokens->added_spec = all_rights("first", tokens->added_sha256);
	tokens->added = set_new(&tokens->added_spec, 1, NULL, err);
	return tokens->added ? 0 : -1;
}

/* Reads the file again where it changed. Called with the lock. */
static void look(struct tokens *tokens)
{
	int64_t now = clock_monotonic_ms();
	struct error err = {0};
	struct token_set *set;

	if (!tokens->file || now < tokens->looked_ms + LOOK_MS)
		return;
	tokens->looked_ms = now;
	if (!stamp_look(&tokens->stamp, tokens->file))
		return;
	set = set_read(tokens->file, tokens->read, &err);
	if (!set) {
		log_event(EVENT_TOKENS_WRONG, NO_FIELDS, "the tokens stay as they were: %s", err.message);
		return;
	}
	set_release(tokens->read);
	tokens->read = set;
	log_event(EVENT_TOKENS, FIELDS(LOG_NUMBER("tokens", set->count)), "%s was read again: %d token(s)",
	          tokens->file, set->count);
}

int tokens_count(struct tokens *tokens)
{
	int count;

	pthread_mutex_lock(&tokens->lock);
	look(tokens);
	count = tokens->fixed->count + (tokens->read ? tokens->read->count : 0);
	pthread_mutex_unlock(&tokens->lock);
	return count;
}

/* ---- who is it */

/* The token behind the scheme, or NULL. */
static const char *behind_bearer(const char *authorization)
{
	static const char token68[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=";
	const char *token;
	size_t size;

	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
		return NULL;
	token = authorization + 7 + strspn(authorization + 7, " ");
	size = strlen(token);
	return size && size <= PRESENTED_MAX && strspn(token, token68) == size ? token : NULL;
}

/* All bytes, whatever they are: 0 where they are equal. */
static unsigned differ(const char *a, const char *b)
{
	unsigned bits = 0;

	for (int i = 0; i < 64; i++)
		bits |= (unsigned char)a[i] ^ (unsigned char)b[i];
	return bits;
}

static void compare_all(struct token_set *set, const char *sha256, struct token **found)
{
	for (int i = 0; set && i < set->count; i++)
		if (!differ(set->tokens[i].spec->sha256, sha256))
			*found = &set->tokens[i];
}

static int hash_text(const char *text, char ret_sha256[HASH_HEX_SIZE], struct error *err)
{
	struct hash *hash = hash_new(err);

	if (!hash)
		return -1;
	hash_add(hash, text, strlen(text));
	hash_hex(hash, ret_sha256);
	hash_free(hash);
	return 0;
}

static const struct token *retain(struct token *token)
{
	if (token)
		atomic_fetch_add(&token->set->references, 1);
	return token;
}

const struct token *tokens_find(struct tokens *tokens, const char *authorization)
{
	const char *presented = behind_bearer(authorization);
	char sha256[HASH_HEX_SIZE];
	struct error err = {0};
	struct token *found = NULL;

	if (!presented || hash_text(presented, sha256, &err))
		return NULL;
	pthread_mutex_lock(&tokens->lock);
	look(tokens);
	compare_all(tokens->read, sha256, &found);
	compare_all(tokens->fixed, sha256, &found);
	compare_all(tokens->added, sha256, &found);
	retain(found);
	pthread_mutex_unlock(&tokens->lock);
	return found;
}

const struct token *tokens_anyone(struct tokens *tokens)
{
	return retain(&tokens->anyone->tokens[0]);
}

void token_release(const struct token *token)
{
	if (token)
		set_release(token->set);
}

/* ---- what may it do */

const struct spec_token *token_spec(const struct token *token)
{
	return token->spec;
}

static int64_t ask_rate(const struct token *token, int64_t now_ms, bool take)
{
	const struct spec_token *spec = token->spec;
	struct bucket *bucket = token->bucket;
	double per_ms = (double)spec->rate_requests / (double)spec->rate_ms;
	int64_t wait = 0;

	if (!spec->rate_requests)
		return 0;
	pthread_mutex_lock(&bucket->lock);
	if (now_ms > bucket->at_ms) {
		bucket->level += (double)(now_ms - bucket->at_ms) * per_ms;
		bucket->level = bucket->level > spec->rate_requests ? spec->rate_requests : bucket->level;
		bucket->at_ms = now_ms;
	}
	if (bucket->level >= 1)
		bucket->level -= take;
	else
		wait = (int64_t)((1 - bucket->level) / per_ms) + 1;
	pthread_mutex_unlock(&bucket->lock);
	return wait;
}

int64_t token_take(const struct token *token, int64_t now_ms)
{
	return ask_rate(token, now_ms, true);
}

int64_t token_look(const struct token *token, int64_t now_ms)
{
	return ask_rate(token, now_ms, false);
}

bool pattern_fits(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			from = text;
		} else if (*text != '*' && tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++from;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == 0;
}

static bool any_fits(char *const *patterns, int count, const char *text)
{
	for (int i = 0; i < count; i++)
		if (pattern_fits(patterns[i], text))
			return true;
	return !count;
}

bool token_may_catalog(const struct token *token, const char *catalog)
{
	return any_fits(token->spec->catalogs, token->spec->catalog_count, catalog);
}

bool token_may_endpoint(const struct token *token, const char *endpoint)
{
	return any_fits(token->spec->endpoints, token->spec->endpoint_count, endpoint);
}

/* ---- new ones */

int token_make(char ret_token[TOKEN_CHARS + 1], char ret_sha256[65], struct error *err)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char bytes[TOKEN_BYTES + 1] = {0};
	unsigned bits = 0, have = 0;
	char *out = ret_token;

	if (getrandom(bytes, TOKEN_BYTES, 0) != TOKEN_BYTES)
		return error_set(err, ERROR_FATAL, errno, "the system gives no random bytes: %s", strerror(errno));
	/* RFC 4648 section 5, without padding: 43 characters of 6 bits, the last of which has 4 */
	for (int i = 0; out < ret_token + TOKEN_CHARS;) {
		if (have < 6) {
			bits = bits << 8 | bytes[i++];
			have += 8;
		}
		have -= 6;
		*out++ = digits[bits >> have & 63];
	}
	*out = 0;
	explicit_bzero(bytes, sizeof bytes);
	return hash_text(ret_token, ret_sha256, err);
}
