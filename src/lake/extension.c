#include "lake/extension.h"

#include <stdlib.h>

#include "lake/duck.h"

const char *lake_extension_folder(void)
{
	const char *folder = getenv("TARN_EXTENSIONS");

	return folder && *folder ? folder : TARN_EXTENSION_FOLDER;
}

int lake_load_extension(struct duck_connection *connection, const char *name, struct error *err)
{
	if (duck_execf(connection, err, "LOAD %s", name) == 0)
		return 0;
	error_wrap(err, "DuckDB extension %s (in %s; `make setup` fetches it, TARN_EXTENSIONS names another folder)",
	           name, lake_extension_folder());
	err->kind = ERROR_FATAL;
	return -1;
}
