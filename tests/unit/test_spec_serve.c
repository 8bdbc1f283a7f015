/* What serves a lake, as manifests say it: DuckLakePool, DuckLakeEndpoint, DuckLakeToken and DuckLakeAssistant. */
#include "test_spec.h"

#include "base/owned.h"
#include "spec/parameter.h"
#include "spec/sql_text.h"
#include "spec/values.h"

#define POOL LAKE "---\n" V "kind: DuckLakePool\nmetadata: {name: readers}\nspec:\n" /* lines 1 to 11 */
#define REF "  catalogRef: {name: main}\n"
#define ENDPOINT LAKE "---\n" V "kind: DuckLakeEndpoint\nmetadata: {name: one}\nspec:\n"
#define SHA "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef"
#define TOKEN V "kind: DuckLakeToken\nmetadata: {name: alice}\nspec:\n" /* lines 1 to 4 */
#define ASSISTANT LAKE "---\n" V "kind: DuckLakeAssistant\nmetadata: {name: q}\nspec:\n"

/* ---- pools */

static void a_pool_has_defaults(void)
{
	struct manifest *m = parse(POOL REF);
	const struct spec_pool *p;

	CHECK_TEXT(m ? "" : err.message, "");
	CHECK_INT(m->pool_count, 1);
	p = &m->pools[0];
	CHECK(p->catalog == &m->catalogs[0] && p->read_only);
	CHECK_TEXT(p->name, "readers");
	CHECK_INT(p->min_size, 1);
	CHECK_INT(p->max_size, 10);
	CHECK_TEXT(p->target_utilization, "0.8");
	CHECK(!p->hot_table_count && !p->image && p->pull_policy == PULL_IF_NOT_PRESENT);
	CHECK_INT(p->request_memory_bytes, 256 << 20);
	CHECK_INT(p->memory_bytes, 512 << 20);
	CHECK_INT(p->request_cpu_millis, 100);
	CHECK_INT(p->cpu_millis, 1000);
	CHECK_INT(p->max_idle_ms, 300000);
	CHECK_INT(p->max_lifetime_ms, 3600000);
	CHECK_INT(p->max_query_ms, 300000);
	CHECK_INT(p->max_queries, 100000);
	CHECK_INT(p->queue_length, 100);
	CHECK_INT(p->queue_wait_ms, 30000);
	CHECK_INT(p->scale_up, 2);
	CHECK_INT(p->scale_down, 1);
	CHECK_INT(p->scale_interval_ms, 30000);
	CHECK_INT(p->stabilization_ms, 120000);
	CHECK(p->metrics_enabled);
	CHECK_INT(p->metrics_port, 9090);
	CHECK_INT(p->position.line, 8);
	manifest_free(m);
}

/* A pool as the API's users write it for a cluster. */
static void a_pool_of_a_cluster_is_read(void)
{
	struct manifest *m = parse(LAKE "---\n" V "kind: DuckLakePool\n"
	                                "metadata:\n"
	                                "  name: default-pool\n"
	                                "  namespace: lakes\n"
	                                "  labels: {app.kubernetes.io/name: tarn}\n"
	                                "spec:\n"
	                                "  minSize: 2\n"
	                                "  maxSize: 10\n"
	                                "  targetUtilization: \"0.8\"\n"
	                                "  template:\n"
	                                "    image: registry.local/tarn:1\n"
	                                "    imagePullPolicy: Always\n"
	                                "    nodeSelector: {kubernetes.io/arch: amd64}\n"
	                                "    tolerations: [{key: lake, operator: Exists}]\n"
	                                "    affinity: {nodeAffinity: {required: [{weight: 1}]}}\n"
	                                "    securityContext: {runAsUser: 1000}\n"
	                                "    resources:\n"
	                                "      requests: {memory: 2Gi, cpu: \"1\"}\n"
	                                "      limits: {memory: 4Gi, cpu: 1500m}\n"
	                                "  lifecyclePolicies:\n"
	                                "    maxIdleTime: 300s\n"
	                                "    maxLifetime: 1h0m0s\n"
	                                "    maxQueries: 100\n"
	                                "  scalingBehavior:\n"
	                                "    scaleUpRate: 3\n"
	                                "    scaleDownRate: 2\n"
	                                "    scaleInterval: 10s\n"
	                                "    stabilizationWindow: 0s\n"
	                                "  catalogRef:\n"
	                                "    name: main\n"
	                                "    readOnly: true\n"
	                                "  metrics: {enabled: false, port: 9191}\n");
	const struct spec_pool *p;

	CHECK_TEXT(m ? "" : err.message, "");
	p = &m->pools[0];
	CHECK_INT(p->min_size, 2);
	CHECK_INT(p->max_size, 10);
	CHECK_TEXT(p->target_utilization, "0.8");
	CHECK_TEXT(p->image, "registry.local/tarn:1");
	CHECK(p->pull_policy == PULL_ALWAYS && p->read_only && !p->metrics_enabled);
	CHECK_INT(p->request_memory_bytes, (int64_t)2 << 30);
	CHECK_INT(p->memory_bytes, (int64_t)4 << 30);
	CHECK_INT(p->request_cpu_millis, 1000);
	CHECK_INT(p->cpu_millis, 1500);
	CHECK_INT(p->max_idle_ms, 300000);
	CHECK_INT(p->max_lifetime_ms, 3600000);
	CHECK_INT(p->max_queries, 100);
	CHECK_INT(p->scale_up, 3);
	CHECK_INT(p->scale_down, 2);
	CHECK_INT(p->scale_interval_ms, 10000);
	CHECK_INT(p->stabilization_ms, 0);
	CHECK_INT(p->metrics_port, 9191);
	manifest_free(m);
}

static void wrong_pools(void)
{
	MISTAKES(
	        {POOL "  minSize: 1\n",
	         "t.yaml:11:1: spec.catalogRef: is missing; would be a mapping with name, readOnly"},
	        {POOL "  catalogRef: main\n",
	         "t.yaml:12:15: spec.catalogRef: 'main' is a text; would be a mapping with name, readOnly"},
	        {POOL "  catalogRef: {}\n", "t.yaml:12:3: spec.catalogRef.name: is missing; would be the metadata.name "
	                                    "of a document of this file, "
	                                    "such as main"},
	        {POOL "  catalogRef: {name: other}\n", "t.yaml:12:22: spec.catalogRef.name: 'other' is not a "
	                                               "DuckLakeCatalog of this file; would be one of main"},
	        {POOL REF "  minSize: 3\n  maxSize: 2\n",
	         "t.yaml:14:12: spec.maxSize: 2 is below spec.minSize, 3; would be at least that"},
	        {POOL REF "  minSize: 11\n",
	         "t.yaml:13:12: spec.minSize: 11 is above spec.maxSize, which is 10; would be at most that"},
	        {POOL REF "  minSize: -1\n",
	         "t.yaml:13:12: spec.minSize: '-1' is below the minimum; would be a whole number, from 0 to 1000"},
	        {POOL REF "  maxSize: 0\n",
	         "t.yaml:13:12: spec.maxSize: '0' is below the minimum; would be a whole number, from 1 to 1000"},
	        {POOL REF "  targetUtilization: 0\n", "t.yaml:13:22: spec.targetUtilization: '0' is not above 0 and at "
	                                              "most 1; would be a share such as 0.8"},
	        {POOL REF "  targetUtilization: \"1.01\"\n",
	         "t.yaml:13:22: spec.targetUtilization: '1.01' is not above 0 "
	         "and at most 1; would be a share such as 0.8"},
	        {POOL REF "  targetUtilization: most\n", "t.yaml:13:22: spec.targetUtilization: 'most' is not a "
	                                                 "number; would be a number such as 5, -0.5 or 1e6"},
	        {POOL REF "  hotTables: [a, 'b.c', 'd.e.f']\n",
	         "t.yaml:13:25: spec.hotTables: 'd.e.f' has more than two parts; would be TABLE or SCHEMA.TABLE"},
	        {POOL REF "  hotTables: [a, b.c]\n  hotIndexes: [a.x, b.c.y, b.z]\n",
	         "t.yaml:14:28: spec.hotIndexes: 'b.z' is of no table in spec.hotTables; would be one of these, a "
	         "point and a "
	         "column"},
	        {POOL REF "  hotTables: [a]\n  hotIndexes: [a]\n",
	         "t.yaml:14:16: spec.hotIndexes: 'a' has no column; would be one of these, a point and a column"},
	        {POOL REF "  hotTables: a\n",
	         "t.yaml:13:14: spec.hotTables: 'a' is a text; would be a list of texts, such as [a, b]"},
	        {POOL REF "  template: {imagePullPolicy: Sometimes}\n",
	         "t.yaml:13:31: spec.template.imagePullPolicy: 'Sometimes' is not known; would be Always, IfNotPresent "
	         "or "
	         "Never"},
	        {POOL REF "  template: {resources: {limits: {cpu: two}}}\n",
	         "t.yaml:13:40: spec.template.resources.limits.cpu: 'two' is no number of cores; would be cores as in "
	         "Kubernetes, such as 2, 0.5 or 500m, from 1m to 1024"},
	        {POOL REF "  template: {resources: {limits: {memory: 1Mi}}}\n",
	         "t.yaml:13:43: spec.template.resources.limits.memory: '1Mi' is below the minimum; would be bytes as "
	         "in "
	         "Kubernetes, such as 1048576, 256Mi, 1Gi or 1G, from 128Mi to 1Ti"},
	        {POOL REF "  maxIdleTime: 5m\n",
	         "t.yaml:13:3: spec.maxIdleTime: is not a field of DuckLakePool; would be one of catalogRef, minSize, "
	         "maxSize, targetUtilization, hotTables, hotIndexes, template, lifecyclePolicies, queue, "
	         "scalingBehavior, metrics"},
	        {POOL REF "---\n" V "kind: DuckLakePool\nmetadata: {name: readers}\nspec:\n" REF,
	         "t.yaml:16:18: metadata.name: 'readers' is the name of the DuckLakePool at line 10 already; would be "
	         "another name"});
}

/* ---- endpoints */

static void an_endpoint_has_defaults(void)
{
	struct manifest *m = parse(ENDPOINT "  path: /a\n  sql: SELECT 1\n");
	const struct spec_endpoint *e;

	CHECK_TEXT(m ? "" : err.message, "");
	e = &m->endpoints[0];
	CHECK(e->catalog == &m->catalogs[0]);
	CHECK_TEXT(e->catalog_ref, "main");
	CHECK_TEXT(e->path, "/a");
	CHECK(!e->description && !e->parameter_count && !e->null_as_count && !e->page_key_count && !e->page_size);
	CHECK(e->result == RESULT_ROWS && e->format == ANSWER_JSON && e->access == ACCESS_TOKEN);
	CHECK_INT(e->cache_answers, 1000);
	CHECK_INT(e->cache_bytes, 16 << 20);
	CHECK_INT(e->cache_age_ms, 0);
	manifest_free(m);
}

static void an_endpoint_is_read(void)
{
	struct manifest *m =
	        parse(ENDPOINT "  path: /api/v1/people/{id}/calls\n"
	                       "  description: Calls of one.\n"
	                       "  sql: |\n"
	                       "    SELECT * -- $not\n"
	                       "    FROM calls\n"
	                       "    WHERE id = $id AND day >= $since AND '$x' <> \"$y\" AND plan = $PLAN\n"
	                       "  parameters:\n"
	                       "    - {name: id, type: integer, minimum: 1}\n"
	                       "    - {name: since, type: date, default: 2024-02-29}\n"
	                       "    - {name: plan, enum: [gold, silver], default: gold, maxLength: 6}\n"
	                       "    - {name: limit, type: integer, default: 20, minimum: 1, maximum: 100}\n"
	                       "  nullAs: {'*': 0, password: '\"-\"', 'count(*)': null}\n"
	                       "  access: anyone\n"
	                       "  format: csv\n"
	                       "  page: {key: [day, call], size: limit}\n"
	                       "  cache: {answers: 5, maxBytes: 1Mi, maxAge: 10s}\n");
	const struct spec_endpoint *e;

	CHECK(!m);
	CHECK_TEXT(err.message, "t.yaml:23:49: spec.nullAs.count(*): has no value; would be a text");
	m = parse(ENDPOINT "  path: /api/v1/people/{id}/calls\n"
	                   "  description: Calls of one.\n"
	                   "  sql: |\n"
	                   "    SELECT * -- $not\n"
	                   "    FROM calls\n"
	                   "    WHERE id = $id AND day >= $since AND '$x' <> \"$y\" AND plan = $PLAN\n"
	                   "  parameters:\n"
	                   "    - {name: id, type: integer, minimum: 1}\n"
	                   "    - {name: since, type: date, default: 2024-02-29}\n"
	                   "    - {name: plan, enum: [gold, silver], default: gold, maxLength: 6}\n"
	                   "    - {name: limit, type: integer, default: 20, minimum: 1, maximum: 100}\n"
	                   "  nullAs: {'*': 0, password: '\"-\"', 'count(*)': 'null'}\n"
	                   "  access: anyone\n"
	                   "  format: csv\n"
	                   "  page: {key: [day, call], size: limit}\n"
	                   "  cache: {answers: 5, maxBytes: 1Mi, maxAge: 10s}\n");
	CHECK_TEXT(m ? "" : err.message, "");
	e = &m->endpoints[0];
	CHECK_INT(e->sql_line, 15);
	CHECK_INT(e->parameter_count, 4);
	CHECK(e->parameters[0].in_path && e->parameters[0].required && e->parameters[0].in_sql);
	CHECK_INT(e->parameters[0].line, 19);
	CHECK(!e->parameters[1].in_path && !e->parameters[1].required && e->parameters[1].in_sql);
	CHECK_TEXT(e->parameters[1].fallback, "2024-02-29");
	CHECK_INT(e->parameters[2].allowed_count, 2);
	CHECK_INT(e->parameters[2].max_length, 6);
	CHECK_INT(e->parameters[1].max_length, 256);
	CHECK(!e->parameters[3].in_sql);
	CHECK_INT(e->null_as_count, 3);
	CHECK_TEXT(e->null_as[1].name, "password");
	CHECK_TEXT(e->null_as[1].value, "\"-\"");
	CHECK(e->access == ACCESS_ANYONE && e->format == ANSWER_CSV);
	CHECK_INT(e->page_key_count, 2);
	CHECK_TEXT(e->page_size, "limit");
	CHECK_INT(e->cache_age_ms, 10000);
	manifest_free(m);
}

static void wrong_paths(void)
{
#define PATH(path, wrong)                                                                                              \
	{ENDPOINT "  path: " path "\n  sql: SELECT 1\n",                                                               \
	 "t.yaml:12:9: spec.path: '" path "' " wrong                                                                   \
	 "; would be a path such as /api/v1/subscribers/{id}, of letters, digits, '.', '_', '-' and "                  \
	 "'/', with {NAME} as a whole part"}
#define KEPT(path)                                                                                                     \
	{                                                                                                              \
		ENDPOINT "  path: " path "/x\n  sql: SELECT 1\n",                                                      \
		        "t.yaml:12:9: spec.path: begins with " path                                                    \
		        ", which is Tarn's own; would be another path, such as /api/v1/..."                            \
	}
	MISTAKES(
	        PATH("a", "does not begin with '/'"), PATH("/", "has an empty part"), PATH("/a/", "has an empty part"),
	        PATH("/a//b", "has an empty part"), PATH("/a/./b", "has '.' or '..' as a part"),
	        PATH("/../b", "has '.' or '..' as a part"), PATH("/a b", "has a character that a path may not have"),
	        PATH("/a%20b", "has a character that a path may not have"),
	        PATH("/a/x{id}", "has a character that a path may not have"),
	        PATH("/{a b}", "has a '{' that is not the beginning of a {NAME} as a whole part"),
	        PATH("/{id}x", "has a '{' that is not the beginning of a {NAME} as a whole part"),
	        PATH("/{}", "has a '{' that is not the beginning of a {NAME} as a whole part"),
	        PATH("/{1}", "has a '{' that is not the beginning of a {NAME} as a whole part"), KEPT("/query"),
	        KEPT("/sql"), KEPT("/metrics"), KEPT("/healthz"), KEPT("/readyz"), KEPT("/openapi.json"), KEPT("/docs"),
	        KEPT("/console"),
	        {ENDPOINT "  path: /{id}\n  sql: SELECT $id\n",
	         "t.yaml:12:9: spec.path: {id} is not one of spec.parameters; would be declared there"},
	        {ENDPOINT "  path: /{ID}\n  sql: SELECT $id\n  parameters: [{name: id}]\n",
	         "t.yaml:12:9: spec.path: {ID} is not one of spec.parameters; would be declared there"},
	        {ENDPOINT "  path: /{id}/{id}\n  sql: SELECT $id\n  parameters: [{name: id}]\n",
	         "t.yaml:12:9: spec.path: {id} stands there twice; would be once"},
	        {ENDPOINT "  path: /{id}\n  sql: SELECT $id\n  parameters: [{name: id, default: x}]\n",
	         "t.yaml:12:9: spec.path: {id} has a default, and a part of the path is always given; would be without "
	         "one"},
	        {ENDPOINT "  sql: SELECT 1\n",
	         "t.yaml:11:1: spec.path: is missing; would be a path such as "
	         "/api/v1/subscribers/{id}, of letters, digits, '.', '_', '-' and '/', with "
	         "{NAME} as a whole part, such as /api/v1/subscribers"});
}

#define TWO(first, first_rest, second, second_rest)                                                                    \
	ENDPOINT "  path: " first "\n  sql: SELECT 1" first_rest "---\n" V                                             \
	         "kind: DuckLakeEndpoint\nmetadata: {name: two}\nspec:\n  path: " second                               \
	         "\n  sql: SELECT 1" second_rest
#define ID ", $id\n  parameters: [{name: id}]\n"
#define BOTH ", $id, $x\n  parameters: [{name: id}, {name: x}]\n"

/* Of two paths that one request could mean the second is a mistake, but words go before a {NAME}. */
static void paths_that_clash(void)
{
	static const char *const apart[] = {
	        TWO("/a", "\n", "/b", "\n"),         TWO("/a", "\n", "/a/b", "\n"), TWO("/a/{id}", ID, "/a/top", "\n"),
	        TWO("/a/{id}/b", ID, "/a/{id}", ID), TWO("/A", "\n", "/a", "\n"),   TWO("/a/{id}", ID, "/{id}/a", ID),
	        TWO("/ab", "\n", "/a", "\n"),
	};

	MISTAKES({TWO("/a", "\n", "/a", "\n"),
	          "t.yaml:19:9: spec.path: is that of endpoint 'one' at line 12 already; would be another path"},
	         {TWO("/a/{id}", ID, "/a/{x}", ", $x\n  parameters: [{name: x}]\n"),
	          "t.yaml:20:9: spec.path: is that of endpoint 'one' at line 12 already; would be another path"},
	         {TWO("/{id}/{x}", BOTH, "/{x}/{id}", BOTH),
	          "t.yaml:20:9: spec.path: is that of endpoint 'one' at line 12 already; would be another path"});
	for (size_t i = 0; i < COUNT_OF(apart); i++) {
		struct manifest *m = parse(apart[i]);

		CHECK_TEXT(m ? "" : err.message, "");
		manifest_free(m);
	}
}

#define WITH(parameters) ENDPOINT "  path: /a\n  sql: SELECT $p\n  parameters:\n    - " parameters "\n"
#define AT_P "t.yaml:15:"

static void wrong_parameters(void)
{
	MISTAKES({WITH("{type: integer}"),
	          AT_P "7: spec.parameters.name: is missing; would be letters, digits and '_', at "
	               "most 63, not a digit first, such as limit"},
	         {WITH("{name: p, type: int}"),
	          AT_P "23: spec.parameters.[].type: 'int' is not known; would be varchar, "
	               "integer, double, boolean, date or timestamp"},
	         {WITH("{name: p, type: integer, default: x}"),
	          AT_P "41: spec.parameters.[].default: 'x' is not a whole number; would be a whole number of 64 bits"},
	         {WITH("{name: p, type: integer, default: 0, minimum: 1}"),
	          AT_P "41: spec.parameters.[].default: '0' is below 1"},
	         {WITH("{name: p, type: integer, default: 9, maximum: 8}"),
	          AT_P "41: spec.parameters.[].default: '9' is above 8"},
	         {WITH("{name: p, type: double, default: .9, maximum: 0.5}"),
	          AT_P "40: spec.parameters.[].default: '.9' is above 0.5"},
	         {WITH("{name: p, default: c, enum: [a, b]}"),
	          AT_P "26: spec.parameters.[].default: 'c' is not one of a, b"},
	         {WITH("{name: p, default: abc, maxLength: 2}"),
	          AT_P "26: spec.parameters.[].default: 'abc' has more than 2 characters"},
	         {WITH("{name: p, default: a, required: true}"),
	          AT_P "26: spec.parameters.[].default: stands beside required: true and would never be used; would be "
	               "one of the two"},
	         {WITH("{name: p, type: boolean, default: yes}"),
	          AT_P "41: spec.parameters.[].default: 'yes' is not a boolean; would be true or false"},
	         {WITH("{name: p, type: date, default: 2023-02-29}"), AT_P
	          "38: spec.parameters.[].default: '2023-02-29' is not a date; would be a date such as 2026-01-31"},
	         {WITH("{name: p, type: timestamp, default: 2023-02-28}"), AT_P
	          "43: spec.parameters.[].default: '2023-02-28' is not a date and time; would be a date and time such "
	          "as 2026-01-31T23:59:59Z"},
	         {WITH("{name: p, type: integer, enum: [1, x]}"),
	          AT_P "38: spec.parameters.[].enum: 'x' is not a whole number; would be a whole number of 64 bits"},
	         {WITH("{name: p, type: integer, enum: [1, 7], maximum: 5}"),
	          AT_P "38: spec.parameters.[].enum: '7' is above 5"},
	         {WITH("{name: p, minimum: 1}"),
	          AT_P "26: spec.parameters.[].minimum: is of type integer and double only; remove it"},
	         {WITH("{name: p, type: date, maximum: 1}"),
	          AT_P "38: spec.parameters.[].maximum: is of type integer and double only; remove it"},
	         {WITH("{name: p, type: integer, minimum: 0.5}"),
	          AT_P "41: spec.parameters.[].minimum: is no whole number; would be one, as the type is"},
	         {WITH("{name: p, type: double, minimum: 2, maximum: 1}"), AT_P
	          "40: spec.parameters.[].minimum: 2 is not between minimum and maximum; would be the other way round"},
	         {WITH("{name: p}\n    - {name: P}"),
	          "t.yaml:16:14: spec.parameters.[].name: 'P' is declared at line 15 "
	          "already; would be another name"},
	         {WITH("{name: tarn_page}"),
	          AT_P "14: spec.parameters.[].name: 'tarn_page' begins as Tarn's own do; would be another name"},
	         {WITH("{name: p, maxLength: 0}"),
	          AT_P "28: spec.parameters.[].maxLength: '0' is below the minimum; would "
	               "be a whole number, from 1 to 65536"},
	         {WITH("p"), AT_P "7: spec.parameters.[]: 'p' is a text; would be a list of mappings with name, type, "
	                          "required, default, minimum, maximum, enum, maxLength, description"});
}

static void wrong_sql(void)
{
#define SQL(sql) ENDPOINT "  path: /a\n  sql: " sql "\n"
	MISTAKES({SQL("''"), "t.yaml:13:8: spec.sql: is empty; would be one SELECT, on one line or several"},
	         {SQL("SELECT $p"),
	          "t.yaml:13:8: spec.sql: has $p, which is not one of spec.parameters; would be declared there"},
	         {SQL("|\n    SELECT 1,\n\n      $p"),
	          "t.yaml:16:1: spec.sql: has $p, which is not one of spec.parameters; would be declared there"},
	         {SQL("SELECT ?"), "t.yaml:13:8: spec.sql: has ?, a parameter without a name; would be $NAME"},
	         {SQL("SELECT $12"), "t.yaml:13:8: spec.sql: has $12, a parameter without a name; would be $NAME"},
	         {WITH("{name: p}\n    - {name: q}"),
	          "t.yaml:16:14: spec.parameters.[].name: 'q' is not in spec.sql; would be used there as $q"});
}

#define LIMITED(rest)                                                                                                  \
	ENDPOINT "  path: /a\n  sql: SELECT $p\n  parameters:\n    - {name: p, type: integer, default: 3, minimum: "   \
	         "1}\n"                                                                                                \
	         "    - {name: n, type: integer, default: 3, minimum: 1, maximum: 9}\n" rest

static void wrong_answers(void)
{
#define SIZE                                                                                                           \
	" is not one of spec.parameters of type integer with default, minimum (1 or more) and maximum; would be "      \
	"declared there so"
	MISTAKES(
	        {ENDPOINT "  path: /a\n  sql: SELECT 1\n  nullAs: {a: 01}\n",
	         "t.yaml:14:15: spec.nullAs.a: '01' is not JSON; would be a number, true, false, null, or a text as "
	         "'\"-\"'"},
	        {ENDPOINT "  path: /a\n  sql: SELECT 1\n  nullAs: {a: 1, b: x}\n",
	         "t.yaml:14:21: spec.nullAs.b: 'x' is not JSON; would be a number, true, false, null, or a text as "
	         "'\"-\"'"},
	        {ENDPOINT "  path: /a\n  sql: SELECT 1\n  result: one\n",
	         "t.yaml:14:11: spec.result: 'one' is not known; would be rows or object"},
	        {ENDPOINT "  path: /a\n  sql: SELECT 1\n  result: object\n  format: csv\n",
	         "t.yaml:15:11: spec.format: stands beside spec.result: object, which is JSON; would be json"},
	        {LIMITED("  page: {key: [a]}\n"),
	         "t.yaml:17:3: spec.page.size: is missing; would be letters, digits and '_', at most 63, not a digit "
	         "first, such as limit"},
	        {LIMITED("  page: {size: n}\n"),
	         "t.yaml:17:3: spec.page.key: is missing; would be a list of texts, such as "
	         "[a, b], such as [subscriber_id]"},
	        {LIMITED("  page: {key: [], size: n}\n"),
	         "t.yaml:17:15: spec.page.key: has no column; would be the columns that name a row"},
	        {LIMITED("  page: {key: [a], size: x}\n"), "t.yaml:17:26: spec.page.size: 'x'" SIZE},
	        {LIMITED("  page: {key: [a], size: N}\n"), "t.yaml:17:26: spec.page.size: 'N'" SIZE},
	        {LIMITED("  page: {key: [a], size: p}\n"), "t.yaml:17:26: spec.page.size: 'p'" SIZE},
	        {LIMITED("  page: {key: [a, 'b c'], size: n}\n"),
	         "t.yaml:17:19: spec.page.key: 'b c' has a character that a name in SQL may not have; would be columns "
	         "of "
	         "the SELECT, each once"},
	        {LIMITED("  page: {key: [a, A], size: n}\n"),
	         "t.yaml:17:19: spec.page.key: 'A' stands there twice; would be columns of the SELECT, each once"},
	        {LIMITED("  result: object\n  page: {key: [a], size: n}\n"),
	         "t.yaml:18:3: spec.page: stands beside spec.result: object, which is one row; would be one of the "
	         "two"},
	        {LIMITED("  format: arrow\n  page: {key: [a], size: n}\n"),
	         "t.yaml:17:11: spec.format: has no pages; would be json, ndjson or csv, or be without spec.page"},
	        {ENDPOINT
	         "  path: /a\n  sql: SELECT $n\n  parameters: [{name: n, type: integer, default: 3, minimum: 1, "
	         "maximum: 9}]\n  page: {key: [a], size: n}\n",
	         "t.yaml:14:23: spec.parameters.[].name: 'n' is the size of pages, and spec.sql has it, too; would be "
	         "a "
	         "SELECT of all rows"},
	        {ENDPOINT "  path: /a\n  sql: SELECT $cursor\n  parameters: [{name: n, type: integer, default: 3, "
	                  "minimum: 1, maximum: 9}, {name: Cursor}]\n  page: {key: [a], size: n}\n",
	         "t.yaml:14:85: spec.parameters.[].name: 'Cursor' is what names the next page; would be another name"});
}

/* ---- tokens and assistants */

static void a_token_is_read(void)
{
	struct manifest *m = parse(TOKEN "  sha256: " SHA "\n"
	                                 "  tables: ['gold_*', silver.x]\n"
	                                 "  endpoints: [one]\n"
	                                 "  catalogs: [main]\n"
	                                 "  query: false\n"
	                                 "  maxRows: 10\n"
	                                 "  rate: {requests: 5, per: 2s}\n");
	const struct spec_token *t;

	CHECK_TEXT(m ? "" : err.message, "");
	t = &m->tokens[0];
	CHECK_TEXT(t->sha256, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	CHECK_INT(t->table_count, 2);
	CHECK_INT(t->endpoint_count, 1);
	CHECK_INT(t->catalog_count, 1);
	CHECK(!t->query);
	CHECK_INT(t->max_rows, 10);
	CHECK_INT(t->max_ms, 86400000);
	CHECK_INT(t->memory_bytes, (int64_t)1 << 40);
	CHECK_INT(t->rate_requests, 5);
	CHECK_INT(t->rate_ms, 2000);
	manifest_free(m);
	m = parse(TOKEN "  sha256: " SHA "\n");
	CHECK_TEXT(m ? "" : err.message, "");
	CHECK(m->tokens[0].query && !m->tokens[0].rate_requests && !m->tokens[0].table_count);
	CHECK_INT(m->tokens[0].max_rows, 100000000);
	manifest_free(m);
}

/* The hash is not shown, though it is no token. */
static void wrong_tokens(void)
{
#define WRONG_SHA                                                                                                      \
	"t.yaml:5:11: spec.sha256: is not the SHA-256 of a token; would be 64 hexadecimal digits, as `tarn token` "    \
	"prints"
	MISTAKES({TOKEN "  query: true\n",
	          "t.yaml:4:1: spec.sha256: is missing; would be a text, ${VARIABLE} or file:PATH, such as "
	          "0000000000000000000000000000000000000000000000000000000000000000"},
	         {TOKEN "  sha256: abc\n", WRONG_SHA}, {TOKEN "  sha256: x" SHA "\n", WRONG_SHA},
	         {TOKEN "  sha256: 'g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'\n", WRONG_SHA},
	         {TOKEN "  sha256: " SHA "\n---\n" V "kind: DuckLakeToken\nmetadata: {name: bob}\nspec: {sha256: " SHA
	                "}\n",
	          "t.yaml:10:16: spec.sha256: is that of token 'alice' already; would be a token of its own"},
	         {TOKEN "  sha256: " SHA "\n  rate: {per: 1s}\n",
	          "t.yaml:6:3: spec.rate.requests: is missing; would be a "
	          "whole number, from 1 to 1000000, such as 100"},
	         {TOKEN "  sha256: " SHA "\n  maxRows: 0\n",
	          "t.yaml:6:12: spec.maxRows: '0' is below the minimum; would be "
	          "a whole number, from 1 to 2147483647"});
}

static void an_assistant_is_read(void)
{
	struct manifest *m = parse(ASSISTANT "  model: m\n  provider: openai\n  baseUrl: http://127.0.0.1:8080\n"
	                                     "  sampleValues: false\n  apiKey: secret\n");
	const struct spec_assistant *a;

	CHECK_TEXT(m ? "" : err.message, "");
	a = &m->assistants[0];
	CHECK(a->provider == PROVIDER_OPENAI && a->catalog == &m->catalogs[0] && !a->sample_values);
	CHECK_TEXT(a->base_url, "http://127.0.0.1:8080");
	CHECK_TEXT(a->api_key, "secret");
	CHECK_INT(a->timeout_ms, 60000);
	CHECK_INT(a->max_tokens, 2000);
	manifest_free(m);
	MISTAKES({ASSISTANT "  model: m\n  provider: openai\n", "t.yaml:11:1: spec.baseUrl: is missing; would be where "
	                                                        "the server answers, such as http://127.0.0.1:8080"},
	         {ASSISTANT "  provider: anthropic\n",
	          "t.yaml:11:1: spec.model: is missing; would be a text on one line, "
	          "such as claude-sonnet-4-5"},
	         {ASSISTANT "  model: m\n---\n" V
	                    "kind: DuckLakeAssistant\nmetadata: {name: r}\nspec:\n  catalogRef: main\n  model: n\n",
	          "t.yaml:18:15: spec.catalogRef: is the catalog of assistant 'q' already; would be one a catalog"});
}

/* ---- values */

static void cpus(void)
{
	static const struct {
		const char *text;
		int64_t millis;
		const char *wrong;
	} cases[] = {
	        {"2", 2000, NULL},
	        {"0.5", 500, NULL},
	        {"500m", 500, NULL},
	        {"1.25", 1250, NULL},
	        {"0", 0, NULL},
	        {"0.001", 1, NULL},
	        {"", 0, "is no number of cores"},
	        {"m", 0, "is no number of cores"},
	        {"-1", 0, "is no number of cores"},
	        {"1.", 0, "is no number of cores"},
	        {".5", 0, "is no number of cores"},
	        {"0.5m", 0, "is no number of cores"},
	        {"1k", 0, "is no number of cores"},
	        {"0.0001", 0, "is finer than a thousandth of a core"},
	        {"9223372036854775807", 0, "is too large"},
	        {"99999999999999999999", 0, "is too large"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t millis = -77;
		const char *wrong = value_cpu(cases[i].text, &millis);

		if (!!wrong != !!cases[i].wrong || (wrong && strcmp(wrong, cases[i].wrong) != 0) ||
		    millis != (wrong ? -77 : cases[i].millis))
			CHECK_FAIL("'%s': %s, %lld", cases[i].text, wrong ? wrong : "right", (long long)millis);
	}
}

static void values_of_parameters(void)
{
	static const struct {
		enum parameter_type type;
		const char *text, *json; /* NULL: wrong */
	} cases[] = {
	        {PARAMETER_VARCHAR, "", "\"\""},
	        {PARAMETER_VARCHAR, "a\"b\\\n", "\"a\\\"b\\\\\\n\""},
	        {PARAMETER_VARCHAR, "\xc3\xa4\xef\xbf\xbd", "\"\xc3\xa4\xef\xbf\xbd\""},
	        {PARAMETER_VARCHAR, "\xc3", NULL},
	        {PARAMETER_VARCHAR, "\xef\xbf\xbd\xff", NULL},
	        {PARAMETER_VARCHAR, "123456789", NULL},
	        {PARAMETER_VARCHAR, "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
	         "\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\""},
	        {PARAMETER_INTEGER, "007", "7"},
	        {PARAMETER_INTEGER, "-0", "0"},
	        {PARAMETER_INTEGER, "-9223372036854775807", "-9223372036854775807"},
	        {PARAMETER_INTEGER, "-9223372036854775808", "-9223372036854775808"},
	        {PARAMETER_INTEGER, "9223372036854775808", NULL},
	        {PARAMETER_INTEGER, "1.0", NULL},
	        {PARAMETER_INTEGER, " 1", NULL},
	        {PARAMETER_INTEGER, "1 OR 1=1", NULL},
	        {PARAMETER_INTEGER, "", NULL},
	        {PARAMETER_DOUBLE, "1e3", "1000"},
	        {PARAMETER_DOUBLE, "-0", "0"},
	        {PARAMETER_DOUBLE, ".5", "0.5"},
	        {PARAMETER_DOUBLE, "0.1", "0.10000000000000001"},
	        {PARAMETER_DOUBLE, "nan", NULL},
	        {PARAMETER_DOUBLE, "inf", NULL},
	        {PARAMETER_DOUBLE, "1e400", NULL},
	        {PARAMETER_DOUBLE, "0x1p3", NULL},
	        {PARAMETER_BOOLEAN, "true", "true"},
	        {PARAMETER_BOOLEAN, "True", NULL},
	        {PARAMETER_BOOLEAN, "1", NULL},
	        {PARAMETER_DATE, "2024-02-29", "\"2024-02-29\""},
	        {PARAMETER_DATE, "1900-02-29", NULL},
	        {PARAMETER_DATE, "2000-02-29", "\"2000-02-29\""},
	        {PARAMETER_DATE, "0000-01-01", NULL},
	        {PARAMETER_DATE, "2024-13-01", NULL},
	        {PARAMETER_DATE, "2024-04-31", NULL},
	        {PARAMETER_DATE, "2024-1-1", NULL},
	        {PARAMETER_DATE, "2024-01-01T", NULL},
	        {PARAMETER_TIMESTAMP, "2024-02-29T12:00:00Z", "\"2024-02-29T12:00:00.000000Z\""},
	        {PARAMETER_TIMESTAMP, "2024-02-29 12:00:00", "\"2024-02-29T12:00:00.000000Z\""},
	        {PARAMETER_TIMESTAMP, "2024-03-01t00:30:00.5+02:00", "\"2024-02-29T22:30:00.500000Z\""},
	        {PARAMETER_TIMESTAMP, "1969-12-31T23:59:59.999999z", "\"1969-12-31T23:59:59.999999Z\""},
	        {PARAMETER_TIMESTAMP, "1969-12-31T23:59:59.123456000-00:30", "\"1970-01-01T00:29:59.123456Z\""},
	        {PARAMETER_TIMESTAMP, "1969-12-31T23:59:59.1234567Z", NULL},
	        {PARAMETER_TIMESTAMP, "2024-02-29T24:00:00Z", NULL},
	        {PARAMETER_TIMESTAMP, "2024-02-29T12:00Z", NULL},
	        {PARAMETER_TIMESTAMP, "2024-02-29T12:00:00.Z", NULL},
	        {PARAMETER_TIMESTAMP, "2024-02-29T12:00:60Z", NULL},
	        {PARAMETER_TIMESTAMP, "2024-02-29T12:00:00Zx", NULL},
	        {PARAMETER_TIMESTAMP, "2024-02-29T12:00:00+2", NULL},
	        {PARAMETER_TIMESTAMP, "2024-02-29", NULL},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct spec_parameter p = {.name = "p", .type = cases[i].type, .max_length = 8};
		OWNED_BUFFER struct buffer json = {0};
		int rc;

		buffer_init(&json, 1000);
		rc = parameter_value(&p, cases[i].text, &json, &err);
		if (rc != (cases[i].json ? 0 : -1) || (!rc && strcmp(buffer_string(&json), cases[i].json) != 0))
			CHECK_FAIL("case %zu, '%s': %s", i, cases[i].text, rc ? err.message : buffer_string(&json));
	}
}

static void an_enum_compares_values(void)
{
	char *numbers[] = {"1", "07"};
	struct spec_parameter p = {.type = PARAMETER_INTEGER, .allowed = numbers, .allowed_count = 2, .max_length = 9};
	OWNED_BUFFER struct buffer json = {0};

	buffer_init(&json, 1000);
	CHECK(!parameter_value(&p, "7", &json, &err) && !parameter_value(&p, "01", NULL, &err));
	CHECK_TEXT(buffer_string(&json), "7");
	CHECK_INT(parameter_value(&p, "8", &json, &err), -1);
	CHECK_TEXT(err.message, "is not one of 1, 07");
	CHECK_TEXT(buffer_string(&json), "7");
}

static void json_scalars(void)
{
	static const char *const right[] = {"0",    "-0",   "12",    "1.5",         "-1e3",     "1E+03", "true",
	                                    "null", "\"\"", "\"-\"", "\"\\u00e4\"", "\"\\\"\"", "false"};
	static const char *const wrong[] = {
	        "",     "01", "+1",  "1.", ".5",     "-.5",     "1e",     "1e+",      "-",         "0x1", "NaN", "inf",
	        "True", "\"", "\"a", "a",  "\"\\\"", "\"\\x\"", "\"\n\"", "\"a\"b\"", "\"\\u00\"", "{}",  "[]",  "1 2"};

	for (size_t i = 0; i < COUNT_OF(right); i++)
		if (value_json_scalar(right[i]))
			CHECK_FAIL("%s: %s", right[i], value_json_scalar(right[i]));
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		if (!value_json_scalar(wrong[i]))
			CHECK_FAIL("%s is right", wrong[i]);
	CHECK_TEXT(value_json_scalar("1e999"), "is too large");
}

/* The names of $parameters, with ',' behind each; a place as its text in brackets. */
static const char *names_of(const char *sql)
{
	static char names[200];
	const char *at = sql, *piece;
	enum sql_piece kind;
	size_t size;

	names[0] = 0;
	while ((kind = sql_next(&at, &piece, &size)) != SQL_END)
		if (kind == SQL_PARAMETER || kind == SQL_PLACE)
			snprintf(names + strlen(names), sizeof names - strlen(names), "%s%.*s,",
			         kind == SQL_PLACE ? "#" : "", (int)size - 1, piece + 1);
	return names;
}

static void parameters_of_sql(void)
{
	CHECK_TEXT(names_of("SELECT $a, $B_1+$a"), "a,B_1,a,");
	CHECK_TEXT(names_of("SELECT '$a''$b', \"$c\"\"\", $d"), "d,");
	CHECK_TEXT(names_of("SELECT E'\\'$a', e'$b\\\\', $c"), "c,");
	CHECK_TEXT(names_of("SELECT '\\', $c"), "c,");
	CHECK_TEXT(names_of("-- $a\nSELECT 1--$b\n,$c/*$d /* $e */ $f*/,$g /* $h"), "c,g,");
	CHECK_TEXT(names_of("SELECT $$ $a $$, $t$ $$ $b $t$, $c"), "c,");
	CHECK_TEXT(names_of("SELECT $t$ $b"), "");
	CHECK_TEXT(names_of("SELECT a$b, $c"), "c,");
	CHECK_TEXT(names_of("SELECT ?, $1"), "#,#1,");
	CHECK_TEXT(names_of("SELECT $"), "");
	CHECK_TEXT(names_of("SELECT '$a"), "");
}

static void ends_of_statements(void)
{
	static const struct {
		const char *sql;
		size_t size;
	} cases[] = {
	        {"SELECT 1", 8},
	        {"SELECT 1;", 8},
	        {"SELECT 1 ; -- x", 8},
	        {"SELECT 1 /* ; */\n;;\n", 8},
	        {"SELECT ';' ;", 10},
	        {" -- ;\n", 0},
	        {"", 0},
	        {"SELECT 1; SELECT 2;", 18},
	        {"SELECT 1 -- x;\n+2", 17},
	        {"SELECT $$;$$; ", 12},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (sql_statement_size(cases[i].sql) != cases[i].size)
			CHECK_FAIL("'%s': %zu", cases[i].sql, sql_statement_size(cases[i].sql));
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(a_pool_has_defaults), TEST(a_pool_of_a_cluster_is_read), TEST(wrong_pools),
	                  TEST(an_endpoint_has_defaults), TEST(an_endpoint_is_read), TEST(wrong_paths),
	                  TEST(paths_that_clash), TEST(wrong_parameters), TEST(wrong_sql), TEST(wrong_answers),
	                  TEST(a_token_is_read), TEST(wrong_tokens), TEST(an_assistant_is_read), TEST(cpus),
	                  TEST(values_of_parameters), TEST(an_enum_compares_values), TEST(json_scalars),
	                  TEST(parameters_of_sql), TEST(ends_of_statements));
}
