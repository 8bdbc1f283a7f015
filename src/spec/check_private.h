/* check_private.h - what the files of check.h share. Private to spec/. */
#ifndef TARN_SPEC_CHECK_PRIVATE_H
#define TARN_SPEC_CHECK_PRIVATE_H

#include "spec/check.h"

struct checking {
	const struct reading *reading;
	struct manifest *manifest;
	const struct document *documents;
	int count;
};

/* Where the field stands, or what is nearest to where it would stand. */
const struct yaml_node *check_place(const struct document *document, const char *path);
/* The item `index` of a list of the document. */
struct yaml_node *check_item(const struct document *document, const char *list, int index);
/* path: of the field that names it. *reference: the name that was given, or NULL; the name of the only one then. */
int check_catalog(const struct checking *c, const struct document *document, const char *path, char **reference,
                  struct spec_catalog **ret_catalog);

/* check_serve.c */
int check_pool(const struct checking *c, int at);
int check_endpoint(const struct checking *c, int at);
int check_token(const struct checking *c, int at);
int check_assistant(const struct checking *c, int at);

#endif
