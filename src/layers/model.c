#include "layers/model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lake/duck.h"
#include "layers/references.h"
#include "spec/values.h"

#define FILE_MAXIMUM_BYTES ((size_t)1 << 20)
#define MODELS_MAX 1000
#define SUFFIX ".sql"

const char *const layer_names[LAYER_COUNT] = {
        [LAYER_BRONZE] = "bronze", [LAYER_SILVER] = "silver", [LAYER_GOLD] = "gold"};

static void release_model(struct model *model)
{
	references_release(model->reads, model->read_count);
	shape_release(&model->shape);
	spec_model_release(&model->options);
	free(model->name);
	free(model->file);
	free(model->sql);
}

void models_free(struct model_set *set)
{
	if (!set)
		return;
	for (int i = 0; i < set->count; i++)
		release_model(&set->models[i]);
	free(set->models);
	free(set);
}

void models_freep(struct model_set **set)
{
	models_free(*set);
}

int models_find(const struct model_set *set, const char *schema, const char *table)
{
	for (int i = 0; i < set->count; i++)
		if (!strcasecmp(schema, "main") && !strcasecmp(set->models[i].name, table))
			return i;
	return -1;
}

bool models_depend(const struct model_set *set, int reader, int read)
{
	bool depends[MODELS_MAX] = {false};

	/* INVARIANT 1: in order, each is looked at once, however many ways lead to it. */
	for (int i = read + 1; i <= reader; i++)
		for (int k = 0; k < set->models[i].read_count && !depends[i]; k++) {
			int other = set->models[i].reads[k].model;

			depends[i] = other == read || (other > read && depends[other]);
		}
	return reader > read && depends[reader];
}

static bool reads_view(const struct model_set *set, const struct model *model)
{
	for (int i = 0; i < model->read_count; i++) {
		int read = model->reads[i].model;

		if (read >= 0 && set->models[read].options.materialized == MATERIALIZED_VIEW)
			return true;
	}
	return false;
}

static bool reads_own(const struct model *model)
{
	for (int i = 0; i < model->read_count; i++)
		if (reference_is_own(&model->reads[i]))
			return true;
	return false;
}

void model_why_never(const struct model_set *set, const struct model *model, bool snapshots, char *ret_why, size_t size)
{
	const char *why = "";

	if (model->options.materialized == MATERIALIZED_VIEW)
		why = "it is a view";
	else if (model->options.materialized != MATERIALIZED_INCREMENTAL)
		why = "materialized: table";
	else if (*model->shape.fixed)
		why = model->shape.fixed;
	else if (!snapshots)
		why = "backend file keeps no snapshots, and so no changes";
	else if (reads_view(set, model))
		why = "it reads a view";
	else if (reads_own(model))
		why = "it reads Tarn's own tables, which change within a refresh";
	snprintf(ret_why, size, "%s", why);
}

/* "FILE:LINE: what", with the file alone where the line is not known. */
static int __attribute__((format(printf, 4, 5)))
mistake_in(const struct model *model, int line, struct error *err, const char *format, ...)
{
	char what[400];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	if (line > 0)
		return error_set(err, ERROR_INVALID, 0, "%.200s:%d: %s", model->file, line, what);
	return error_set(err, ERROR_INVALID, 0, "%.200s: %s", model->file, what);
}

/* ---- one file */

#define NO_FILE (-1)

static int read_file(const char *path, struct buffer *text)
{
	/* A pipe of that name must not be waited for. */
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat stat_;

	if (fd < 0 || fstat(fd, &stat_))
		return errno == ENXIO ? NO_FILE : errno;
	if (!S_ISREG(stat_.st_mode))
		return NO_FILE;
	while (text->size <= FILE_MAXIMUM_BYTES) {
		char *to = buffer_reserve(text, 65536);
		ssize_t got = to ? read(fd, to, 65536) : 0;

		if (!to)
			return ENOMEM;
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? errno : 0;
		text->size += (size_t)got;
		text->data[text->size] = 0;
	}
	return EFBIG;
}

#define SHA256_DIGITS 64
/* To be raised where compose.c, casts.c or partial.c make other rows of the same text: what was made before is made
 * anew, for changes do not mend it. */
#define COMPOSED "-3"

static int hash_text(struct duck_connection *connection, struct model *model, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, 4 * FILE_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT sha256(");
	buffer_sql_text(&sql, model->sql);
	buffer_text(&sql, ")");
	if (duck_query(connection, buffer_string(&sql), &rows, err))
		return -1;
	snprintf(model->hash, sizeof model->hash, "%.*s" COMPOSED, SHA256_DIGITS, duck_cell(&rows, 0, 0));
	return 0;
}

const char *model_outdated(const struct model *model, const char *hash)
{
	if (!strcmp(model->hash, hash))
		return NULL;
	return strncmp(model->hash, hash, SHA256_DIGITS) != 0 ? "its file changed" : "Tarn changed how it makes models";
}

/* Tarn's own functions are for the SQL that it writes: some calls of them would not be safe (lake/exact_sql.h). */
static bool is_own(const char *function)
{
	return !strncasecmp(function, "tarn_", strlen("tarn_"));
}

/* What it reads is in a text, where nobody looks for it. */
static bool hides_tables(const char *function)
{
	return !strcasecmp(function, "query") || !strcasecmp(function, "query_table");
}

static const struct node *find_function(const struct node *node, bool (*is_meant)(const char *function))
{
	const struct node *found = NULL;

	if (is_meant(node_text(node, "function_name")))
		return node;
	for (int i = 0; !found && i < node_count(node); i++)
		found = find_function(node_at(node, i), is_meant);
	return found;
}

static int parse(struct duck_connection *connection, const struct functions *functions, struct model *model,
                 struct error *err)
{
	OWNED_TREE struct tree *tree = NULL;
	const struct node *own, *hiding;
	struct error why = {0};
	int line = 0;

	tree = tree_parse(connection, model->sql, &line, &why);
	if (!tree && why.kind == ERROR_INVALID)
		return mistake_in(model, line ? line : 1, err, "%s", why.message);
	if (tree && node_is(node_get(tree_root(tree), "from_table"), "type", "SHOW_REF"))
		return mistake_in(model, 1, err, "is not a SELECT; a model is one SELECT, and Tarn writes the table");
	own = tree ? find_function(tree_root(tree), is_own) : NULL;
	if (own)
		return mistake_in(model, 0, err, "calls %.63s(), which is Tarn's own; use another function",
		                  node_text(own, "function_name"));
	hiding = tree ? find_function(tree_root(tree), hides_tables) : NULL;
	if (hiding)
		return mistake_in(model, 0, err,
		                  "calls %.63s(), which hides what the model reads; write the table's name",
		                  node_text(hiding, "function_name"));
	if (!tree || references_find(tree, model->sql, &model->reads, &model->read_count, &why) ||
	    shape_read(tree, connection, functions, &model->shape, &why)) {
		*err = why;
		return error_wrap(err, "%.200s", model->file);
	}
	return hash_text(connection, model, err);
}

static int read_model(struct duck_connection *connection, const struct functions *functions, const char *path,
                      struct model *model, struct error *err)
{
	OWNED_BUFFER struct buffer text = {0};
	int failed;

	buffer_init(&text, FILE_MAXIMUM_BYTES + 2 * 65536);
	failed = read_file(path, &text);
	if (failed)
		return mistake_in(model, 0, err, "cannot be read: %s; would be a file of SQL of at most 1 MiB",
		                  failed == NO_FILE ? "it is no file" : strerror(failed));
	if (memchr(buffer_string(&text), 0, text.size))
		return mistake_in(model, 0, err, "has a byte 0 in it; would be a text of SQL");
	model->sql = strdup(buffer_string(&text));
	if (!model->sql)
		return error_no_memory(err);
	if (spec_model_parse(model->sql, text.size, model->file, &model->options, err))
		return -1;
	return parse(connection, functions, model, err);
}

/* ---- the folder */

struct loading {
	struct duck_connection *connection;
	struct functions *functions;
	const char *folder, *shown;
	struct model_set *set;
	struct error *err;
};

static int is_model_file(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return entry->d_name[0] != '.' && size > strlen(SUFFIX) &&
	       !strcmp(entry->d_name + size - strlen(SUFFIX), SUFFIX);
}

static int check_table_name(const struct loading *l, const struct model *model)
{
	int other = models_find(l->set, "main", model->name);

	if (value_identifier(model->name))
		return mistake_in(
		        model, 1, l->err,
		        "its name is no name of a table; would be of letters, digits and '_', not a digit first");
	if (other >= 0 && &l->set->models[other] != model)
		return mistake_in(model, 1, l->err, "makes the table %s, which %s makes already; rename one of the two",
		                  model->name, l->set->models[other].file);
	return 0;
}

static int add_model(const struct loading *l, enum layer layer, const char *file)
{
	struct model_set *set = l->set;
	struct model *more = realloc(set->models, (size_t)(set->count + 1) * sizeof *more), *model;
	OWNED_FREE char *path = NULL;

	if (!more)
		return error_no_memory(l->err);
	set->models = more;
	model = &more[set->count++];
	*model = (struct model){.layer = layer, .name = strndup(file, strlen(file) - strlen(SUFFIX))};
	if (!model->name || asprintf(&path, "%s/%s/%s", l->folder, layer_names[layer], file) < 0 ||
	    asprintf(&model->file, "%s/%s/%s", l->shown, layer_names[layer], file) < 0)
		return error_no_memory(l->err);
	if (set->count > MODELS_MAX)
		return mistake_in(model, 0, l->err, "is one too many; would be at most %d models", MODELS_MAX);
	return check_table_name(l, model) || read_model(l->connection, l->functions, path, model, l->err) ? -1 : 0;
}

/* A layer that has no folder has no models. */
static int add_layer(const struct loading *l, enum layer layer)
{
	OWNED_FREE char *path = NULL;
	struct dirent **entries;
	int count, failed = 0;

	if (asprintf(&path, "%s/%s", l->folder, layer_names[layer]) < 0)
		return error_no_memory(l->err);
	count = scandir(path, &entries, is_model_file, alphasort);
	if (count < 0 && errno == ENOENT)
		return 0;
	if (count < 0)
		return error_set(l->err, ERROR_INVALID, errno, "%.200s/%s: cannot be read: %s", l->shown,
		                 layer_names[layer], strerror(errno));
	for (int i = 0; i < count; i++) {
		if (!failed)
			failed = add_model(l, layer, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return failed;
}

/* ---- order */

static void find_models(struct model_set *set)
{
	for (int i = 0; i < set->count; i++)
		for (int k = 0; k < set->models[i].read_count; k++) {
			struct reference *reference = &set->models[i].reads[k];

			reference->model = models_find(set, reference->schema, reference->table);
		}
}

static bool reads_one_of(const struct model_set *set, int model, const bool *left)
{
	for (int i = 0; i < set->models[model].read_count; i++)
		if (set->models[model].reads[i].model >= 0 && left[set->models[model].reads[i].model])
			return true;
	return false;
}

/* Follows what is left from one to the next until one comes again. */
static int tell_cycle(const struct model_set *set, const bool *left, struct error *err)
{
	OWNED_BUFFER struct buffer path = {0};
	int at = 0, start, line = 0;

	buffer_init(&path, 4096);
	while (!left[at])
		at++;
	for (int step = 0; step < 2 * set->count; step++) {
		const struct model *model = &set->models[at];

		start = at;
		if (step == set->count)
			buffer_clear(&path);
		for (int i = 0; i < model->read_count; i++) {
			int read = model->reads[i].model;

			if (read < 0 || !left[read])
				continue;
			line = model->reads[i].line;
			at = read;
			break;
		}
		buffer_printf(&path, "%s reads ", model->name);
		if (step >= set->count && strstr(buffer_string(&path), set->models[at].name) == buffer_string(&path))
			return mistake_in(&set->models[start], line, err,
			                  "reads itself in a circle: %s%s; take one of these away",
			                  buffer_string(&path), set->models[at].name);
	}
	return mistake_in(&set->models[at], line, err, "reads itself in a circle");
}

/* Each time the first that reads none of those left: the order of layers and names, where it can be kept. */
static int put_in_order(struct model_set *set, struct error *err)
{
	OWNED_FREE struct model *ordered = calloc((size_t)set->count + 1, sizeof *ordered);
	OWNED_FREE bool *left = calloc((size_t)set->count + 1, sizeof *left);

	if (!ordered || !left)
		return error_no_memory(err);
	for (int i = 0; i < set->count; i++)
		left[i] = true;
	for (int count = 0; count < set->count; count++) {
		int next = 0;

		while (next < set->count && (!left[next] || reads_one_of(set, next, left)))
			next++;
		if (next == set->count)
			return tell_cycle(set, left, err);
		left[next] = false;
		ordered[count] = set->models[next];
	}
	memcpy(set->models, ordered, (size_t)set->count * sizeof *ordered);
	find_models(set);
	return 0;
}

static int load(const struct loading *l)
{
	int failed = 0;

	for (int layer = 0; layer < LAYER_COUNT && !failed; layer++)
		failed = add_layer(l, (enum layer)layer);
	if (!failed && !l->set->count)
		failed = error_set(
		        l->err, ERROR_INVALID, 0,
		        "%.200s: there are no models; would be files bronze/NAME.sql, silver/NAME.sql or gold/NAME.sql",
		        l->shown);
	if (failed)
		return -1;
	find_models(l->set);
	return put_in_order(l->set, l->err);
}

struct model_set *models_load(const char *folder, const char *shown, struct error *err)
{
	static const struct duck_setting settings[] = {{"threads", "1"}};
	OWNED_BY(models_freep) struct model_set *set = calloc(1, sizeof *set);
	struct loading l = {.folder = folder, .shown = shown, .set = set, .err = err};
	struct duck *parser;
	int failed = -1;

	if (!set) {
		error_no_memory(err);
		return NULL;
	}
	parser = duck_open(NULL, settings, (int)COUNT_OF(settings), err);
	l.connection = parser ? duck_connect(parser, err) : NULL;
	l.functions = l.connection ? functions_load(l.connection, err) : NULL;
	if (l.functions)
		failed = load(&l);
	functions_free(l.functions);
	duck_disconnect(l.connection);
	duck_close(parser);
	return failed ? NULL : TAKE(set);
}
