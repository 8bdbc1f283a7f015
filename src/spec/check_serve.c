/*
 * check_serve.c - what must be true of pools and endpoints beyond their fields.
 *
 * Paths are compared part by part: of two that could be meant by one request the second is a mistake, except that a
 * part in words goes before a {NAME} (/subscribers/top beside /subscribers/{id}).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "spec/check_private.h"
#include "spec/parameter.h"
#include "spec/sql_text.h"
#include "spec/values.h"

/* ---- pools */

static int check_hot_tables(const struct checking *c, const struct document *document, const struct spec_pool *pool)
{
	for (int i = 0; i < pool->hot_table_count; i++) {
		const struct yaml_node *node = check_item(document, "spec.hotTables", i);
		const char *wrong = value_table(pool->hot_tables[i]);
		char quoted[QUOTED_SIZE];

		if (wrong)
			return mistake(c->reading, node->line, node->column, "spec.hotTables",
			               "%s %s; would be TABLE or SCHEMA.TABLE", quote_text(quoted, pool->hot_tables[i]),
			               wrong);
	}
	return 0;
}

static bool is_of_hot_table(const struct spec_pool *pool, const char *index, size_t table_size)
{
	for (int i = 0; i < pool->hot_table_count; i++)
		if (strlen(pool->hot_tables[i]) == table_size && !strncmp(pool->hot_tables[i], index, table_size))
			return true;
	return false;
}

static int check_hot_indexes(const struct checking *c, const struct document *document, const struct spec_pool *pool)
{
	for (int i = 0; i < pool->hot_index_count; i++) {
		const struct yaml_node *node = check_item(document, "spec.hotIndexes", i);
		const char *index = pool->hot_indexes[i], *point = strrchr(index, '.');
		const char *wrong = point ? value_identifier(point + 1) : "has no column";
		char quoted[QUOTED_SIZE];

		if (!wrong && !is_of_hot_table(pool, index, (size_t)(point - index)))
			wrong = "is of no table in spec.hotTables";
		if (wrong)
			return mistake(c->reading, node->line, node->column, "spec.hotIndexes",
			               "%s %s; would be one of these, a point and a column", quote_text(quoted, index),
			               wrong);
	}
	return 0;
}

int check_pool(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_pool *pool = &c->manifest->pools[document->index];
	const struct yaml_node *least = yaml_find(document->node, "spec.minSize");
	const struct yaml_node *most = yaml_find(document->node, "spec.maxSize");
	const struct yaml_node *share = check_place(document, "spec.targetUtilization");
	double target = strtod(pool->target_utilization, NULL);
	char quoted[QUOTED_SIZE];

	if (check_catalog(c, document, "spec.catalogRef.name", &pool->catalog_ref, &pool->catalog))
		return -1;
	if (pool->min_size > pool->max_size && !most)
		return mistake(c->reading, least->line, least->column, "spec.minSize",
		               "%d is above spec.maxSize, which is %d; would be at most that", pool->min_size,
		               pool->max_size);
	if (pool->min_size > pool->max_size)
		return mistake(c->reading, most->line, most->column, "spec.maxSize",
		               "%d is below spec.minSize, %d; would be at least that", pool->max_size, pool->min_size);
	if (!(target > 0 && target <= 1))
		return mistake(c->reading, share->line, share->column, "spec.targetUtilization",
		               "%s is not above 0 and at most 1; would be a share such as 0.8",
		               quote_text(quoted, pool->target_utilization));
	return check_hot_tables(c, document, pool) || check_hot_indexes(c, document, pool) ? -1 : 0;
}

/* ---- endpoints: parameters */

/* The field of parameter `index`, or what is nearest to it. */
static int wrong_parameter(const struct checking *c, const struct document *document, int index, const char *field,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));
static int wrong_parameter(const struct checking *c, const struct document *document, int index, const char *field,
                           const char *format, ...)
{
	const struct yaml_node *node = yaml_find_nearest(check_item(document, "spec.parameters", index), field);
	char path[64], what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	snprintf(path, sizeof path, "spec.parameters.[].%s", field);
	return mistake(c->reading, node->line, node->column, path, "%s", what);
}

static bool is_number(const struct spec_parameter *p)
{
	return p->type == PARAMETER_INTEGER || p->type == PARAMETER_DOUBLE;
}

/* minimum and maximum: of numbers, whole ones of integers, in their order. */
static int check_bound(const struct checking *c, const struct document *document, int index,
                       const struct spec_parameter *p, const char *field, const char *bound)
{
	int64_t n;

	if (!bound)
		return 0;
	if (!is_number(p))
		return wrong_parameter(c, document, index, field, "is of type integer and double only; remove it");
	if (p->type == PARAMETER_INTEGER && value_integer(bound, &n))
		return wrong_parameter(c, document, index, field, "is no whole number; would be one, as the type is");
	if (p->minimum && p->maximum && strtod(p->minimum, NULL) > strtod(p->maximum, NULL))
		return wrong_parameter(c, document, index, field,
		                       "%s is not between minimum and maximum; would be the other way round", bound);
	return 0;
}

static int check_values(const struct checking *c, const struct document *document, int index,
                        const struct spec_parameter *p)
{
	struct spec_parameter bounds = *p;
	char quoted[QUOTED_SIZE];
	struct error err = {0};

	bounds.allowed_count = 0;
	for (int i = 0; i < p->allowed_count; i++)
		if (parameter_value(&bounds, p->allowed[i], NULL, &err))
			return wrong_parameter(c, document, index, "enum", "%s %s", quote_text(quoted, p->allowed[i]),
			                       err.message);
	if (!p->fallback)
		return 0;
	if (p->required)
		return wrong_parameter(c, document, index, "default",
		                       "stands beside required: true and would never be used; would be one of the two");
	if (parameter_value(p, p->fallback, NULL, &err))
		return wrong_parameter(c, document, index, "default", "%s %s", quote_text(quoted, p->fallback),
		                       err.message);
	return 0;
}

/* DuckDB's names of parameters are the same whatever their case. */
static struct spec_parameter *find_parameter(struct spec_endpoint *endpoint, const char *name, size_t size)
{
	for (int i = 0; i < endpoint->parameter_count; i++)
		if (strlen(endpoint->parameters[i].name) == size &&
		    !strncasecmp(endpoint->parameters[i].name, name, size))
			return &endpoint->parameters[i];
	return NULL;
}

static int check_parameters(const struct checking *c, const struct document *document, struct spec_endpoint *endpoint)
{
	for (int i = 0; i < endpoint->parameter_count; i++) {
		const struct spec_parameter *p = &endpoint->parameters[i], *first;

		first = find_parameter(endpoint, p->name, strlen(p->name));
		if (first != p)
			return wrong_parameter(c, document, i, "name",
			                       "'%s' is declared at line %d already; would be "
			                       "another name",
			                       p->name, first->line);
		if (!strcasecmp(p->name, "cursor") && endpoint->page_size)
			return wrong_parameter(c, document, i, "name",
			                       "'%s' is what names the next page; would be another name", p->name);
		if (!strncasecmp(p->name, "tarn_", 5))
			return wrong_parameter(c, document, i, "name",
			                       "'%s' begins as Tarn's own do; would be another name", p->name);
		if (check_bound(c, document, i, p, "minimum", p->minimum) ||
		    check_bound(c, document, i, p, "maximum", p->maximum) || check_values(c, document, i, p))
			return -1;
	}
	return 0;
}

/* The parts of the path that are parameters. */
static int mark_path(const struct checking *c, const struct document *document, struct spec_endpoint *endpoint)
{
	const struct yaml_node *node = check_place(document, "spec.path");

	for (const char *at = endpoint->path; (at = strchr(at, '{')); at++) {
		size_t size = strcspn(at + 1, "}");
		struct spec_parameter *p = find_parameter(endpoint, at + 1, size);

		if (!p || strncmp(p->name, at + 1, size) != 0)
			return mistake(c->reading, node->line, node->column, "spec.path",
			               "{%.*s} is not one of spec.parameters; would be declared there", (int)size,
			               at + 1);
		if (p->in_path || p->fallback)
			return mistake(c->reading, node->line, node->column, "spec.path", "{%s} %s", p->name,
			               p->in_path ? "stands there twice; would be once"
			                          : "has a default, and a part of the path is always given; would be "
			                            "without one");
		p->in_path = p->required = true;
	}
	return 0;
}

/* ---- endpoints: SQL */

static int wrong_sql(const struct checking *c, const struct document *document, const struct spec_endpoint *endpoint,
                     const char *at, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Where it stands in a text of several lines, its line; the column is the text's. */
static int wrong_sql(const struct checking *c, const struct document *document, const struct spec_endpoint *endpoint,
                     const char *at, const char *format, ...)
{
	const struct yaml_node *node = check_place(document, "spec.sql");
	int line = endpoint->sql_line;
	char what[256];
	va_list args;

	for (const char *before = endpoint->sql; before < at; before++)
		line += *before == '\n';
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return mistake(c->reading, line, node->block ? 1 : node->column, "spec.sql", "%s", what);
}

/* Each $NAME is declared, and each parameter used, but for the size of pages, which Tarn's own LIMIT has. */
static int check_sql(const struct checking *c, const struct document *document, struct spec_endpoint *endpoint)
{
	const char *at = endpoint->sql, *piece;
	enum sql_piece kind;
	size_t size;

	while ((kind = sql_next(&at, &piece, &size)) != SQL_END) {
		struct spec_parameter *p = NULL;

		if (kind == SQL_PLACE)
			return wrong_sql(c, document, endpoint, piece,
			                 "has %.*s, a parameter without a name; would be $NAME", (int)size, piece);
		if (kind != SQL_PARAMETER)
			continue;
		p = find_parameter(endpoint, piece + 1, size - 1);
		if (!p)
			return wrong_sql(c, document, endpoint, piece,
			                 "has %.*s, which is not one of spec.parameters; would be declared there",
			                 (int)size, piece);
		p->in_sql = true;
	}
	for (int i = 0; i < endpoint->parameter_count; i++) {
		const struct spec_parameter *p = &endpoint->parameters[i];
		bool is_size = endpoint->page_size && !strcmp(endpoint->page_size, p->name);

		if (!p->in_sql && !is_size)
			return wrong_parameter(c, document, i, "name",
			                       "'%s' is not in spec.sql; would be used there as $%s", p->name, p->name);
		if (p->in_sql && is_size)
			return wrong_parameter(c, document, i, "name",
			                       "'%s' is the size of pages, and spec.sql has it, "
			                       "too; would be a SELECT of all rows",
			                       p->name);
	}
	return 0;
}

/* ---- endpoints: paths */

enum meant { NEVER, BY_BOTH, BY_ONE_FIRST };

static size_t part_size(const char *part)
{
	return strcspn(part + 1, "/");
}

/* Could one request mean both paths? BY_ONE_FIRST: where they part, one has words and the other a parameter. */
static enum meant compare_paths(const char *a, const char *b)
{
	enum meant meant = BY_BOTH;

	while (*a && *b) {
		size_t size = part_size(a), other = part_size(b);
		bool parameter = a[1] == '{', others = b[1] == '{';

		if (!parameter && !others && (size != other || memcmp(a, b, size + 1)))
			return NEVER;
		if (parameter != others)
			meant = BY_ONE_FIRST;
		a += size + 1;
		b += other + 1;
	}
	return *a || *b ? NEVER : meant;
}

static int check_path(const struct checking *c, int at, const struct spec_endpoint *endpoint)
{
	static const char *const kept[] = {"/query",  "/sql",          "/metrics", "/healthz",
	                                   "/readyz", "/openapi.json", "/docs",    "/console"};
	const struct yaml_node *node = check_place(&c->documents[at], "spec.path");
	size_t first = part_size(endpoint->path) + 1;

	for (size_t i = 0; i < COUNT_OF(kept); i++)
		if (strlen(kept[i]) == first && !memcmp(kept[i], endpoint->path, first))
			return mistake(
			        c->reading, node->line, node->column, "spec.path",
			        "begins with %s, which is Tarn's own; would be another path, such as /api/v1/...",
			        kept[i]);
	for (int i = 0; i < at; i++) {
		const struct spec_endpoint *other = &c->manifest->endpoints[c->documents[i].index];

		if (c->documents[i].kind == KIND_ENDPOINT && compare_paths(other->path, endpoint->path) == BY_BOTH)
			return mistake(c->reading, node->line, node->column, "spec.path",
			               "is that of endpoint '%s' at line %d already; would be another path",
			               other->name, check_place(&c->documents[i], "spec.path")->line);
	}
	return 0;
}

/* ---- endpoints: what stands for NULL, and pages */

static int check_null_as(const struct checking *c, const struct document *document,
                         const struct spec_endpoint *endpoint)
{
	for (int i = 0; i < endpoint->null_as_count; i++) {
		const struct yaml_node *node = check_item(document, "spec.nullAs", i);
		const char *wrong = value_json_scalar(endpoint->null_as[i].value);
		char quoted[QUOTED_SIZE], path[YAML_PATH_SIZE];

		if (wrong)
			return mistake(c->reading, node->line, node->column, yaml_path(node, path),
			               "%s %s; would be a number, true, false, null, or a text as '\"-\"'",
			               quote_text(quoted, endpoint->null_as[i].value), wrong);
	}
	return 0;
}

static int check_page_key(const struct checking *c, const struct document *document,
                          const struct spec_endpoint *endpoint)
{
	for (int i = 0; i < endpoint->page_key_count; i++) {
		const struct yaml_node *node = check_item(document, "spec.page.key", i);
		const char *wrong = value_identifier(endpoint->page_key[i]);
		char quoted[QUOTED_SIZE];

		for (int k = 0; k < i && !wrong; k++)
			if (!strcasecmp(endpoint->page_key[k], endpoint->page_key[i]))
				wrong = "stands there twice";
		if (wrong)
			return mistake(c->reading, node->line, node->column, "spec.page.key",
			               "%s %s; would be columns of the SELECT, each once",
			               quote_text(quoted, endpoint->page_key[i]), wrong);
	}
	return 0;
}

static int check_page(const struct checking *c, const struct document *document, struct spec_endpoint *endpoint)
{
	const struct yaml_node *page = yaml_find(document->node, "spec.page"), *node;
	const struct spec_parameter *size;

	if (!page)
		return 0;
	if (!endpoint->page_key_count) {
		node = check_place(document, "spec.page.key");
		return mistake(c->reading, node->line, node->column, "spec.page.key",
		               "has no column; would be the columns that name a row");
	}
	node = check_place(document, "spec.page.size");
	size = find_parameter(endpoint, endpoint->page_size, strlen(endpoint->page_size));
	if (!size || strcmp(size->name, endpoint->page_size) != 0 || size->type != PARAMETER_INTEGER || size->in_path ||
	    !size->fallback || !size->maximum || !size->minimum || atoll(size->minimum) < 1)
		return mistake(c->reading, node->line, node->column, "spec.page.size",
		               "'%s' is not one of spec.parameters of type integer with default, minimum (1 or more) "
		               "and maximum; would be declared there so",
		               endpoint->page_size);
	if (endpoint->result == RESULT_OBJECT)
		return mistake(c->reading, page->key_line, page->key_column, "spec.page",
		               "stands beside spec.result: object, which is one row; would be one of the two");
	if (endpoint->format == ANSWER_ARROW || endpoint->format == ANSWER_PARQUET) {
		node = check_place(document, "spec.format");
		return mistake(c->reading, node->line, node->column, "spec.format",
		               "has no pages; would be json, ndjson or csv, or be without spec.page");
	}
	return check_page_key(c, document, endpoint);
}

/* One row as an object is JSON. */
static int check_form(const struct checking *c, const struct document *document, const struct spec_endpoint *endpoint)
{
	const struct yaml_node *node = check_place(document, "spec.format");

	if (endpoint->result != RESULT_OBJECT || endpoint->format == ANSWER_JSON)
		return 0;
	return mistake(c->reading, node->line, node->column, "spec.format",
	               "stands beside spec.result: object, which is JSON; would be json");
}

int check_endpoint(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_endpoint *endpoint = &c->manifest->endpoints[document->index];

	if (check_catalog(c, document, "spec.catalogRef", &endpoint->catalog_ref, &endpoint->catalog) ||
	    check_path(c, at, endpoint) || check_parameters(c, document, endpoint) ||
	    mark_path(c, document, endpoint) || check_null_as(c, document, endpoint) ||
	    check_form(c, document, endpoint))
		return -1;
	return check_page(c, document, endpoint) || check_sql(c, document, endpoint) ? -1 : 0;
}

/* ---- tokens and assistants */

int check_token(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_token *token = &c->manifest->tokens[document->index];
	const struct yaml_node *node = check_place(document, "spec.sha256");

	for (char *digit = token->sha256; *digit; digit++)
		if (*digit >= 'A' && *digit <= 'F')
			*digit += 'a' - 'A';
	if (strlen(token->sha256) != 64 || strspn(token->sha256, "0123456789abcdef") != 64)
		return mistake(c->reading, node->line, node->column, "spec.sha256",
		               "is not the SHA-256 of a token; would be 64 hexadecimal digits, as `tarn token` prints");
	for (int i = 0; i < at; i++) {
		const struct spec_token *other = &c->manifest->tokens[c->documents[i].index];

		if (c->documents[i].kind == KIND_TOKEN && !strcmp(other->sha256, token->sha256))
			return mistake(c->reading, node->line, node->column, "spec.sha256",
			               "is that of token '%s' already; would be a token of its own", other->name);
	}
	return 0;
}

int check_assistant(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_assistant *mine = &c->manifest->assistants[document->index];
	const struct yaml_node *node = check_place(document, "spec.baseUrl");
	const struct yaml_node *catalog = check_place(document, "spec.catalogRef");

	if (check_catalog(c, document, "spec.catalogRef", &mine->catalog_ref, &mine->catalog))
		return -1;
	if (mine->provider == PROVIDER_OPENAI && !mine->base_url)
		return mistake(c->reading, node->key_line, node->key_column, "spec.baseUrl",
		               "is missing; would be where the server answers, such as http://127.0.0.1:8080");
	for (int i = 0; i < at; i++) {
		const struct spec_assistant *other = &c->manifest->assistants[c->documents[i].index];

		if (c->documents[i].kind == KIND_ASSISTANT && other->catalog == mine->catalog)
			return mistake(c->reading, catalog->line, catalog->column, "spec.catalogRef",
			               "is the catalog of assistant '%s' already; would be one a catalog", other->name);
	}
	return 0;
}
