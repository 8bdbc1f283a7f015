/* test_lake_type.c - lake/type.h: what widens into what, nested too, and what does not. */
#include <string.h>

#include "base/buffer.h"
#include "base/owned.h"
#include "check.h"
#include "lake/type.h"

static char merged[512];

static const char *merge(const char *old, const char *new)
{
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, sizeof merged - 1);
	snprintf(merged, sizeof merged, "%s", type_merge(old, new, &out) ? buffer_string(&out) : "no");
	return merged;
}

static void numbers_widen(void)
{
	CHECK_TEXT(merge("INTEGER", "BIGINT"), "BIGINT");
	CHECK_TEXT(merge("BIGINT", "INTEGER"), "BIGINT");
	CHECK_TEXT(merge("INTEGER", "INTEGER"), "INTEGER");
	CHECK_TEXT(merge("FLOAT", "DOUBLE"), "DOUBLE");
	CHECK_TEXT(merge("INTEGER", "DOUBLE"), "DOUBLE");
	CHECK_TEXT(merge("INTEGER", "FLOAT"), "DOUBLE");
	CHECK_TEXT(merge("UINTEGER", "INTEGER"), "BIGINT");
	CHECK_TEXT(merge("UBIGINT", "BIGINT"), "no");
	CHECK_TEXT(merge("UBIGINT", "TINYINT"), "no");
	CHECK_TEXT(merge("BIGINT", "UBIGINT"), "no");
	CHECK_TEXT(merge("HUGEINT", "BIGINT"), "no");
	CHECK_TEXT(merge("UBIGINT", "UINTEGER"), "UBIGINT");
	CHECK_TEXT(merge("BIGINT", "UINTEGER"), "BIGINT");
	CHECK_TEXT(merge("UTINYINT", "TINYINT"), "SMALLINT");
	CHECK_TEXT(merge("BIGINT", "DOUBLE"), "no");
	CHECK_TEXT(merge("DOUBLE", "BIGINT"), "no");
	CHECK_TEXT(merge("DECIMAL(10,2)", "DECIMAL(12,4)"), "DECIMAL(12,4)");
	CHECK_TEXT(merge("DECIMAL(10,2)", "DECIMAL(8,4)"), "DECIMAL(12,4)");
	CHECK_TEXT(merge("DECIMAL(38,0)", "DECIMAL(38,1)"), "no");
	CHECK_TEXT(merge("INTEGER", "VARCHAR"), "no");
	CHECK_TEXT(merge("BOOLEAN", "INTEGER"), "no");
}

static void times_widen(void)
{
	CHECK_TEXT(merge("DATE", "TIMESTAMP"), "TIMESTAMP");
	CHECK_TEXT(merge("TIMESTAMP", "DATE"), "TIMESTAMP");
	CHECK_TEXT(merge("TIMESTAMP_S", "TIMESTAMP_MS"), "TIMESTAMP_MS");
	CHECK_TEXT(merge("TIMESTAMP", "TIMESTAMP_NS"), "no");
	CHECK_TEXT(merge("DATE", "TIMESTAMP WITH TIME ZONE"), "no");
	CHECK_TEXT(merge("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"), "no");
}

static void nested_types_widen_inside(void)
{
	CHECK_TEXT(merge("INTEGER[]", "BIGINT[]"), "BIGINT[]");
	CHECK_TEXT(merge("INTEGER[][]", "BIGINT[][]"), "BIGINT[][]");
	CHECK_TEXT(merge("INTEGER[3]", "BIGINT[3]"), "BIGINT[3]");
	CHECK_TEXT(merge("INTEGER[3]", "INTEGER[4]"), "no");
	CHECK_TEXT(merge("INTEGER[]", "INTEGER"), "no");
	CHECK_TEXT(merge("MAP(VARCHAR, INTEGER)", "MAP(VARCHAR, BIGINT)"), "MAP(VARCHAR, BIGINT)");
	CHECK_TEXT(merge("MAP(VARCHAR, INTEGER)", "MAP(INTEGER, INTEGER)"), "no");
	CHECK_TEXT(merge("STRUCT(a INTEGER, b VARCHAR)", "STRUCT(b VARCHAR, a BIGINT, c DATE)"),
	           "STRUCT(a BIGINT, b VARCHAR, c DATE)");
	CHECK_TEXT(merge("STRUCT(a INTEGER, b VARCHAR)", "STRUCT(a SMALLINT)"), "STRUCT(a INTEGER, b VARCHAR)");
	CHECK_TEXT(merge("STRUCT(a INTEGER)", "STRUCT(a VARCHAR)"), "no");
	CHECK_TEXT(merge("STRUCT(n STRUCT(x INTEGER, \"y, (z)\" DATE)[])",
	                 "STRUCT(n STRUCT(\"y, (z)\" TIMESTAMP)[], m MAP(VARCHAR, DECIMAL(4,1)))"),
	           "STRUCT(n STRUCT(x INTEGER, \"y, (z)\" TIMESTAMP)[], m MAP(VARCHAR, DECIMAL(4,1)))");
	CHECK_TEXT(merge("STRUCT(\"a\"\"b\" INTEGER)", "STRUCT(\"a\"\"b\" BIGINT)"), "STRUCT(\"a\"\"b\" BIGINT)");
	CHECK_TEXT(merge("STRUCT(a INTEGER)[]", "STRUCT(a INTEGER)"), "no");
}

static void what_cannot_be_taken_apart(void)
{
	CHECK_TEXT(merge("ENUM('a', 'b)')", "ENUM('a', 'b)')"), "ENUM('a', 'b)')");
	CHECK_TEXT(merge("ENUM('a')", "ENUM('a', 'b')"), "no");
	CHECK_TEXT(merge("STRUCT(", "STRUCT(a"), "no");
	CHECK_TEXT(merge("MAP(", "MAP(a)"), "no");
	CHECK_TEXT(merge("[]", "]"), "no");
	CHECK_TEXT(merge("", "INTEGER"), "no");
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(numbers_widen), TEST(times_widen), TEST(nested_types_widen_inside),
	                  TEST(what_cannot_be_taken_apart));
}
