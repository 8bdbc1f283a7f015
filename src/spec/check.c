#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "spec/check_private.h"
#include "spec/values.h"

const struct yaml_node *check_place(const struct document *document, const char *path)
{
	return yaml_find_nearest(document->node, path);
}

struct yaml_node *check_item(const struct document *document, const char *list, int index)
{
	struct yaml_node *node = yaml_find(document->node, list);

	for (node = node ? node->first : NULL; node && index > 0; index--)
		node = node->next;
	return node ? node : document->node;
}

static bool same_text(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static int line_of(const struct document *document, const char *path)
{
	return check_place(document, path)->line;
}

static const char *name_of(const struct checking *c, const struct document *document)
{
	char *item = document_item(c->manifest, document->kind, document->index);

	return *(char **)(void *)(item + spec_kinds[document->kind].name_target);
}

static int check_names(const struct checking *c, int at)
{
	const struct document *mine = &c->documents[at];
	const struct yaml_node *node = check_place(mine, "metadata.name");
	char quoted[QUOTED_SIZE];

	for (int i = 0; i < at; i++) {
		const struct document *other = &c->documents[i];

		if (other->kind == mine->kind && same_text(name_of(c, other), name_of(c, mine)))
			return mistake(c->reading, node->line, node->column, "metadata.name",
			               "%s is the name of the %s at line %d already; would be another name",
			               quote_text(quoted, name_of(c, mine)), spec_kinds[mine->kind].name,
			               line_of(other, "metadata.name"));
	}
	return 0;
}

/* The data path of a lake in a bucket. */
static int fill_data_path(const struct checking *c, struct spec_catalog *catalog)
{
	const char *prefix = catalog->store.prefix;

	if (!catalog->store.bucket)
		return 0;
	if (asprintf(&catalog->data_path, "s3://%s/%s%s", catalog->store.bucket, prefix ? prefix : "",
	             prefix ? "/" : "") < 0) {
		catalog->data_path = NULL;
		return error_no_memory(c->reading->err);
	}
	return 0;
}

/*
 * Two lakes in one place would take each other's files for waste. Connections to PostgreSQL are not compared: what
 * they lead to is not in their text.
 */
static int check_places(const struct checking *c, int at)
{
	const struct spec_catalog *mine = &c->manifest->catalogs[c->documents[at].index];

	for (int i = 0; i < at; i++) {
		const struct spec_catalog *other;
		const struct yaml_node *node;
		const char *path = NULL;

		if (c->documents[i].kind != KIND_CATALOG)
			continue;
		other = &c->manifest->catalogs[c->documents[i].index];
		if (same_text(other->data_path, mine->data_path))
			path = mine->store.bucket ? "spec.objectStore" : "spec.dataPath";
		if (same_text(other->backend.path, mine->backend.path))
			path = "spec.backend.path";
		if (!path)
			continue;
		node = check_place(&c->documents[at], path);
		return mistake(c->reading, node->line, node->column, path,
		               "is that of catalog '%s' at line %d already; would be a place of its own", other->name,
		               line_of(&c->documents[i], path));
	}
	return 0;
}

static void append_catalogs(struct buffer *out, const struct manifest *manifest)
{
	for (int i = 0; i < manifest->catalog_count; i++)
		buffer_printf(out, "%s%s", i ? ", " : "", manifest->catalogs[i].name);
}

static int no_catalog(const struct checking *c, const struct document *document, const char *path,
                      const char *reference)
{
	const struct yaml_node *node = check_place(document, path);
	OWNED_BUFFER struct buffer names = {0};
	char quoted[QUOTED_SIZE] = "";
	int line = reference ? node->line : node->key_line, column = reference ? node->column : node->key_column;

	buffer_init(&names, 1 << 20);
	append_catalogs(&names, c->manifest);
	if (reference)
		quote_text(quoted, reference);
	if (!c->manifest->catalog_count)
		return mistake(c->reading, line, column, path,
		               "%s%s; would be a DuckLakeCatalog, of which the file has none: add one", quoted,
		               reference ? " is not in this file" : "is missing");
	if (reference)
		return mistake(c->reading, line, column, path,
		               "%s is not a DuckLakeCatalog of this file; would be one of %.200s", quoted,
		               buffer_string(&names));
	return mistake(c->reading, line, column, path,
	               "is missing, and the file has several catalogs; would be one of %.200s", buffer_string(&names));
}

int check_catalog(const struct checking *c, const struct document *document, const char *path, char **reference,
                  struct spec_catalog **ret_catalog)
{
	struct manifest *manifest = c->manifest;

	for (int i = 0; i < manifest->catalog_count && *reference; i++)
		if (same_text(manifest->catalogs[i].name, *reference))
			*ret_catalog = &manifest->catalogs[i];
	if (!*reference && manifest->catalog_count == 1) {
		*ret_catalog = &manifest->catalogs[0];
		*reference = strdup((*ret_catalog)->name);
		if (!*reference)
			return error_no_memory(c->reading->err);
	}
	return *ret_catalog ? 0 : no_catalog(c, document, path, *reference);
}

/* "SCHEMA.TABLE" in table into both. */
static int split_table(const struct checking *c, struct spec_stream *stream)
{
	char *point = strchr(stream->table, '.');

	stream->schema = point ? strndup(stream->table, (size_t)(point - stream->table)) : strdup("main");
	if (!stream->schema)
		return error_no_memory(c->reading->err);
	if (point)
		memmove(stream->table, point + 1, strlen(point + 1) + 1);
	return 0;
}

/* Names in SQL are the same whatever their case. */
static bool same_table(const struct spec_stream *a, const struct spec_stream *b)
{
	return a->catalog == b->catalog && !strcasecmp(a->schema, b->schema) && !strcasecmp(a->table, b->table);
}

static int topic_mistake(const struct checking *c, int at, int other, const char *path, const char *what)
{
	const struct yaml_node *node = check_place(&c->documents[at], path);

	return mistake(c->reading, node->line, node->column, path,
	               "is the %s of stream '%s' at line %d for the same topic already; would be another %s", what,
	               name_of(c, &c->documents[other]), line_of(&c->documents[other], "metadata.name"), what);
}

/* Two streams of the same files into one table: each row twice. */
static int check_files(const struct checking *c, int at, int other)
{
	const struct spec_stream *mine = &c->manifest->streams[c->documents[at].index];
	const struct spec_stream *theirs = &c->manifest->streams[c->documents[other].index];
	const struct yaml_node *node = check_place(&c->documents[at], "spec.table");

	if (!same_text(mine->source.files, theirs->source.files) || !same_table(mine, theirs))
		return 0;
	return mistake(c->reading, node->line, node->column, "spec.table",
	               "is the table of stream '%s' at line %d for the same files already; would be another table",
	               theirs->name, line_of(&c->documents[other], "metadata.name"));
}

/* Two streams of one topic: not into one table (each row twice), not in one group (each gets a part of the rows). */
static int check_topics(const struct checking *c, int at)
{
	const struct spec_stream *mine = &c->manifest->streams[c->documents[at].index];

	for (int i = 0; i < at; i++) {
		const struct spec_stream *other;

		if (c->documents[i].kind != KIND_STREAM)
			continue;
		other = &c->manifest->streams[c->documents[i].index];
		if (check_files(c, at, i))
			return -1;
		if (!same_text(mine->kafka.topic, other->kafka.topic) ||
		    !same_text(mine->kafka.brokers, other->kafka.brokers))
			continue;
		if (same_table(mine, other))
			return topic_mistake(c, at, i, "spec.table", "table");
		if (same_text(mine->kafka.group, other->kafka.group))
			return topic_mistake(c, at, i, "spec.kafka.group", "group");
	}
	return 0;
}

/* A column's value stands under the column's name, unless it is said where. */
static int fill_pointers(const struct checking *c, struct spec_stream *stream)
{
	for (int i = 0; i < stream->json.column_count; i++) {
		struct spec_column *column = &stream->json.columns[i];

		if (!column->pointer && asprintf(&column->pointer, "/%s", column->name) < 0) {
			column->pointer = NULL;
			return error_no_memory(c->reading->err);
		}
	}
	return 0;
}

/* The node that names column `at`: the declared ones, then those kept. NULL: there is no such column. */
static struct yaml_node *column_node(const struct document *document, int at)
{
	static const char *const kept[] = {"raw", "score", "reasons", "ingestedAt"};
	struct yaml_node *columns = yaml_find(document->node, "spec.json.columns"),
	                 *keep = yaml_find(document->node, "spec.json.keep");
	struct yaml_node *node = columns ? columns->first : NULL;

	for (; node; node = node->next)
		if (at-- == 0)
			return yaml_find(node, "name");
	for (size_t i = 0; keep && i < COUNT_OF(kept); i++) {
		node = yaml_find(keep, kept[i]);
		if (node && at-- == 0)
			return node;
	}
	return NULL;
}

/* Names in SQL are the same whatever their case. */
static int check_columns(const struct checking *c, const struct document *document)
{
	const struct yaml_node *mine, *other;

	for (int i = 0; (mine = column_node(document, i)); i++) {
		for (int k = 0; k < i; k++) {
			char quoted[QUOTED_SIZE], path[YAML_PATH_SIZE];

			other = column_node(document, k);
			if (strcasecmp(mine->text, other->text) != 0)
				continue;
			return mistake(c->reading, mine->line, mine->column, yaml_path(mine, path),
			               "%s is the name of the column at line %d already; would be another name",
			               quote_text(quoted, mine->text), other->line);
		}
	}
	return 0;
}

static bool is_one_of(const char *type, const char *const *types)
{
	size_t size = strcspn(type, "("); /* decimal(10,2) */

	for (; *types; types++)
		if (strlen(*types) == size && !strncmp(*types, type, size))
			return true;
	return false;
}

/* A rule that compares no value of such a column: it would be kept by all. */
static int wrong_rule(const struct checking *c, const struct yaml_node *node, const struct spec_column *column,
                      const char *what, const char *types)
{
	char path[YAML_PATH_SIZE];

	return mistake(c->reading, node->key_line, node->key_column, yaml_path(node, path),
	               "is for %s, and column %s is %s; remove it, or choose one of %s", what, column->name,
	               column->type, types);
}

static int check_allowed(const struct checking *c, const struct yaml_node *node, const struct spec_column *column)
{
	bool narrow = same_text(column->type, "integer");
	const struct yaml_node *item = node->first;
	char quoted[QUOTED_SIZE], path[YAML_PATH_SIZE];
	int64_t n;

	for (int i = 0; i < column->allowed_count && item; i++, item = item->next)
		if (value_integer(column->allowed[i], &n) || (narrow && (n < INT32_MIN || n > INT32_MAX)))
			return mistake(c->reading, item->line, item->column, yaml_path(item, path),
			               "%s is no value of column %s, which is %s; would be a whole number of "
			               "%d bits",
			               quote_text(quoted, column->allowed[i]), column->name, column->type,
			               narrow ? 32 : 64);
	return 0;
}

/* It multiplies points, which are taken away: below 0 a broken rule would earn some. */
static int check_weight(const struct checking *c, const struct yaml_node *node, const struct spec_column *column)
{
	char quoted[QUOTED_SIZE], path[YAML_PATH_SIZE];

	if (strtod(column->weight, NULL) >= 0)
		return 0;
	return mistake(c->reading, node->line, node->column, yaml_path(node, path),
	               "%s is below 0; would be 0 or more, for a broken rule costs points",
	               quote_text(quoted, column->weight));
}

/* Rules fit their columns' types. */
static int check_rules(const struct checking *c, const struct document *document, const struct spec_stream *stream)
{
	static const char *const numbers[] = {"integer", "bigint", "double", "decimal", "epoch_s", "epoch_ms", NULL};
	static const char *const whole[] = {"integer", "bigint", NULL};

	for (int i = 0; i < stream->json.column_count; i++) {
		const struct spec_column *column = &stream->json.columns[i];
		struct yaml_node *item = check_item(document, "spec.json.columns", i);
		const struct yaml_node *bound = yaml_find(item, column->minimum ? "minimum" : "maximum");
		const struct yaml_node *allowed = yaml_find(item, "enum");

		if ((column->minimum || column->maximum) && !is_one_of(column->type, numbers))
			return wrong_rule(c, bound, column, "numbers",
			                  "integer, bigint, double, decimal, epoch_s and epoch_ms");
		if (check_weight(c, yaml_find(item, "weight"), column))
			return -1;
		if (!column->allowed_count || same_text(column->type, "varchar"))
			continue;
		if (!is_one_of(column->type, whole))
			return wrong_rule(c, allowed, column, "texts and whole numbers", "varchar, integer and bigint");
		if (check_allowed(c, allowed, column))
			return -1;
	}
	return 0;
}

/* A table has a column, declared or kept. */
static int check_stored(const struct checking *c, const struct document *document, const struct spec_stream *stream)
{
	const struct yaml_node *node = check_place(document, "spec.json.columns");
	bool any = !stream->json.column_count || stream->json.raw || stream->json.score || stream->json.reasons ||
	           stream->json.ingested_at;

	for (int i = 0; i < stream->json.column_count; i++)
		any |= stream->json.columns[i].stored;
	if (any)
		return 0;
	return mistake(c->reading, node->key_line, node->key_column, "spec.json.columns",
	               "stores none of its columns, and spec.json.keep has none; would be one column at least without "
	               "stored: false");
}

/* Kafka carries no Parquet. */
static int check_format(const struct checking *c, const struct document *document, const struct spec_stream *stream)
{
	const struct yaml_node *node = check_place(document, "spec.format");

	if (stream->format != FORMAT_PARQUET || stream->source.files)
		return 0;
	return mistake(c->reading, node->line, node->column, "spec.format",
	               "'parquet' is a format of files; would be arrow or json, or choose spec.source");
}

static int check_stream(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_stream *stream = &c->manifest->streams[document->index];

	stream->source.folder = c->manifest->folder;

	if (check_catalog(c, document, "spec.catalogRef", &stream->catalog_ref, &stream->catalog) ||
	    split_table(c, stream))
		return -1;
	if (check_format(c, document, stream) || fill_pointers(c, stream) || check_columns(c, document) ||
	    check_rules(c, document, stream) || check_stored(c, document, stream))
		return -1;
	return check_topics(c, at);
}

/* A number of [0, 1], as far as it is meant to be a share. */
static int check_share(const struct checking *c, const struct document *document, const char *path, const char *text)
{
	const struct yaml_node *node = check_place(document, path);
	double value = text ? strtod(text, NULL) : 0.5;

	if (value > 0 && value < 1)
		return 0;
	return mistake(c->reading, node->line, node->column, path,
	               "is not between 0 and 1; would be a share such as 0.2");
}

/* The schema of "TABLE" or "SCHEMA.TABLE"; ret_table: what stands behind it. */
static bool is_in_schema(const char *scores, const char *schema, const char **ret_table)
{
	const char *point = strchr(scores, '.');
	size_t size = point ? (size_t)(point - scores) : 0;

	*ret_table = point ? point + 1 : scores;
	return point ? strlen(schema) == size && !strncasecmp(scores, schema, size) : !strcasecmp(schema, "main");
}

/* The table of scores is written anew: it must not be one that has other rows. A stream may stand behind the pipeline
 * in the file. */
static int check_scores(const struct checking *c, int at)
{
	const struct spec_pipeline *pipeline = &c->manifest->pipelines[c->documents[at].index];
	const struct yaml_node *node = check_place(&c->documents[at], "spec.model.scores");
	const char *scores = pipeline->model.scores, *table;

	if (!scores)
		return 0;
	if (is_in_schema(scores, "tarn", &table) || is_in_schema(scores, "tarn_layers", &table))
		return mistake(c->reading, node->line, node->column, "spec.model.scores",
		               "is in a schema that Tarn keeps for itself; would be a table of another schema");
	for (int i = 0; i < c->count; i++) {
		const struct spec_stream *stream;

		if (c->documents[i].kind != KIND_STREAM)
			continue;
		stream = &c->manifest->streams[c->documents[i].index];
		if (stream->catalog == pipeline->catalog && is_in_schema(scores, stream->schema, &table) &&
		    !strcasecmp(stream->table, table))
			return mistake(c->reading, node->line, node->column, "spec.model.scores",
			               "is the table of stream '%s' at line %d already; would be another table",
			               stream->name, line_of(&c->documents[i], "metadata.name"));
	}
	return 0;
}

static int check_pipeline(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_pipeline *pipeline = &c->manifest->pipelines[document->index];
	const struct yaml_node *schedule = check_place(document, "spec.refresh.schedule");

	if (check_catalog(c, document, "spec.catalogRef", &pipeline->catalog_ref, &pipeline->catalog))
		return -1;
	if (pipeline->refresh.schedule && pipeline->refresh.every_ms)
		return mistake(c->reading, schedule->key_line, schedule->key_column, "spec.refresh.schedule",
		               "stands beside spec.refresh.every; would be one of the two");
	if (check_share(c, document, "spec.model.split.test", pipeline->model.split_test) ||
	    check_share(c, document, "spec.model.learningRate", pipeline->model.learning_rate))
		return -1;
	return 0;
}

int check_manifest(const struct reading *reading, struct manifest *manifest, const struct document *documents,
                   int count)
{
	struct checking c = {.reading = reading, .manifest = manifest, .documents = documents, .count = count};

	for (int i = 0; i < count; i++) {
		if (check_names(&c, i))
			return -1;
		if (documents[i].kind == KIND_CATALOG &&
		    (fill_data_path(&c, &manifest->catalogs[documents[i].index]) || check_places(&c, i)))
			return -1;
		if (documents[i].kind == KIND_STREAM && check_stream(&c, i))
			return -1;
		if (documents[i].kind == KIND_PIPELINE && check_pipeline(&c, i))
			return -1;
		if (documents[i].kind == KIND_POOL && check_pool(&c, i))
			return -1;
		if (documents[i].kind == KIND_ENDPOINT && check_endpoint(&c, i))
			return -1;
		if (documents[i].kind == KIND_TOKEN && check_token(&c, i))
			return -1;
		if (documents[i].kind == KIND_ASSISTANT && check_assistant(&c, i))
			return -1;
	}
	for (int i = 0; i < count; i++)
		if (documents[i].kind == KIND_PIPELINE && check_scores(&c, i))
			return -1;
	return 0;
}
