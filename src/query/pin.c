#include "query/pin.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "query/tree.h"

/* As the guard reads it: lake.t is main.t. */
static const char *schema_of(const struct node *table)
{
	const char *schema = node_text(table, "schema_name");

	if (!*schema || (!*node_text(table, "catalog_name") && !strcasecmp(schema, "lake")))
		return "main";
	return schema;
}

static int set_text(struct tree *tree, struct node *object, const char *name, const char *text, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};
	struct node *node;

	buffer_init(&json, 65536);
	buffer_json_text(&json, text, strlen(text));
	node = buffer_ok(&json) ? tree_value(tree, buffer_string(&json)) : NULL;
	return node && node_set(tree, object, name, node) == 0 ? 0 : error_no_memory(err);
}

static int set_version(struct tree *tree, struct node *table, int64_t snapshot, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};
	struct node *at;

	buffer_init(&json, 65536);
	if (snapshot < 0)
		buffer_text(&json, "null");
	else
		buffer_printf(&json,
		              "{\"unit\":\"VERSION\",\"expr\":{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\","
		              "\"alias\":\"\",\"value\":{\"type\":{\"id\":\"BIGINT\",\"type_info\":null},"
		              "\"is_null\":false,\"value\":%" PRId64 "}}}",
		              snapshot);
	at = tree_value(tree, buffer_string(&json));
	return at && node_set(tree, table, "at_clause", at) == 0 ? 0 : error_no_memory(err);
}

int pin_sql(struct guard_found *found, struct duck_connection *parser, const struct pin *pin, struct buffer *out,
            int *ret_lake, struct error *err)
{
	int of_lake = 0;

	for (int i = 0; i < found->place_count; i++) {
		struct node *table = found->places[i];
		OWNED_BUFFER struct buffer schema = {0}; /* the node's own text is replaced */
		bool copy;

		buffer_init(&schema, 65536);
		buffer_text(&schema, schema_of(table));
		copy = pin->memory &&
		       pin->in_memory(pin->context, buffer_string(&schema), node_text(table, "table_name"));
		of_lake += !copy;
		if (set_text(found->tree, table, "schema_name", buffer_string(&schema), err) ||
		    set_text(found->tree, table, "catalog_name", copy ? pin->memory : "lake", err) ||
		    set_version(found->tree, table, copy ? -1 : pin->snapshot, err))
			return -1;
	}
	if (ret_lake)
		*ret_lake = of_lake;
	return tree_sql(found->tree, parser, out, err);
}
