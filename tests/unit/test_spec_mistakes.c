/* Manifests that are wrong, and what is told (spec.h, invariants 2 and 3): every message in full. */
#include "test_spec.h"

#define KINDS(last)                                                                                                    \
	"DuckLakeCatalog, DuckLakeStream, DuckLakePipeline, DuckLakePool, DuckLakeEndpoint, DuckLakeToken " last       \
	" DuckLakeAssistant"
#define NONE "t.yaml:1:1: document: there is none; would be a document of kind " KINDS("or")

static void no_documents(void)
{
	MISTAKES({"", NONE}, {"\n", NONE}, {"# only a comment\n", NONE}, {"---\n", NONE}, {"---\n---\nnull\n", NONE},
	         {"%YAML 1.2\n---\n", NONE});
}

static void wrong_yaml(void)
{
	MISTAKES({"a: b: c\n",
	          "t.yaml:1:5: YAML: mapping values are not allowed in this context; correct it here or before"},
	         {"spec: {a: 1\nb: 2\n",
	          "t.yaml:2:2: YAML: did not find expected ',' or '}' while parsing a flow mapping "
	          "(from line 1, column 7); correct it here or before"},
	         {"a: 'b\n\nc",
	          "t.yaml:3:2: YAML: found unexpected end of stream while scanning a quoted scalar (from line "
	          "1, column 4); correct it here or before"},
	         {"a:\n\tb: c\n",
	          "t.yaml:2:1: YAML: found character that cannot start any token while scanning for the next "
	          "token (from line 2, column 1); correct it here or before"},
	         {"a: \x01\n",
	          "t.yaml:1:4: text: control characters are not allowed (U+0001); would be text without them"},
	         {"a: \xff\n", "t.yaml:1:4: text: a byte that is not UTF-8; would be UTF-8 text"},
	         {"\xc3\xa4: 1\nb: \xed\xa0\x80\n", "t.yaml:2:4: text: a byte that is not UTF-8; would be UTF-8 text"},
	         {"\xff\xfe"
	          "a",
	          "t.yaml:1:1: text: a byte that is not UTF-8; would be UTF-8 text"},
	         {"a: \"\\0\"\n", "t.yaml:1:4: document: has a text with a NUL character; would be without it"},
	         {"a: &x 1\nb: *x\n",
	          "t.yaml:2:4: document: has an alias; aliases are not used in manifests, write the value out"},
	         {"a:\n  b: !!str c\n", "t.yaml:2:6: a: has a tag; tags are not used in manifests"},
	         {"a: !x {}\n", "t.yaml:1:4: document: has a tag; tags are not used in manifests"},
	         {"a:\n  ? [x]\n  : y\n", "t.yaml:2:5: a: has a key that is a mapping or a list; would be a text"},
	         {"spec:\n  table: a\n  kafka: {}\n  table: b\n",
	          "t.yaml:4:3: spec.table: is given twice, first at line 2; keep one of them"},
	         {"a: {b: [{c: 1, c: 2}]}\n",
	          "t.yaml:1:16: a.b.[].c: is given twice, first at line 1; keep one of them"},
	         {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	          "t.yaml:1:33: "
	          "[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[].[]: is "
	          "nested too deep; would be at most 32 levels"});
}

static void nul_bytes(void)
{
	static const char text[] = "kind: x\n\xc3\xa4 \0 b";

	CHECK(!manifest_parse(text, sizeof text - 1, "t.yaml", "/m", &err));
	CHECK_TEXT(err.message, "t.yaml:2:3: text: a NUL byte; would be UTF-8 text");
}

static void too_much(void)
{
	size_t size = (1 << 20) + 1;
	char *text = malloc(size + 1);

	memset(text, '#', size);
	text[size] = 0;
	CHECK(!parse(text));
	CHECK_TEXT(err.message, "t.yaml:1:1: text: has 1048577 bytes; would be at most 1048576");
	CHECK(!manifest_parse(text, size - 1, "t.yaml", "/m", &err));
	CHECK_TEXT(err.message, NONE);
	size = 0;
	for (int i = 0; i < 1025; i++)
		size += (size_t)sprintf(text + size, "k%d: v\n", i);
	CHECK(!parse(text));
	CHECK_TEXT(err.message, "t.yaml:1025:1: document: has more than 1024 keys; would have fewer");
	free(text);
}

static void wrong_headers(void)
{
	MISTAKES(
	        {"just a text\n",
	         "t.yaml:1:1: document: is a text; would be a mapping with apiVersion, kind, metadata, spec"},
	        {"- a\n", "t.yaml:1:1: document: is a list; would be a mapping with apiVersion, kind, metadata, spec"},
	        {"kind: DuckLakeCatalog\n",
	         "t.yaml:1:1: apiVersion: is missing; would be ducklake.featherman.dev/v1alpha1"},
	        {"kind: a\napiVersion:\n",
	         "t.yaml:2:12: apiVersion: has no value; would be ducklake.featherman.dev/v1alpha1"},
	        {"apiVersion: [v1]\n", "t.yaml:1:13: apiVersion: is a list; would be ducklake.featherman.dev/v1alpha1"},
	        {"apiVersion: apps/v1\nkind: Deployment\n",
	         "t.yaml:1:13: apiVersion: 'apps/v1' is not served; would be ducklake.featherman.dev/v1alpha1"},
	        {V "metadata: {}\n", "t.yaml:1:1: kind: is missing; would be " KINDS("or")},
	        {V "kind: {}\n", "t.yaml:2:7: kind: is a mapping; would be " KINDS("or")},
	        {V "kind: ducklakestream\n",
	         "t.yaml:2:7: kind: 'ducklakestream' is not a kind of this API; did you mean 'DuckLakeStream'?"},
	        {V "kind: Pod\n",
	         "t.yaml:2:7: kind: 'Pod' is not a kind of this API; this version knows " KINDS("and")},
	        {V "kind: DuckLakeTable\n",
	         "t.yaml:2:7: kind: 'DuckLakeTable' is a kind of this API that is not served "
	         "by this version; this version knows " KINDS("and")},
	        {LAKE "---\n" V "kind: DuckLakeTable\n",
	         "t.yaml:9:7: kind: 'DuckLakeTable' is a kind of this API that is not served by this version; this "
	         "version knows " KINDS("and")});
}

static void files_or_kafka(void)
{
#define FILES "  source: {files: 'in/*.json'}\n"
	MISTAKES({LAKE "---\n" STREAM "  table: a\n",
	          "t.yaml:11:1: spec.kafka: is missing; would be a mapping with brokers, topic, group, partitions, "
	          "properties; or spec.source"},
	         {LAKE "---\n" STREAM "  table: a\n" KAFKA FILES,
	          "t.yaml:14:3: spec.source: stands beside spec.kafka (line 13); would be one of the two"},
	         {LAKE "---\n" STREAM "  table: a\n  format: parquet\n" KAFKA,
	          "t.yaml:13:11: spec.format: 'parquet' is a format of files; would be arrow or json, or choose "
	          "spec.source"},
	         {LAKE "---\n" STREAM "  table: a\n  source: {settle: 1s}\n",
	          "t.yaml:13:3: spec.source.files: is missing; would be a path, relative to the manifest's folder or "
	          "absolute, or an s3:// URL, such as incoming/*.json"},
	         {LAKE "---\n" STREAM "  table: a\n  source: {files: 'http://h/a'}\n",
	          "t.yaml:13:19: spec.source.files: 'http://h/a' is a URL that this field does not take; would be a "
	          "path, relative to the manifest's folder or absolute, or an s3:// URL"},
	         {LAKE "---\n" STREAM "  table: a\n" FILES "---\n" STREAM_2 "  table: main.A\n" FILES,
	          "t.yaml:19:10: spec.table: is the table of stream 'events' at line 10 for the same files already; "
	          "would "
	          "be another table"});
}

static void wrong_shapes(void)
{
	MISTAKES({V "kind: DuckLakeCatalog\nspec: {}\n",
	          "t.yaml:1:1: metadata: is missing; would be a mapping with name, "
	          "namespace, labels, annotations"},
	         {V "kind: DuckLakeCatalog\nmetadata: main\n", "t.yaml:3:11: metadata: 'main' is a text; would be a "
	                                                       "mapping with name, namespace, labels, annotations"},
	         {V "kind: DuckLakeCatalog\nmetadata: {}\n", "t.yaml:3:1: metadata.name: is missing; would be "
	                                                     "lower-case letters, digits and '-', at most 63, with a "
	                                                     "letter or digit at both ends, such as main"},
	         {V "kind: DuckLakeCatalog\nmetadata:\n  name: main\n",
	          "t.yaml:1:1: spec: is missing; would be a mapping with backend, dataPath, objectStore"},
	         {CATALOG, "t.yaml:4:6: spec: has no value; would be a mapping with backend, dataPath, objectStore"},
	         {CATALOG "  - a\n",
	          "t.yaml:5:3: spec: is a list; would be a mapping with backend, dataPath, objectStore"},
	         {CATALOG "  dataPath: {a: b}\n",
	          "t.yaml:5:13: spec.dataPath: is a mapping; would be a path, relative to the "
	          "manifest's folder or absolute"},
	         {CATALOG "  dataPath: ~\n",
	          "t.yaml:5:13: spec.dataPath: has no value; would be a path, relative to the "
	          "manifest's folder or absolute"},
	         {V "kind: DuckLakeCatalog\nmetadata: {name: a, labels: {x: [1]}}\n",
	          "t.yaml:3:33: metadata.labels.x: is a list; would be a text"},
	         {V "kind: DuckLakeCatalog\nmetadata: {name: a, labels: {x: }}\n",
	          "t.yaml:3:33: metadata.labels.x: has no value; would be a text"});
}

static void unknown_fields(void)
{
	MISTAKES({CATALOG "  datapath: d\n",
	          "t.yaml:5:3: spec.datapath: is not a field of DuckLakeCatalog; did you mean 'dataPath'?"},
	         {STREAM "  commit:\n    freshnes: 5s\n",
	          "t.yaml:6:5: spec.commit.freshnes: is not a field of DuckLakeStream; did you mean 'freshness'?"},
	         {STREAM "  colour: red\n",
	          "t.yaml:5:3: spec.colour: is not a field of DuckLakeStream; would be one of "
	          "catalogRef, table, format, json, kafka, source, commit, mergeFiles, memory"},
	         {STREAM "  kafka.topic: t\n",
	          "t.yaml:5:3: spec.kafka.topic: is not a field of DuckLakeStream; would be one "
	          "of catalogRef, table, format, json, kafka, source, commit, mergeFiles, memory"},
	         {V "kind: DuckLakeStream\nstatus: {}\n", "t.yaml:3:1: status: is not a field of DuckLakeStream; would "
	                                                  "be one of apiVersion, kind, metadata, spec"},
	         {STREAM "  \"a\\e[31m\\u009b\xc3\xa4\": 1\n",
	          "t.yaml:5:3: spec.a?[31m?\xc3\xa4: is not a field of DuckLakeStream; would be one of catalogRef, "
	          "table, format, json, "
	          "kafka, source, commit, mergeFiles, memory"});
}

static void wrong_values(void)
{
	MISTAKES(
	        {V "kind: DuckLakeStream\nmetadata: {name: My_Stream}\n",
	         "t.yaml:3:18: metadata.name: 'My_Stream' has a character that a name may not have; would be "
	         "lower-case "
	         "letters, digits and '-', at most 63, with a letter or digit at both ends"},
	        {STREAM "  format: avro\n",
	         "t.yaml:5:11: spec.format: 'avro' is not known; would be arrow, json or parquet"},
	        {CATALOG "  backend: {type: mysql}\n",
	         "t.yaml:5:19: spec.backend.type: 'mysql' is not known; would be sqlite, postgres, duckdb or file"},
	        {STREAM "  table: a.b.c\n", "t.yaml:5:10: spec.table: 'a.b.c' has more than two parts; would be TABLE "
	                                    "or SCHEMA.TABLE, of letters, "
	                                    "digits and '_' (at most 63 each, not a digit first)"},
	        {STREAM "  table: ''\n",
	         "t.yaml:5:10: spec.table: is empty; would be TABLE or SCHEMA.TABLE, of letters, "
	         "digits and '_' (at most 63 each, not a digit first)"},
	        {STREAM "  commit: {freshness: 5}\n", "t.yaml:5:23: spec.commit.freshness: '5' has no unit; would be a "
	                                              "number with ms, s, m or h, such as 500ms, "
	                                              "5s or 1m30s, from 100ms to 1h"},
	        {STREAM "  commit: {freshness: 99ms}\n", "t.yaml:5:23: spec.commit.freshness: '99ms' is below the "
	                                                 "minimum; would be a number with ms, s, m or h, "
	                                                 "such as 500ms, 5s or 1m30s, from 100ms to 1h"},
	        {STREAM "  commit: {freshness: 1h1ms}\n", "t.yaml:5:23: spec.commit.freshness: '1h1ms' is above the "
	                                                  "maximum; would be a number with ms, s, m or h, "
	                                                  "such as 500ms, 5s or 1m30s, from 100ms to 1h"},
	        {STREAM "  commit: {maxBytes: 1048575}\n", "t.yaml:5:22: spec.commit.maxBytes: '1048575' is below the "
	                                                   "minimum; would be bytes as in Kubernetes, such "
	                                                   "as 1048576, 256Mi, 1Gi or 1G, from 1Mi to 16Gi"},
	        {STREAM "  memory: 256MB\n", "t.yaml:5:11: spec.memory: '256MB' has a suffix that is not known; would "
	                                     "be bytes as in Kubernetes, such "
	                                     "as 1048576, 256Mi, 1Gi or 1G, from 32Mi to 64Gi"},
	        {STREAM "  memory: 65Gi\n", "t.yaml:5:11: spec.memory: '65Gi' is above the maximum; would be bytes as "
	                                    "in Kubernetes, such as 1048576, "
	                                    "256Mi, 1Gi or 1G, from 32Mi to 64Gi"},
	        {STREAM "  kafka: {partitions: 0}\n",
	         "t.yaml:5:23: spec.kafka.partitions: '0' is below the minimum; would "
	         "be a whole number, from 1 to 1024"},
	        {STREAM "  kafka: {partitions: eight}\n", "t.yaml:5:23: spec.kafka.partitions: 'eight' is not a whole "
	                                                  "number; would be a whole number, from 1 to 1024"},
	        {STREAM "  kafka: {brokers: 'a:b'}\n",
	         "t.yaml:5:20: spec.kafka.brokers: 'a:b' has a port that is not a number from 1 to 65535; would be "
	         "HOST:PORT, several with ',' between them, or embedded"},
	        {STREAM "  kafka: {topic: a/b}\n", "t.yaml:5:18: spec.kafka.topic: 'a/b' has a character that a topic "
	                                           "may not have; would be letters, digits, "
	                                           "'.', '_' and '-', at most 249"},
	        {STREAM "  kafka: {group: \"a\\nb\"}\n", "t.yaml:5:18: spec.kafka.group: 'a?b' has a line break or "
	                                                 "another control character; would be a text on "
	                                                 "one line"},
	        {STREAM "  kafka:\n    properties: {a b: 1}\n",
	         "t.yaml:6:18: spec.kafka.properties.a b: has a character that the name of a property may not have; "
	         "would be "
	         "a property of librdkafka"},
	        {STREAM "  kafka:\n    properties:\n      group.id: g\n",
	         "t.yaml:7:7: spec.kafka.properties.group.id: is not for a manifest to set: spec.kafka.group says it; "
	         "remove it"},
	        {STREAM "  kafka:\n    properties:\n      debug: ~\n",
	         "t.yaml:7:14: spec.kafka.properties.debug: has no value; would be a text"},
	        {STREAM "  table: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa4zzzzzz\n",
	         "t.yaml:5:10: spec.table: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...' has more "
	         "than 63 "
	         "characters; would be TABLE or SCHEMA.TABLE, of letters, digits and '_' (at most 63 each, not a digit "
	         "first)"});
}

static void wrong_backends(void)
{
	MISTAKES(
	        {CATALOG "  dataPath: d\n",
	         "t.yaml:4:1: spec.backend: is missing; would be a mapping with type, path, connection"},
	        {CATALOG "  backend: {type: sqlite}\n  dataPath: d\n",
	         "t.yaml:5:3: spec.backend.path: is missing; would be a path, relative to the manifest's folder or "
	         "absolute, "
	         "such as lake/catalog.sqlite"},
	        {CATALOG "  backend: {path: c}\n", "t.yaml:4:1: spec.dataPath: is missing; would be a path, relative "
	                                           "to the manifest's folder or absolute, "
	                                           "such as lake/data; or spec.objectStore"},
	        {CATALOG "  backend: {type: file, path: c}\n  dataPath: d\n",
	         "t.yaml:6:3: spec.dataPath: is not used where spec.backend.type is file; remove it, or choose sqlite, "
	         "postgres or duckdb"},
	        {CATALOG "  backend: {path: c, connection: x}\n  dataPath: d\n",
	         "t.yaml:5:22: spec.backend.connection: is not used where spec.backend.type is sqlite; remove it, or "
	         "choose "
	         "postgres"},
	        {CATALOG "  backend: {type: postgres, path: c}\n  dataPath: d\n",
	         "t.yaml:5:29: spec.backend.path: is not used where spec.backend.type is postgres; remove it, or "
	         "choose "
	         "sqlite, duckdb or file"},
	        {CATALOG "  backend: {type: postgres}\n  dataPath: d\n",
	         "t.yaml:5:3: spec.backend.connection: is missing; would be a text, ${VARIABLE} or file:PATH, such as "
	         "host=db "
	         "dbname=lake user=tarn password=${PGPASSWORD}"},
	        {CATALOG "  backend: {type: postgres, connection: '  '}\n",
	         "t.yaml:5:41: spec.backend.connection: is empty; would be a text, ${VARIABLE} or file:PATH"},
	        {CATALOG "  backend: {path: 's3://b/c'}\n", "t.yaml:5:19: spec.backend.path: 's3://b/c' is a URL that "
	                                                    "this field does not take; would be a path, relative "
	                                                    "to the manifest's folder or absolute"},
	        {CATALOG "  dataPath: gs://b\n", "t.yaml:5:13: spec.dataPath: 'gs://b' is a URL, and a bucket belongs "
	                                         "in spec.objectStore; would be a path, "
	                                         "relative to the manifest's folder or absolute"},
	        {CATALOG "  dataPath: ~/lake\n", "t.yaml:5:13: spec.dataPath: '~/lake' begins with '~', which is not "
	                                         "expanded (${HOME} is); would be a path, "
	                                         "relative to the manifest's folder or absolute"});
}

#define STORE CATALOG "  backend: {path: c}\n  objectStore:\n"
#define KEYS "    credentials: {accessKeyId: a, secretAccessKey: b}\n"

static void wrong_object_stores(void)
{
	MISTAKES({STORE KEYS,
	          "t.yaml:6:3: spec.objectStore.bucket: is missing; would be lower-case letters, digits, '.' and "
	          "'-', 3 to 63"},
	         {STORE "    bucket: lake\n",
	          "t.yaml:6:3: spec.objectStore.credentials: is missing; would be a mapping with type, accessKeyId, "
	          "secretAccessKey, sessionToken"},
	         {STORE "    bucket: lake\n    credentials: {accessKeyId: a}\n",
	          "t.yaml:8:5: spec.objectStore.credentials.secretAccessKey: is missing; would be a text, ${VARIABLE} "
	          "or "
	          "file:PATH"},
	         {STORE "    bucket: lake\n    credentials: {type: instance, accessKeyId: a}\n",
	          "t.yaml:8:35: spec.objectStore.credentials.accessKeyId: is not used where "
	          "spec.objectStore.credentials.type is instance; remove it, or choose keys"},
	         {STORE KEYS "    bucket: lake\n  dataPath: d\n",
	          "t.yaml:6:3: spec.objectStore: stands beside spec.dataPath (line 9); would be one of the two"},
	         {STORE KEYS "    bucket: Lake\n", "t.yaml:8:13: spec.objectStore.bucket: 'Lake' has a character that "
	                                           "a bucket's name may not have; would be "
	                                           "lower-case letters, digits, '.' and '-', 3 to 63"},
	         {STORE KEYS "    bucket: lake\n    prefix: /a\n",
	          "t.yaml:9:13: spec.objectStore.prefix: '/a' has an empty name between its '/'; would be names with "
	          "'/' "
	          "between them, of letters, digits, '.', '_', '-' and '='"},
	         {STORE KEYS "    bucket: lake\n    endpoint: 127.0.0.1:9000\n",
	          "t.yaml:9:15: spec.objectStore.endpoint: '127.0.0.1:9000' begins with neither https:// nor http://; "
	          "would "
	          "be https://HOST or http://HOST, with :PORT where it is not the usual one"},
	         {STORE KEYS "    bucket: lake\n    endpoint: http://u:a-word@h:9000\n",
	          "t.yaml:9:15: spec.objectStore.endpoint: has no port from 1 to 65535 behind its host; would be "
	          "https://HOST or http://HOST, with :PORT where it is not the usual one"},
	         {STORE KEYS "    bucket: lake\n    endpoint: http://h:99999\n",
	          "t.yaml:9:15: spec.objectStore.endpoint: 'http://h:99999' has no port from 1 to 65535 behind its "
	          "host; "
	          "would be https://HOST or http://HOST, with :PORT where it is not the usual one"});
}

static void wrong_together(void)
{
	MISTAKES({LAKE "---\n" LAKE, "t.yaml:10:18: metadata.name: 'main' is the name of the DuckLakeCatalog at line 3 "
	                             "already; would be another name"},
	         {FIRST STREAM "  table: other\n" KAFKA, "t.yaml:17:18: metadata.name: 'events' is the name of the "
	                                                 "DuckLakeStream at line 10 already; would be another name"},
	         {STREAM "  table: rows\n" KAFKA, "t.yaml:4:1: spec.catalogRef: is missing; would be a "
	                                          "DuckLakeCatalog, of which the file has none: add one"},
	         {STREAM "  catalogRef: main\n  table: rows\n" KAFKA,
	          "t.yaml:5:15: spec.catalogRef: 'main' is not in this file; would be a DuckLakeCatalog, of which the "
	          "file "
	          "has none: add one"},
	         {LAKE "---\n" STREAM "  catalogRef: mian\n  table: rows\n" KAFKA,
	          "t.yaml:12:15: spec.catalogRef: 'mian' is not a DuckLakeCatalog of this file; would be one of main"},
	         {LAKE
	          "---\n" V
	          "kind: DuckLakeCatalog\nmetadata: {name: two}\nspec: {backend: {path: e}, dataPath: f}\n---\n" STREAM
	          "  table: rows\n" KAFKA,
	          "t.yaml:16:1: spec.catalogRef: is missing, and the file has several catalogs; would be one of main, "
	          "two"},
	         {LAKE
	          "---\n" V
	          "kind: DuckLakeCatalog\nmetadata: {name: two}\nspec: {backend: {path: x/../c.sqlite}, dataPath: f}\n",
	          "t.yaml:11:24: spec.backend.path: is that of catalog 'main' at line 5 already; would be a place of "
	          "its own"},
	         {LAKE "---\n" V
	               "kind: DuckLakeCatalog\nmetadata: {name: two}\nspec: {backend: {path: e}, dataPath: d/}\n",
	          "t.yaml:11:38: spec.dataPath: is that of catalog 'main' at line 6 already; would be a place of its "
	          "own"},
	         {FIRST STREAM_2 "  table: main.ROWS\n" KAFKA,
	          "t.yaml:19:10: spec.table: is the table of stream 'events' at line 10 for the same topic already; "
	          "would be "
	          "another table"},
	         {FIRST STREAM_2 "  table: other\n  kafka: {brokers: embedded, topic: t, group: events}\n",
	          "t.yaml:20:47: spec.kafka.group: is the group of stream 'events' at line 10 for the same topic "
	          "already; would "
	          "be another group"});
}

/* A name of a file that would fill the message leaves room for the mistake. */
static void long_names_leave_room(void)
{
	char name[1001];

	memset(name, 'n', 1000);
	name[1000] = 0;
	CHECK(!manifest_parse("kind: a\n", 8, name, "/m", &err));
	CHECK_HAS(err.message, "...nnn");
	CHECK_HAS(err.message, ":1:1: apiVersion: is missing; would be ducklake.featherman.dev/v1alpha1");
}

#define JSON LAKE "---\n" STREAM "  table: rows\n" KAFKA "  format: json\n  json:\n" /* lines 1 to 15 */
#define COLUMN JSON "    columns:\n    - "

static void wrong_columns(void)
{
	MISTAKES({LAKE "---\n" STREAM "  table: rows\n" KAFKA "  json: {}\n",
	          "t.yaml:14:3: spec.json: is not used where spec.format is arrow; remove it, or choose json"},
	         {JSON "    columns: {a: b}\n", "t.yaml:16:14: spec.json.columns: is a mapping; would be a list of "
	                                        "mappings with name, pointer, type, required, "
	                                        "minimum, maximum, enum, weight, stored"},
	         {COLUMN "x\n", "t.yaml:17:7: spec.json.columns.[]: 'x' is a text; would be a list of mappings with "
	                        "name, pointer, type, "
	                        "required, minimum, maximum, enum, weight, stored"},
	         {COLUMN "{type: json}\n",
	          "t.yaml:17:7: spec.json.columns.name: is missing; would be letters, digits and '_', at "
	          "most 63, not a digit first, such as plan"},
	         {COLUMN "{name: a, nmae: b}\n",
	          "t.yaml:17:17: spec.json.columns.[].nmae: is not a field of DuckLakeStream; did you mean 'name'?"},
	         {COLUMN "{name: 1a}\n",
	          "t.yaml:17:14: spec.json.columns.[].name: '1a' begins with a digit; would be letters, "
	          "digits and '_', at most 63, not a digit first"},
	         {COLUMN "{name: a, pointer: b}\n", "t.yaml:17:26: spec.json.columns.[].pointer: 'b' does not begin "
	                                            "with '/'; would be a JSON pointer (RFC 6901) such "
	                                            "as /payload/plan"},
	         {COLUMN "{name: a, pointer: /b~2}\n", "t.yaml:17:26: spec.json.columns.[].pointer: '/b~2' has a '~' "
	                                               "without 0 or 1 behind it; would be a JSON pointer "
	                                               "(RFC 6901) such as /payload/plan"},
	         {COLUMN "{name: a, type: int}\n",
	          "t.yaml:17:23: spec.json.columns.[].type: 'int' is not known; would be boolean, integer, bigint, "
	          "double, "
	          "decimal(PRECISION,SCALE), varchar, date, timestamp, timestamptz, epoch_s, epoch_ms or json"},
	         {COLUMN "{name: a, minimum: 0x1}\n",
	          "t.yaml:17:26: spec.json.columns.[].minimum: '0x1' is not a number; would be "
	          "a number such as 5, -0.5 or 1e6"},
	         {COLUMN "{name: a, enum: b}\n",
	          "t.yaml:17:23: spec.json.columns.[].enum: 'b' is a text; would be a list of "
	          "texts, such as [a, b]"},
	         {COLUMN "{name: a, enum: [b, {c: d}]}\n",
	          "t.yaml:17:27: spec.json.columns.[].enum.[]: is a mapping; would be a text"},
	         {COLUMN "{name: a}\n    - {name: A}\n", "t.yaml:18:14: spec.json.columns.[].name: 'A' is the name of "
	                                                 "the column at line 17 already; would be another name"},
	         {COLUMN "{name: a}\n    keep: {score: a}\n", "t.yaml:18:19: spec.json.keep.score: 'a' is the name of "
	                                                      "the column at line 17 already; would be another name"},
	         {JSON "    points: {missing: 101}\n", "t.yaml:16:23: spec.json.points.missing: '101' is above the "
	                                               "maximum; would be a whole number, from 0 to 100"});
}

#define COLUMN_A COLUMN "{name: a, "
#define BOUND(place, field, type)                                                                                      \
	"t.yaml:17:" place ": spec.json.columns.[]." field ": is for numbers, and column a is " type                   \
	"; remove it, or choose one of integer, bigint, double, decimal, epoch_s and epoch_ms"
#define ENUM(place, type)                                                                                              \
	"t.yaml:17:" place ": spec.json.columns.[].enum: is for texts and whole numbers, and column a is " type        \
	"; remove it, or choose one of varchar, integer and bigint"
#define NO_VALUE(place, value, type, bits)                                                                             \
	"t.yaml:17:" place ": spec.json.columns.[].enum.[]: '" value "' is no value of column a, which is " type       \
	"; would be a whole number of " bits " bits"

/* Rules that would compare nothing, and so be kept by every event. */
static void rules_that_fit_no_type(void)
{
	MISTAKES({COLUMN_A "minimum: 1}\n", BOUND("17", "minimum", "varchar")},
	         {COLUMN_A "type: date, maximum: 20260101}\n", BOUND("29", "maximum", "date")},
	         {COLUMN_A "type: timestamptz, minimum: 0}\n", BOUND("36", "minimum", "timestamptz")},
	         {COLUMN_A "type: timestamp, maximum: 1, minimum: 0}\n", BOUND("46", "minimum", "timestamp")},
	         {COLUMN_A "type: boolean, minimum: 0}\n", BOUND("32", "minimum", "boolean")},
	         {COLUMN_A "type: json, minimum: 0}\n", BOUND("29", "minimum", "json")},
	         {COLUMN "{name: b, type: integer, minimum: 1}\n    - {name: a, maximum: 1}\n",
	          "t.yaml:18:17: spec.json.columns.[].maximum: is for numbers, and column a is varchar; remove it, or "
	          "choose one of integer, bigint, double, decimal, epoch_s and epoch_ms"},
	         {COLUMN_A "type: boolean, enum: [true]}\n", ENUM("32", "boolean")},
	         {COLUMN_A "type: double, enum: [1]}\n", ENUM("31", "double")},
	         {COLUMN_A "type: 'decimal(4,2)', enum: ['1.50']}\n", ENUM("39", "decimal(4,2)")},
	         {COLUMN_A "type: date, enum: ['2026-01-31']}\n", ENUM("29", "date")},
	         {COLUMN_A "type: epoch_s, enum: [1]}\n", ENUM("32", "epoch_s")},
	         {COLUMN_A "type: json, enum: [x]}\n", ENUM("29", "json")},
	         {COLUMN_A "type: integer, enum: [1, gold]}\n", NO_VALUE("42", "gold", "integer", "32")},
	         {COLUMN_A "type: integer, enum: [2147483648]}\n", NO_VALUE("39", "2147483648", "integer", "32")},
	         {COLUMN_A "type: bigint, enum: [1.0]}\n", NO_VALUE("38", "1.0", "bigint", "64")},
	         {COLUMN_A "type: bigint, enum: [9223372036854775808]}\n",
	          NO_VALUE("38", "9223372036854775808", "bigint", "64")});
}

/* A score is at most 100. */
static void weights_below_zero(void)
{
	MISTAKES(
	        {COLUMN_A "weight: -1}\n", "t.yaml:17:25: spec.json.columns.[].weight: '-1' is below 0; would be 0 or "
	                                   "more, for a broken rule costs points"},
	        {COLUMN "{name: b, weight: 0}\n    - {name: a, required: true, weight: -1e-3}\n",
	         "t.yaml:18:41: spec.json.columns.[].weight: '-1e-3' is below 0; would be 0 or more, for a broken rule "
	         "costs points"},
	        {COLUMN_A "weight: 1e999}\n", "t.yaml:17:25: spec.json.columns.[].weight: '1e999' is too large; would "
	                                      "be a number such as 5, -0.5 or 1e6"},
	        {COLUMN_A "weight: nan}\n", "t.yaml:17:25: spec.json.columns.[].weight: 'nan' is not a number; would "
	                                    "be a number such as 5, -0.5 or 1e6"});
}

static void wrong_unstored_columns(void)
{
	MISTAKES(
	        {COLUMN "{name: a, stored: no}\n",
	         "t.yaml:17:25: spec.json.columns.[].stored: 'no' is not a boolean; would be true or false"},
	        {COLUMN "{name: a, stored: false}\n    - {name: A}\n",
	         "t.yaml:18:14: spec.json.columns.[].name: 'A' is the name of the column at line 17 already; would be "
	         "another name"},
	        {COLUMN "{name: a, stored: false}\n    keep: {raw: a}\n",
	         "t.yaml:18:17: spec.json.keep.raw: 'a' is the name of the column at line 17 already; would be another "
	         "name"},
	        {COLUMN "{name: a, stored: false}\n    - {name: b, stored: false}\n    keep: {}\n",
	         "t.yaml:16:5: spec.json.columns: stores none of its columns, and spec.json.keep has none; would be "
	         "one "
	         "column at least without stored: false"});
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(no_documents), TEST(wrong_yaml), TEST(nul_bytes), TEST(too_much),
	                  TEST(wrong_headers), TEST(files_or_kafka), TEST(wrong_shapes), TEST(unknown_fields),
	                  TEST(wrong_values), TEST(wrong_columns), TEST(rules_that_fit_no_type),
	                  TEST(weights_below_zero), TEST(wrong_unstored_columns), TEST(wrong_backends),
	                  TEST(wrong_object_stores), TEST(wrong_together), TEST(long_names_leave_room));
}
