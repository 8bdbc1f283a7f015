/*
 * explain.c - the table of kinds as `tarn explain` prints it, in the manner of `kubectl explain`.
 */
#include <string.h>
#include <strings.h>

#include "base/owned.h"
#include "spec/document.h"
#include "spec/field.h"
#include "spec/kinds.h"
#include "spec/mistake.h"

#define WIDTH 96

/* The text in lines of at most WIDTH columns, each with the indent. */
static void append_wrapped(struct buffer *out, const char *text, size_t indent)
{
	size_t column = 0;

	while (*text) {
		size_t size = strcspn(text, " ");

		if (column && column + 1 + size > WIDTH) {
			buffer_char(out, '\n');
			column = 0;
		}
		if (!column) {
			buffer_printf(out, "%*s", (int)indent, "");
			column = indent;
		} else {
			buffer_char(out, ' ');
			column++;
		}
		buffer_append(out, text, size);
		column += size;
		text += size + (text[size] == ' ');
	}
	buffer_char(out, '\n');
}

static void append_note(struct buffer *out, const char *name, const char *value)
{
	if (value)
		buffer_printf(out, "    %s: %s\n", name, value);
}

/* Default, values, range, condition, example: a line each. */
static void append_notes(struct buffer *out, const struct field *field)
{
	append_note(out, "default", field->fallback);
	if (field->fallback_of)
		buffer_printf(out, "    default: the value of %s\n", field->fallback_of);
	if (field->type == TYPE_ENUM) {
		buffer_text(out, "    enum: ");
		append_values(out, field->values, ", ");
		buffer_char(out, '\n');
	}
	if (field->minimum)
		buffer_printf(out, "    range: %s to %s\n", field->minimum, field->maximum);
	if (field->instead_of)
		buffer_printf(out, "    instead of: %s\n", field->instead_of);
	if (field->when_field) {
		buffer_printf(out, "    used where %s is: ", field->when_field);
		append_words(out, field->when_values, ", ");
		buffer_char(out, '\n');
	}
	append_note(out, "example", field->example);
}

static void append_children_explained(struct buffer *out, enum kind_id kind, const char *parent)
{
	buffer_text(out, "\nFIELDS:\n");
	for (const struct field *f = field_child(kind, parent, NULL); f; f = field_child(kind, parent, f)) {
		buffer_printf(out, "  %s\t<%s>%s\n", field_name(f), type_name(f->type),
		              f->required ? " -required-" : "");
		append_notes(out, f);
		append_wrapped(out, f->description, 4);
		buffer_text(out, field_child(kind, parent, f) ? "\n" : "");
	}
}

static void append_field(struct buffer *out, const struct field *field)
{
	buffer_printf(out, "FIELD:      %s <%s>%s\n\nDESCRIPTION:\n", field_name(field), type_name(field->type),
	              field->required ? " -required-" : "");
	append_wrapped(out, field->description, 4);
	for (int i = 0; i < enum_value_count && field->values; i++)
		if (!strcmp(enum_values[i].values, field->values))
			buffer_printf(out, "    %s: %s\n", enum_values[i].text, enum_values[i].description);
	if (field->type == TYPE_OBJECT || field->type == TYPE_LIST) {
		append_children_explained(out, field->kind, field->path);
		return;
	}
	buffer_text(out, "\nVALUE:\n    ");
	field_right(out, field);
	buffer_char(out, '\n');
	append_notes(out, field);
}

static void append_all_kinds(struct buffer *out)
{
	buffer_printf(out, "VERSION:    %s\n\nKINDS:\n", SPEC_API_VERSION);
	for (int i = 0; i < KIND_AND_HEADER_COUNT; i++) {
		buffer_printf(out, "%s  %s\n",
		              i == KIND_COUNT ? "\nIN OTHER FILES:\n"
		              : i             ? "\n"
		                              : "",
		              spec_kinds[i].name);
		append_wrapped(out, spec_kinds[i].description, 4);
	}
}

static int explain_kind(const char *name, struct error *err)
{
	OWNED_BUFFER struct buffer names = {0};
	char quoted[QUOTED_SIZE];

	buffer_init(&names, 256);
	for (int i = 0; i < KIND_AND_HEADER_COUNT; i++)
		if (!strcasecmp(spec_kinds[i].name, name))
			return i;
	append_kinds(&names, " and ");
	return error_set(err, ERROR_INVALID, 0, "there is no kind %s; there are %s", quote_text(quoted, name),
	                 buffer_string(&names));
}

static int no_field(enum kind_id kind, const char *parent, const char *name, struct error *err)
{
	const struct field *field = field_find(kind, parent);
	OWNED_BUFFER struct buffer names = {0};
	char quoted[QUOTED_SIZE];

	buffer_init(&names, 256);
	quote_text(quoted, name);
	append_children(&names, kind, parent);
	if (!names.size)
		return error_set(err, ERROR_INVALID, 0, "%s.%s has no field %s; it is a <%s> and has none",
		                 spec_kinds[kind].name, parent, quoted, type_name(field->type));
	return error_set(err, ERROR_INVALID, 0, "%s%s%s has no field %s; it has %s", spec_kinds[kind].name,
	                 *parent ? "." : "", parent, quoted, buffer_string(&names));
}

/* Walks the path name by name, so that an error can say where it left the table. */
static int find_path(enum kind_id kind, const char *path, const struct field **ret_field, struct error *err)
{
	const struct field *found = NULL;

	while (*path) {
		size_t size = strcspn(path, ".");
		OWNED_FREE char *name = strndup(path, size);
		const char *parent = found ? found->path : "";
		const struct field *child = field_child(kind, parent, NULL);

		if (!name)
			return error_no_memory(err);
		while (child && strcmp(field_name(child), name))
			child = field_child(kind, parent, child);
		if (!child)
			return no_field(kind, parent, name, err);
		found = child;
		path += size;
		path += *path == '.';
	}
	*ret_field = found;
	return 0;
}

int spec_explain(const char *path, struct buffer *out, struct error *err)
{
	const struct field *field = NULL;
	OWNED_FREE char *name = NULL;
	size_t size;
	int kind;

	if (!path || !*path) {
		append_all_kinds(out);
		return 0;
	}
	size = strcspn(path, ".");
	name = strndup(path, size);
	if (!name)
		return error_no_memory(err);
	kind = explain_kind(name, err);
	if (kind < 0 || find_path((enum kind_id)kind, path + size + (path[size] == '.'), &field, err))
		return -1;
	buffer_printf(out, "KIND:       %s\nVERSION:    %s\n\n", spec_kinds[kind].name, SPEC_API_VERSION);
	if (field) {
		append_field(out, field);
		return 0;
	}
	buffer_text(out, "DESCRIPTION:\n");
	append_wrapped(out, spec_kinds[kind].description, 4);
	append_children_explained(out, (enum kind_id)kind, "");
	return 0;
}
