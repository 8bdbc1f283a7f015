/*
 * check_serve.c - what must be true of pools and endpoints beyond their fields.
 *
 * Paths are compared part by part: of two that could be meant by one request the second is a mistake, except that a
 * part in words goes before a {NAME} (/subscribers/top beside /subscribers/{id}).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "spec/check_private.h"
#include "spec/values.h"

/* ---- pools */

static int check_hot_tables(const struct checking *c, const struct document *document, const struct spec_pool *pool)
{
	const struct yaml_node *node = check_place(document, "spec.hotTables");

	for (int i = 0; i < pool->hot_table_count; i++) {
		const char *wrong = value_table(pool->hot_tables[i]);
		char quoted[QUOTED_SIZE];

		if (wrong)
			return mistake(c->reading, node->line, node->column, "spec.hotTables",
			               "%s %s; would be TABLE or SCHEMA.TABLE", quote_text(quoted, pool->hot_tables[i]),
			               wrong);
	}
	return 0;
}

int check_pool(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_pool *pool = &c->manifest->pools[document->index];
	const struct yaml_node *size = check_place(document, "spec.maxSize");
	const struct yaml_node *share = check_place(document, "spec.targetUtilization");
	double target = strtod(pool->target_utilization, NULL);

	if (check_catalog(c, document, "spec.catalogRef.name", &pool->catalog_ref, &pool->catalog))
		return -1;
	if (pool->min_size > pool->max_size)
		return mistake(c->reading, size->line, size->column, "spec.maxSize",
		               "%d is below spec.minSize, %d; would be at least that", pool->max_size, pool->min_size);
	if (!(target > 0 && target <= 1))
		return mistake(c->reading, share->line, share->column, "spec.targetUtilization",
		               "is not above 0 and at most 1; would be a share such as 0.8");
	return check_hot_tables(c, document, pool);
}

/* ---- endpoints: parameters */

static const char *two_digits(const char *text, int least, int most)
{
	int n;

	if (!strchr("0123456789", text[0]) || !text[0] || !strchr("0123456789", text[1]) || !text[1])
		return "is not a date";
	n = (text[0] - '0') * 10 + text[1] - '0';
	return n < least || n > most ? "is not a date" : NULL;
}

/* YYYY-MM-DD at the beginning; whether the month has that day is DuckDB's to say. */
static const char *check_date(const char *text)
{
	if (strlen(text) < 10 || text[4] != '-' || text[7] != '-' || two_digits(text, 0, 99) ||
	    two_digits(text + 2, 0, 99) || two_digits(text + 5, 1, 12) || two_digits(text + 8, 1, 31))
		return "is not a date";
	return NULL;
}

/* What is wrong with a text as a value of the type, or NULL. */
static const char *check_value(enum parameter_type type, const char *text)
{
	int64_t n;
	bool yes;

	switch (type) {
	case PARAMETER_VARCHAR: return NULL;
	case PARAMETER_INTEGER: return value_integer(text, &n);
	case PARAMETER_DOUBLE: return value_number(text);
	case PARAMETER_BOOLEAN: return value_boolean(text, &yes);
	case PARAMETER_DATE: return check_date(text) || text[10] ? "is not a date" : NULL;
	case PARAMETER_TIMESTAMP: return check_date(text) ? "is not a date and time" : NULL;
	}
	return "is of no type";
}

static bool takes_bounds(const struct spec_parameter *parameter)
{
	return parameter->type == PARAMETER_INTEGER || parameter->type == PARAMETER_DOUBLE;
}

/* What is wrong with the parameter; ret_what is of which of its fields. */
static const char *wrong_parameter(const struct spec_parameter *p, const char **ret_what)
{
	*ret_what = "default";
	if (p->fallback && check_value(p->type, p->fallback))
		return check_value(p->type, p->fallback);
	if (p->fallback && p->required)
		return "stands beside required: true, and would never be used";
	*ret_what = p->minimum ? "minimum" : "maximum";
	if ((p->minimum || p->maximum) && !takes_bounds(p))
		return "is of numbers only";
	if (p->minimum && p->maximum && strtod(p->minimum, NULL) > strtod(p->maximum, NULL))
		return "is above the maximum";
	*ret_what = "enum";
	for (int i = 0; i < p->allowed_count; i++)
		if (check_value(p->type, p->allowed[i]))
			return check_value(p->type, p->allowed[i]);
	return NULL;
}

static struct spec_parameter *find_parameter(struct spec_endpoint *endpoint, const char *name, size_t size)
{
	for (int i = 0; i < endpoint->parameter_count; i++)
		if (strlen(endpoint->parameters[i].name) == size && !memcmp(endpoint->parameters[i].name, name, size))
			return &endpoint->parameters[i];
	return NULL;
}

static int check_parameters(const struct checking *c, const struct document *document, struct spec_endpoint *endpoint)
{
	const struct yaml_node *node = check_place(document, "spec.parameters");

	for (int i = 0; i < endpoint->parameter_count; i++) {
		struct spec_parameter *p = &endpoint->parameters[i];
		const char *what, *wrong = wrong_parameter(p, &what);

		if (wrong)
			return mistake(c->reading, p->line, node->column, "spec.parameters", "%s of %s %s", what,
			               p->name, wrong);
		if (find_parameter(endpoint, p->name, strlen(p->name)) != p)
			return mistake(c->reading, p->line, node->column, "spec.parameters",
			               "%s stands there twice; would be another name", p->name);
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

		if (!p)
			return mistake(c->reading, node->line, node->column, "spec.path",
			               "{%.*s} is not one of spec.parameters; would be declared there", (int)size,
			               at + 1);
		if (p->in_path || p->fallback)
			return mistake(c->reading, node->line, node->column, "spec.path", "{%s} %s", p->name,
			               p->in_path ? "stands there twice; would be once"
			                          : "has a default, and a part of the path is always given");
		p->in_path = p->required = true;
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
			               "is that of %s at line %d already; would be another path", other->name,
			               check_place(&c->documents[i], "spec.path")->line);
	}
	return 0;
}

/* ---- endpoints: what stands for NULL, and pages */

/* A JSON number, true, false, null, or a text without escapes. */
static bool is_json_value(const char *text)
{
	size_t size = strlen(text);

	if (!strcmp(text, "true") || !strcmp(text, "false") || !strcmp(text, "null"))
		return true;
	if (size >= 2 && text[0] == '"' && text[size - 1] == '"')
		return !value_line(text) && strcspn(text + 1, "\"\\") == size - 2;
	if (value_number(text) || !strchr("-0123456789", text[0]))
		return false;
	text += *text == '-';
	return text[0] != '0' || !text[1] || strchr(".eE", text[1]);
}

static int check_null_as(const struct checking *c, const struct document *document,
                         const struct spec_endpoint *endpoint)
{
	const struct yaml_node *node = check_place(document, "spec.nullAs");

	for (int i = 0; i < endpoint->null_as_count; i++) {
		char quoted[QUOTED_SIZE];

		if (!is_json_value(endpoint->null_as[i].value))
			return mistake(c->reading, node->line, node->column, "spec.nullAs",
			               "%s is no JSON; would be a number, true, false, or a text as '\"-\"'",
			               quote_text(quoted, endpoint->null_as[i].value));
	}
	return 0;
}

static int check_page(const struct checking *c, const struct document *document, struct spec_endpoint *endpoint)
{
	const struct yaml_node *node = check_place(document, "spec.page");
	const struct spec_parameter *size;

	if (!endpoint->page_key_count && !endpoint->page_size)
		return 0;
	if (!endpoint->page_key_count || !endpoint->page_size)
		return mistake(c->reading, node->line, node->column, "spec.page", "lacks %s; would have key and size",
		               endpoint->page_size ? "key" : "size");
	for (int i = 0; i < endpoint->page_key_count; i++)
		if (value_identifier(endpoint->page_key[i]))
			return mistake(c->reading, node->line, node->column, "spec.page.key",
			               "has a name that is no column; would be columns of the SELECT");
	size = find_parameter(endpoint, endpoint->page_size, strlen(endpoint->page_size));
	if (!size || size->type != PARAMETER_INTEGER || !(size->fallback || size->required))
		return mistake(c->reading, node->line, node->column, "spec.page.size",
		               "is no parameter of type integer with a default; would be declared in spec.parameters");
	if (endpoint->result == RESULT_OBJECT)
		return mistake(c->reading, node->line, node->column, "spec.page",
		               "stands beside spec.result: object, which is one row; would be one of the two");
	return 0;
}

int check_endpoint(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_endpoint *endpoint = &c->manifest->endpoints[document->index];

	if (check_catalog(c, document, "spec.catalogRef", &endpoint->catalog_ref, &endpoint->catalog) ||
	    check_parameters(c, document, endpoint) || mark_path(c, document, endpoint) ||
	    check_path(c, at, endpoint) || check_null_as(c, document, endpoint))
		return -1;
	return check_page(c, document, endpoint);
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
			               "is that of %s already; would be a token of its own", other->name);
	}
	return 0;
}

int check_assistant(const struct checking *c, int at)
{
	const struct document *document = &c->documents[at];
	struct spec_assistant *mine = &c->manifest->assistants[document->index];
	const struct yaml_node *node = check_place(document, "spec.baseUrl");

	if (check_catalog(c, document, "spec.catalogRef", &mine->catalog_ref, &mine->catalog))
		return -1;
	if (mine->provider == PROVIDER_OPENAI && !mine->base_url)
		return mistake(c->reading, node->line, node->column, "spec.baseUrl",
		               "is missing; would be where the server answers, such as http://127.0.0.1:8080");
	for (int i = 0; i < at; i++) {
		const struct spec_assistant *other = &c->manifest->assistants[c->documents[i].index];

		if (c->documents[i].kind == KIND_ASSISTANT && other->catalog == mine->catalog)
			return mistake(c->reading, check_place(document, "spec.catalogRef")->line, 1, "spec.catalogRef",
			               "has the assistant %s already; would be one a catalog", other->name);
	}
	return 0;
}
