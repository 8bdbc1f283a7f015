/*
 * reference.c - the table of kinds as docs/reference.md. The examples are made from the table, too, and a test reads
 * them back as a manifest.
 */
#include <string.h>

#include "base/owned.h"
#include "spec/kinds.h"

static const char introduction[] =
        "# Manifests\n\n"
        "<!-- Generated from src/spec/kinds.def: do not edit. tests/unit/test_spec_explain.c says how to make it "
        "again. -->\n\n"
        "A manifest is a file of YAML documents, each with the API version `" SPEC_API_VERSION "` and a kind. "
        "`tarn explain KIND[.field...]` prints the same as this page.\n\n"
        "- A mistake is told as `FILE:LINE:COLUMN: FIELD: what is wrong; what would be right`, and nothing starts.\n"
        "- Fields that are not known, keys given twice, aliases and tags are mistakes. A file has at most 1 MiB.\n"
        "- `${VARIABLE}` in any text is replaced from the environment, once; `$${` is a literal `${`. A variable that "
        "is "
        "not set is a mistake.\n"
        "- `file:PATH` as the whole of a text is replaced by the file's content without its last line break, in the "
        "fields marked so below. The file is text of at most 64 KiB.\n"
        "- What comes from a variable or a file into a field that may hold a secret, a password in a connection, and "
        "the "
        "Kafka properties whose names contain one of the words below are written as `***` in logs.\n"
        "- Relative paths are relative to the manifest's folder.\n";

/* In a Markdown table a bar ends the cell. */
static void append_cell(struct buffer *out, const char *text)
{
	for (; *text; text++)
		buffer_printf(out, "%s%c", *text == '|' ? "\\" : "", *text);
}

static void append_default(struct buffer *out, const struct field *field)
{
	if (field->fallback)
		buffer_printf(out, "`%s`", field->fallback);
	else if (field->fallback_of)
		buffer_printf(out, "`%s`'s value", field->fallback_of);
	else if (field->required)
		buffer_text(out, "required");
}

static void append_limits(struct buffer *out, const struct field *field)
{
	if (field->type == TYPE_ENUM) {
		buffer_text(out, " One of ");
		append_values(out, field->values, ", ");
		buffer_char(out, '.');
	}
	if (field->minimum)
		buffer_printf(out, " From %s to %s.", field->minimum, field->maximum);
	if (field->files || field->type == TYPE_SECRET)
		buffer_text(out, " May be `file:PATH`.");
	if (field->instead_of)
		buffer_printf(out, " Instead of `%s`.", field->instead_of);
	if (field->when_field) {
		buffer_printf(out, " Only where `%s` is ", field->when_field);
		append_words(out, field->when_values, " or ");
		buffer_char(out, '.');
	}
}

static void append_row(struct buffer *out, const struct field *field)
{
	buffer_printf(out, "| `%s` | %s | ", field->path, type_name(field->type));
	append_default(out, field);
	buffer_text(out, " | ");
	append_cell(out, field->description);
	append_limits(out, field);
	buffer_text(out, " |\n");
}

static int depth_of(const struct field *field)
{
	int depth = 0;

	for (const char *c = field->path; *c; c++)
		depth += *c == '.';
	return depth;
}

/* Anywhere below it. */
static bool has_example(const struct field *object)
{
	for (const struct field *f = field_child(object->kind, object->path, NULL); f;
	     f = field_child(object->kind, object->path, f))
		if (f->example || (f->type == TYPE_OBJECT && has_example(f)))
			return true;
	return false;
}

/* A field of another backend or format than the default one would make the example wrong. */
static bool is_in_example(const struct field *field)
{
	const struct field *parent = field_parent(field);
	const struct field *when = field->when_field ? field_find(field->kind, field->when_field) : NULL;

	if (field->instead_of || (when && !(when->fallback && strstr(field->when_values, when->fallback))) ||
	    (parent && !is_in_example(parent)))
		return false;
	return field->example || (field->type == TYPE_OBJECT && has_example(field));
}

/* The example as YAML: a text in quotes where a plain one could be read as something else. */
static void append_scalar(struct buffer *out, const struct field *field)
{
	const char *text = field->example;

	if (field->type == TYPE_TEXTS || field->type == TYPE_LIST || field->type == TYPE_MAP)
		buffer_text(out, text);
	else if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == strlen(text))
		buffer_text(out, text);
	else
		buffer_json_text(out, text, strlen(text));
}

/* A header's is the comment above a SELECT. */
static void append_example(struct buffer *out, enum kind_id kind)
{
	bool header = kind >= KIND_COUNT;

	buffer_printf(out, "\n```%s\n", header ? "sql" : "yaml");
	for (const struct field *f = fields; f < fields + field_count; f++) {
		if (f->kind != kind || !is_in_example(f) || field_list(f))
			continue;
		buffer_printf(out, "%s%*s%s:", header ? "-- " : "", 2 * depth_of(f), "", field_name(f));
		if (f->type != TYPE_OBJECT) {
			buffer_char(out, ' ');
			append_scalar(out, f);
		}
		buffer_char(out, '\n');
	}
	buffer_printf(out, "%s```\n",
	              header ? "SELECT event_id, CAST(amount AS DECIMAL(12, 2)) AS amount FROM bronze_events\n" : "");
}

static void append_kind(struct buffer *out, enum kind_id kind)
{
	buffer_printf(out, "\n## %s\n\n%s\n", spec_kinds[kind].name, spec_kinds[kind].description);
	append_example(out, kind);
	buffer_text(out, "\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n");
	for (const struct field *f = fields; f < fields + field_count; f++)
		if (f->kind == kind)
			append_row(out, f);
	for (const struct field *f = fields; f < fields + field_count; f++) {
		if (f->kind != kind || f->type != TYPE_ENUM)
			continue;
		buffer_printf(out, "\n`%s`:\n\n", f->path);
		for (int i = 0; i < enum_value_count; i++)
			if (!strcmp(enum_values[i].values, f->values))
				buffer_printf(out, "- `%s`: %s\n", enum_values[i].text, enum_values[i].description);
	}
}

void spec_reference(struct buffer *out)
{
	buffer_text(out, introduction);
	for (int kind = 0; kind < KIND_AND_HEADER_COUNT; kind++)
		append_kind(out, (enum kind_id)kind);
	buffer_text(out, "\n## Types\n\n| Type | What is right |\n|---|---|\n");
	for (int type = 0; type < TYPE_COUNT; type++) {
		buffer_printf(out, "| %s | ", type_name((enum field_type)type));
		append_cell(out, type_right((enum field_type)type));
		buffer_text(out, " |\n");
	}
	buffer_text(out, "\n## Kafka properties\n\nNot for a manifest to set:\n\n");
	for (int i = 0; i < property_kept_count; i++)
		buffer_printf(out, "- `%s`: %s\n", properties_kept[i].name, properties_kept[i].why);
	buffer_text(out, "\nMasked in logs, where the name contains: ");
	for (int i = 0; i < secret_word_count; i++)
		buffer_printf(out, "%s`%s`", i ? ", " : "", secret_words[i]);
	buffer_text(out, ".\n\n## Kinds of this API that are not served by this version\n\n");
	for (int i = 0; i < kind_later_count; i++)
		buffer_printf(out, "%s%s", i ? ", " : "", kinds_later[i]);
	buffer_text(out, ".\n");
}
