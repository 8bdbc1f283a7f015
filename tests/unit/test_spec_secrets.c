/* ${VARIABLE}, file:PATH, and that secrets are masked (spec.h, invariant 4; expand.h). */
#include "test_spec.h"

#include "base/log.h"

static const char *masked(const char *text)
{
	static char copy[1024];

	snprintf(copy, sizeof copy, "%s", text);
	log_mask(copy);
	return copy;
}

static void variables(void)
{
	struct manifest *m;

	setenv("TARN_TEST_NAME", "lake-of-tests", 1);
	setenv("TARN_TEST_SECRET", "s3cr3t-of-variable", 1);
	setenv("TARN_TEST_NESTED", "${TARN_TEST_NAME} file:x", 1);
	setenv("TARN_TEST_PARTITIONS", "512", 1);
	m = parse(V
	          "kind: DuckLakeCatalog\nmetadata: {name: \"${TARN_TEST_NAME}\"}\n"
	          "spec: {backend: {path: \"a/${TARN_TEST_NAME}/../$${b}$c$\"}, dataPath: 'd'}\n---\n" STREAM
	          "  table: rows\n  kafka:\n    brokers: embedded\n    topic: t\n    partitions: "
	          "${TARN_TEST_PARTITIONS}\n"
	          "    properties:\n      client.id: x${TARN_TEST_SECRET}y\n      client.rack: ${TARN_TEST_NESTED}\n");
	CHECK_TEXT(err.message, "");
	CHECK_TEXT(m->catalogs[0].name, "lake-of-tests");
	CHECK_TEXT(m->catalogs[0].backend.path, "/m/n/a/${b}$c$");
	CHECK_INT(m->streams[0].kafka.partitions, 512);
	CHECK_TEXT(m->streams[0].kafka.properties[0].value, "xs3cr3t-of-variabley");
	CHECK_TEXT(m->streams[0].kafka.properties[1].value, "${TARN_TEST_NAME} file:x");
	CHECK_TEXT(masked("= s3cr3t-of-variable ="), "= *** =");
	CHECK_TEXT(masked("lake-of-tests 512"), "lake-of-tests 512");
	manifest_free(m);
}

static void wrong_variables(void)
{
	setenv("TARN_TEST_SECRET", "s3cr3t-of-variable", 1);
	unsetenv("TARN_TEST_ABSENT");
	MISTAKES({STREAM "  kafka:\n    brokers: a:${TARN_TEST_ABSENT}\n",
	          "t.yaml:6:14: spec.kafka.brokers: the environment variable TARN_TEST_ABSENT is not set; set it, or "
	          "write "
	          "$${TARN_TEST_ABSENT} for that text itself"},
	         {STREAM "  table: ${\n", "t.yaml:5:10: spec.table: '${' is not followed by NAME}; would be ${NAME}, "
	                                  "or $${ for the characters ${"},
	         {STREAM "  table: ${9A}\n", "t.yaml:5:10: spec.table: '${' is not followed by NAME}; would be "
	                                     "${NAME}, or $${ for the characters ${"},
	         {STREAM "  table: '${}'\n", "t.yaml:5:10: spec.table: '${' is not followed by NAME}; would be "
	                                     "${NAME}, or $${ for the characters ${"},
	         {STREAM "  table: ${A:-b}\n", "t.yaml:5:10: spec.table: '${' is not followed by NAME}; would be "
	                                       "${NAME}, or $${ for the characters ${"},
	         /* what a variable holds is not shown */
	         {STREAM "  table: ${TARN_TEST_SECRET}\n",
	          "t.yaml:5:10: spec.table: '${TARN_TEST_SECRET}' has a character that a name in SQL may not have; "
	          "would be "
	          "TABLE or SCHEMA.TABLE, of letters, digits and '_' (at most 63 each, not a digit first)"});
}

static void files(void)
{
	char text[1024];
	struct manifest *m;

	write_file("connection", "host=db password=pw-of-the-file\r\n", 33);
	write_file("two-lines", "first\nsecond\n\n", 14);
	setenv("TARN_TEST_FOLDER", folder, 1);
	setenv("TARN_TEST_REFERENCE", "file:connection", 1);
	snprintf(text, sizeof text, "%s",
	         CATALOG
	         "  backend: {type: postgres, connection: 'file:connection'}\n  dataPath: file:x\n---\n" STREAM
	         "  table: rows\n  kafka:\n    brokers: embedded\n    topic: t\n    properties:\n"
	         "      ssl.ca.pem: file:./two-lines\n      sasl.password: file:${TARN_TEST_FOLDER}/connection\n"
	         "      client.id: ${TARN_TEST_REFERENCE}\n");
	memset(&err, 0, sizeof err);
	m = manifest_parse(text, strlen(text), "t.yaml", folder, &err);
	CHECK_TEXT(err.message, "");
	CHECK_TEXT(m->catalogs[0].backend.connection, "host=db password=pw-of-the-file");
	CHECK_HAS(m->catalogs[0].data_path, "/file:x");
	CHECK_TEXT(m->streams[0].kafka.properties[0].value, "first\nsecond\n");
	CHECK_TEXT(m->streams[0].kafka.properties[1].value, "host=db password=pw-of-the-file");
	CHECK_TEXT(m->streams[0].kafka.properties[2].value, "file:connection");
	CHECK_TEXT(masked("a pw-of-the-file b"), "a *** b");
	manifest_free(m);
}

static void wrong_files(void)
{
	static char big[65 << 10];
	static const struct {
		const char *reference, *message;
	} cases[] = {
	        {"file:absent",
	         "t.yaml:5:41: spec.backend.connection: the file 'absent' cannot be read: No such file or "
	         "directory; would be a readable file of text, at most 64 KiB"},
	        {"file:.",
	         "t.yaml:5:41: spec.backend.connection: the file '.' cannot be read: Is a directory; would be a "
	         "readable file of text, at most 64 KiB"},
	        {"file:/dev/zero", "t.yaml:5:41: spec.backend.connection: the file '/dev/zero' cannot be read: Invalid "
	                           "argument; would be a readable file of text, at most 64 KiB"},
	        {"file:nul",
	         "t.yaml:5:41: spec.backend.connection: the file 'nul' cannot be read: it has a NUL byte; would be "
	         "a readable file of text, at most 64 KiB"},
	        {"file:big",
	         "t.yaml:5:41: spec.backend.connection: the file 'big' cannot be read: File too large; would be a "
	         "readable file of text, at most 64 KiB"},
	        {"file:", "t.yaml:5:41: spec.backend.connection: 'file:' without a path; would be file:PATH"},
	        {"file:empty",
	         "t.yaml:5:41: spec.backend.connection: is empty; would be a text, ${VARIABLE} or file:PATH"},
	};

	memset(big, 'x', sizeof big);
	write_file("big", big, sizeof big);
	write_file("nul", "a\0b", 3);
	write_file("empty", "\n", 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[512];

		snprintf(text, sizeof text, CATALOG "  backend: {type: postgres, connection: '%s'}\n",
		         cases[i].reference);
		CHECK(!manifest_parse(text, strlen(text), "t.yaml", folder, &err));
		CHECK_TEXT(err.message, cases[i].message);
	}
}

/* Without a folder the text is a stranger's: nothing of this machine is read for it. */
static void nothing_is_read_for_a_stranger(void)
{
	static const struct mistake_case cases[] = {
	        {CATALOG "  backend: {path: c}\n", "t.yaml:5:19: spec.backend.path: 'c' is relative, and this manifest "
	                                           "has no folder; would be a path, relative "
	                                           "to the manifest's folder or absolute"},
	        {CATALOG "  backend: {path: '/${HOME}'}\n",
	         "t.yaml:5:19: spec.backend.path: refers to the environment; would be the value itself here"},
	        {CATALOG "  backend: {type: postgres, connection: 'file:/etc/passwd'}\n",
	         "t.yaml:5:41: spec.backend.connection: refers to a file; would be the value itself here"},
	};
	struct manifest *m;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CHECK(!manifest_parse(cases[i].text, strlen(cases[i].text), "t.yaml", NULL, &err));
		CHECK_TEXT(err.message, cases[i].message);
	}
	m = manifest_parse(CATALOG "  backend: {path: /a/../c}\n  dataPath: /d\n",
	                   strlen(CATALOG "  backend: {path: /a/../c}\n  dataPath: /d\n"), "t.yaml", NULL, &err);
	CHECK(m && !m->folder);
	CHECK_TEXT(m->catalogs[0].backend.path, "/c");
	manifest_free(m);
}

static void passwords_are_masked(void)
{
	static const struct {
		const char *connection, *line, *masked;
	} cases[] = {
	        {"host=db password=plain-word user=x", "(plain-word)", "(***)"},
	        {"host=db Password = 'quo ted\\'s' user=x", "quo ted's", "***"},
	        {"sslpassword=key-word", "key-word", "***"},
	        {"postgresql://u:uri-word@h/d", "uri-word at h", "*** at h"},
	        {"postgres://u:per%2Fcent@h/d", "per/cent per%2Fcent", "*** ***"},
	        {"postgresql://h/d?user=u&password=query-word&x=1", "query-word&x=1", "***&x=1"},
	        {"postgresql://user-only@h/d", "user-only", "user-only"},
	        {"host=db-unmasked dbname=lake-unmasked", "db-unmasked lake-unmasked", "db-unmasked lake-unmasked"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[512];
		struct manifest *m;

		snprintf(text, sizeof text,
		         CATALOG "  backend:\n    type: postgres\n    connection: %s\n  dataPath: d\n",
		         cases[i].connection);
		m = parse(text);
		CHECK_TEXT(err.message, "");
		CHECK_TEXT(m->catalogs[0].backend.connection, cases[i].connection);
		CHECK_TEXT(masked(cases[i].line), cases[i].masked);
		manifest_free(m);
	}
}

static void secret_properties_are_masked(void)
{
	struct manifest *m =
	        parse(LAKE "---\n" STREAM "  table: rows\n  kafka:\n    brokers: a:1\n    topic: t\n    properties:\n"
	                   "      sasl.password: literal-1\n      SSL.KeyStore.Password: literal-2\n"
	                   "      sasl.jaas.config: literal-3\n      ssl.key.pem: literal-4\n"
	                   "      sasl.oauthbearer.client.secret: literal-5\n      client.id: literal-6\n");

	CHECK_TEXT(err.message, "");
	CHECK_TEXT(masked("literal-1 literal-2 literal-3 literal-4 literal-5 literal-6"),
	           "*** *** *** *** *** literal-6");
	manifest_free(m);
}

int main(int argc, char **argv)
{
	int rc;

	folder_make();
	rc = CHECK_MAIN(argc, argv, TEST(variables), TEST(wrong_variables), TEST(files), TEST(wrong_files),
	                TEST(nothing_is_read_for_a_stranger), TEST(passwords_are_masked),
	                TEST(secret_properties_are_masked));
	folder_remove();
	return rc;
}
