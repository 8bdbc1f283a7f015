#include "spec/fill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/owned.h"
#include "spec/expand.h"
#include "spec/field.h"
#include "spec/values.h"

struct filling {
	const struct reading *reading;
	enum kind_id kind;
	struct yaml_node *document; /* or the item of a list */
	const struct field *list; /* NULL: a document */
	char *item;
};

static bool is_text(enum field_type type)
{
	switch (type) {
	case TYPE_STRING:
	case TYPE_SECRET:
	case TYPE_NAME:
	case TYPE_TABLE:
	case TYPE_TOPIC:
	case TYPE_BROKERS:
	case TYPE_PATH:
	case TYPE_NUMBER:
	case TYPE_IDENTIFIER:
	case TYPE_POINTER:
	case TYPE_COLUMN:
	case TYPE_SQL:
	case TYPE_SCHEDULE:
	case TYPE_ENDPOINT:
	case TYPE_BASE_URL:
	case TYPE_BUCKET:
	case TYPE_PREFIX:
	case TYPE_URL_PATH:
	case TYPE_REFERENCE: return true;
	default: return false;
	}
}

static void *target_of(const struct field *field, char *item)
{
	return field->target < 0 ? NULL : item + field->target;
}

static void release_properties(const struct field *field, char *item)
{
	struct spec_property **properties = target_of(field, item);
	const int *count = (const int *)(const void *)(item + field->count_target);

	for (int i = 0; i < *count; i++) {
		free((*properties)[i].name);
		free((*properties)[i].value);
	}
	free(*properties);
}

static void release_texts(const struct field *field, char *item)
{
	char ***texts = target_of(field, item);
	const int *count = (const int *)(const void *)(item + field->count_target);

	for (int i = 0; i < *count; i++)
		free((*texts)[i]);
	free(*texts);
}

/* What the fields of the list (NULL: the kind's own) hold in the item. */
static void release_item(enum kind_id kind, const struct field *list, char *item)
{
	for (const struct field *f = fields; f < fields + field_count; f++) {
		if (f->kind != kind || f->target < 0 || field_list(f) != list)
			continue;
		if (f->type == TYPE_MAP) {
			release_properties(f, item);
		} else if (f->type == TYPE_TEXTS) {
			release_texts(f, item);
		} else if (f->type == TYPE_LIST) {
			char *items = *(char **)target_of(f, item);

			for (int i = 0; i < *(const int *)(const void *)(item + f->count_target); i++)
				release_item(kind, f, items + (size_t)i * f->item_size);
			free(items);
		} else if (is_text(f->type)) {
			free(*(char **)target_of(f, item));
		}
	}
}

void fill_item_release(enum kind_id kind, void *item)
{
	release_item(kind, NULL, item);
}

/* ---- what is wrong, what would be right ---- */

/* A secret, or an address with a user's name in it, and a password. */
static bool may_be_secret(const struct yaml_node *node, const struct field *field)
{
	bool address = field->type == TYPE_ENDPOINT || field->type == TYPE_BASE_URL || field->type == TYPE_BROKERS;

	return field->type == TYPE_SECRET || (address && strchr(node->text, '@'));
}

/* "FIELD: WRONG; would be RIGHT" where the value stands, which is shown unless it may be a secret. */
static int wrong_value(const struct filling *f, const struct yaml_node *node, const struct field *field,
                       const char *wrong)
{
	OWNED_BUFFER struct buffer right = {0};
	char path[YAML_PATH_SIZE], quoted[QUOTED_SIZE];
	bool show = node->kind == YAML_TEXT && *node->text && !may_be_secret(node, field) && !yaml_is_null(node);

	buffer_init(&right, 256);
	field_right(&right, field);
	return mistake(f->reading, node->line, node->column, yaml_path(node, path), "%s%s%s; would be %s",
	               show ? quote_text(quoted, node->text) : "", show ? " " : "", wrong, buffer_string(&right));
}

/* The node is of the wanted kind and not null, or a mistake. */
static int check_shape(const struct filling *f, const struct yaml_node *node, const struct field *field,
                       enum yaml_kind wanted)
{
	char wrong[32];

	if (yaml_is_null(node))
		return wrong_value(f, node, field, "has no value");
	if (node->kind == wanted)
		return 0;
	snprintf(wrong, sizeof wrong, "is %s", yaml_kind_name(node));
	return wrong_value(f, node, field, wrong);
}

/* Where the value begins, for those who find mistakes in it later. */
static void note_line(const struct field *field, char *item, const struct yaml_node *node)
{
	int line = node->line + node->block;

	if (field->line_target)
		memcpy(item + field->line_target, &line, sizeof line);
}

/* ---- texts to values ---- */

/* Puts a text that fill_check found right into the item; a text field takes *text. */
static void store(const struct field *field, char *item, char **text)
{
	void *target = target_of(field, item);
	int64_t n = 0;

	if (!target)
		return;
	if (is_text(field->type)) {
		*(char **)target = TAKE(*text);
	} else if (field->type == TYPE_ENUM) {
		memcpy(target, &enum_find(field->values, *text)->value, sizeof(int));
	} else if (field->type == TYPE_BOOLEAN) {
		value_boolean(*text, target);
	} else {
		field_number(field, *text, &n);
		if (field->type == TYPE_INTEGER)
			*(int *)target = (int)n;
		else
			*(int64_t *)target = n;
	}
}

/* A relative path becomes absolute; a URL stays. */
static int resolve_path(const struct filling *f, const struct yaml_node *node, const struct field *field, char **text)
{
	char *path;

	if (strstr(*text, "://"))
		return 0;
	if (**text != '/' && !f->reading->folder)
		return wrong_value(f, node, field, "is relative, and this manifest has no folder");
	path = expand_path(f->reading->folder ? f->reading->folder : "/", *text);
	if (!path)
		return error_no_memory(f->reading->err);
	free(*text);
	*text = path;
	return 0;
}

static int fill_text(const struct filling *f, const struct field *field, const struct yaml_node *node)
{
	bool secret = field->type == TYPE_SECRET;
	OWNED_FREE char *text = NULL;
	const char *wrong;

	if (check_shape(f, node, field, YAML_TEXT))
		return -1;
	/* names, paths, addresses and numbers are no secrets: masking them would blank what logs are read for */
	if (expand_text(f->reading, node, secret || field->files, secret || field->type == TYPE_STRING, &text))
		return -1;
	if (secret)
		expand_mask_connection(text);
	wrong = field_check(field, text);
	if (wrong)
		return wrong_value(f, node, field, wrong);
	if (field->type == TYPE_PATH && resolve_path(f, node, field, &text))
		return -1;
	store(field, f->item, &text);
	note_line(field, f->item, node);
	return 0;
}

/* ---- maps ---- */

static int check_property(const struct filling *f, const struct field *field, const struct yaml_node *node)
{
	const char *wrong = field->kafka ? value_property(node->key) : value_line(node->key);
	const char *kept = field->kafka ? property_kept(node->key) : NULL;
	char path[YAML_PATH_SIZE];

	yaml_path(node, path);
	if (wrong && !field->kafka)
		return mistake(f->reading, node->key_line, node->key_column, path, "has a key that %s; would be a name",
		               wrong);
	if (wrong)
		return mistake(f->reading, node->key_line, node->key_column, path,
		               "%s; would be a property of librdkafka", wrong);
	if (kept)
		return mistake(f->reading, node->key_line, node->key_column, path,
		               "is not for a manifest to set: %s; remove it", kept);
	return 0;
}

static int fill_property(const struct filling *f, const struct field *field, const struct yaml_node *node,
                         struct spec_property *property)
{
	if (check_property(f, field, node) ||
	    expand_text(f->reading, node, field->files, field->kafka, &property->value))
		return -1;
	if (field->kafka && property_is_secret(node->key))
		log_mask_secret(property->value);
	property->name = strdup(node->key);
	return property->name ? 0 : error_no_memory(f->reading->err);
}

static int fill_map(const struct filling *f, const struct field *field, const struct yaml_node *node)
{
	struct spec_property **properties = target_of(field, f->item);
	int *count = properties ? (int *)(void *)(f->item + field->count_target) : NULL;
	char path[YAML_PATH_SIZE];

	if (check_shape(f, node, field, YAML_MAPPING))
		return -1;
	if (properties && node->count) {
		*properties = calloc((size_t)node->count, sizeof **properties);
		if (!*properties)
			return error_no_memory(f->reading->err);
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (child->kind != YAML_TEXT || yaml_is_null(child))
			return mistake(f->reading, child->line, child->column, yaml_path(child, path),
			               "%s%s; would be a text", child->kind == YAML_TEXT ? "has no value" : "is ",
			               child->kind == YAML_TEXT ? "" : yaml_kind_name(child));
		/* counted before it is filled: what a mistake leaves behind is released, too */
		if (properties && fill_property(f, field, child, &(*properties)[(*count)++]))
			return -1;
	}
	return 0;
}

/* ---- lists ---- */

static int fill_mapping(const struct filling *f, const struct yaml_node *mapping, const char *parent);
static int fill_absent(const struct filling *f);

/* The array of a list's items, each counted before it is filled. -1: out of memory. */
static int make_items(const struct filling *f, const struct field *field, int count, size_t size, char **ret_items)
{
	char *items = calloc((size_t)count + 1, size);

	if (!items)
		return error_no_memory(f->reading->err);
	memcpy(target_of(field, f->item), &items, sizeof items);
	*ret_items = items;
	return 0;
}

static int fill_texts(const struct filling *f, const struct field *field, const struct yaml_node *node)
{
	int *count = (int *)(void *)(f->item + field->count_target);
	char *items = NULL, path[YAML_PATH_SIZE];

	if (check_shape(f, node, field, YAML_SEQUENCE) || make_items(f, field, node->count, sizeof(char *), &items))
		return -1;
	note_line(field, f->item, node);
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (child->kind != YAML_TEXT || yaml_is_null(child))
			return mistake(f->reading, child->line, child->column, yaml_path(child, path),
			               "%s%s; would be a text", child->kind == YAML_TEXT ? "has no value" : "is ",
			               child->kind == YAML_TEXT ? "" : yaml_kind_name(child));
		if (expand_text(f->reading, child, false, false, &((char **)(void *)items)[(*count)++]))
			return -1;
	}
	return 0;
}

static int fill_list(const struct filling *f, const struct field *field, const struct yaml_node *node)
{
	int *count = (int *)(void *)(f->item + field->count_target);
	char *items = NULL;

	if (check_shape(f, node, field, YAML_SEQUENCE) || make_items(f, field, node->count, field->item_size, &items))
		return -1;
	for (struct yaml_node *child = node->first; child; child = child->next) {
		struct filling item = {.reading = f->reading, .kind = f->kind, .document = child, .list = field};

		if (check_shape(f, child, field, YAML_MAPPING))
			return -1;
		item.item = items + (size_t)(*count)++ * field->item_size;
		note_line(field, item.item, child);
		if (fill_mapping(&item, child, field->path) || fill_absent(&item))
			return -1;
	}
	return 0;
}

/* ---- mappings ---- */

static int unknown_field(const struct filling *f, const struct yaml_node *node, const char *parent)
{
	const struct field *nearest = field_nearest(f->kind, parent, node->key);
	OWNED_BUFFER struct buffer right = {0};
	char path[YAML_PATH_SIZE];

	buffer_init(&right, 256);
	if (nearest) {
		buffer_printf(&right, "did you mean '%s'?", field_name(nearest));
	} else {
		buffer_text(&right, "would be one of ");
		append_children(&right, f->kind, parent);
	}
	return mistake(f->reading, node->key_line, node->key_column, yaml_path(node, path), "is not a field of %s; %s",
	               spec_kinds[f->kind].name, buffer_string(&right));
}

/* By name among the parent's children: a key with a point in it must not reach a grandchild. */
static const struct field *find_child(const struct filling *f, const char *parent, const char *name)
{
	for (const struct field *c = field_child(f->kind, parent, NULL); c; c = field_child(f->kind, parent, c))
		if (!strcmp(field_name(c), name))
			return c;
	return NULL;
}

/* Recursion is as deep as the table's paths. */
static int fill_mapping(const struct filling *f, const struct yaml_node *mapping, const char *parent)
{
	for (const struct yaml_node *node = mapping->first; node; node = node->next) {
		const struct field *field = find_child(f, parent, node->key);
		int rc;

		if (!field)
			return unknown_field(f, node, parent);
		if (field->type == TYPE_OBJECT)
			rc = check_shape(f, node, field, YAML_MAPPING) || fill_mapping(f, node, field->path);
		else if (field->type == TYPE_ANY)
			rc = 0;
		else if (field->type == TYPE_MAP)
			rc = fill_map(f, field, node);
		else if (field->type == TYPE_LIST)
			rc = fill_list(f, field, node);
		else if (field->type == TYPE_TEXTS)
			rc = fill_texts(f, field, node);
		else
			rc = fill_text(f, field, node);
		if (rc)
			return -1;
	}
	return 0;
}

/* ---- what is left out ---- */

static const char *when_text(const struct filling *f, const struct field *field)
{
	const struct field *when = field_find(f->kind, field->when_field);
	int value;

	memcpy(&value, target_of(when, f->item), sizeof value);
	return enum_text(when->values, value);
}

static bool has_word(const char *words, const char *word)
{
	size_t size = strlen(word);

	for (; *words; words += *words == ' ') {
		size_t length = strcspn(words, " ");

		if (length == size && !memcmp(words, word, size))
			return true;
		words += length;
	}
	return false;
}

static int refuse_unused(const struct filling *f, const struct field *field, const struct yaml_node *node)
{
	OWNED_BUFFER struct buffer right = {0};
	char path[YAML_PATH_SIZE];

	buffer_init(&right, 128);
	append_words(&right, field->when_values, " or ");
	return mistake(f->reading, node->key_line, node->key_column, yaml_path(node, path),
	               "is not used where %s is %s; remove it, or choose %s", field->when_field, when_text(f, field),
	               buffer_string(&right));
}

/* Below the document, or below the item of the list. */
static const char *path_below(const struct filling *f, const struct field *field)
{
	return field->path + (f->list ? strlen(f->list->path) + 1 : 0);
}

static bool is_there(const struct filling *f, const struct field *field)
{
	return field && yaml_find(f->document, path_below(f, field));
}

/* Both of two fields of which one stands for the other. */
static int one_too_many(const struct filling *f, const struct field *field, const struct yaml_node *node)
{
	const struct yaml_node *other = yaml_find(f->document, path_below(f, field_find(f->kind, field->instead_of)));
	char path[YAML_PATH_SIZE];

	return mistake(f->reading, node->key_line, node->key_column, yaml_path(node, path),
	               "stands beside %s (line %d); would be one of the two", field->instead_of, other->key_line);
}

static int missing(const struct filling *f, const struct field *field)
{
	const struct yaml_node *near = yaml_find_nearest(f->document, path_below(f, field));
	OWNED_BUFFER struct buffer right = {0};

	buffer_init(&right, 256);
	field_right(&right, field);
	if (field->example)
		buffer_printf(&right, ", such as %s", field->example);
	if (field_instead_of(field))
		buffer_printf(&right, "; or %s", field_instead_of(field)->path);
	return mistake(f->reading, near->key_line, near->key_column, field->path, "is missing; would be %s",
	               buffer_string(&right));
}

static int fill_default(const struct filling *f, const struct field *field)
{
	const char *fallback = field->fallback;
	OWNED_FREE char *text = NULL;

	if (field->fallback_of)
		fallback = *(char **)target_of(field_find(f->kind, field->fallback_of), f->item);
	if (!fallback)
		return 0;
	text = strdup(fallback);
	if (!text)
		return error_no_memory(f->reading->err);
	store(field, f->item, &text);
	return 0;
}

/* A field asks for nothing where its parent, an optional one, was left out. */
static bool parent_is_there(const struct filling *f, const struct field *field)
{
	const char *path = path_below(f, field), *point = strrchr(path, '.');
	OWNED_FREE char *parent = point ? strndup(path, (size_t)(point - path)) : NULL;

	return !parent || yaml_find(f->document, parent);
}

static int fill_absent(const struct filling *f)
{
	for (const struct field *field = fields; field < fields + field_count; field++) {
		const struct yaml_node *node;
		bool used;

		if (field->kind != f->kind || field_list(field) != f->list)
			continue;
		node = yaml_find(f->document, path_below(f, field));
		used = !field->when_field || has_word(field->when_values, when_text(f, field));
		if (node && !used)
			return refuse_unused(f, field, node);
		if (node && field->instead_of && is_there(f, field_find(f->kind, field->instead_of)))
			return one_too_many(f, field, node);
		if (node || !used)
			continue;
		if (field->required && parent_is_there(f, field) && !is_there(f, field_instead_of(field)))
			return missing(f, field);
		if (fill_default(f, field))
			return -1;
	}
	return 0;
}

int fill_into(const struct reading *reading, enum kind_id kind, struct yaml_node *node, void *item)
{
	struct filling f = {.reading = reading, .kind = kind, .document = node, .item = item};

	return fill_mapping(&f, node, "") || fill_absent(&f) ? -1 : 0;
}
