/*
 * columns_relation.c - lists of sources and of columns.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "layers/columns_private.h"

/* ---- sources */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcasecmp(a, b) : a == b;
}

static const char *own_text(struct arena *arena, const char *text)
{
	return text ? arena_text(arena, text) : NULL;
}

int source_add(struct arena *arena, struct source_list *list, const struct column_source *source)
{
	struct column_source *items;

	for (int i = 0; i < list->count; i++) {
		struct column_source *item = &list->items[i];

		if (!same_text(item->column, source->column) || !same_text(item->table, source->table) ||
		    !same_text(item->schema, source->schema) || !same_text(item->part, source->part))
			continue;
		item->uses |= source->uses;
		if (source->through < item->through)
			item->through = source->through;
		return 0;
	}
	items = arena_grow(arena, list->items, list->count, &list->capacity, sizeof *items);
	if (!items)
		return -1;
	list->items = items;
	items[list->count] = *source;
	/* Names and parts may stand in the tree, which does not live as long. */
	items[list->count].schema = own_text(arena, source->schema);
	items[list->count].table = own_text(arena, source->table);
	items[list->count].column = own_text(arena, source->column);
	items[list->count].part = own_text(arena, source->part);
	list->count++;
	return arena->failed ? -1 : 0;
}

const char *part_join(struct arena *arena, const char *outer, const char *inner)
{
	if (!outer || !inner)
		return outer ? outer : inner;
	return arena_printf(arena, "%s.%s", outer, inner);
}

const struct made_column *made_columns_find(const struct made_columns *columns, const char *name)
{
	for (int i = 0; i < columns->count; i++)
		if (!strcasecmp(columns->columns[i].name, name))
			return &columns->columns[i];
	return NULL;
}

void made_columns_release(struct made_columns *columns)
{
	arena_release(&columns->arena);
	*columns = (struct made_columns){0};
}

/* The first reason is the one that is told. */
void columns_unknown(struct columns_reading *r, struct made_column *column, const char *format, ...)
{
	char text[256];
	va_list args;

	if (column->unknown)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	column->unknown = arena_text(r->arena, text);
}

int columns_merge(struct columns_reading *r, struct made_column *to, const struct made_column *from, unsigned use,
                  int through)
{
	for (int i = 0; i < from->sources.count; i++) {
		struct column_source source = from->sources.items[i];

		source.uses = use == USE_CONDITION ? USE_CONDITION : source.uses;
		source.through += through;
		if (source_add(r->arena, &to->sources, &source))
			return -1;
	}
	if (from->unknown)
		columns_unknown(r, to, "%s", from->unknown);
	return 0;
}

/* ---- relations */

struct relation *columns_relation(struct columns_reading *r)
{
	return arena_alloc(r->arena, sizeof(struct relation));
}

struct made_column *relation_add(struct columns_reading *r, struct relation *relation, const char *name)
{
	struct made_column *columns =
	        arena_grow(r->arena, relation->columns, relation->count, &relation->capacity, sizeof *columns);

	if (!columns)
		return NULL;
	relation->columns = columns;
	columns[relation->count] = (struct made_column){.name = name};
	return &columns[relation->count++];
}

int relation_add_open(struct columns_reading *r, struct relation *relation, const char *schema, const char *table)
{
	struct table_name *opens;

	for (int i = 0; i < relation->open_count; i++)
		if (same_text(relation->opens[i].schema, schema) && same_text(relation->opens[i].table, table))
			return 0;
	opens = arena_grow(r->arena, relation->opens, relation->open_count, &relation->open_capacity, sizeof *opens);
	if (!opens)
		return -1;
	relation->opens = opens;
	opens[relation->open_count++] = (struct table_name){schema, table};
	return 0;
}

const struct made_column *relation_find(const struct relation *relation, const char *name)
{
	for (int i = 0; i < relation->count; i++)
		if (!strcasecmp(relation->columns[i].name, name))
			return &relation->columns[i];
	return NULL;
}

bool relation_is_open(const struct relation *relation)
{
	return relation->open_count || relation->why || relation->any;
}

void relation_rename(struct relation *relation, const struct node *names)
{
	if (!node_count(names))
		return;
	for (int i = 0; i < node_count(names) && i < relation->count; i++)
		relation->columns[i].name = node_text(node_at(names, i), NULL);
	if (relation->open_count && !relation->why)
		relation->why = "its columns are named anew, and are not known";
}

struct relation *relation_copy(struct columns_reading *r, const struct relation *relation)
{
	struct relation *copy = columns_relation(r);
	size_t size = (size_t)relation->count * sizeof *relation->columns;

	if (!copy)
		return NULL;
	*copy = *relation;
	copy->capacity = relation->count;
	copy->columns = arena_alloc(r->arena, size);
	if (copy->columns && size)
		memcpy(copy->columns, relation->columns, size);
	return copy->columns ? copy : NULL;
}
