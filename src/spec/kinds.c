#include "spec/kinds.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/owned.h"

#define NAME_MAX_BYTES 63

static const struct {
	const char *name, *right;
} types[TYPE_COUNT] = {
#define TYPE(id, name, right) [TYPE_##id] = {name, right},
#include "spec/kinds.def"
};

const struct kind spec_kinds[KIND_AND_HEADER_COUNT] = {
#define KIND(id, text, structure, items, count, description)                                                           \
	[KIND_##id] = {text,                                                                                           \
	               sizeof(struct structure),                                                                       \
	               offsetof(struct manifest, items),                                                               \
	               offsetof(struct manifest, count),                                                               \
	               offsetof(struct structure, name),                                                               \
	               offsetof(struct structure, position),                                                           \
	               description},
#define HEADER(id, text, structure, description_)                                                                      \
	[KIND_##id] = {.name = text, .size = sizeof(struct structure), .description = description_},
#include "spec/kinds.def"
};

#define AT(structure, member) offsetof(struct structure, member)
#define NOWHERE -1
const struct field fields[] = {
#define FIELD(kind_, path_, type_, target_, description_, example_, ...)                                               \
	{.kind = KIND_##kind_,                                                                                         \
	 .path = path_,                                                                                                \
	 .type = TYPE_##type_,                                                                                         \
	 .target = target_,                                                                                            \
	 .description = description_,                                                                                  \
	 .example = example_,                                                                                          \
	 __VA_ARGS__},
#include "spec/kinds.def"
};
#undef AT
#undef NOWHERE
const int field_count = (int)COUNT_OF(fields);

/* Invariant 2: the member at a target is as wide as what the field's type stores there. */
#define STORES_STRING sizeof(char *)
#define STORES_SECRET sizeof(char *)
#define STORES_NAME sizeof(char *)
#define STORES_TABLE sizeof(char *)
#define STORES_TOPIC sizeof(char *)
#define STORES_BROKERS sizeof(char *)
#define STORES_PATH sizeof(char *)
#define STORES_REFERENCE sizeof(char *)
#define STORES_ENUM sizeof(enum backend_type)
#define STORES_DURATION sizeof(int64_t)
#define STORES_QUANTITY sizeof(int64_t)
#define STORES_INTEGER sizeof(int)
#define STORES_BOOLEAN sizeof(bool)
#define STORES_MAP sizeof(struct spec_property *)
#define STORES_OBJECT 0
#define STORES_ANY 0
#define STORES_LIST sizeof(struct spec_column *)
#define STORES_TEXTS sizeof(char **)
#define STORES_NUMBER sizeof(char *)
#define STORES_IDENTIFIER sizeof(char *)
#define STORES_POINTER sizeof(char *)
#define STORES_COLUMN sizeof(char *)
#define STORES_SQL sizeof(char *)
#define STORES_SCHEDULE sizeof(char *)
#define STORES_ENDPOINT sizeof(char *)
#define STORES_BASE_URL sizeof(char *)
#define STORES_BUCKET sizeof(char *)
#define STORES_PREFIX sizeof(char *)
#define STORES_URL_PATH sizeof(char *)
#define STORES_CPU sizeof(int64_t)
#define AT(structure, member) sizeof(((struct structure *)0)->member)
#define NOWHERE 0
#define FIELD(kind, path, type, target, ...)                                                                           \
	_Static_assert((target) == 0 || (target) == STORES_##type, path ": the target does not fit the type");
#include "spec/kinds.def"
#undef AT
#undef NOWHERE

const struct enum_value enum_values[] = {
#define VALUE(values, constant, text, description) {#values, constant, text, description},
#include "spec/kinds.def"
};
const int enum_value_count = (int)COUNT_OF(enum_values);

const char *const kinds_later[] = {
#define KIND_LATER(name) name,
#include "spec/kinds.def"
};
const int kind_later_count = (int)COUNT_OF(kinds_later);

const struct property_kept properties_kept[] = {
#define PROPERTY_KEPT(name, why) {name, why},
#include "spec/kinds.def"
};
const int property_kept_count = (int)COUNT_OF(properties_kept);

const char *const secret_words[] = {
#define SECRET_WORD(word) word,
#include "spec/kinds.def"
};
const int secret_word_count = (int)COUNT_OF(secret_words);

const char *type_name(enum field_type type)
{
	return types[type].name;
}

const char *type_right(enum field_type type)
{
	return types[type].right;
}

int kind_find(const char *name)
{
	for (int i = 0; i < KIND_COUNT; i++)
		if (!strcmp(spec_kinds[i].name, name))
			return i;
	return -1;
}

bool kind_is_later(const char *name)
{
	for (int i = 0; i < kind_later_count; i++)
		if (!strcmp(kinds_later[i], name))
			return true;
	return false;
}

const struct field *field_parent(const struct field *field)
{
	const char *point = strrchr(field->path, '.');
	size_t size = point ? (size_t)(point - field->path) : 0;

	for (const struct field *f = field - 1; point && f >= fields; f--)
		if (f->kind == field->kind && strlen(f->path) == size && !strncmp(field->path, f->path, size))
			return f;
	return NULL;
}

const struct field *field_list(const struct field *field)
{
	const struct field *parent = field_parent(field);

	while (parent && parent->type != TYPE_LIST)
		parent = field_parent(parent);
	return parent;
}

const struct field *field_find(enum kind_id kind, const char *path)
{
	for (int i = 0; i < field_count; i++)
		if (fields[i].kind == kind && !strcmp(fields[i].path, path))
			return &fields[i];
	return NULL;
}

const struct field *field_instead_of(const struct field *field)
{
	for (const struct field *f = fields; f < fields + field_count; f++)
		if (f->kind == field->kind && f->instead_of && !strcmp(f->instead_of, field->path))
			return f;
	return NULL;
}

const char *field_name(const struct field *field)
{
	const char *point = strrchr(field->path, '.');

	return point ? point + 1 : field->path;
}

static bool is_child(const struct field *field, const char *parent)
{
	size_t size = strlen(parent);

	if (!size)
		return !strchr(field->path, '.');
	return !strncmp(field->path, parent, size) && field->path[size] == '.' && !strchr(field->path + size + 1, '.');
}

const struct field *field_child(enum kind_id kind, const char *parent, const struct field *after)
{
	const struct field *end = fields + field_count;

	for (const struct field *f = after ? after + 1 : fields; f < end; f++)
		if (f->kind == kind && is_child(f, parent))
			return f;
	return NULL;
}

/* Levenshtein's distance, one row at a time. */
int name_distance(const char *a, const char *b)
{
	size_t as = strlen(a), bs = strlen(b);
	int row[NAME_MAX_BYTES + 1];

	if (as > NAME_MAX_BYTES || bs > NAME_MAX_BYTES)
		return NAME_MAX_BYTES + 1;
	for (size_t j = 0; j <= bs; j++)
		row[j] = (int)j;
	for (size_t i = 1; i <= as; i++) {
		int diagonal = row[0];

		row[0] = (int)i;
		for (size_t j = 1; j <= bs; j++) {
			bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
			int best = diagonal + !same;

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[bs];
}

const struct field *field_nearest(enum kind_id kind, const char *parent, const char *name)
{
	const struct field *nearest = NULL;
	int best = (int)(strlen(name) / 3) + 1; /* a third mistyped is still that word; more is another word */

	for (const struct field *f = field_child(kind, parent, NULL); f; f = field_child(kind, parent, f)) {
		int distance = name_distance(field_name(f), name);

		if (distance < best || (!nearest && distance == best)) {
			nearest = f;
			best = distance;
		}
	}
	return nearest;
}

const struct enum_value *enum_find(const char *values, const char *text)
{
	for (int i = 0; i < enum_value_count; i++)
		if (!strcmp(enum_values[i].values, values) && !strcmp(enum_values[i].text, text))
			return &enum_values[i];
	return NULL;
}

const char *enum_text(const char *values, int value)
{
	for (int i = 0; i < enum_value_count; i++)
		if (!strcmp(enum_values[i].values, values) && enum_values[i].value == value)
			return enum_values[i].text;
	return "unknown";
}

const char *backend_name(enum backend_type type)
{
	return enum_text("backend_type", (int)type);
}

const char *property_kept(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(properties_kept); i++)
		if (!strcmp(properties_kept[i].name, name))
			return properties_kept[i].why;
	return NULL;
}

bool property_is_secret(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(secret_words); i++)
		if (strcasestr(name, secret_words[i]))
			return true;
	return false;
}

/* The separator before item `at` of `count`. */
static const char *separator(int at, int count, const char *last)
{
	return at == 0 ? "" : at == count - 1 ? last : ", ";
}

void append_children(struct buffer *out, enum kind_id kind, const char *parent)
{
	for (const struct field *f = field_child(kind, parent, NULL), *next; f; f = next) {
		next = field_child(kind, parent, f);
		buffer_printf(out, "%s%s", field_name(f), next ? ", " : "");
	}
}

void append_values(struct buffer *out, const char *values, const char *last)
{
	int count = 0, at = 0;

	for (int i = 0; i < enum_value_count; i++)
		count += !strcmp(enum_values[i].values, values);
	for (int i = 0; i < enum_value_count; i++)
		if (!strcmp(enum_values[i].values, values))
			buffer_printf(out, "%s%s", separator(at++, count, last), enum_values[i].text);
}

void append_kinds(struct buffer *out, const char *last)
{
	for (int i = 0; i < KIND_COUNT; i++)
		buffer_printf(out, "%s%s", separator(i, KIND_COUNT, last), spec_kinds[i].name);
}

void append_words(struct buffer *out, const char *words, const char *last)
{
	int count = 1, at = 0;

	for (const char *c = words; *c; c++)
		count += *c == ' ';
	for (const char *word = words; *word; at++) {
		size_t size = strcspn(word, " ");

		buffer_printf(out, "%s%.*s", separator(at, count, last), (int)size, word);
		word += size + (word[size] == ' ');
	}
}
