/*
 * kinds.h - kinds.def as data: what a manifest may say.
 *
 * Invariants:
 *  1. A field's parent stands before it, and so do the fields it depends on (a unit test walks the table).
 *  2. A field's target has the C type of its type (checked while compiling). A list's fields have theirs in the list's
 * items; what they refer to (.when_field, .fallback_of) is in the same item. Lists do not nest.
 */
#ifndef TARN_SPEC_KINDS_H
#define TARN_SPEC_KINDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "spec/spec.h"

enum field_type {
#define TYPE(id, name, right) TYPE_##id,
#include "spec/kinds.def"
	TYPE_COUNT
};

enum kind_id {
#define KIND(id, ...) KIND_##id,
#include "spec/kinds.def"
	KIND_COUNT,
	KIND_BEFORE_HEADERS = KIND_COUNT - 1,
#define HEADER(id, ...) KIND_##id,
#include "spec/kinds.def"
	KIND_AND_HEADER_COUNT
};

struct kind {
	const char *name; /* "DuckLakeStream" */
	size_t size; /* of the struct */
	size_t items; /* offsets of the array and its count in struct manifest... */
	size_t count;
	size_t name_target; /* ...and of what every kind has in the struct */
	size_t position;
	const char *description;
};

struct field {
	enum kind_id kind;
	const char *path; /* "spec.kafka.topic" */
	enum field_type type;
	ptrdiff_t target; /* offset in the kind's struct, -1: checked, but kept nowhere */
	ptrdiff_t count_target; /* TYPE_MAP, TYPE_LIST, TYPE_TEXTS: of the int that counts */
	/* TYPE_SQL, TYPE_TEXTS: of the int that takes the line where the value begins; TYPE_LIST: the same in each
	 * item. 0: nobody asks */
	ptrdiff_t line_target;
	size_t item_size; /* TYPE_LIST: of the struct that its fields' targets are in */
	const char *description;
	const char *example; /* NULL: not in the generated example */
	bool required; /* where when_field says so, or always */
	const char *fallback; /* the default, in the manifest's own words */
	const char *fallback_of; /* the default is this field's value */
	const char *minimum, *maximum;
	const char *values; /* TYPE_ENUM: the enum of VALUE rows */
	const char *when_field; /* refused unless this field (an enum) is one of when_values */
	const char *when_values; /* space-separated */
	const char *instead_of; /* this or that field, never both; either will do where that one is required */
	bool url; /* TYPE_PATH: an s3:// URL is right, too */
	bool files; /* file:PATH is replaced by the file's content; TYPE_SECRET always */
	bool kafka; /* TYPE_MAP: its keys are properties of librdkafka, some of which hold secrets */
};

struct enum_value {
	const char *values; /* the enum */
	int value;
	const char *text;
	const char *description;
};

struct property_kept {
	const char *name, *why;
};

extern const struct kind spec_kinds[KIND_AND_HEADER_COUNT]; /* of a header only name, size and description */
extern const struct field fields[];
extern const int field_count;
extern const struct enum_value enum_values[];
extern const int enum_value_count;
extern const char *const kinds_later[];
extern const int kind_later_count;
extern const struct property_kept properties_kept[];
extern const int property_kept_count;
extern const char *const secret_words[];
extern const int secret_word_count;

const char *type_name(enum field_type type);
const char *type_right(enum field_type type);

/* -1 where there is none. */
int kind_find(const char *name);
bool kind_is_later(const char *name);
/* The field above it; NULL: it is at the top of the document. */
const struct field *field_parent(const struct field *field);
/* The list whose items the field belongs to; NULL: it belongs to the document. */
const struct field *field_list(const struct field *field);
/* The field of that whole path, or NULL. */
const struct field *field_find(enum kind_id kind, const char *path);
/* The field that may stand for this one (.instead_of), or NULL. */
const struct field *field_instead_of(const struct field *field);
/* The part of the path behind the last point. */
const char *field_name(const struct field *field);
/* The next child of `parent` ("" is the document) after `after` (NULL: the first), or NULL. */
const struct field *field_child(enum kind_id kind, const char *parent, const struct field *after);
/* The child whose name is nearest to a mistyped one, or NULL where none is near. */
const struct field *field_nearest(enum kind_id kind, const char *parent, const char *name);
/* Edits (insert, delete, replace; case does not count) from a to b; texts over 63 bytes are far from everything. */
int name_distance(const char *a, const char *b);

const struct enum_value *enum_find(const char *values, const char *text);
const char *enum_text(const char *values, int value);

/* Why a manifest must not set this Kafka property, or NULL. */
const char *property_kept(const char *name);
bool property_is_secret(const char *name);

/* "a, b or c" */
void append_children(struct buffer *out, enum kind_id kind, const char *parent);
void append_values(struct buffer *out, const char *values, const char *last);
void append_kinds(struct buffer *out, const char *last);
void append_words(struct buffer *out, const char *words, const char *last);

#endif
