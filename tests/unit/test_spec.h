/*
 * test_spec.h - what the tests of manifests share: the beginnings of documents, parsing, a folder for files.
 */
#ifndef TARN_TESTS_TEST_SPEC_H
#define TARN_TESTS_TEST_SPEC_H

#include "check.h"

#include <dirent.h>
#include <unistd.h>

#include "spec/spec.h"

#define V "apiVersion: ducklake.featherman.dev/v1alpha1\n"
#define CATALOG V "kind: DuckLakeCatalog\nmetadata: {name: main}\nspec:\n"
#define STREAM V "kind: DuckLakeStream\nmetadata: {name: events}\nspec:\n"
#define LAKE CATALOG "  backend: {path: c.sqlite}\n  dataPath: d\n" /* lines 1 to 6 */
#define KAFKA "  kafka: {brokers: embedded, topic: t}\n"

#define STREAM_2 V "kind: DuckLakeStream\nmetadata: {name: more}\nspec:\n"
#define FIRST LAKE "---\n" STREAM "  table: rows\n" KAFKA "---\n" /* lines 1 to 14 */

static struct error err;

static inline struct manifest *parse(const char *text)
{
	memset(&err, 0, sizeof err);
	return manifest_parse(text, strlen(text), "t.yaml", "/m/n", &err);
}

struct mistake_case {
	const char *text, *message;
};

static inline void check_mistakes(const struct mistake_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct manifest *m = parse(cases[i].text);

		if (m)
			CHECK_FAIL("case %zu was right, not \"%s\"", i, cases[i].message);
		else if (err.kind != ERROR_INVALID || strcmp(err.message, cases[i].message))
			CHECK_FAIL("case %zu (%s): \"%s\", not \"%s\"", i, error_kind_name(err.kind), err.message,
			           cases[i].message);
		manifest_free(m);
	}
}
#define MISTAKES(...)                                                                                                  \
	check_mistakes((const struct mistake_case[]){__VA_ARGS__},                                                     \
	               sizeof((const struct mistake_case[]){__VA_ARGS__}) / sizeof(struct mistake_case))

/* A folder of this run's own, which folder_remove takes away again. */
static char folder[64] __attribute__((unused));

static inline void write_file(const char *name, const char *text, size_t size)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	if (!file || fwrite(text, 1, size, file) != size || fclose(file))
		abort();
}

static inline void folder_make(void)
{
	strcpy(folder, "/tmp/test_spec.XXXXXX");
	if (!mkdtemp(folder))
		abort();
}

static inline void folder_remove(void)
{
	DIR *entries = opendir(folder);
	struct dirent *entry;

	while (entries && (entry = readdir(entries)))
		unlinkat(dirfd(entries), entry->d_name, 0);
	if (entries)
		closedir(entries);
	rmdir(folder);
}

#endif
