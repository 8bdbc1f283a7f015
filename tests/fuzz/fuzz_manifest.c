/*
 * fuzz_manifest.c - any bytes are a manifest or are told what is wrong with them. Nothing outside is read: without a
 * folder the parser refuses to, and with one only texts that name no file are tried.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a manifest that is right must keep: spec.h, invariant 1. */
static void check_right(const struct manifest *manifest)
{
	for (int i = 0; i < manifest->catalog_count; i++) {
		const struct spec_catalog *c = &manifest->catalogs[i];

		if (!c->name || !*c->name || (c->backend.type == BACKEND_POSTGRES) != !!c->backend.connection ||
		    (c->backend.type == BACKEND_POSTGRES) == !!c->backend.path ||
		    (c->backend.type == BACKEND_FILE) == !!c->data_path || (c->backend.path && *c->backend.path != '/'))
			abort();
	}
	for (int i = 0; i < manifest->stream_count; i++) {
		const struct spec_stream *s = &manifest->streams[i];

		if (!s->name || !s->catalog || strcmp(s->catalog->name, s->catalog_ref) || !*s->schema || !*s->table ||
		    strchr(s->table, '.') || !*s->kafka.brokers || !*s->kafka.topic || !*s->kafka.group ||
		    s->kafka.partitions < 1 || s->commit.freshness_ms < 100 || s->commit.max_bytes < 1 ||
		    s->memory_bytes < 1)
			abort();
	}
}

static void parse(const uint8_t *data, size_t size, const char *folder)
{
	struct error err = {.kind = ERROR_NONE};
	struct manifest *manifest = manifest_parse((const char *)data, size, "fuzz.yaml", folder, &err);

	if (manifest)
		check_right(manifest);
	else if (!*err.message || err.kind != ERROR_INVALID || strncmp(err.message, "fuzz.yaml:", 10))
		abort();
	manifest_free(manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse(data, size, NULL);
	/* "file:" may be spelled with YAML's escapes, too: then there is a backslash in double quotes */
	if (!memmem(data, size, "file:", 5) && !memchr(data, '\\', size))
		parse(data, size, "/nonexistent");
	return 0;
}
