/*
 * arrow_schema.c - a decoded schema as its users see it: an ArrowSchema of what leaves batch/, shared by counted
 * references, and the fingerprint of what came in.
 *
 * The fingerprint is FNV-1a of 128 bits (draft-eastlake-fnv, section 2) over each field in order: name, type on the
 * wire, the dictionary's type, nullability, extension name and number of children. Other metadata does not enter.
 */
#include <stdio.h>
#include <stdlib.h>

#include "batch/decode.h"

#define FORMAT_MAX 1024

/* The parameters come from the field that has them: a dictionary's or a run's values. */
static void write_format(const struct field *field, enum kind kind, char *format, size_t size)
{
	int used;

	switch (kind) {
	case KIND_DECIMAL32: snprintf(format, size, "d:%d,%d,32", field->precision, field->scale); return;
	case KIND_DECIMAL64: snprintf(format, size, "d:%d,%d,64", field->precision, field->scale); return;
	case KIND_DECIMAL128: snprintf(format, size, "d:%d,%d", field->precision, field->scale); return;
	case KIND_FIXED_BINARY: snprintf(format, size, "w:%d", field->width); return;
	case KIND_FIXED_LIST: snprintf(format, size, "+w:%d", field->list_size); return;
	case KIND_TIMESTAMP_S:
	case KIND_TIMESTAMP_MS:
	case KIND_TIMESTAMP_US:
	case KIND_TIMESTAMP_NS: snprintf(format, size, "%s%s", kinds[kind].format, field->timezone); return;
	case KIND_UNION:
		used = snprintf(format, size, "+us:0");
		for (int i = 1; i < field->child_count && (size_t)used < size; i++)
			used += snprintf(format + used, size - (size_t)used, ",%d", i);
		return;
	default: snprintf(format, size, "%s", kinds[kind].format);
	}
}

/* Extension types that DuckDB reads, only over the storage it expects: it does not check, and would read past buffers.
 */
static bool extension_known(const struct field *field, enum kind out, const struct field *of)
{
	if (!strcmp(field->extension, "arrow.uuid"))
		return out == KIND_FIXED_BINARY && of->width == 16;
	return !strcmp(field->extension, "arrow.json") && kind_is_text(out);
}

static void release_nothing(struct ArrowSchema *schema)
{
	schema->release = NULL;
}

static void release_root(struct ArrowSchema *schema)
{
	struct pool *pool = schema->private_data;

	schema->release = NULL;
	pool_release(pool);
	free(pool);
}

static char *pool_text(struct pool *pool, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = pool_alloc(pool, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

/* Metadata of the C data interface: the number of pairs, then each length and text, in native int32. */
static char *extension_metadata(struct pool *pool, const char *extension)
{
	static const char key[] = "ARROW:extension:name";
	int32_t pairs = 1, key_size = sizeof key - 1, value_size = (int32_t)strlen(extension);
	char *metadata = pool_alloc(pool, 3 * sizeof pairs + sizeof key + (size_t)value_size);
	char *to = metadata;

	if (!metadata)
		return NULL;
	to = mempcpy(to, &pairs, sizeof pairs);
	to = mempcpy(to, &key_size, sizeof key_size);
	to = mempcpy(to, key, (size_t)key_size);
	to = mempcpy(to, &value_size, sizeof value_size);
	memcpy(to, extension, (size_t)value_size);
	return metadata;
}

static int export_field(struct pool *pool, const struct field *field, struct ArrowSchema *schema)
{
	const struct field *of = field->value                  ? field->value
	                         : field->kind == KIND_RUN_END ? &field->children[1]
	                                                       : field;
	int children = of == field ? field->child_count : 0;
	const char *extension = "";
	char format[FORMAT_MAX];

	write_format(of, field->out, format, sizeof format);
	if (extension_known(field, field->out, of))
		extension = field->extension;
	else if (extension_known(of, field->out, of))
		extension = of->extension;
	*schema = (struct ArrowSchema){
	        .format = pool_text(pool, format),
	        .name = pool_text(pool, field->name),
	        .metadata = *extension ? extension_metadata(pool, extension) : NULL,
	        .flags = (field->nullable ? ARROW_FLAG_NULLABLE : 0) |
	                 (field->keys_sorted ? ARROW_FLAG_MAP_KEYS_SORTED : 0),
	        .n_children = children,
	        .children = pool_alloc(pool, ((size_t)children + 1) * sizeof *schema->children),
	        .release = release_nothing,
	};
	if (!schema->format || !schema->name || !schema->children || (*extension && !schema->metadata))
		return -1;
	for (int i = 0; i < children; i++) {
		schema->children[i] = pool_alloc(pool, sizeof **schema->children);
		if (!schema->children[i] || export_field(pool, &field->children[i], schema->children[i]))
			return -1;
	}
	return 0;
}

static void hash_bytes(unsigned __int128 *hash, const void *bytes, size_t size)
{
	const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++)
		*hash = (*hash ^ at[i]) * prime;
}

/* A text with its final 0, so that "ab","c" and "a","bc" differ. */
static void hash_text(unsigned __int128 *hash, const char *text)
{
	hash_bytes(hash, text, strlen(text) + 1);
}

static void hash_field(unsigned __int128 *hash, const struct field *field)
{
	char format[FORMAT_MAX];
	uint8_t flags = (uint8_t)(field->nullable | field->keys_sorted << 1);
	uint32_t children = (uint32_t)field->child_count;

	hash_text(hash, field->name);
	write_format(field, field->kind, format, sizeof format);
	hash_text(hash, format);
	if (field->kind == KIND_UNION)
		hash_bytes(hash, field->members, sizeof field->members);
	if (field->value) {
		write_format(field->value, field->value->kind, format, sizeof format);
		hash_text(hash, format);
	}
	hash_bytes(hash, &flags, sizeof flags);
	hash_text(hash, field->extension);
	hash_bytes(hash, &children, sizeof children);
	for (int i = 0; i < field->child_count; i++)
		hash_field(hash, &field->children[i]);
}

static struct ArrowSchema *export_root(const struct field *root)
{
	struct ArrowSchema *arrow = calloc(1, sizeof *arrow);
	struct pool *pool = calloc(1, sizeof *pool);

	if (arrow && pool && !export_field(pool, root, arrow)) {
		arrow->release = release_root;
		arrow->private_data = pool;
		return arrow;
	}
	if (pool)
		pool_release(pool);
	free(pool);
	free(arrow);
	return NULL;
}

struct batch_schema *schema_export(const struct field *root)
{
	unsigned __int128 hash = ((unsigned __int128)0x6c62272e07bb0142 << 64) | 0x62b821756295c58d;
	struct batch_schema *schema = calloc(1, sizeof *schema);

	if (!schema)
		return NULL;
	schema->arrow = export_root(root);
	if (!schema->arrow) {
		free(schema);
		return NULL;
	}
	atomic_init(&schema->references, 1);
	schema->column_count = root->child_count;
	hash_field(&hash, root);
	snprintf(schema->fingerprint, sizeof schema->fingerprint, "%016llx%016llx", (unsigned long long)(hash >> 64),
	         (unsigned long long)hash);
	return schema;
}

struct batch_schema *batch_schema_retain(struct batch_schema *schema)
{
	if (schema)
		atomic_fetch_add_explicit(&schema->references, 1, memory_order_relaxed);
	return schema;
}

void batch_schema_release(struct batch_schema *schema)
{
	if (!schema || atomic_fetch_sub_explicit(&schema->references, 1, memory_order_acq_rel) != 1)
		return;
	if (schema->arrow && schema->arrow->release)
		schema->arrow->release(schema->arrow);
	free(schema->arrow);
	free(schema);
}
