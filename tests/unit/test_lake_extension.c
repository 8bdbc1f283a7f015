/*
 * Which extensions are loaded without a look at their signatures: the files that the build knows, and no others.
 */
#include "check.h"

#include <glob.h>
#include <sys/stat.h>

#include "base/folder.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "lake/extension.h"

static char folder[] = "/tmp/tarn-extension.XXXXXX";

static void those_of_the_build_are_known(void)
{
	CHECK(extension_is_known("ducklake"));
	CHECK(extension_is_known("sqlite_scanner"));
	CHECK(!extension_is_known("ducklak"));
	CHECK(!extension_is_known("ducklake2"));
	CHECK(!extension_is_known(""));
}

static void they_load(void)
{
	static const struct duck_setting settings[] = {{"allow_unsigned_extensions", "true"}};
	struct error err = {0};
	struct duck *duck = duck_open(NULL, settings, 1, &err);
	struct duck_connection *connection = duck_connect(duck, &err);
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	CHECK_INT(extension_load_known(connection, "ducklake", &err), 0);
	CHECK_INT(duck_query(
	                  connection,
	                  "SELECT extension_name FROM duckdb_extensions() WHERE loaded AND extension_name = 'ducklake'",
	                  &rows, &err),
	          0);
	CHECK_INT(rows.row_count, 1);
	CHECK_INT(extension_load_known(connection, "no_such", &err), -1);
	CHECK_INT(err.kind, ERROR_FATAL);
	duck_disconnect(connection);
	duck_close(duck);
}

/* One byte more than the file that the build knows. */
static void another_file_is_not(void)
{
	char pattern[512], path[512], command[1200];
	const char *known = lake_extension_folder();
	glob_t found;

	snprintf(pattern, sizeof pattern, "%s/*/*/ducklake.duckdb_extension", known);
	CHECK_INT(glob(pattern, 0, NULL, &found), 0);
	snprintf(path, sizeof path, "%s%s", folder, found.gl_pathv[0] + strlen(known));
	snprintf(command, sizeof command, "mkdir -p %.*s && cp %s %s", (int)(strrchr(path, '/') - path), path,
	         found.gl_pathv[0], path);
	globfree(&found);
	CHECK_INT(system(command), 0);
	setenv("TARN_EXTENSIONS", folder, 1);
	CHECK(extension_is_known("ducklake"));
	CHECK(!extension_is_known("sqlite_scanner"));
	snprintf(command, sizeof command, "printf x >>%s", path);
	CHECK_INT(system(command), 0);
	CHECK(!extension_is_known("ducklake"));
	unsetenv("TARN_EXTENSIONS");
}

int main(int argc, char **argv)
{
	struct error err;
	int status;

	if (!mkdtemp(folder))
		return 1;
	unsetenv("TARN_EXTENSIONS");
	status = CHECK_MAIN(argc, argv, TEST(those_of_the_build_are_known), TEST(they_load), TEST(another_file_is_not));
	return folder_remove(folder, &err) ? 1 : status;
}
