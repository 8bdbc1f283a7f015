/*
 * header.c - the options of a model's file: YAML in the comment lines above its SQL.
 *
 * The lines keep their numbers and columns: what is no option becomes an empty line, and "--" two spaces.
 */
#include <string.h>

#include "base/owned.h"
#include "spec/fill.h"
#include "spec/mistake.h"
#include "spec/spec.h"
#include "spec/yaml_tree.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF" /* with which some editors begin a text; DuckDB skips it */

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The text behind "--" of a comment line, or NULL: it is none. */
static const char *comment_of(const char *line, const char *end)
{
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return end - line >= 2 && line[0] == '-' && line[1] == '-' ? line + 2 : NULL;
}

/* "word:" and then a space or nothing. */
static bool begins_options(const char *comment, const char *end)
{
	const char *word;

	while (comment < end && *comment == ' ')
		comment++;
	for (word = comment; word < end && is_word(*word);)
		word++;
	return word > comment && word < end && *word == ':' && (word + 1 == end || strchr(" \r\t", word[1]));
}

/* A carriage return ends a line of its own, as it ends a comment of DuckDB's. */
static const char *end_of_line(const char *line, const char *end)
{
	while (line < end && *line != '\n' && (*line != '\r' || (line + 1 < end && line[1] == '\n')))
		line++;
	return line;
}

/* Behind the comment, in which others may stand; the end where it has none. */
static const char *behind_block(const char *comment, const char *end)
{
	int depth = 0;

	for (const char *c = comment; end - c >= 2; c++) {
		int step = c[0] == '/' && c[1] == '*' ? 1 : c[0] == '*' && c[1] == '/' ? -1 : 0;

		depth += step;
		c += step != 0;
		if (!depth)
			return c + 1;
	}
	return end;
}

/* Comments between slashes and stars are as blank as what stands between them. */
static const char *skip_blocks(const char *text, const char *end, struct buffer *yaml)
{
	const char *block = text;

	while (block < end && strchr(" \t\r\n", *block))
		block++;
	if (end - block < 2 || block[0] != '/' || block[1] != '*')
		return text;
	block = behind_block(block, end);
	for (; text < block; text++)
		if (((unsigned char)*text & 0xC0) != 0x80)
			buffer_char(yaml, *text == '\n' || *text == '\r' ? *text : ' ');
	return skip_blocks(block, end, yaml);
}

static void append_options(const char *text, size_t size, struct buffer *yaml)
{
	const char *end = text + size, *next;
	bool options = false;

	if (size >= strlen(BYTE_ORDER_MARK) && !memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)))
		text += strlen(BYTE_ORDER_MARK);
	for (const char *line = text; line < end; line = next) {
		const char *stop, *comment;

		line = options ? line : skip_blocks(line, end, yaml);
		stop = end_of_line(line, end);
		next = stop + (stop < end);
		comment = comment_of(line, stop);
		if (!comment && (options || line + strspn(line, " \t\r\n") < stop))
			return;
		options = options || (comment && begins_options(comment, stop));
		if (options && comment + strspn(comment, " \t\r") >= stop)
			return; /* an empty comment line ends them */
		if (options) {
			for (const char *c = line; c < comment; c++)
				buffer_char(yaml, ' ');
			buffer_append(yaml, comment, (size_t)(stop - comment));
		}
		buffer_char(yaml, '\n');
	}
}

int spec_model_parse(const char *text, size_t size, const char *file, struct spec_model *ret_model, struct error *err)
{
	struct reading reading = {.file = file, .err = err};
	OWNED_BY(yaml_tree_freep) struct yaml_node *documents = NULL;
	OWNED_BUFFER struct buffer yaml = {0};
	struct yaml_node empty = {.kind = YAML_MAPPING, .line = 1, .column = 1, .key_line = 1, .key_column = 1};
	struct yaml_node *root;

	buffer_init(&yaml, YAML_MAXIMUM_BYTES + 1);
	append_options(text, size, &yaml);
	if (!buffer_ok(&yaml))
		return mistake(&reading, 1, 1, "document", "has too much text above its SQL; would be less than 1 MiB");
	if (yaml_tree_read(&reading, buffer_string(&yaml), yaml.size, &documents))
		return -1;
	root = documents ? documents : &empty;
	if (root->next)
		return mistake(&reading, root->next->line, root->next->column, "document",
		               "is a second one; would be one mapping of options");
	if (root->kind != YAML_MAPPING)
		return mistake(&reading, root->line, root->column, "document", "is %s; would be a mapping of options",
		               yaml_kind_name(root));
	return fill_into(&reading, KIND_MODEL, root, ret_model);
}

void spec_model_release(struct spec_model *model)
{
	fill_item_release(KIND_MODEL, model);
	*model = (struct spec_model){0};
}

const char *check_name(enum check check)
{
	return enum_text("check", (int)check);
}

const char *severity_name(enum severity severity)
{
	return enum_text("severity", (int)severity);
}

const char *materialized_name(enum materialized materialized)
{
	return enum_text("materialized", (int)materialized);
}
