#include "spec/expand.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/owned.h"

#define FILE_PREFIX "file:"
#define VARIABLE_NAME_SIZE 128

static int mistake_here(const struct reading *reading, const struct yaml_node *node, const char *wrong,
                        const char *right)
{
	char path[YAML_PATH_SIZE];

	return mistake(reading, node->line, node->column, yaml_path(node, path), "%s; %s", wrong, right);
}

/* ---- ${VARIABLE} ---- */

/* Copies NAME of "${NAME}" at `text`; false where it is not that. Sets *ret_end behind the brace. */
static bool variable_name(const char *text, char name[VARIABLE_NAME_SIZE], const char **ret_end)
{
	size_t size = 0;

	for (text += 2; isalnum((unsigned char)*text) || *text == '_'; text++) {
		if (size + 1 >= VARIABLE_NAME_SIZE)
			return false;
		name[size++] = *text;
	}
	name[size] = 0;
	*ret_end = text + 1;
	return *text == '}' && size && !isdigit((unsigned char)name[0]);
}

static int append_variable(const struct reading *reading, const struct yaml_node *node, const char **at, bool mask,
                           struct buffer *out)
{
	char name[VARIABLE_NAME_SIZE], path[YAML_PATH_SIZE];
	const char *value;

	if (!variable_name(*at, name, at))
		return mistake_here(reading, node, "'${' is not followed by NAME}",
		                    "would be ${NAME}, or $${ for the characters ${");
	if (!reading->folder)
		return mistake_here(reading, node, "refers to the environment", "would be the value itself here");
	value = getenv(name);
	if (!value)
		return mistake(reading, node->line, node->column, yaml_path(node, path),
		               "the environment variable %s is not set; set it, or write $${%s} for that text itself",
		               name, name);
	if (mask)
		log_mask_secret(value);
	buffer_text(out, value);
	return 0;
}

static int append_expanded(const struct reading *reading, const struct yaml_node *node, bool mask, struct buffer *out)
{
	for (const char *at = node->text; *at;) {
		if (!strncmp(at, "$${", 3)) {
			buffer_text(out, "${");
			at += 3;
		} else if (!strncmp(at, "${", 2)) {
			if (append_variable(reading, node, &at, mask, out))
				return -1;
		} else {
			buffer_char(out, *at++);
		}
	}
	return buffer_ok(out) ? 0 : mistake_here(reading, node, "is too long", "would be at most 1 MiB");
}

/* ---- file:PATH ---- */

static int read_all(int fd, struct buffer *out)
{
	for (;;) {
		char *to = buffer_reserve(out, 4096);
		ssize_t got;

		if (!to)
			return EFBIG;
		got = read(fd, to, 4096);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? errno : 0;
		out->size += (size_t)got;
		out->data[out->size] = 0;
	}
}

/* Fills `out` with the file's content; 0 or errno. Only a regular file: a pipe would wait for ever. */
static int read_secret(const char *path, struct buffer *out)
{
	OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st))
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	rc = read_all(fd, out);
	if (rc)
		return rc;
	if (out->size > EXPAND_FILE_MAXIMUM_BYTES)
		return EFBIG;
	return strlen(buffer_string(out)) == out->size ? 0 : EILSEQ;
}

static int read_reference(const struct reading *reading, const struct yaml_node *node, const char *reference,
                          char **ret_text)
{
	OWNED_BUFFER struct buffer content = {0};
	OWNED_FREE char *path = NULL;
	char field[YAML_PATH_SIZE], quoted[QUOTED_SIZE];
	int rc;

	buffer_init(&content, EXPAND_FILE_MAXIMUM_BYTES + 8192);
	if (!reading->folder)
		return mistake_here(reading, node, "refers to a file", "would be the value itself here");
	if (!*reference)
		return mistake_here(reading, node, "'file:' without a path", "would be file:PATH");
	path = expand_path(reading->folder, reference);
	if (!path)
		return error_no_memory(reading->err);
	rc = read_secret(path, &content);
	if (rc)
		return mistake(reading, node->line, node->column, yaml_path(node, field),
		               "the file %s cannot be read: %s; would be a readable file of text, at most 64 KiB",
		               quote_text(quoted, reference), rc == EILSEQ ? "it has a NUL byte" : strerror(rc));
	if (content.size && content.data[content.size - 1] == '\n')
		content.data[--content.size] = 0;
	if (content.size && content.data[content.size - 1] == '\r')
		content.data[--content.size] = 0;
	*ret_text = strdup(buffer_string(&content));
	if (!*ret_text)
		return error_no_memory(reading->err);
	log_mask_secret(*ret_text);
	return 0;
}

int expand_text(const struct reading *reading, const struct yaml_node *node, bool files, bool mask, char **ret_text)
{
	/* decided before expansion: a variable must not be able to name a file (invariant 1) */
	bool reference = files && !strncmp(node->text, FILE_PREFIX, strlen(FILE_PREFIX));
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, YAML_MAXIMUM_BYTES);
	/* a path is not a secret; masking its parts would hide which file is meant */
	if (append_expanded(reading, node, mask && !reference, &out))
		return -1;
	if (reference)
		return read_reference(reading, node, buffer_string(&out) + strlen(FILE_PREFIX), ret_text);
	*ret_text = strdup(buffer_string(&out));
	return *ret_text ? 0 : error_no_memory(reading->err);
}

/* ---- paths ---- */

char *expand_path(const char *folder, const char *path)
{
	bool absolute = *path == '/';
	char *joined = NULL, *to;

	joined = malloc(strlen(folder) + strlen(path) + 3);
	if (!joined)
		return NULL;
	to = stpcpy(joined, absolute ? "" : folder);
	stpcpy(stpcpy(to, "/"), path);
	/* `to` never overtakes `from`: each part is written at or before where it was read */
	to = joined;
	for (const char *from = joined; *from;) {
		size_t size;

		from += strspn(from, "/");
		size = strcspn(from, "/");
		if (size == 2 && !memcmp(from, "..", 2)) {
			while (to > joined && *--to != '/')
				;
		} else if (size && !(size == 1 && *from == '.')) {
			*to++ = '/';
			memmove(to, from, size);
			to += size;
		}
		from += size;
	}
	if (to == joined)
		*to++ = '/';
	*to = 0;
	return joined;
}

/* ---- passwords in a connection ---- */

static void mask_part(const char *text, size_t size)
{
	OWNED_FREE char *part = strndup(text, size);

	if (part)
		log_mask_secret(part);
}

/* The same with %XX decoded (RFC 3986 section 2.1): logs of libpq would show it so. */
static void mask_decoded(const char *text, size_t size)
{
	OWNED_FREE char *part = malloc(size + 1);
	size_t to = 0;

	mask_part(text, size);
	if (!part || !memchr(text, '%', size))
		return;
	for (size_t i = 0; i < size; i++) {
		char hex[3] = {0};

		if (text[i] == '%' && i + 2 < size && isxdigit((unsigned char)text[i + 1]) &&
		    isxdigit((unsigned char)text[i + 2])) {
			memcpy(hex, text + i + 1, 2);
			part[to++] = (char)strtol(hex, NULL, 16);
			i += 2;
		} else {
			part[to++] = text[i];
		}
	}
	part[to] = 0;
	log_mask_secret(part);
}

/* libpq's "Connection URIs": scheme://user:password@host/database?password=... */
static void mask_uri(const char *uri)
{
	const char *authority = strstr(uri, "://") + 3, *end = authority + strcspn(authority, "/?#");
	const char *at = memrchr(authority, '@', (size_t)(end - authority)), *colon;

	/* a password may hold a raw '/', though it should not: then the last '@' of the whole is the border */
	if (!at)
		at = strrchr(authority, '@');
	colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
	if (colon)
		mask_decoded(colon + 1, (size_t)(at - colon - 1));
	for (const char *q = strcasestr(uri, "password="); q; q = strcasestr(q, "password=")) {
		q += strlen("password=");
		mask_decoded(q, strcspn(q, "&#"));
	}
}

/* libpq's "Keyword/Value Connection Strings": key = value, 'a \'quoted\' value'; sslpassword counts, too. */
static void mask_words(const char *words)
{
	for (const char *at = strcasestr(words, "password"); at; at = strcasestr(at, "password")) {
		OWNED_FREE char *value = NULL;
		const char *raw;
		size_t to = 0;
		bool quotes;

		at += strlen("password");
		raw = at + strspn(at, " \t\n");
		if (*raw != '=')
			continue;
		raw += 1 + strspn(raw + 1, " \t\n");
		quotes = *raw == '\'';
		raw += quotes;
		value = malloc(strlen(raw) + 1);
		if (!value)
			return;
		for (at = raw; *at && (quotes ? *at != '\'' : !isspace((unsigned char)*at)); at++) {
			if (*at == '\\' && at[1])
				at++;
			value[to++] = *at;
		}
		value[to] = 0;
		log_mask_secret(value);
		mask_part(raw, (size_t)(at - raw));
	}
}

void expand_mask_connection(const char *connection)
{
	if (strstr(connection, "://"))
		mask_uri(connection);
	else
		mask_words(connection);
}
