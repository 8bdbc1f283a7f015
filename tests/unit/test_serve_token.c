/* Tokens: found, refused, taken from, renewed; the audit log; the first token. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/folder.h"
#include "check.h"
#include "serve/audit.h"
#include "serve/first_token.h"
#include "serve/stamp.h"
#include "serve/token.h"

static char folder[256];
static struct manifest nothing;

static const char *path(const char *name)
{
	static char text[4][512];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof text[turn], "%s/%s", folder, name);
	return text[turn];
}

static void write_file(const char *file, const char *text)
{
	FILE *out = fopen(file, "w");

	fputs(text, out);
	fclose(out);
}

static char *document(const char *name, const char *sha256, const char *more)
{
	static char text[1024];

	snprintf(text, sizeof text,
	         "---\napiVersion: ducklake.featherman.dev/v1alpha1\nkind: DuckLakeToken\nmetadata: {name: %s}\n"
	         "spec: {sha256: \"%s\"%s}\n",
	         name, sha256, more);
	return text;
}

static struct tokens *of_text(const char *text, struct manifest **ret_manifest)
{
	struct error err = {0};
	struct tokens *tokens;

	*ret_manifest = manifest_parse(text, strlen(text), "test", "/", &err);
	tokens = *ret_manifest ? tokens_new(*ret_manifest, NULL, &err) : NULL;
	if (!tokens)
		printf("# %s\n", err.message);
	return tokens;
}

static char *bearer(const char *token)
{
	static char text[600];

	snprintf(text, sizeof text, "Bearer %s", token);
	return text;
}

static void makes_tokens(void)
{
	char token[44], sha256[65], other[44], other_sha256[65];
	struct error err = {0};

	CHECK_INT(token_make(token, sha256, &err), 0);
	CHECK_INT(token_make(other, other_sha256, &err), 0);
	CHECK_INT(strlen(token), 43);
	CHECK_INT(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
	CHECK_INT(strspn(sha256, "0123456789abcdef"), 64);
	CHECK(strcmp(token, other) != 0);
}

static void finds_who_is_known(void)
{
	char token[44], sha256[65];
	struct error err = {0};
	struct manifest *manifest;
	struct tokens *tokens;
	const struct token *found;

	token_make(token, sha256, &err);
	tokens = of_text(document("a", sha256, ", tables: [gold_*], endpoints: [\"x*\"], catalogs: [main]"), &manifest);
	CHECK(tokens);
	CHECK_INT(tokens_count(tokens), 1);
	found = tokens_find(tokens, bearer(token));
	CHECK(found);
	CHECK_TEXT(token_spec(found)->name, "a");
	CHECK(token_may_endpoint(found, "x1") && !token_may_endpoint(found, "y"));
	CHECK(token_may_catalog(found, "main") && !token_may_catalog(found, "other"));
	token_release(found);
	{
		char lower[64];

		snprintf(lower, sizeof lower, "bearer  %s", token);
		found = tokens_find(tokens, lower);
		CHECK(found);
		token_release(found);
	}
	token[0] = token[0] == 'A' ? 'B' : 'A';
	CHECK(!tokens_find(tokens, bearer(token)));
	CHECK(!tokens_find(tokens, bearer(sha256)));
	CHECK(!tokens_find(tokens, NULL));
	CHECK(!tokens_find(tokens, "Bearer "));
	CHECK(!tokens_find(tokens, "Basic abc"));
	CHECK(!tokens_find(tokens, "Bearer a b"));
	found = tokens_anyone(tokens);
	CHECK(token_spec(found)->query);
	token_release(found);
	tokens_free(tokens);
	manifest_free(manifest);
}

static void takes_from_a_rate(void)
{
	char token[44], sha256[65];
	struct error err = {0};
	struct manifest *manifest;
	struct tokens *tokens;
	const struct token *found;
	int64_t now, wait;

	token_make(token, sha256, &err);
	tokens = of_text(document("a", sha256, ", rate: {requests: 3, per: 300ms}"), &manifest);
	now = clock_monotonic_ms();
	found = tokens_find(tokens, bearer(token));
	for (int i = 0; i < 3; i++)
		CHECK_INT(token_take(found, now), 0);
	wait = token_take(found, now);
	CHECK(wait > 90 && wait <= 101);
	CHECK_INT(token_look(found, now), wait);
	for (int i = 0; i < 5; i++)
		CHECK_INT(token_look(found, now + wait), 0); /* takes none */
	CHECK_INT(token_take(found, now + wait), 0);
	CHECK(token_take(found, now + wait));
	/* it holds no more than its size, however long nobody asked */
	for (int i = 0; i < 3; i++)
		CHECK_INT(token_take(found, now + 1000000), 0);
	CHECK(token_take(found, now + 1000000));
	token_release(found);
	tokens_free(tokens);
	manifest_free(manifest);
}

static bool known_soon(struct tokens *tokens, const char *token, bool known)
{
	for (int i = 0; i < 200; i++) {
		const struct token *found = tokens_find(tokens, bearer(token));

		token_release(found);
		if (!found == !known)
			return true;
		clock_sleep_ms(10);
	}
	return false;
}

static void reads_the_file_again(void)
{
	char first[44], first_sha256[65], second[44], second_sha256[65];
	struct error err = {0};
	struct tokens *tokens;
	const struct token *held;

	token_make(first, first_sha256, &err);
	token_make(second, second_sha256, &err);
	write_file(path("one.yaml"), document("one", first_sha256, ", rate: {requests: 1, per: 1h}"));
	write_file(path("two.yaml"), document("two", second_sha256, ""));
	/* a mounted Secret: a link that moves */
	CHECK_INT(symlink(path("one.yaml"), path("tokens.yaml")), 0);
	tokens = tokens_new(&nothing, path("tokens.yaml"), &err);
	if (!tokens)
		CHECK_FAIL("%s", err.message);
	CHECK(tokens);
	held = tokens_find(tokens, bearer(first));
	CHECK(held && !tokens_find(tokens, bearer(second)));
	CHECK_INT(token_take(held, clock_monotonic_ms()), 0);
	CHECK_INT(symlink(path("two.yaml"), path("new")), 0);
	CHECK_INT(rename(path("new"), path("tokens.yaml")), 0);
	CHECK(known_soon(tokens, second, true));
	CHECK(known_soon(tokens, first, false));
	/* who has it keeps it whole */
	CHECK_TEXT(token_spec(held)->name, "one");
	token_release(held);
	/* a mistake changes nothing; a file that is gone neither */
	write_file(path("two.yaml"), "kind: Nonsense\n");
	clock_sleep_ms(300);
	CHECK(known_soon(tokens, second, true));
	unlink(path("tokens.yaml"));
	clock_sleep_ms(300);
	CHECK(known_soon(tokens, second, true));
	tokens_free(tokens);
}

static void a_reload_gives_no_new_rate(void)
{
	char token[44], sha256[65];
	struct error err = {0};
	struct tokens *tokens;
	const struct token *found;
	char both[3000];

	token_make(token, sha256, &err);
	write_file(path("rate.yaml"), document("one", sha256, ", rate: {requests: 1, per: 1h}"));
	tokens = tokens_new(&nothing, path("rate.yaml"), &err);
	CHECK(tokens);
	found = tokens_find(tokens, bearer(token));
	CHECK_INT(token_take(found, clock_monotonic_ms()), 0);
	token_release(found);
	snprintf(both, sizeof both, "%s", document("one", sha256, ", rate: {requests: 1, per: 1h}"));
	strcat(both, document("other", "0000000000000000000000000000000000000000000000000000000000000000", ""));
	write_file(path("rate.yaml"), both);
	for (int i = 0; i < 200 && tokens_count(tokens) < 2; i++)
		clock_sleep_ms(10);
	CHECK_INT(tokens_count(tokens), 2);
	found = tokens_find(tokens, bearer(token));
	CHECK(token_take(found, clock_monotonic_ms()) > 0);
	token_release(found);
	tokens_free(tokens);
}

static void refuses_files(void)
{
	struct error err = {0};

	CHECK(!tokens_new(&nothing, path("nowhere.yaml"), &err));
	write_file(path("lake.yaml"), "apiVersion: ducklake.featherman.dev/v1alpha1\nkind: DuckLakeCatalog\n"
	                              "metadata: {name: a}\nspec: {backend: {type: file, path: a.duckdb}}\n");
	CHECK(!tokens_new(&nothing, path("lake.yaml"), &err));
	CHECK_HAS(err.message, "DuckLakeToken alone");
}

static void writes_pairs(void)
{
	struct error err = {0};
	struct audit *audit = audit_open(path("audit.jsonl"), &err);
	struct audit_start start = {"dash", "POST /query", "main", NULL, "127.0.0.1"};
	struct audit_end end = {"ok", 7, 3, 99, 12, 1, 2};
	struct buffer text = {0};
	char sql[5001];
	struct stat mode;
	int64_t id;

	memset(sql, 'x', 5000);
	sql[0] = '"';
	sql[5000] = 0;
	start.sql = sql;
	CHECK(audit);
	id = audit_begin(audit, &start);
	audit_finish(audit, id, &end);
	/* logrotate */
	rename(path("audit.jsonl"), path("audit.1"));
	clock_sleep_ms(1100);
	CHECK(audit_begin(audit, &start) == id + 1);
	audit_close(audit);
	buffer_init(&text, 1 << 20);
	CHECK_INT(stamp_read(path("audit.1"), &text, &err), 0);
	CHECK_HAS(buffer_string(&text), "\"event\":\"QueryStart\"");
	CHECK_HAS(buffer_string(&text),
	          "\"token\":\"dash\",\"route\":\"POST /query\",\"catalog\":\"main\",\"sql\":\"\\\"xxx");
	CHECK_HAS(buffer_string(&text),
	          "\"outcome\":\"ok\",\"snapshot\":7,\"rows\":3,\"bytes\":99,\"ms\":12,\"queue_ms\":1,\"worker\":2}\n");
	CHECK(text.size < 4700);
	CHECK_INT(stat(path("audit.jsonl"), &mode), 0);
	CHECK_INT(mode.st_mode & 0777, 0600);
	CHECK(mode.st_size > 4000);
	buffer_release(&text);
}

static void makes_the_first_one(void)
{
	struct first_token first = {0};
	struct error err = {0};
	struct stat mode;
	char file[512];

	setenv("XDG_RUNTIME_DIR", folder, 1);
	/* a link that somebody put there is replaced, not followed */
	CHECK_INT(symlink(path("victim"), path("tarn-127.0.0.1:1.token")), 0);
	CHECK_INT(first_token_make("/nowhere", "127.0.0.1:1", &first, &err), 0);
	snprintf(file, sizeof file, "%s", first.file);
	CHECK_TEXT(file, path("tarn-127.0.0.1:1.token"));
	CHECK(!lstat(file, &mode) && S_ISREG(mode.st_mode));
	CHECK_INT(mode.st_mode & 0777, 0600);
	CHECK_INT(mode.st_size, 44);
	CHECK(access(path("victim"), F_OK) != 0);
	first_token_remove(&first);
	CHECK(access(file, F_OK) != 0);
	unsetenv("XDG_RUNTIME_DIR");
	CHECK_INT(first_token_make(folder, "127.0.0.1:2", &first, &err), 0);
	CHECK_HAS(first.file, folder);
	first_token_remove(&first);
}

int main(int argc, char **argv)
{
	struct error err = {0};
	char *made = folder_make(NULL, "tarn-token-test-", &err);
	int status;

	if (!made)
		return 1;
	snprintf(folder, sizeof folder, "%s", made);
	status = CHECK_MAIN(argc, argv, TEST(makes_tokens), TEST(finds_who_is_known), TEST(takes_from_a_rate),
	                    TEST(reads_the_file_again), TEST(a_reload_gives_no_new_rate), TEST(refuses_files),
	                    TEST(writes_pairs), TEST(makes_the_first_one));
	folder_remove(made, &err);
	free(made);
	return status;
}
