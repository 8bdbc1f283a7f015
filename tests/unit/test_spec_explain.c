/*
 * `tarn explain` and docs/reference.md, and what must hold of the table of kinds itself.
 *
 * To make docs/reference.md again after a change of src/spec/kinds.def:
 *     TARN_WRITE_REFERENCE=docs/reference.md BUILD/tests/test_spec_explain reference
 */
#include "check.h"

#include "spec/document.h"
#include "spec/field.h"
#include "spec/kinds.h"
#include "spec/spec.h"

#define KINDS                                                                                                          \
	"DuckLakeCatalog, DuckLakeStream, DuckLakePipeline, DuckLakePool, DuckLakeEndpoint, DuckLakeToken and "        \
	"DuckLakeAssistant"
#define REFERENCE TESTS_FOLDER "/../docs/reference.md"

static struct error err;

static char *explained(const char *path)
{
	static struct buffer out = {.maximum = 1 << 20};

	buffer_clear(&out);
	memset(&err, 0, sizeof err);
	return spec_explain(path, &out, &err) ? NULL : out.data;
}

static void kinds_are_listed(void)
{
	CHECK_TEXT(
	        explained(NULL),
	        "VERSION:    ducklake.featherman.dev/v1alpha1\n\n"
	        "KINDS:\n"
	        "  DuckLakeCatalog\n"
	        "    A lake: where its catalog (what tables, snapshots and files there are) and its data files\n"
	        "    stand.\n\n"
	        "  DuckLakeStream\n"
	        "    A Kafka topic, or files, that flow into a table of a lake, each message exactly once.\n\n"
	        "  DuckLakePipeline\n"
	        "    Tables made from other tables of a lake by SQL, model by model, all of them in one snapshot.\n\n"
	        "  DuckLakePool\n"
	        "    Warm workers that answer queries of one lake: processes of `tarn serve` and `tarn run`, pods\n"
	        "    of the operator.\n\n"
	        "  DuckLakeEndpoint\n"
	        "    A query with parameters that is served at a path of its own.\n\n"
	        "  DuckLakeToken\n"
	        "    Who may ask what: the right of whoever holds a token. In a file of its own (--tokens), which\n"
	        "    is read again when it changes, or in the manifest.\n\n"
	        "  DuckLakeAssistant\n"
	        "    The language model that turns questions about a lake into SQL.\n\n"
	        "IN OTHER FILES:\n"
	        "  Model\n"
	        "    A file LAYER/NAME.sql in a pipeline's folder: one SELECT that makes the table NAME. Its\n"
	        "    options are YAML in the comment lines (--) above it, from the first one that begins with a\n"
	        "    word and a colon; lines before that one are for people.\n");
	CHECK_HAS(explained(""), "KINDS:");
}

static void a_kind_is_explained(void)
{
	const char *text = explained("DuckLakeStream");

	CHECK_HAS(text, "KIND:       DuckLakeStream\nVERSION:    ducklake.featherman.dev/v1alpha1\n\nDESCRIPTION:\n");
	CHECK_HAS(text, "\nFIELDS:\n  apiVersion\t<string> -required-\n");
	CHECK_HAS(text, "\n  spec\t<object> -required-\n    The stream.\n");
	CHECK_HAS(explained("ducklakestream.spec"), "  catalogRef\t<reference>\n");
}

static void an_object_is_explained(void)
{
	CHECK_TEXT(
	        explained("DuckLakeStream.spec.commit"),
	        "KIND:       DuckLakeStream\n"
	        "VERSION:    ducklake.featherman.dev/v1alpha1\n\n"
	        "FIELD:      commit <object>\n\n"
	        "DESCRIPTION:\n"
	        "    When the rows that were read become a snapshot of the lake.\n\n"
	        "FIELDS:\n"
	        "  freshness\t<duration>\n"
	        "    default: 5s\n"
	        "    range: 100ms to 1h\n"
	        "    example: 5s\n"
	        "    How long a message may wait before the snapshot that holds it is committed. While more waits\n"
	        "    than a commit holds, commits take up to 8 times as long, but not over 10 seconds: their\n"
	        "    files are larger.\n\n"
	        "  maxBytes\t<quantity>\n"
	        "    default: 256Mi\n"
	        "    range: 1Mi to 16Gi\n"
	        "    example: 256Mi\n"
	        "    The most bytes of decoded messages in one commit: it is made earlier where they are reached.\n");
}

static void a_value_is_explained(void)
{
	CHECK_TEXT(explained("DuckLakeCatalog.spec.backend.type"),
	           "KIND:       DuckLakeCatalog\n"
	           "VERSION:    ducklake.featherman.dev/v1alpha1\n\n"
	           "FIELD:      type <enum>\n\n"
	           "DESCRIPTION:\n"
	           "    What keeps the catalog.\n"
	           "    sqlite: DuckLake with its catalog in a SQLite file, for one machine.\n"
	           "    postgres: DuckLake with its catalog in PostgreSQL, for many writers.\n"
	           "    duckdb: DuckLake with its catalog in a DuckDB file, for one process.\n"
	           "    file: One plain DuckDB file that holds everything, without DuckLake.\n\n"
	           "VALUE:\n"
	           "    sqlite, postgres, duckdb or file\n"
	           "    default: sqlite\n"
	           "    enum: sqlite, postgres, duckdb, file\n"
	           "    example: sqlite\n");
	CHECK_HAS(explained("DuckLakeCatalog.spec.backend.path"),
	          "    used where spec.backend.type is: sqlite, duckdb, file\n");
	CHECK_HAS(explained("DuckLakeStream.spec.kafka.group"), "    default: the value of metadata.name\n");
}

static void a_wrong_path_lists_what_there_is(void)
{
	static const struct {
		const char *path, *message;
	} cases[] = {
	        {"Stream", "there is no kind 'Stream'; there are " KINDS},
	        {".spec", "there is no kind ''; there are " KINDS},
	        {"DuckLakeStream.specs",
	         "DuckLakeStream has no field 'specs'; it has apiVersion, kind, metadata, spec"},
	        {"DuckLakeStream..spec", "DuckLakeStream has no field ''; it has apiVersion, kind, metadata, spec"},
	        {"DuckLakeStream.spec.kafka.broker", "DuckLakeStream.spec.kafka has no field 'broker'; it has brokers, "
	                                             "topic, group, partitions, properties"},
	        {"DuckLakeStream.spec.table.name",
	         "DuckLakeStream.spec.table has no field 'name'; it is a <table> and has none"},
	        {"DuckLakeStream.spec.kafka.properties.sasl.password",
	         "DuckLakeStream.spec.kafka.properties has no field 'sasl'; it is a <map> and has none"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CHECK(!explained(cases[i].path));
		CHECK_INT(err.kind, ERROR_INVALID);
		CHECK_TEXT(err.message, cases[i].message);
	}
}

static void every_field_is_explained(void)
{
	char path[256];

	for (int i = 0; i < field_count; i++) {
		snprintf(path, sizeof path, "%s.%s", spec_kinds[fields[i].kind].name, fields[i].path);
		CHECK(explained(path));
		CHECK_HAS(explained(path), type_name(fields[i].type));
	}
}

/* Its example is YAML in brackets, which reference_examples_are_right reads. */
static bool is_flow(enum field_type type)
{
	return type == TYPE_TEXTS || type == TYPE_LIST || type == TYPE_MAP;
}

/* kinds.h invariant 1, and that what the table says of a field is right for that field. */
static void the_table_is_sound(void)
{
	for (int i = 0; i < field_count; i++) {
		const struct field *f = &fields[i];
		char parent[128];

		snprintf(parent, sizeof parent, "%.*s", (int)(field_name(f) - f->path), f->path);
		if (*parent) {
			parent[strlen(parent) - 1] = 0;
			CHECK(field_find(f->kind, parent) && field_find(f->kind, parent) < f);
			CHECK(field_parent(f) == field_find(f->kind, parent));
			CHECK(field_parent(f)->type == TYPE_OBJECT || field_parent(f)->type == TYPE_LIST);
			CHECK(!field_list(f) || !field_list(field_list(f)));
			CHECK((f->type == TYPE_LIST) == (f->item_size != 0));
		}
		CHECK(field_find(f->kind, f->path) == f);
		CHECK(f->description[strlen(f->description) - 1] == '.');
		CHECK((f->type == TYPE_ENUM) == !!f->values);
		CHECK(!f->minimum == !f->maximum);
		CHECK(!f->when_field || field_find(f->kind, f->when_field) < f);
		CHECK(!f->when_field || field_find(f->kind, f->when_field)->type == TYPE_ENUM);
		CHECK(!f->fallback_of || field_find(f->kind, f->fallback_of) < f);
		CHECK(!f->fallback || !field_check(f, f->fallback));
		CHECK(!f->minimum || !field_check(f, f->minimum));
		CHECK(!f->maximum || !field_check(f, f->maximum));
		CHECK(!f->example || is_flow(f->type) || !field_check(f, f->example));
		CHECK(!f->when_field || field_list(f) == field_list(field_find(f->kind, f->when_field)));
	}
}

static char *read_file(const char *path)
{
	static char text[1 << 17];
	FILE *file = fopen(path, "r");

	text[0] = 0;
	if (file) {
		text[fread(text, 1, sizeof text - 1, file)] = 0;
		fclose(file);
	}
	return text;
}

static void reference(void)
{
	struct buffer out __attribute__((cleanup(buffer_release)));
	const char *write = getenv("TARN_WRITE_REFERENCE");

	buffer_init(&out, 1 << 17);
	spec_reference(&out);
	CHECK(buffer_ok(&out));
	if (write) {
		FILE *file = fopen(write, "w");

		CHECK(file && fputs(buffer_string(&out), file) >= 0 && !fclose(file));
	}
	if (strcmp(buffer_string(&out), read_file(REFERENCE)))
		CHECK_FAIL("docs/reference.md is not what src/spec/kinds.def says: run "
		           "TARN_WRITE_REFERENCE=docs/reference.md BUILD/tests/test_spec_explain reference");
}

/* The examples of the reference, put together, are a manifest. */
static void reference_examples_are_right(void)
{
	struct buffer out __attribute__((cleanup(buffer_release))), yaml __attribute__((cleanup(buffer_release)));
	struct manifest *manifest;

	buffer_init(&out, 1 << 17);
	buffer_init(&yaml, 1 << 17);
	spec_reference(&out);
	for (const char *at = strstr(buffer_string(&out), "```yaml\n"); at; at = strstr(at, "```yaml\n")) {
		const char *end = strstr(at += 8, "```");

		buffer_text(&yaml, "---\n");
		buffer_append(&yaml, at, (size_t)(end - at));
		at = end;
	}
	manifest = manifest_parse(buffer_string(&yaml), yaml.size, "reference", "/m", &err);
	CHECK_TEXT(manifest ? "" : err.message, "");
	CHECK_INT(manifest->catalog_count, 1);
	CHECK_INT(manifest->stream_count, 1);
	CHECK_INT(manifest->pool_count, 1);
	CHECK_INT(manifest->endpoint_count, 1);
	CHECK_INT(manifest->endpoints[0].parameter_count, 2);
	CHECK_INT(manifest->token_count, 1);
	CHECK_INT(manifest->assistant_count, 1);
	manifest_free(manifest);
}

static void the_example_is_right(void)
{
	struct manifest *manifest = manifest_load(TESTS_FOLDER "/../examples/events/tarn.yaml", &err);

	CHECK_TEXT(manifest ? "" : err.message, "");
	CHECK_TEXT(manifest->streams[0].kafka.brokers, "embedded");
	CHECK_HAS(manifest->catalogs[0].backend.path, "/examples/events/lake/catalog.sqlite");
	CHECK(!strstr(manifest->catalogs[0].backend.path, ".."));
	manifest_free(manifest);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(kinds_are_listed), TEST(a_kind_is_explained), TEST(an_object_is_explained),
	                  TEST(a_value_is_explained), TEST(a_wrong_path_lists_what_there_is),
	                  TEST(every_field_is_explained), TEST(the_table_is_sound), TEST(reference),
	                  TEST(reference_examples_are_right), TEST(the_example_is_right));
}
