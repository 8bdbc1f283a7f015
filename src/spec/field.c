#include "spec/field.h"

#include <string.h>

#include "spec/schedule.h"
#include "spec/values.h"

void field_right(struct buffer *out, const struct field *field)
{
	if (field->type == TYPE_OBJECT || field->type == TYPE_LIST) {
		buffer_text(out, field->type == TYPE_LIST ? "a list of mappings with " : "a mapping with ");
		append_children(out, field->kind, field->path);
		return;
	}
	if (field->type == TYPE_ENUM)
		append_values(out, field->values, " or ");
	else
		buffer_text(out, type_right(field->type));
	if (field->url)
		buffer_text(out, ", or an s3:// URL");
	if (field->minimum)
		buffer_printf(out, ", from %s to %s", field->minimum, field->maximum);
}

const char *field_number(const struct field *field, const char *text, int64_t *ret)
{
	switch (field->type) {
	case TYPE_DURATION: return value_duration(text, ret);
	case TYPE_QUANTITY: return value_quantity(text, ret);
	case TYPE_CPU: return value_cpu(text, ret);
	default: return value_integer(text, ret);
	}
}

static const char *number_in_range(const struct field *field, const char *text, int64_t *ret)
{
	const char *wrong = field_number(field, text, ret);
	int64_t bound;

	if (wrong)
		return wrong;
	if (field->minimum && !field_number(field, field->minimum, &bound) && *ret < bound)
		return "is below the minimum";
	if (field->maximum && !field_number(field, field->maximum, &bound) && *ret > bound)
		return "is above the maximum";
	return NULL;
}

static const char *check_path(const struct field *field, const char *text)
{
	const char *wrong = value_line(text);

	if (wrong)
		return wrong;
	if (field->url && !strncmp(text, "s3://", 5))
		return text[5] && text[5] != '/' ? NULL : "has no bucket";
	if (strstr(text, "://"))
		return field_instead_of(field) ? "is a URL, and a bucket belongs in spec.objectStore"
		                               : "is a URL that this field does not take";
	return *text == '~' ? "begins with '~', which is not expanded (${HOME} is)" : NULL;
}

static const char *check_secret(const char *text)
{
	return text[strspn(text, " \t\r\n")] ? NULL : "is empty";
}

const char *field_check(const struct field *field, const char *text)
{
	struct schedule schedule;
	int64_t n;
	bool yes;

	switch (field->type) {
	case TYPE_STRING: return value_line(text);
	case TYPE_SECRET: return check_secret(text);
	case TYPE_NAME:
	case TYPE_REFERENCE: return value_name(text);
	case TYPE_TABLE: return value_table(text);
	case TYPE_TOPIC: return value_topic(text);
	case TYPE_BROKERS: return value_brokers(text);
	case TYPE_PATH: return check_path(field, text);
	case TYPE_ENUM: return enum_find(field->values, text) ? NULL : "is not known";
	case TYPE_DURATION:
	case TYPE_QUANTITY:
	case TYPE_CPU:
	case TYPE_INTEGER: return number_in_range(field, text, &n);
	case TYPE_BOOLEAN: return value_boolean(text, &yes);
	case TYPE_NUMBER: return value_number(text);
	case TYPE_IDENTIFIER: return value_identifier(text);
	case TYPE_POINTER: return value_pointer(text);
	case TYPE_COLUMN: return value_column(text);
	case TYPE_SQL: return text[strspn(text, " \t\r\n")] ? NULL : "is empty";
	case TYPE_SCHEDULE: return schedule_parse(text, &schedule);
	case TYPE_ENDPOINT: return value_endpoint(text);
	case TYPE_BASE_URL: return value_base_url(text);
	case TYPE_BUCKET: return value_bucket(text);
	case TYPE_PREFIX: return value_prefix(text);
	case TYPE_URL_PATH: return value_url_path(text);
	case TYPE_OBJECT:
	case TYPE_ANY:
	case TYPE_MAP:
	case TYPE_LIST:
	case TYPE_TEXTS:
	case TYPE_COUNT: break;
	}
	return "is a text";
}
