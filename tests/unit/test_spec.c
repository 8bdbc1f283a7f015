/* Manifests that are right, and what they become (spec.h, invariant 1). */
#include "test_spec.h"

#include <errno.h>

static void defaults(void)
{
	struct manifest *m = parse(LAKE "---\n" STREAM "  table: rows\n" KAFKA);
	const struct spec_stream *s;

	CHECK_TEXT(err.message, "");
	CHECK_TEXT(m->file, "t.yaml");
	CHECK_TEXT(m->folder, "/m/n");
	CHECK_INT(m->catalog_count, 1);
	CHECK_INT(m->catalogs[0].backend.type, BACKEND_SQLITE);
	CHECK_TEXT(m->catalogs[0].backend.path, "/m/n/c.sqlite");
	CHECK_TEXT(m->catalogs[0].data_path, "/m/n/d");
	CHECK_INT(m->catalogs[0].position.line, 1);
	CHECK_INT(m->stream_count, 1);
	s = &m->streams[0];
	CHECK_INT(s->position.line, 8);
	CHECK_INT(s->position.column, 1);
	CHECK_TEXT(s->name, "events");
	CHECK_TEXT(s->catalog_ref, "main");
	CHECK(s->catalog == &m->catalogs[0]);
	CHECK_TEXT(s->schema, "main");
	CHECK_TEXT(s->table, "rows");
	CHECK_INT(s->format, FORMAT_ARROW);
	CHECK_TEXT(s->kafka.brokers, "embedded");
	CHECK_TEXT(s->kafka.group, "events");
	CHECK_INT(s->kafka.partitions, 8);
	CHECK_INT(s->kafka.property_count, 0);
	CHECK_INT(s->commit.freshness_ms, 5000);
	CHECK_INT(s->commit.max_bytes, 268435456);
	CHECK_INT(s->memory_bytes, 268435456);
	manifest_free(m);
}

static void everything_given(void)
{
	struct manifest *m =
	        parse("# a comment\n---\n---\n" STREAM "  catalogRef: two\n  table: bronze.Rows\n  format: arrow\n"
	              "  kafka:\n    brokers: 'a:1,b:2'\n    topic: T.1\n    group: a group\n    partitions: 1024\n"
	              "    properties:\n      fetch.min.bytes: 10\n      client.id: \"x\\ny\"\n      debug: \"\"\n"
	              "  commit: {freshness: 100ms, maxBytes: 1Mi}\n  memory: 64Gi\n---\n" V
	              "kind: DuckLakeCatalog\nmetadata:\n  name: one\n  namespace: n\n  labels: {a: b}\n  annotations: "
	              "{c/d: \"1\"}\n"
	              "spec: {backend: {type: duckdb, path: /x/../y//c.db}, objectStore: {bucket: b-1, prefix: a/b, "
	              "endpoint: 'http://h:1', "
	              "credentials: {accessKeyId: k, secretAccessKey: s}}}\n---\n" V
	              "kind: DuckLakeCatalog\nmetadata: {name: two}\nspec: {backend: {type: file, path: "
	              "./../all.duckdb}}\n---\n");
	const struct spec_stream *s;

	CHECK_TEXT(err.message, "");
	CHECK_INT(m->catalog_count, 2);
	CHECK_INT(m->catalogs[0].backend.type, BACKEND_DUCKDB);
	CHECK_TEXT(m->catalogs[0].backend.path, "/y/c.db");
	CHECK_TEXT(m->catalogs[0].data_path, "s3://b-1/a/b/");
	CHECK_TEXT(m->catalogs[0].store.endpoint, "http://h:1");
	CHECK_TEXT(m->catalogs[0].store.region, "us-east-1");
	CHECK_TEXT(m->catalogs[0].store.secret, "s");
	CHECK_INT(m->catalogs[1].backend.type, BACKEND_FILE);
	CHECK_TEXT(m->catalogs[1].backend.path, "/m/all.duckdb");
	CHECK(!m->catalogs[1].data_path);
	s = &m->streams[0];
	CHECK(s->catalog == &m->catalogs[1]);
	CHECK_TEXT(s->schema, "bronze");
	CHECK_TEXT(s->table, "Rows");
	CHECK_TEXT(s->kafka.brokers, "a:1,b:2");
	CHECK_TEXT(s->kafka.group, "a group");
	CHECK_INT(s->kafka.partitions, 1024);
	CHECK_INT(s->kafka.property_count, 3);
	CHECK_TEXT(s->kafka.properties[0].name, "fetch.min.bytes");
	CHECK_TEXT(s->kafka.properties[0].value, "10");
	CHECK_TEXT(s->kafka.properties[1].value, "x\ny");
	CHECK_TEXT(s->kafka.properties[2].value, "");
	CHECK_INT(s->commit.freshness_ms, 100);
	CHECK_INT(s->commit.max_bytes, 1 << 20);
	CHECK_INT(s->memory_bytes, (int64_t)64 << 30);
	CHECK_TEXT(backend_name(m->catalogs[0].backend.type), "duckdb");
	manifest_free(m);
}

static void declared_columns(void)
{
	struct manifest *m =
	        parse(LAKE "---\n" STREAM "  table: rows\n" KAFKA
	                   "  format: json\n  json:\n    columns:\n    - {name: id, required: true, weight: 2}\n"
	                   "    - {name: bill, pointer: /a~1b/k, type: 'decimal(10,2)', minimum: -1, maximum: 2e3,\n"
	                   "       stored: false}\n"
	                   "    - {name: kind, enum: [x, '${HOME}']}\n"
	                   "    - {name: grade, type: integer, enum: [1, '2', -2147483648], minimum: 0.5}\n"
	                   "    - {name: seen, type: epoch_ms, minimum: 1700000000000}\n"
	                   "    keep: {raw: raw, score: score, reasons: why, ingestedAt: at}\n"
	                   "    points: {missing: 5}\n");
	const struct spec_stream *s = &m->streams[0];

	CHECK_TEXT(err.message, "");
	CHECK_INT(s->format, FORMAT_JSON);
	CHECK_INT(s->json.column_count, 5);
	CHECK_TEXT(s->json.columns[0].name, "id");
	CHECK_TEXT(s->json.columns[0].pointer, "/id");
	CHECK_TEXT(s->json.columns[0].type, "varchar");
	CHECK(s->json.columns[0].required);
	CHECK_TEXT(s->json.columns[0].weight, "2");
	CHECK(!s->json.columns[0].minimum && !s->json.columns[0].maximum);
	CHECK_INT(s->json.columns[0].allowed_count, 0);
	CHECK_TEXT(s->json.columns[1].pointer, "/a~1b/k");
	CHECK_TEXT(s->json.columns[1].type, "decimal(10,2)");
	CHECK(!s->json.columns[1].required);
	CHECK(s->json.columns[0].stored && !s->json.columns[1].stored);
	CHECK_TEXT(s->json.columns[1].weight, "1");
	CHECK_TEXT(s->json.columns[1].minimum, "-1");
	CHECK_TEXT(s->json.columns[1].maximum, "2e3");
	CHECK_INT(s->json.columns[2].allowed_count, 2);
	CHECK_TEXT(s->json.columns[2].allowed[0], "x");
	CHECK_TEXT(s->json.columns[2].allowed[1], getenv("HOME"));
	CHECK_TEXT(s->json.columns[3].allowed[2], "-2147483648");
	CHECK_TEXT(s->json.raw, "raw");
	CHECK_TEXT(s->json.score, "score");
	CHECK_TEXT(s->json.reasons, "why");
	CHECK_TEXT(s->json.ingested_at, "at");
	CHECK_INT(s->json.missing, 5);
	CHECK_INT(s->json.wrong_type, 20);
	CHECK_INT(s->json.out_of_range, 20);
	manifest_free(m);
}

/* A table of what is kept alone is a table. */
static void unstored_columns(void)
{
	struct manifest *m = parse(LAKE "---\n" STREAM "  table: rows\n" KAFKA "  format: json\n  json:\n    columns:\n"
	                                "    - {name: a, stored: false}\n    - {name: b, stored: false}\n"
	                                "    keep: {ingestedAt: at}\n");

	CHECK_TEXT(err.message, "");
	CHECK(!m->streams[0].json.columns[0].stored && !m->streams[0].json.columns[1].stored);
	manifest_free(m);
}

static void json_and_bom_are_read(void)
{
	struct manifest *m = parse("\xef\xbb\xbf{\"apiVersion\": \"ducklake.featherman.dev/v1alpha1\",\r\n"
	                           "\"kind\": \"DuckLakeCatalog\", \"metadata\": {\"name\": \"main\"},\r\n"
	                           "\"spec\": {\"backend\": {\"path\": \"c\"}, \"dataPath\": \"d\"}}\r\n");

	CHECK_TEXT(err.message, "");
	CHECK_INT(m->catalog_count, 1);
	manifest_free(m);
}

static void paths(void)
{
	static const struct {
		const char *path, *expected;
	} cases[] = {
	        {"a", "/m/n/a"},
	        {"./a/./b/", "/m/n/a/b"},
	        {"../a", "/m/a"},
	        {"../../../../a", "/a"},
	        {"/", "/"},
	        {"..", "/m"},
	        {"/a//b///c", "/a/b/c"},
	        {"a/..", "/m/n"},
	        {"/a/../../b", "/b"},
	        {"...", "/m/n/..."},
	        {"a..b/.c", "/m/n/a..b/.c"},
	        {"'a b/\xc3\xa4'", "/m/n/a b/\xc3\xa4"},
	        {"a*b", "/m/n/a*b"},
	        {"../../", "/"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[512];
		struct manifest *m;

		snprintf(text, sizeof text, CATALOG "  backend: {type: file, path: %s}\n", cases[i].path);
		m = parse(text);
		CHECK_TEXT(err.message, "");
		CHECK_TEXT(m->catalogs[0].backend.path, cases[i].expected);
		manifest_free(m);
	}
}

static void right_together(void)
{
	struct manifest *m = parse(FIRST STREAM_2 "  table: other\n" KAFKA);

	CHECK_TEXT(err.message, "");
	CHECK_INT(m->stream_count, 2);
	CHECK_TEXT(m->streams[1].kafka.group, "more");
	CHECK(m->streams[0].catalog == m->streams[1].catalog);
	manifest_free(m);
}

/* ---- files of manifests ---- */

static void load(void)
{
	char path[128], expected[256], before[1024];
	struct manifest *m;

	write_file("tarn.yaml", LAKE, strlen(LAKE));
	snprintf(path, sizeof path, "%s/./tarn.yaml", folder);
	m = manifest_load(path, &err);
	CHECK(m);
	CHECK_TEXT(m->file, path);
	CHECK_TEXT(m->folder, folder);
	snprintf(expected, sizeof expected, "%s/c.sqlite", folder);
	CHECK_TEXT(m->catalogs[0].backend.path, expected);
	manifest_free(m);
	CHECK(getcwd(before, sizeof before) && !chdir(folder));
	m = manifest_load("tarn.yaml", &err);
	CHECK(!chdir(before) && m);
	CHECK_TEXT(m->catalogs[0].backend.path, expected);
	manifest_free(m);
}

static void wrong_load(void)
{
	char path[128], expected[512];
	static char big[(1 << 20) + 200000];

	CHECK(!manifest_load("/nonexistent/tarn.yaml", &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_INT(err.code, ENOENT);
	CHECK_TEXT(err.message,
	           "/nonexistent/tarn.yaml: cannot be read: No such file or directory; would be a manifest, a "
	           "file of YAML");
	CHECK(!manifest_load(folder, &err));
	CHECK_HAS(err.message, ": cannot be read: Is a directory; would be a manifest, a file of YAML");
	memset(big, ' ', sizeof big);
	write_file("huge.yaml", big, sizeof big);
	snprintf(path, sizeof path, "%s/huge.yaml", folder);
	CHECK(!manifest_load(path, &err));
	CHECK_HAS(err.message, "bytes; would be at most 1048576");
	write_file("wrong.yaml", "kind: a\n", 8);
	snprintf(path, sizeof path, "%s/wrong.yaml", folder);
	CHECK(!manifest_load(path, &err));
	snprintf(expected, sizeof expected, "%s:1:1: apiVersion: is missing; would be ducklake.featherman.dev/v1alpha1",
	         path);
	CHECK_TEXT(err.message, expected);
}

static void a_catalog_by_name(void)
{
	struct manifest *m = parse(LAKE);

	CHECK(manifest_catalog(m, NULL, &err) == &m->catalogs[0]);
	CHECK(manifest_catalog(m, "main", &err) == &m->catalogs[0]);
	CHECK(!manifest_catalog(m, "other", &err));
	CHECK_TEXT(err.message, "t.yaml: it has no catalog 'other'; name one of main");
	manifest_free(m);
	m = parse(LAKE "---\n" V
	               "kind: DuckLakeCatalog\nmetadata: {name: two}\nspec: {backend: {type: file, path: e}}\n");
	CHECK(!manifest_catalog(m, NULL, &err));
	CHECK_TEXT(err.message, "t.yaml: it has several catalogs; name one of main, two");
	CHECK(manifest_catalog(m, "two", &err) == &m->catalogs[1]);
	manifest_free(m);
	manifest_free(NULL);
}

static void files(void)
{
	struct manifest *m = parse(
	        LAKE "---\n" STREAM "  table: a\n  format: parquet\n  source: {files: 'in/*.parquet'}\n---\n" STREAM_2
	             "  table: b\n  source: {files: 's3://b/k/*', settle: 0s, poll: 1m}\n");

	CHECK(m);
	CHECK_TEXT(m->streams[0].source.files, "/m/n/in/*.parquet");
	CHECK_TEXT(m->streams[0].source.folder, "/m/n");
	CHECK_INT(m->streams[0].source.settle_ms, 2000);
	CHECK_INT(m->streams[0].source.poll_ms, 5000);
	CHECK(!m->streams[0].kafka.brokers && !m->streams[0].kafka.topic);
	CHECK_INT(m->streams[0].format, FORMAT_PARQUET);
	CHECK_TEXT(m->streams[1].source.files, "s3://b/k/*");
	CHECK_INT(m->streams[1].source.settle_ms, 0);
	CHECK_INT(m->streams[1].source.poll_ms, 60000);
	manifest_free(m);
}

int main(int argc, char **argv)
{
	int rc;

	folder_make();
	rc = CHECK_MAIN(argc, argv, TEST(files), TEST(defaults), TEST(everything_given), TEST(declared_columns),
	                TEST(unstored_columns), TEST(json_and_bom_are_read), TEST(paths), TEST(right_together),
	                TEST(load), TEST(wrong_load), TEST(a_catalog_by_name));
	folder_remove();
	return rc;
}
