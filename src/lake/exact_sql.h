/*
 * exact_sql.h - exact sums (base/exact.h) in DuckDB's SQL, for partial sums that are kept in a table.
 *
 *   tarn_exact_sum(DOUBLE) -> BLOB       aggregate: the encoding of the sum of all values that are not NULL
 *   tarn_exact_merge(BLOB) -> BLOB       aggregate: the sum of such encodings; NULLs are passed over
 *   tarn_exact_plus(BLOB, BLOB) -> BLOB  the same of two in one row; NULL where both are
 *   tarn_exact_negate(BLOB) -> BLOB      merged with others, it takes away what its argument would add
 *   tarn_exact_value(BLOB) -> DOUBLE     the sum, rounded once
 *
 * So new = tarn_exact_merge over (kept, tarn_exact_sum(added), tarn_exact_negate(tarn_exact_sum(removed))), and equal
 * rows have equal bytes, however they came and went.
 *
 * Invariants:
 *  1. As with DuckDB's own sum(), a group without a value that is not NULL gives NULL. A group whose rows were all
 *     taken away again gives the encoding of zero, not NULL: whether rows are left is for a count beside it to say.
 *  2. A BLOB that is no encoding is an "Invalid Input Error" that names the function, never a wrong sum.
 *  3. FILTER, GROUP BY and DISTINCT work, on all threads. OVER, and ORDER BY within the call, do not: for these DuckDB
 *     1.5.5 passes one state to an aggregate of the C API where it says that there is one a row, and what lies behind
 *     it is read as pointers. The functions are for statements that Tarn writes: refuse them in any other.
 *  4. A group takes 40 bytes of DuckDB's memory. Values more than 38 orders of magnitude apart, infinities and NaN add
 *     88 to 296 bytes of the process's own, which DuckDB's memory_limit does not count, nor its disk hold.
 */
#ifndef TARN_LAKE_EXACT_SQL_H
#define TARN_LAKE_EXACT_SQL_H

#include "base/error.h"

struct duck_connection;

/* Registers the functions for all connections of this connection's database, for as long as it is open. Again is no
 * error. Outside of a transaction, whose rollback would take them back. FATAL where DuckDB refuses. */
int exact_sql_register(struct duck_connection *connection, struct error *err);

#endif
