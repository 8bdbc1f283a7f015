#include "spec/yaml_tree.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/owned.h"

struct builder {
	const struct reading *reading;
	const char *text;
	size_t size;
	struct yaml_node *documents, *last_document;
	struct yaml_node *current; /* the open mapping or list; NULL between documents */
	int depth;
	char *key; /* owned: read, its value is next */
	int key_line, key_column;
};

/* ---- nodes ---- */

static void free_one(struct yaml_node *node)
{
	free(node->key);
	free(node->text);
	free(node);
}

/* Depth is bounded (invariant 2), so that recursion is, too. */
void yaml_tree_free(struct yaml_node *documents)
{
	while (documents) {
		struct yaml_node *next = documents->next;

		yaml_tree_free(documents->first);
		free_one(documents);
		documents = next;
	}
}

void yaml_tree_freep(struct yaml_node **documents)
{
	yaml_tree_free(*documents);
}

bool yaml_is_null(const struct yaml_node *node)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

	if (node->kind != YAML_TEXT || !node->plain)
		return false;
	for (size_t i = 0; i < COUNT_OF(nulls); i++)
		if (!strcmp(node->text, nulls[i]))
			return true;
	return false;
}

const char *yaml_kind_name(const struct yaml_node *node)
{
	static const char *const names[] = {"a text", "a mapping", "a list"};

	return names[node->kind];
}

/* Written from its end, for the deepest names say the most. */
const char *yaml_path(const struct yaml_node *node, char path[YAML_PATH_SIZE])
{
	size_t at = YAML_PATH_SIZE;
	char quoted[QUOTED_SIZE];

	path[--at] = 0;
	for (; node->parent; node = node->parent) {
		const char *name = node->key ? quote_text(quoted, node->key) + 1 : "[]";
		size_t size = node->key ? strlen(name) - 1 : 2;
		bool point = path[at] != 0;

		if (size + point > at)
			break;
		if (point)
			path[--at] = '.';
		at -= size;
		memcpy(path + at, name, size);
	}
	memmove(path, path + at, YAML_PATH_SIZE - at);
	if (!path[0])
		memcpy(path, "document", sizeof "document");
	return path;
}

static struct yaml_node *find_child(const struct yaml_node *node, const char *name, size_t size)
{
	for (struct yaml_node *child = node->first; child; child = child->next)
		if (child->key && strlen(child->key) == size && !memcmp(child->key, name, size))
			return child;
	return NULL;
}

struct yaml_node *yaml_find_nearest(struct yaml_node *document, const char *path)
{
	struct yaml_node *node = document;

	while (*path) {
		size_t size = strcspn(path, ".");
		struct yaml_node *child = find_child(node, path, size);

		if (!child)
			break;
		node = child;
		path += size + (path[size] == '.');
	}
	return node;
}

struct yaml_node *yaml_find(struct yaml_node *document, const char *path)
{
	struct yaml_node *node = document;

	while (node && *path) {
		size_t size = strcspn(path, ".");

		node = find_child(node, path, size);
		path += size + (path[size] == '.');
	}
	return node;
}

/* ---- the text before libyaml ---- */

/* Where byte `offset` of the text stands. */
static void locate(const char *text, size_t offset, int *ret_line, int *ret_column)
{
	int line = 1, column = 1;

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	*ret_line = line;
	*ret_column = column;
}

static int mistake_at(const struct builder *b, size_t offset, const char *wrong)
{
	int line, column;

	locate(b->text, offset < b->size ? offset : b->size, &line, &column);
	return mistake(b->reading, line, column, "text", "%s; would be UTF-8 text", wrong);
}

/* Bytes of the UTF-8 sequence at s (RFC 3629 section 4), 0 where there is none. */
static size_t utf8_size(const unsigned char *s, size_t left)
{
	size_t size = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	if (size > left)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return size;
}

/* libyaml would say these without a position, or take UTF-16 for what it is. */
static int check_text(const struct builder *b)
{
	const unsigned char *bytes = (const unsigned char *)b->text;

	if (b->size > YAML_MAXIMUM_BYTES)
		return mistake(b->reading, 1, 1, "text", "has %zu bytes; would be at most %zu", b->size,
		               YAML_MAXIMUM_BYTES);
	for (size_t i = 0, size; i < b->size; i += size) {
		size = utf8_size(bytes + i, b->size - i);
		if (!size)
			return mistake_at(b, i, "a byte that is not UTF-8");
		if (!bytes[i])
			return mistake_at(b, i, "a NUL byte");
	}
	return 0;
}

/* ---- events to nodes ---- */

static int event_mistake(const struct builder *b, const yaml_event_t *event, const char *wrong)
{
	int line = (int)event->start_mark.line + 1, column = (int)event->start_mark.column + 1;
	char path[YAML_PATH_SIZE] = "document";

	if (b->current)
		yaml_path(b->current, path);
	return mistake(b->reading, line, column, path, "%s", wrong);
}

static int take_key(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct yaml_node *twin = find_child(b->current, text, strlen(text));
	int line = (int)event->start_mark.line + 1, column = (int)event->start_mark.column + 1;
	char path[YAML_PATH_SIZE];

	if (twin)
		return mistake(b->reading, line, column, yaml_path(twin, path),
		               "is given twice, first at line %d; keep one of them", twin->key_line);
	if (b->current->count >= YAML_MAXIMUM_KEYS)
		return mistake(b->reading, line, column, yaml_path(b->current, path),
		               "has more than %d keys; would have fewer", YAML_MAXIMUM_KEYS);
	b->key = strdup(text);
	b->key_line = line;
	b->key_column = column;
	return b->key ? 0 : error_no_memory(b->reading->err);
}

static void link_node(struct builder *b, struct yaml_node *node)
{
	struct yaml_node **last = b->current ? &b->current->last : &b->last_document;
	struct yaml_node **first = b->current ? &b->current->first : &b->documents;

	if (*last)
		(*last)->next = node;
	else
		*first = node;
	*last = node;
	if (b->current)
		b->current->count++;
}

/* A value: of a document, of a list, of the key that was read. */
static struct yaml_node *add_node(struct builder *b, const yaml_event_t *event, enum yaml_kind kind)
{
	struct yaml_node *node = calloc(1, sizeof *node);

	if (!node) {
		error_no_memory(b->reading->err);
		return NULL;
	}
	node->kind = kind;
	node->line = node->key_line = (int)event->start_mark.line + 1;
	node->column = node->key_column = (int)event->start_mark.column + 1;
	node->parent = b->current;
	if (b->key) {
		node->key = TAKE(b->key);
		node->key_line = b->key_line;
		node->key_column = b->key_column;
	}
	link_node(b, node);
	return node;
}

static bool wants_key(const struct builder *b)
{
	return b->current && b->current->kind == YAML_MAPPING && !b->key;
}

static int on_text(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct yaml_node *node;

	if (event->data.scalar.tag)
		return event_mistake(b, event, "has a tag; tags are not used in manifests");
	if (strlen(text) != event->data.scalar.length)
		return event_mistake(b, event, "has a text with a NUL character; would be without it");
	if (wants_key(b))
		return take_key(b, event);
	node = add_node(b, event, YAML_TEXT);
	if (!node)
		return -1;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->block = event->data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
	              event->data.scalar.style == YAML_FOLDED_SCALAR_STYLE;
	node->text = strdup(text);
	return node->text ? 0 : error_no_memory(b->reading->err);
}

static int on_start(struct builder *b, const yaml_event_t *event, enum yaml_kind kind, const yaml_char_t *tag)
{
	struct yaml_node *node;

	if (tag)
		return event_mistake(b, event, "has a tag; tags are not used in manifests");
	if (wants_key(b))
		return event_mistake(b, event, "has a key that is a mapping or a list; would be a text");
	if (b->depth >= YAML_MAXIMUM_DEPTH)
		return event_mistake(b, event, "is nested too deep; would be at most 32 levels");
	node = add_node(b, event, kind);
	if (!node)
		return -1;
	b->depth++;
	b->current = node;
	return 0;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT: return on_text(b, event);
	case YAML_MAPPING_START_EVENT: return on_start(b, event, YAML_MAPPING, event->data.mapping_start.tag);
	case YAML_SEQUENCE_START_EVENT: return on_start(b, event, YAML_SEQUENCE, event->data.sequence_start.tag);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		if (b->current) { /* always: libyaml's events are balanced */
			b->depth--;
			b->current = b->current->parent;
		}
		return 0;
	case YAML_ALIAS_EVENT:
		return event_mistake(b, event, "has an alias; aliases are not used in manifests, write the value out");
	default: return 0;
	}
}

/* What libyaml says of a text that is not YAML. */
static int syntax_mistake(const struct builder *b, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ? parser->problem : "is not YAML";
	int line = (int)parser->problem_mark.line + 1, column = (int)parser->problem_mark.column + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return error_no_memory(b->reading->err);
	if (parser->error == YAML_READER_ERROR) {
		locate(b->text, parser->problem_offset < b->size ? parser->problem_offset : b->size, &line, &column);
		return mistake(b->reading, line, column, "text", "%s (U+%04X); would be text without them", problem,
		               (unsigned)parser->problem_value);
	}
	if (parser->context)
		return mistake(b->reading, line, column, "YAML",
		               "%s %s (from line %zu, column %zu); correct it here or before", problem, parser->context,
		               parser->context_mark.line + 1, parser->context_mark.column + 1);
	return mistake(b->reading, line, column, "YAML", "%s; correct it here or before", problem);
}

static int build(struct builder *b, yaml_parser_t *parser)
{
	bool end = false;

	while (!end) {
		yaml_event_t event;
		int rc;

		if (!yaml_parser_parse(parser, &event))
			return syntax_mistake(b, parser);
		end = event.type == YAML_STREAM_END_EVENT;
		rc = on_event(b, &event);
		yaml_event_delete(&event);
		if (rc)
			return -1;
	}
	return 0;
}

/* A document without anything in it ("---" before the first, or behind the last) says nothing, as kubectl has it. */
static void drop_empty(struct builder *b)
{
	struct yaml_node **at = &b->documents;

	while (*at) {
		struct yaml_node *node = *at;

		if (!yaml_is_null(node)) {
			at = &node->next;
			continue;
		}
		*at = node->next;
		free_one(node);
	}
}

int yaml_tree_read(const struct reading *reading, const char *text, size_t size, struct yaml_node **ret_documents)
{
	struct builder b = {.reading = reading, .text = text, .size = size};
	yaml_parser_t parser;
	int rc;

	if (check_text(&b))
		return -1;
	if (!yaml_parser_initialize(&parser))
		return error_no_memory(reading->err);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	rc = build(&b, &parser);
	yaml_parser_delete(&parser);
	free(b.key);
	if (rc) {
		yaml_tree_free(b.documents);
		return -1;
	}
	drop_empty(&b);
	*ret_documents = b.documents;
	return 0;
}
