/*
 * endpoint_reads.h - what an endpoint's SELECT reads, looked at once when the service starts: may it run at all, from
 * which tables, and is its answer a matter of these and its parameters alone, so that it may be kept?
 *
 * Life cycle: reads_parser_open -> endpoint_reads... -> reads_parser_close; a reads is released by
 * endpoint_reads_release.
 */
#ifndef TARN_SERVE_ENDPOINT_READS_H
#define TARN_SERVE_ENDPOINT_READS_H

#include <stdbool.h>

#include "base/error.h"
#include "spec/spec.h"

struct reads_parser; /* a DuckDB that parses */

struct endpoint_reads {
	char **tables; /* SCHEMA.TABLE in lower case, each once */
	int table_count;
	bool is_volatile; /* it calls now(), random()... (volatile.def), or takes a sample */
	bool models; /* it asks a model (predict, explain), whose file may change */
};

struct reads_parser *reads_parser_open(struct error *err);
void reads_parser_close(struct reads_parser *parser);
/* INVALID: the guard lets it not pass: "FILE:LINE: DuckLakeEndpoint NAME: spec.sql: ...". */
int endpoint_reads(struct reads_parser *parser, const char *file, const struct spec_endpoint *endpoint,
                   struct endpoint_reads *ret_reads, struct error *err);
void endpoint_reads_release(struct endpoint_reads *reads);

#endif
