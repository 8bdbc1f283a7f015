#include "spec/document.h"

#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "spec/fill.h"

/* ---- the arrays of a manifest, by kind ---- */

void *document_item(const struct manifest *manifest, enum kind_id kind, int index)
{
	char *items;

	memcpy(&items, (const char *)manifest + spec_kinds[kind].items, sizeof items);
	return items ? items + (size_t)index * spec_kinds[kind].size : NULL;
}

int document_count(const struct manifest *manifest, enum kind_id kind)
{
	int count;

	memcpy(&count, (const char *)manifest + spec_kinds[kind].count, sizeof count);
	return count;
}

static void *append_item(struct manifest *manifest, enum kind_id kind)
{
	int count = document_count(manifest, kind) + 1;
	size_t size = spec_kinds[kind].size;
	char *items = realloc(document_item(manifest, kind, 0), (size_t)count * size);

	if (!items)
		return NULL;
	memset(items + (size_t)(count - 1) * size, 0, size);
	memcpy((char *)manifest + spec_kinds[kind].items, &items, sizeof items);
	memcpy((char *)manifest + spec_kinds[kind].count, &count, sizeof count);
	return document_item(manifest, kind, count - 1);
}

void document_release(struct manifest *manifest, enum kind_id kind)
{
	for (int i = 0; i < document_count(manifest, kind); i++)
		fill_item_release(kind, document_item(manifest, kind, i));
	free(document_item(manifest, kind, 0));
}

/* ---- one document ---- */

/* A text that says what the document is; NULL and a mistake where it does not. */
static const char *header(const struct reading *reading, struct yaml_node *document, const char *name)
{
	struct yaml_node *node = yaml_find(document, name);
	const char *right = strcmp(name, "kind") ? SPEC_API_VERSION : NULL;
	OWNED_BUFFER struct buffer names = {0};

	buffer_init(&names, 256);
	if (node && node->kind == YAML_TEXT && !yaml_is_null(node))
		return node->text;
	append_kinds(&names, " or ");
	mistake(reading, node ? node->line : document->line, node ? node->column : document->column, name,
	        "%s%s; would be %s", !node || yaml_is_null(node) ? "" : "is ",
	        !node                ? "is missing"
	        : yaml_is_null(node) ? "has no value"
	                             : yaml_kind_name(node),
	        right ? right : buffer_string(&names));
	return NULL;
}

static int unknown_kind(const struct reading *reading, const struct yaml_node *node, const char *name)
{
	OWNED_BUFFER struct buffer right = {0};
	char quoted[QUOTED_SIZE];
	int nearest = -1;

	buffer_init(&right, 256);
	for (int i = 0; i < KIND_COUNT; i++)
		if (name_distance(spec_kinds[i].name, name) <= 4 &&
		    (nearest < 0 ||
		     name_distance(spec_kinds[i].name, name) < name_distance(spec_kinds[nearest].name, name)))
			nearest = i;
	if (kind_is_later(name) || nearest < 0) {
		buffer_text(&right, "this version knows ");
		append_kinds(&right, " and ");
	} else {
		buffer_printf(&right, "did you mean '%s'?", spec_kinds[nearest].name);
	}
	return mistake(reading, node->line, node->column, "kind", "%s %s; %s", quote_text(quoted, name),
	               kind_is_later(name) ? "is a kind of this API that is not served by this version"
	                                   : "is not a kind of this API",
	               buffer_string(&right));
}

static int find_kind(const struct reading *reading, struct yaml_node *document)
{
	const char *version, *name;
	char quoted[QUOTED_SIZE];
	int kind;

	if (document->kind != YAML_MAPPING)
		return mistake(reading, document->line, document->column, "document",
		               "is %s; would be a mapping with apiVersion, kind, metadata, spec",
		               yaml_kind_name(document));
	version = header(reading, document, "apiVersion");
	if (!version)
		return -1;
	if (strcmp(version, SPEC_API_VERSION)) {
		const struct yaml_node *node = yaml_find(document, "apiVersion");

		return mistake(reading, node->line, node->column, "apiVersion", "%s is not served; would be %s",
		               quote_text(quoted, version), SPEC_API_VERSION);
	}
	name = header(reading, document, "kind");
	if (!name)
		return -1;
	kind = kind_find(name);
	return kind < 0 ? unknown_kind(reading, yaml_find(document, "kind"), name) : kind;
}

int document_read(const struct reading *reading, struct yaml_node *node, struct manifest *manifest,
                  struct document *ret_document)
{
	struct spec_position position = {.line = node->line, .column = node->column};
	int kind = find_kind(reading, node);
	char *item;

	if (kind < 0)
		return -1;
	item = append_item(manifest, (enum kind_id)kind);
	if (!item)
		return error_no_memory(reading->err);
	memcpy(item + spec_kinds[kind].position, &position, sizeof position);
	if (fill_into(reading, (enum kind_id)kind, node, item))
		return -1;
	*ret_document = (struct document){
	        .kind = (enum kind_id)kind, .index = document_count(manifest, (enum kind_id)kind) - 1, .node = node};
	return 0;
}
