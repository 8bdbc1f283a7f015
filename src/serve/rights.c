#include "serve/rights.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/token.h"

static int64_t least(int64_t a, int64_t b)
{
	return !a ? b : !b ? a : a < b ? a : b;
}

/* TABLE is main.TABLE: patterns are compared in their long form. */
static bool means_all_of(const char *wide, const char *narrow)
{
	char long_wide[160], long_narrow[160];
	int a = snprintf(long_wide, sizeof long_wide, "%s%s", strchr(wide, '.') ? "" : "main.", wide);
	int b = snprintf(long_narrow, sizeof long_narrow, "%s%s", strchr(narrow, '.') ? "" : "main.", narrow);

	return a < (int)sizeof long_wide && b < (int)sizeof long_narrow && pattern_fits(long_wide, long_narrow);
}

static void add(struct rights *rights, char *pattern)
{
	for (int i = 0; i < rights->request.table_count; i++)
		if (!strcmp(rights->tables[i], pattern))
			return;
	rights->tables[rights->request.table_count++] = pattern;
}

int rights_narrow(const struct request *request, const struct spec_token *token, struct rights *ret_rights)
{
	size_t most;

	*ret_rights = (struct rights){.request = *request};
	if (!token)
		return 0;
	ret_rights->request.max_rows = least(request->max_rows, token->max_rows);
	ret_rights->request.max_ms = least(request->max_ms, token->max_ms);
	ret_rights->request.memory_bytes = least(request->memory_bytes, token->memory_bytes);
	if (!token->table_count)
		return 0;
	most = (size_t)token->table_count * (request->table_count > 0 ? 2 * (size_t)request->table_count : 1);
	ret_rights->tables = calloc(most + 1, sizeof *ret_rights->tables);
	if (!ret_rights->tables)
		return -1;
	ret_rights->request.tables = ret_rights->tables;
	ret_rights->request.table_count = 0;
	for (int t = 0; t < token->table_count; t++) {
		if (request->table_count < 0)
			add(ret_rights, token->tables[t]);
		for (int i = 0; i < request->table_count; i++)
			if (means_all_of(token->tables[t], request->tables[i]))
				add(ret_rights, request->tables[i]);
			else if (means_all_of(request->tables[i], token->tables[t]))
				add(ret_rights, token->tables[t]);
	}
	return 0;
}

void rights_release(struct rights *rights)
{
	free(rights->tables);
	*rights = (struct rights){.tables = NULL};
}
