/*
 * spec.h - the kinds as plain structs, read from manifests.
 *
 * One table (kinds.def) gives parser, defaults, validation, `tarn explain` and docs/reference.md.
 * Invariants:
 *  1. A struct that leaves manifest_load is complete and valid: defaults filled, references resolved, paths absolute.
 *  2. Every mistake is an INVALID error "FILE:LINE:COLUMN: FIELD: what is wrong; what would be right".
 *  3. Unknown fields, kinds, API versions and duplicate keys are mistakes.
 *  4. A secret (a password, and what ${ENV} or file: brings to a field that may hold one) is registered with
 *     log_mask_secret as soon as it is read.
 *
 * Life cycle: manifest_load -> borrow structs -> manifest_free.
 */
#ifndef TARN_SPEC_SPEC_H
#define TARN_SPEC_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define SPEC_API_VERSION "ducklake.featherman.dev/v1alpha1"

enum backend_type { BACKEND_SQLITE, BACKEND_POSTGRES, BACKEND_DUCKDB, BACKEND_FILE };
enum url_style { URL_AUTO, URL_PATH, URL_VHOST };
enum credentials { CREDENTIALS_KEYS, CREDENTIALS_ENVIRONMENT, CREDENTIALS_INSTANCE };
enum stream_format { FORMAT_ARROW, FORMAT_JSON, FORMAT_PARQUET };

enum refresh_on { REFRESH_ON_COMMIT, REFRESH_MANUAL };
enum materialized { MATERIALIZED_TABLE, MATERIALIZED_VIEW, MATERIALIZED_INCREMENTAL };
enum on_bad_cast { BAD_CAST_QUARANTINE, BAD_CAST_FAIL };
enum check {
	CHECK_NOT_NULL,
	CHECK_UNIQUE,
	CHECK_ACCEPTED_VALUES,
	CHECK_RANGE,
	CHECK_RELATIONSHIP,
	CHECK_FRESHNESS,
	CHECK_ROW_COUNT_CHANGE,
	CHECK_SQL,
};
enum severity { SEVERITY_WARN, SEVERITY_ERROR };

enum parameter_type {
	PARAMETER_VARCHAR,
	PARAMETER_INTEGER,
	PARAMETER_DOUBLE,
	PARAMETER_BOOLEAN,
	PARAMETER_DATE,
	PARAMETER_TIMESTAMP,
};
enum endpoint_result { RESULT_ROWS, RESULT_OBJECT };
enum endpoint_access { ACCESS_TOKEN, ACCESS_ANYONE };
enum answer_format { ANSWER_CSV, ANSWER_JSON, ANSWER_NDJSON, ANSWER_ARROW, ANSWER_PARQUET };
enum provider { PROVIDER_ANTHROPIC, PROVIDER_OPENAI };
enum pull_policy { PULL_IF_NOT_PRESENT, PULL_ALWAYS, PULL_NEVER };

struct spec_position { /* where a resource stands in its file */
	int line, column;
};

struct spec_catalog {
	char *name;
	struct {
		enum backend_type type;
		char *path; /* sqlite, duckdb, file: absolute */
		char *connection; /* postgres: libpq's key=value text; a secret */
	} backend;
	struct {
		char *endpoint; /* with its scheme; NULL: AWS */
		char *bucket; /* NULL: there is no object store */
		char *prefix, *region;
		enum url_style url_style;
		enum credentials credentials;
		char *key_id, *secret, *token; /* of credentials keys; secrets */
	} store;
	char *data_path; /* absolute folder, or s3://BUCKET/PREFIX/; NULL for backend file */
	struct spec_position position;
};

struct spec_property {
	char *name, *value;
};

/* A declared column of JSON events. Numbers and the type are in the manifest's words, which were checked. */
struct spec_column {
	char *name;
	char *pointer; /* never NULL */
	char *type;
	bool required;
	char *minimum, *maximum; /* NULL: none */
	char **allowed;
	int allowed_count;
	char *weight;
	bool stored; /* false: its rules count, and the table is without it */
};

struct spec_stream {
	char *name;
	char *catalog_ref;
	struct spec_catalog *catalog; /* resolved; borrowed from the manifest */
	char *schema; /* "main" unless given as SCHEMA.TABLE */
	char *table;
	enum stream_format format;
	struct {
		struct spec_column *columns;
		int column_count; /* 0: inferred */
		char *raw, *score, *reasons, *ingested_at; /* columns; NULL: none */
		int missing, wrong_type, out_of_range; /* points */
	} json;
	struct {
		char *brokers; /* "embedded": the in-process broker; NULL: files are the source */
		char *topic;
		char *group;
		int partitions; /* of a topic that the embedded broker makes; 8 unless given */
		struct spec_property *properties;
		int property_count;
	} kafka;
	struct {
		char *files; /* a pattern of paths, absolute, or an s3:// URL; NULL: Kafka is the source */
		int64_t settle_ms, poll_ms;
		const char *folder; /* the manifest's, which names of files are relative to; borrowed; NULL: none */
	} source;
	struct {
		int64_t freshness_ms;
		int64_t max_bytes;
	} commit;
	bool merge_files;
	int64_t memory_bytes;
	struct spec_position position;
};

/* What must be true of a table. Numbers are in the manifest's words, which were checked. */
struct spec_expectation {
	enum check check;
	char *name; /* NULL: made of the check and its columns */
	char *table; /* TABLE or SCHEMA.TABLE; NULL: the model's, or of check sql none */
	char **columns;
	int column_count;
	char **values;
	int value_count;
	char *minimum, *maximum; /* NULL: none */
	char *to, *field; /* of check relationship */
	int64_t within_ms;
	char *sql;
	enum severity severity;
	int line; /* of its file, where it begins */
	int sql_line; /* where the text of sql begins */
};

struct spec_pipeline {
	char *name;
	char *catalog_ref;
	struct spec_catalog *catalog; /* resolved; borrowed from the manifest */
	char *models; /* absolute folder */
	struct {
		int64_t every_ms; /* 0: not by time */
		char *schedule; /* NULL: not by schedule */
		enum refresh_on on; /* of neither of them */
	} refresh;
	int64_t memory_bytes;
	struct spec_expectation *expectations;
	int expectation_count;
	struct {
		char *name; /* NULL: there is no model */
		char *file; /* absolute */
		char *training, *scoring; /* SQL; scoring NULL: training */
		char **key;
		int key_count;
		char *label;
		char *scores; /* TABLE or SCHEMA.TABLE; NULL: none */
		int seed, rounds, depth;
		char *learning_rate, *split_test; /* numbers */
		char *split_by; /* NULL: drawn by the key */
	} model;
	struct spec_position position;
};

/* Warm workers of one catalog. Its fields are those of the API's users, whose manifests apply unchanged. */
struct spec_pool {
	char *name, *namespace;
	char *catalog_ref;
	struct spec_catalog *catalog; /* resolved; borrowed from the manifest */
	bool read_only;
	int min_size, max_size; /* min_size <= max_size */
	char *target_utilization; /* a number of (0, 1] */
	char **hot_tables; /* TABLE or SCHEMA.TABLE */
	int hot_table_count;
	char **hot_indexes; /* one of hot_tables as it stands there, a point and a column */
	int hot_index_count;
	char *image; /* NULL: Tarn's own */
	enum pull_policy pull_policy;
	int64_t request_memory_bytes, memory_bytes;
	int64_t request_cpu_millis, cpu_millis; /* thousandths of a core */
	int64_t max_idle_ms, max_lifetime_ms, max_query_ms;
	int max_queries;
	int queue_length;
	int64_t queue_wait_ms;
	int scale_up, scale_down;
	int64_t scale_interval_ms, stabilization_ms;
	bool metrics_enabled;
	int metrics_port;
	struct spec_position position;
};

struct spec_parameter {
	char *name;
	enum parameter_type type;
	bool required, in_path; /* in_path: a {NAME} of the endpoint's path; then required, too */
	bool in_sql; /* all are, but for the size of pages */
	char *fallback; /* in the manifest's words, checked against the type; NULL: none */
	char *minimum, *maximum; /* numbers; NULL: none */
	char **allowed;
	int allowed_count;
	int max_length;
	char *description; /* NULL: none */
	int line; /* of its file, where it begins */
};

struct spec_endpoint {
	char *name;
	char *catalog_ref;
	struct spec_catalog *catalog; /* resolved; borrowed from the manifest */
	char *path; /* "/api/v1/subscribers/{id}"; each {NAME} is a parameter, and no other endpoint's path can be meant
	             */
	char *description; /* NULL: none */
	char *sql;
	int sql_line; /* where the text begins */
	struct spec_parameter *parameters;
	int parameter_count;
	enum endpoint_result result;
	enum answer_format format;
	struct spec_property *null_as; /* column, or *, and valid JSON */
	int null_as_count;
	enum endpoint_access access;
	char **page_key; /* none: there are no pages */
	int page_key_count;
	char *page_size; /* an integer parameter with a maximum; NULL where there are no pages */
	int cache_answers;
	int64_t cache_bytes, cache_age_ms;
	struct spec_position position;
};

/* What whoever holds a token may ask. */
struct spec_token {
	char *name;
	char *sha256; /* 64 lower-case hexadecimal digits */
	char **catalogs, **tables, **endpoints; /* patterns with *; a count of 0: all (of tables: but schema tarn) */
	int catalog_count, table_count, endpoint_count;
	bool query;
	int max_rows;
	int64_t max_ms, memory_bytes;
	int rate_requests; /* 0: no bound */
	int64_t rate_ms;
	struct spec_position position;
};

struct spec_assistant {
	char *name;
	char *catalog_ref;
	struct spec_catalog *catalog; /* resolved; borrowed from the manifest */
	enum provider provider;
	char *base_url; /* NULL: the provider's own */
	char *model;
	char *api_key; /* a secret; NULL: none */
	char **tables;
	int table_count; /* 0: all */
	bool sample_values;
	int64_t timeout_ms;
	int max_tokens;
	int64_t prompt_bytes; /* the most of what it is told of the tables */
	struct spec_position position;
};

/* The options at the head of a model's file. */
struct spec_model {
	enum materialized materialized;
	char **key;
	int key_count;
	int key_line; /* of the file; 0: there is no key */
	enum on_bad_cast on_bad_cast;
	char *description; /* NULL: none */
	struct spec_expectation *tests;
	int test_count;
};

struct manifest {
	char *file; /* as the user gave it */
	char *folder; /* absolute; NULL as in manifest_parse */
	struct spec_catalog *catalogs;
	int catalog_count;
	struct spec_stream *streams;
	int stream_count;
	struct spec_pipeline *pipelines;
	int pipeline_count;
	struct spec_pool *pools;
	int pool_count;
	struct spec_endpoint *endpoints;
	int endpoint_count;
	struct spec_token *tokens;
	int token_count;
	struct spec_assistant *assistants;
	int assistant_count;
};

/* Reads and validates every document of the file. NULL with the first mistake in *err. */
struct manifest *manifest_load(const char *file, struct error *err);
/*
 * The same from text; `file` is only the name in errors, `folder` what relative paths refer to. With `folder` NULL the
 * text is a stranger's (a request, a fuzzer): relative paths, ${VARIABLE} and file:PATH are mistakes, for nothing of
 * this machine may be read for it.
 */
struct manifest *manifest_parse(const char *text, size_t size, const char *file, const char *folder, struct error *err);
void manifest_free(struct manifest *manifest);

/* The catalog of that name; with NULL the only one. NULL with *err (which lists the names) where there is none. */
struct spec_catalog *manifest_catalog(struct manifest *manifest, const char *name, struct error *err);

/*
 * The options of a model's file (`tarn explain Model`): YAML in its leading comment lines. A file without any has the
 * defaults. Mistakes are told as a manifest's, with the file's own lines. Fills *ret_model, which is the caller's to
 * release also where it fails.
 */
int spec_model_parse(const char *text, size_t size, const char *file, struct spec_model *ret_model, struct error *err);
void spec_model_release(struct spec_model *model);

const char *check_name(enum check check);
const char *severity_name(enum severity severity);
const char *materialized_name(enum materialized materialized);
const char *backend_name(enum backend_type type);

/* kubectl-like explanation of KIND[.field.field], or of all kinds where path is NULL. */
int spec_explain(const char *path, struct buffer *out, struct error *err);
/* docs/reference.md, generated. */
void spec_reference(struct buffer *out);

#endif
