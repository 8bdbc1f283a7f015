/*
 * json.c - a payload's documents, and which of their values belongs to which column.
 */
#include "batch/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/owned.h"
#include "batch/json_private.h"

#define ROOM_KEPT ((size_t)2 << 20) /* of the reader's memory, between payloads */
#define KEY_MAX 255 /* bytes of a key that becomes a column */
#define NOT_PLAIN_NEXT 15 /* documents */

/* ---- columns */

/* The name that a table knows as the same one; NULL: there is none. */
static const char *same_name(const struct json_decoder *decoder, const char *name)
{
	for (int i = 0; i < decoder->columns.count; i++)
		if (!strcasecmp(decoder->columns.root.children[i].name, name))
			return decoder->columns.root.children[i].name;
	for (int i = 0; i < decoder->cell_count; i++)
		if (decoder->cells[i].column < 0 && !strcasecmp(decoder->cells[i].rule.name, name))
			return decoder->cells[i].rule.name;
	return NULL;
}

static int check_name(const struct json_decoder *decoder, const char *name, struct error *err)
{
	const char *same = same_name(decoder, name);

	if (!*name)
		return error_set(err, ERROR_INVALID, 0, "a column's name is empty");
	if (same)
		return error_set(err, ERROR_INVALID, 0,
		                 "two columns are called '%s' and '%s': a table knows them as one", same, name);
	if (decoder->columns.count >= JSON_COLUMNS_MAX || decoder->cell_count >= JSON_COLUMNS_MAX)
		return error_set(err, ERROR_INVALID, 0, "more than %d columns", JSON_COLUMNS_MAX);
	return 0;
}

static struct allowed *measure_allowed(const struct json_column *rule)
{
	struct allowed *allowed = calloc((size_t)rule->allowed_count + 1, sizeof *allowed);

	for (int i = 0; allowed && i < rule->allowed_count; i++) {
		allowed[i].size = strlen(rule->allowed[i]);
		allowed[i].head = text_head(rule->allowed[i], allowed[i].size);
		allowed[i].whole = strtoll(rule->allowed[i], NULL, 10);
	}
	return allowed;
}

/* A cell that the key leads to, and its column. */
static int add_keyed(struct json_decoder *decoder, const struct json_column *rule, struct key *key, struct error *err)
{
	struct columns *columns = &decoder->columns;
	struct cell *cells, cell = {.rule = *rule, .column = -1, .also = key->cell};

	if (check_name(decoder, rule->name, err))
		return -1;
	cells = realloc(decoder->cells, (size_t)(decoder->cell_count + 1) * sizeof *cells);
	if (!cells)
		return error_no_memory(err);
	decoder->cells = cells;
	if (!rule->unstored) {
		cell.column = columns_add(columns, rule->name, rule->type, rule->precision, rule->scale, err);
		if (cell.column < 0)
			return -1;
		cell.rule.name = columns->root.children[cell.column].name;
	}
	if (rule->allowed && !(cell.allowed = measure_allowed(rule)))
		return error_no_memory(err);
	key->cell = decoder->cell_count++;
	cells[key->cell] = cell;
	return 0;
}

static int add_own(struct json_decoder *decoder, const char *name, enum json_type type, int *ret_column,
                   struct error *err)
{
	*ret_column = -1;
	if (!name)
		return 0;
	if (check_name(decoder, name, err))
		return -1;
	*ret_column = type == JSON_TYPE_COUNT ? columns_add_list(&decoder->columns, name, err)
	                                      : columns_add(&decoder->columns, name, type, 0, 0, err);
	return *ret_column < 0 ? -1 : 0;
}

static int add_own_columns(struct json_decoder *decoder, struct error *err)
{
	const struct json_rules *rules = &decoder->rules;

	if (add_own(decoder, rules->raw, JSON_JSON, &decoder->raw, err) ||
	    add_own(decoder, rules->score, JSON_DOUBLE, &decoder->score, err) ||
	    add_own(decoder, rules->reasons, JSON_TYPE_COUNT, &decoder->reasons, err))
		return -1;
	return add_own(decoder, rules->ingested_at, JSON_TIMESTAMPTZ, &decoder->ingested_at, err);
}

/* ---- a document */

static int infer(struct json_decoder *decoder, yyjson_val *document, const char *name, size_t size, yyjson_val *value,
                 struct error *err)
{
	struct json_column rule = {.type = JSON_JSON};
	struct key *key;

	if (yyjson_is_null(value))
		return 0;
	if (size == 0 || size > KEY_MAX || memchr(name, 0, size))
		return error_set(err, ERROR_CORRUPT, 0,
		                 "a key of %zu bytes cannot be a column: 1 to %d, none of them 0", size, KEY_MAX);
	if (yyjson_obj_getn(document, name, size) != value) /* that one is null, which makes no column */
		return error_set(err, ERROR_CORRUPT, 0, "the key '%s' stands there twice", name);
	if (yyjson_is_bool(value))
		rule.type = JSON_BOOLEAN;
	else if (yyjson_is_raw(value))
		rule.type = json_is_whole(value) ? JSON_BIGINT : JSON_DOUBLE;
	else if (yyjson_is_str(value))
		rule.type = JSON_VARCHAR;
	/* The rows that are there get a null each. */
	if (json_count(decoder, CELL_BYTES * decoder->columns.rows, err))
		return -1;
	key = key_add(&decoder->root, name, size, err);
	if (!key)
		return -1;
	rule.name = key->name;
	if (add_keyed(decoder, &rule, key, err)) {
		if (err->kind == ERROR_INVALID)
			err->kind = ERROR_CORRUPT;
		return -1;
	}
	decoder->cells[key->cell].place = (struct place){.value = value};
	decoder->news = true;
	return 0;
}

static int hold(struct json_decoder *decoder, const struct key *key, yyjson_val *value, struct error *err)
{
	for (int cell = key->cell; cell >= 0; cell = decoder->cells[cell].also) {
		if (decoder->cells[cell].place.value)
			return error_set(err, ERROR_CORRUPT, 0, "the key '%s' stands there twice", key->name);
		decoder->cells[cell].place = (struct place){.value = value};
	}
	return 0;
}

/* The member ends before the comma before `next`, the next key or the document's end. */
static void place_members(struct json_decoder *decoder, int cell, const char *begin, const char *next)
{
	for (; cell >= 0; cell = decoder->cells[cell].also) {
		decoder->cells[cell].place.text = begin;
		decoder->cells[cell].place.size = json_place_size(begin, next);
	}
}

/* As deep as the pointers of the rules, however deep the document. */
static int find_cells(struct json_decoder *decoder, struct key *parent, yyjson_val *value, struct error *err)
{
	const char *begin = NULL;
	int open = -1; /* the cell of a member whose end is still to be found */
	yyjson_obj_iter members;
	yyjson_val *name;

	if (yyjson_is_arr(value)) {
		for (int i = 0; i < parent->child_count; i++) {
			struct key *child = &parent->children[i];
			char *end;
			unsigned long at = strtoul(child->name, &end, 10);
			yyjson_val *element = *end || !child->size ? NULL : yyjson_arr_get(value, at);

			if (element && (hold(decoder, child, element, err) || find_cells(decoder, child, element, err)))
				return -1;
		}
		return 0;
	}
	if (!yyjson_is_obj(value) || (!parent->child_count && !(decoder->infers && parent == &decoder->root)))
		return 0;
	yyjson_obj_iter_init(value, &members);
	while ((name = yyjson_obj_iter_next(&members))) {
		yyjson_val *member = yyjson_obj_iter_get_val(name);
		struct key *child = key_find(parent, yyjson_get_str(name), yyjson_get_len(name));

		if (open >= 0)
			place_members(decoder, open, begin, decoder->text + (yyjson_get_str(name) - decoder->copy) - 1);
		begin = parent == &decoder->root && child && child->cell >= 0
		                ? json_place_begin(decoder->text + (yyjson_get_str(name) - decoder->copy), name, member)
		                : NULL;
		open = begin ? child->cell : -1;
		if (child ? hold(decoder, child, member, err) || find_cells(decoder, child, member, err)
		          : decoder->infers &&
		                    infer(decoder, value, yyjson_get_str(name), yyjson_get_len(name), member, err))
			return -1;
	}
	if (open >= 0)
		place_members(decoder, open, begin, decoder->end);
	return 0;
}

static void empty_cells(struct json_decoder *decoder)
{
	for (int i = 0; i < decoder->cell_count; i++)
		decoder->cells[i].place = (struct place){0};
}

static bool hold_plain(void *context, const struct key *key, yyjson_val *value)
{
	struct error twice;

	return hold(context, key, value, &twice) == 0;
}

/* Where one document is not plain, the next ones are seldom. */
static bool read_plain(struct json_decoder *decoder, const char *text, size_t size)
{
	if (decoder->infers || decoder->not_plain-- > 0)
		return false;
	empty_cells(decoder);
	if (json_plain(text, size, &decoder->root, decoder->plain, hold_plain, decoder)) {
		decoder->not_plain = 0;
		return true;
	}
	decoder->not_plain = NOT_PLAIN_NEXT;
	return false;
}

static int add_document(struct json_decoder *decoder, yyjson_val *document, const char *text, size_t size,
                        int64_t ingested_us, struct error *err)
{
	if (!yyjson_is_obj(document))
		return error_set(err, ERROR_CORRUPT, 0, "the document is %s, not an object", json_name(document));
	decoder->text = text;
	decoder->end = text + size;
	empty_cells(decoder);
	if (hold(decoder, &decoder->root, document, err) || find_cells(decoder, &decoder->root, document, err))
		return -1;
	return json_fill_row(decoder, text, size, ingested_us, err);
}

/* ---- a payload */

/* The rows before it in the payload, and the reading of a document, share made_max. */
static size_t room_max(const struct json_decoder *decoder)
{
	int64_t left = decoder->rules.made_max - decoder->made;

	return left < (int64_t)JSON_ROOM_MAX ? (size_t)left : JSON_ROOM_MAX;
}

/* Room for the reader: NULL where the text would need more than there is. */
static bool make_room(struct json_decoder *decoder, size_t size)
{
	size_t wanted = 2 * yyjson_read_max_memory_usage(size, YYJSON_READ_NUMBER_AS_RAW);

	if (wanted > room_max(decoder))
		wanted = room_max(decoder); /* enough for most: values seldom stand so dense */
	if (wanted <= decoder->room_size)
		return true;
	free(decoder->room);
	if (wanted < ROOM_KEPT / 8)
		wanted = ROOM_KEPT / 8;
	decoder->room = malloc(wanted);
	decoder->room_size = decoder->room ? wanted : 0;
	return decoder->room;
}

/* 0: added; 1: the text ends within the document; -1: refused. */
static int read_document(struct json_decoder *decoder, const char *text, size_t size, int64_t ingested_us,
                         size_t *ret_at, struct error *err)
{
	yyjson_read_err why = {0};
	yyjson_alc alc;
	yyjson_doc *document;

	*ret_at = 0;
	if (read_plain(decoder, text, size))
		return json_fill_row(decoder, text, size, ingested_us, err);
	if (!make_room(decoder, size))
		return error_no_memory(err);
	yyjson_alc_pool_init(&alc, decoder->room, decoder->room_size);
	document = yyjson_read_opts((char *)(uintptr_t)text, size, YYJSON_READ_NUMBER_AS_RAW, &alc, &why);
	if (document) { /* its memory is the room's: nothing to free */
		decoder->copy = document->str_pool;
		return add_document(decoder, yyjson_doc_get_root(document), text, size, ingested_us, err);
	}
	*ret_at = why.pos;
	if (why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return error_set(
		        err, ERROR_CORRUPT, 0, "the document holds more values than %zu MiB of memory can take apart%s",
		        decoder->room_size >> 20, decoder->room_size < JSON_ROOM_MAX ? json_advice(decoder) : "");
	error_set(err, ERROR_CORRUPT, 0, "%s", why.msg);
	return why.code == YYJSON_READ_ERROR_UNEXPECTED_END ? 1 : -1;
}

static void trim(const char **text, const char **end)
{
	while (*text < *end && json_is_space(**text))
		++*text;
	while (*end > *text && json_is_space((*end)[-1]))
		--*end;
}

/* start: of the payload, whose lines and bytes are counted; what stands before text is blank. */
static int read_lines(struct json_decoder *decoder, const char *start, const char *text, const char *end,
                      int64_t ingested_us, struct error *err)
{
	const char *first = text;
	int64_t line = 1;
	size_t at;
	int failed;

	for (const char *blank = start; blank < text; blank++)
		line += *blank == '\n';
	for (; text < end; line++) {
		const char *feed = memchr(text, '\n', (size_t)(end - text)), *next = feed ? feed + 1 : end;
		const char *from = text, *to = feed ? feed : end;

		if (feed || text > first) /* one line is trimmed already */
			trim(&from, &to);
		failed = from < to ? read_document(decoder, from, (size_t)(to - from), ingested_us, &at, err) : 0;
		/* A document over several lines must be the only one. */
		if (failed > 0 && text == first && feed) {
			*err = (struct error){0};
			from = text;
			failed = read_document(decoder, text, (size_t)(end - text), ingested_us, &at, err);
			next = end;
		}
		if (failed) {
			if (err->kind == ERROR_CORRUPT)
				error_wrap(err, "line %" PRId64 ", byte %zu", line, (size_t)(from - start) + at);
			return -1;
		}
		text = next;
	}
	return 0;
}

/* What there was before a payload. */
struct before {
	int64_t rows;
	int columns, cells, keys;
};

/* The columns that a refused payload brought go with it, and what it widened is as it was. */
static void restore(struct json_decoder *decoder, const struct before *before)
{
	struct columns *columns = &decoder->columns;
	struct key *root = &decoder->root;

	columns_restore(columns, before->columns, before->rows);
	decoder->cell_count = before->cells; /* those behind are inferred: nothing hangs on them */
	for (int i = 0; i < decoder->cell_count; i++) {
		struct cell *cell = &decoder->cells[i];

		if (cell->rule.type == JSON_DOUBLE && cell->column >= 0 &&
		    columns->root.children[cell->column].kind == KIND_INT64)
			cell->rule.type = JSON_BIGINT;
	}
	while (root->child_count > before->keys)
		key_release(&root->children[--root->child_count]);
	root->next = 0;
}

int json_add(struct json_decoder *decoder, const uint8_t *payload, size_t size, int64_t ingested_us, struct error *err)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of byte order; RFC 8259, section 8.1 */
	const char *start = (const char *)payload, *text = start, *end = start + size;
	struct before before = {decoder->columns.rows, decoder->columns.count, decoder->cell_count,
	                        decoder->root.child_count};
	int failed;

	if (size >= 3 && !memcmp(text, mark, 3))
		text += 3;
	trim(&text, &end);
	if (text == end)
		return error_set(err, ERROR_CORRUPT, 0, "the message is empty");
	decoder->made = 0;
	failed = read_lines(decoder, start, text, end, ingested_us, err);
	if (failed) {
		restore(decoder, &before);
		columns_trim(&decoder->columns);
	} else {
		columns_keep(&decoder->columns);
	}
	if (!failed && decoder->counters)
		decoder->counters->payload += (int64_t)size;
	if (decoder->room_size > ROOM_KEPT) {
		free(TAKE(decoder->room));
		decoder->room_size = 0;
	}
	return failed;
}

bool json_has_news(const struct json_decoder *decoder)
{
	return decoder->news;
}

#define ARRAY_BYTES 256 /* an array's heads, and its buffers' least sizes */

int64_t json_rows(const struct json_decoder *decoder)
{
	return decoder->columns.rows;
}

int64_t json_bytes(const struct json_decoder *decoder)
{
	return columns_bytes(&decoder->columns) + ARRAY_BYTES * (int64_t)decoder->columns.count;
}

int64_t json_made(const struct json_decoder *decoder)
{
	return decoder->made;
}

int json_take(struct json_decoder *decoder, void (*let_go)(void *), void *opaque, struct batch_set *ret_set,
              struct error *err)
{
	int64_t bytes = columns_bytes(&decoder->columns);

	if (columns_take(&decoder->columns, let_go, opaque, ret_set, err))
		return -1;
	if (decoder->counters)
		decoder->counters->copied += bytes;
	return 0;
}

/* ---- life */

static int add_declared(struct json_decoder *decoder, struct error *err)
{
	for (int i = 0; i < decoder->rules.column_count; i++) {
		const struct json_column *rule = &decoder->rules.columns[i];
		struct key *key = key_of_pointer(&decoder->root, rule->pointer, err);

		if (!key || add_keyed(decoder, rule, key, err))
			return error_wrap(err, "column %s", rule->name);
	}
	return 0;
}

/* A batch without columns has no rows, either. */
static int check_stored(const struct json_decoder *decoder, struct error *err)
{
	if (decoder->infers || decoder->columns.count)
		return 0;
	return error_set(err, ERROR_INVALID, 0, "no column is stored: a table has one at least");
}

static void forget_columns(struct json_decoder *decoder)
{
	columns_release(&decoder->columns);
	key_release(&decoder->root);
	for (int i = 0; i < decoder->cell_count; i++) {
		free(decoder->cells[i].allowed);
		free(decoder->cells[i].table);
	}
	free(TAKE(decoder->cells));
	decoder->cell_count = 0;
}

/* The column is JSON here and something else in the table, or of times that are not as fine. */
static int learn_cast(struct cell *cell, const char *type, struct error *err)
{
	if ((cell->rule.type != JSON_JSON || !strcmp(type, "JSON")) && json_unit_us(type) == 1)
		return 0;
	cell->table = strdup(type);
	return cell->table ? 0 : error_no_memory(err);
}

int json_learn(struct json_decoder *decoder, const char *const *names, const char *const *types, int count,
               struct error *err)
{
	if (!decoder->infers)
		return 0;
	forget_columns(decoder);
	decoder->news = false;
	if (add_own_columns(decoder, err))
		return -1;
	for (int i = 0; i < count; i++) {
		struct json_column rule = {.name = names[i], .weight = 1};
		struct key *key;

		if (same_name(decoder, names[i]))
			continue; /* Tarn's own */
		rule.type = json_type_of_duckdb(types[i], &rule.precision, &rule.scale);
		key = key_add(&decoder->root, names[i], strlen(names[i]), err);
		if (!key || add_keyed(decoder, &rule, key, err) ||
		    learn_cast(&decoder->cells[key->cell], types[i], err))
			return -1;
	}
	return 0;
}

struct json_decoder *json_decoder_new(const struct json_rules *rules, struct batch_counters *counters,
                                      struct error *err)
{
	struct json_decoder *decoder = calloc(1, sizeof *decoder);

	if (!decoder) {
		error_no_memory(err);
		return NULL;
	}
	decoder->rules = *rules;
	decoder->counters = counters;
	decoder->infers = rules->column_count == 0;
	if (!rules->made_max)
		decoder->rules.made_max = JSON_MADE_MAX;
	decoder->root.cell = -1;
	columns_init(&decoder->columns);
	if (add_declared(decoder, err) || add_own_columns(decoder, err) || check_stored(decoder, err)) {
		json_decoder_free(decoder);
		return NULL;
	}
	return decoder;
}

void json_decoder_free(struct json_decoder *decoder)
{
	if (!decoder)
		return;
	forget_columns(decoder);
	free(decoder->room);
	free(decoder);
}
