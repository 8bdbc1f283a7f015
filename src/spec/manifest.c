#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/owned.h"
#include "spec/check.h"
#include "spec/document.h"
#include "spec/expand.h"
#include "spec/spec.h"
#include "spec/yaml_tree.h"

static void manifest_freep(struct manifest **manifest)
{
	manifest_free(*manifest);
}

void manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	for (int i = 0; i < manifest->stream_count; i++)
		free(manifest->streams[i].schema);
	for (int kind = 0; kind < KIND_COUNT; kind++)
		document_release(manifest, (enum kind_id)kind);
	free(manifest->file);
	free(manifest->folder);
	free(manifest);
}

/* The folder as an absolute path, whether it exists or not. */
static char *absolute_folder(const char *folder)
{
	char here[PATH_MAX];

	if (*folder != '/' && !getcwd(here, sizeof here))
		return NULL;
	return expand_path(*folder == '/' ? "/" : here, folder);
}

static struct manifest *manifest_new(const char *file, const char *folder, struct error *err)
{
	OWNED_BY(manifest_freep) struct manifest *manifest = calloc(1, sizeof *manifest);

	if (manifest)
		manifest->file = strdup(file);
	if (manifest && folder)
		manifest->folder = absolute_folder(folder);
	if (!manifest || !manifest->file || (folder && !manifest->folder)) {
		error_no_memory(err);
		return NULL;
	}
	return TAKE(manifest);
}

static int count_documents(const struct yaml_node *node)
{
	int count = 0;

	for (; node; node = node->next)
		count++;
	return count;
}

static int fill_all(const struct reading *reading, struct yaml_node *nodes, struct manifest *manifest)
{
	int count = count_documents(nodes), at = 0;
	OWNED_FREE struct document *documents = calloc((size_t)count + 1, sizeof *documents);

	if (!documents)
		return error_no_memory(reading->err);
	for (struct yaml_node *node = nodes; node; node = node->next)
		if (document_read(reading, node, manifest, &documents[at++]))
			return -1;
	return check_manifest(reading, manifest, documents, count);
}

static void says_nothing(const struct reading *reading)
{
	OWNED_BUFFER struct buffer right = {0};

	buffer_init(&right, 256);
	append_kinds(&right, " or ");
	mistake(reading, 1, 1, "document", "there is none; would be a document of kind %s", buffer_string(&right));
}

struct manifest *manifest_parse(const char *text, size_t size, const char *file, const char *folder, struct error *err)
{
	struct reading reading = {.file = file, .err = err};
	OWNED_BY(manifest_freep) struct manifest *manifest = manifest_new(file, folder, err);
	OWNED_BY(yaml_tree_freep) struct yaml_node *documents = NULL;

	if (!manifest)
		return NULL;
	reading.folder = manifest->folder;
	if (yaml_tree_read(&reading, text, size, &documents))
		return NULL;
	if (!documents) {
		says_nothing(&reading);
		return NULL;
	}
	if (fill_all(&reading, documents, manifest))
		return NULL;
	return TAKE(manifest);
}

/* Reads one byte more than is right, so that manifest_parse sees that it is too much. */
static int read_text(const char *file, struct buffer *text)
{
	OWNED_FD int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	while (text->size <= YAML_MAXIMUM_BYTES) {
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
	return 0;
}

/*
 * The folder of the file. Its symbolic links are followed here, once, for `..` in a relative path must mean what it
 * means to the kernel.
 */
static char *folder_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	OWNED_FREE char *folder = slash ? strndup(file, (size_t)(slash - file + 1)) : strdup(".");
	char *real = folder ? realpath(folder, NULL) : NULL;

	return real ? real : TAKE(folder);
}

struct manifest *manifest_load(const char *file, struct error *err)
{
	OWNED_BUFFER struct buffer text = {0};
	OWNED_FREE char *folder = NULL;
	int rc;

	buffer_init(&text, YAML_MAXIMUM_BYTES + 2 * 65536);
	rc = read_text(file, &text);
	if (rc) {
		error_set(err, ERROR_INVALID, rc, "%s: cannot be read: %s; would be a manifest, a file of YAML", file,
		          strerror(rc));
		return NULL;
	}
	folder = folder_of(file);
	if (!folder) {
		error_no_memory(err);
		return NULL;
	}
	return manifest_parse(buffer_string(&text), text.size, file, folder, err);
}

struct spec_catalog *manifest_catalog(struct manifest *manifest, const char *name, struct error *err)
{
	OWNED_BUFFER struct buffer names = {0};

	buffer_init(&names, 1 << 20);
	if (!name && manifest->catalog_count == 1)
		return &manifest->catalogs[0];
	for (int i = 0; i < manifest->catalog_count; i++) {
		if (name && !strcmp(manifest->catalogs[i].name, name))
			return &manifest->catalogs[i];
		buffer_printf(&names, "%s%s", i ? ", " : "", manifest->catalogs[i].name);
	}
	if (!manifest->catalog_count)
		error_set(err, ERROR_INVALID, 0, "%.160s: it has no DuckLakeCatalog; add a document of that kind",
		          manifest->file);
	else if (!name)
		error_set(err, ERROR_INVALID, 0, "%.160s: it has several catalogs; name one of %.200s", manifest->file,
		          buffer_string(&names));
	else
		error_set(err, ERROR_INVALID, 0, "%.160s: it has no catalog '%.63s'; name one of %.200s",
		          manifest->file, name, buffer_string(&names));
	return NULL;
}
