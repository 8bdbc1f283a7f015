/* empty.c - an array without rows, by which DuckDB tells what it makes of a schema's types. */
#include <nanoarrow/nanoarrow.h>

#include "batch/batch.h"

int batch_schema_empty_array(const struct batch_schema *schema, struct ArrowArray *ret_array, struct error *err)
{
	struct ArrowError why = {{0}};
	int code = ArrowArrayInitFromSchema(ret_array, schema->arrow, &why);

	if (code == NANOARROW_OK) {
		code = ArrowArrayStartAppending(ret_array);
		if (code == NANOARROW_OK)
			code = ArrowArrayFinishBuildingDefault(ret_array, &why);
		if (code != NANOARROW_OK)
			ArrowArrayRelease(ret_array);
	}
	if (code != NANOARROW_OK)
		return error_set(err, ERROR_INVALID, code, "an empty array of this schema cannot be made: %s",
		                 ArrowErrorMessage(&why));
	return 0;
}
