/* Texts of a manifest as values: durations, quantities, names. */
#include "check.h"

#include <limits.h>
#include <stdint.h>

#include "batch/json.h"
#include "spec/kinds.h"
#include "spec/values.h"

struct number_case {
	const char *text;
	int64_t value;
	const char *wrong;
};

#define NUMBERS(parse, ...)                                                                                            \
	do {                                                                                                           \
		const struct number_case cases[] = {__VA_ARGS__};                                                      \
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {                                            \
			int64_t value = -77;                                                                           \
			const char *wrong = parse(cases[i].text, &value);                                              \
			if (!!wrong != !!cases[i].wrong || (wrong && strcmp(wrong, cases[i].wrong)) ||                 \
			    value != (wrong ? -77 : cases[i].value))                                                   \
				CHECK_FAIL("'%s': %s, %lld", cases[i].text, wrong ? wrong : "right",                   \
				           (long long)value);                                                          \
		}                                                                                                      \
	} while (0)

static void durations(void)
{
	NUMBERS(value_duration, {"500ms", 500, NULL}, {"5s", 5000, NULL}, {"1m", 60000, NULL}, {"1h", 3600000, NULL},
	        {"1m30s", 90000, NULL}, {"1h0m0s1ms", 3600001, NULL}, {"0s", 0, NULL}, {"007s", 7000, NULL},
	        {"9223372036854775807ms", INT64_MAX, NULL}, {"9223372036854775807s", 0, "is too large"},
	        {"9223372036854775808ms", 0, "is too large"}, {"9223372036854775s999ms", 0, "is too large"},
	        {"99999999999999999999999h", 0, "is too large"}, {"", 0, "is not a duration"},
	        {"s", 0, "is not a duration"}, {"-5s", 0, "is not a duration"}, {"+5s", 0, "is not a duration"},
	        {"5", 0, "has no unit"}, {"5s3", 0, "has no unit"}, {"5 s", 0, "is not a duration"},
	        {" 5s", 0, "is not a duration"}, {"5s ", 0, "is not a duration"}, {"1.5s", 0, "is not a duration"},
	        {"5S", 0, "has a unit that is not known"}, {"5sec", 0, "has a unit that is not known"},
	        {"5us", 0, "has a unit that is not known"}, {"5d", 0, "has a unit that is not known"},
	        {"30s1m", 0, "has its units in a wrong order"}, {"1s1s", 0, "has its units in a wrong order"});
}

static void quantities(void)
{
	NUMBERS(value_quantity, {"0", 0, NULL}, {"1048576", 1048576, NULL}, {"1Ki", 1024, NULL},
	        {"256Mi", 268435456, NULL}, {"1Gi", 1073741824, NULL}, {"1G", 1000000000, NULL}, {"1k", 1000, NULL},
	        {"1M", 1000000, NULL}, {"1T", 1000000000000, NULL}, {"1P", 1000000000000000, NULL},
	        {"9E", 9000000000000000000, NULL}, {"1E", 1000000000000000000, NULL}, {"1e3", 1000, NULL},
	        {"1E3", 1000, NULL}, {"12e0", 12, NULL}, {"9e18", 9000000000000000000, NULL},
	        {"7Ei", (int64_t)7 << 60, NULL}, {"1Ti", (int64_t)1 << 40, NULL}, {"1Pi", (int64_t)1 << 50, NULL},
	        {"1.5Gi", 1610612736, NULL}, {"0.5k", 500, NULL}, {"1.50M", 1500000, NULL}, {"2.0", 2, NULL},
	        {"0.001k", 1, NULL}, {"0.25Ki", 256, NULL}, {"9223372036854775807", INT64_MAX, NULL},
	        {"7.999999999Ei", 0, "is not a whole number of bytes"}, {"7.5Ei", 8646911284551352320, NULL},
	        {"9.223372036E", 9223372036000000000, NULL});
	NUMBERS(value_quantity, {"", 0, "is not a quantity"}, {"Mi", 0, "is not a quantity"},
	        {"-1", 0, "is not a quantity"}, {"+1", 0, "is not a quantity"}, {".5Gi", 0, "is not a quantity"},
	        {"1.", 0, "is not a quantity"}, {"1.Gi", 0, "is not a quantity"},
	        {"1.5", 0, "is not a whole number of bytes"}, {"0.0001k", 0, "is not a whole number of bytes"},
	        {"0.3Ki", 0, "is not a whole number of bytes"},
	        {"1.0000000001Gi", 0, "has a fraction too fine for bytes"}, {"1m", 0, "has a suffix that is not known"},
	        {"1K", 0, "has a suffix that is not known"}, {"1ki", 0, "has a suffix that is not known"},
	        {"1MB", 0, "has a suffix that is not known"}, {"1MiB", 0, "has a suffix that is not known"},
	        {"1 Mi", 0, "has a suffix that is not known"}, {"1gi", 0, "has a suffix that is not known"},
	        {"1e", 0, "has a suffix that is not known"}, {"1e3k", 0, "has a suffix that is not known"},
	        {"1e-3", 0, "has a suffix that is not known"}, {"0x10", 0, "has a suffix that is not known"},
	        {"8Ei", 0, "is too large"}, {"10E", 0, "is too large"}, {"9223372036854775808", 0, "is too large"},
	        {"1e19", 0, "is too large"}, {"1e99999999999999999999", 0, "is too large"},
	        {"9007199254740992Ki", 0, "is too large"}, {"9.5E", 0, "is too large"});
}

static void integers(void)
{
	bool yes = false;

	NUMBERS(value_integer, {"0", 0, NULL}, {"-12", -12, NULL}, {"1024", 1024, NULL},
	        {"9223372036854775807", INT64_MAX, NULL}, {"9223372036854775808", 0, "is too large"},
	        {"-9223372036854775808", INT64_MIN, NULL}, {"-009223372036854775808", INT64_MIN, NULL},
	        {"-9223372036854775809", 0, "is too large"}, {"-9223372036854775808x", 0, "is too large"},
	        {"", 0, "is not a whole number"}, {"-", 0, "is not a whole number"}, {"8x", 0, "is not a whole number"},
	        {"0x8", 0, "is not a whole number"}, {"8.0", 0, "is not a whole number"},
	        {"1_000", 0, "is not a whole number"}, {"+1", 0, "is not a whole number"});
	CHECK(!value_boolean("true", &yes) && yes);
	CHECK(!value_boolean("false", &yes) && !yes);
	CHECK_TEXT(value_boolean("yes", &yes), "is not a boolean");
	CHECK_TEXT(value_boolean("True", &yes), "is not a boolean");
}

struct text_case {
	const char *(*check)(const char *text);
	const char *text, *wrong;
};

static char *repeat(char *to, char c, int count)
{
	memset(to, c, (size_t)count);
	to[count] = 0;
	return to;
}

static void texts(void)
{
	char of_63[64], of_64[65], of_249[250], of_250[251];
	const struct text_case cases[] = {
	        {value_name, "main", NULL},
	        {value_name, "a-1", NULL},
	        {value_name, "1a", NULL},
	        {value_name, repeat(of_63, 'a', 63), NULL},
	        {value_name, repeat(of_64, 'a', 64), "has more than 63 characters"},
	        {value_name, "", "is empty"},
	        {value_name, "Main", "has a character that a name may not have"},
	        {value_name, "a_b", "has a character that a name may not have"},
	        {value_name, "a.b", "has a character that a name may not have"},
	        {value_name, "\xc3\xa4", "has a character that a name may not have"},
	        {value_name, "-a", "begins or ends with '-'"},
	        {value_name, "a-", "begins or ends with '-'"},
	        {value_table, "events_arrow", NULL},
	        {value_table, "_t9", NULL},
	        {value_table, "bronze.Events", NULL},
	        {value_table, of_63, NULL},
	        {value_table, of_64, "has more than 63 characters"},
	        {value_table, "", "is empty"},
	        {value_table, "9t", "begins with a digit"},
	        {value_table, "a-b", "has a character that a name in SQL may not have"},
	        {value_table, "a\"b", "has a character that a name in SQL may not have"},
	        {value_table, ".t", "has an empty part"},
	        {value_table, "s.", "has an empty part"},
	        {value_table, "a.b.c", "has more than two parts"},
	        {value_table, "9s.t", "begins with a digit"},
	        {value_topic, "test-events.Arrow_1", NULL},
	        {value_topic, "...", NULL},
	        {value_topic, ".", "is a name that Kafka keeps"},
	        {value_topic, "..", "is a name that Kafka keeps"},
	        {value_topic, "", "is empty"},
	        {value_topic, "a b", "has a character that a topic may not have"},
	        {value_topic, "a/b", "has a character that a topic may not have"},
	        {value_topic, repeat(of_249, 't', 249), NULL},
	        {value_topic, repeat(of_250, 't', 250), "has more than 249 characters"},
	        {value_brokers, "embedded", NULL},
	        {value_brokers, "127.0.0.1:9092", NULL},
	        {value_brokers, "a:1,b:65535,c", NULL},
	        {value_brokers, "SASL_SSL://kafka:9093", NULL},
	        {value_brokers, "[::1]:9092", NULL},
	        {value_brokers, "", "is empty"},
	        {value_brokers, "a:1,", "has an empty address"},
	        {value_brokers, ",a:1", "has an empty address"},
	        {value_brokers, "ssl://", "has an empty address"},
	        {value_brokers, "a:1, b:1", "has a space"},
	        {value_brokers, ":9092", "has an address without a host"},
	        {value_brokers, "[::1:9092", "has an address without its ']'"},
	        {value_brokers, "a:", "has a port that is not a number from 1 to 65535"},
	        {value_brokers, "a:0", "has a port that is not a number from 1 to 65535"},
	        {value_brokers, "a:65536", "has a port that is not a number from 1 to 65535"},
	        {value_brokers, "a:99999999999999999999999999", "has a port that is not a number from 1 to 65535"},
	        {value_brokers, "a:9x", "has a port that is not a number from 1 to 65535"},
	        {value_brokers, "a:1\nb:1", "has a line break or another control character"},
	        {value_property, "sasl.password", NULL},
	        {value_property, "", "has an empty name"},
	        {value_property, "a b", "has a character that the name of a property may not have"},
	        {value_line, "a b", NULL},
	        {value_line, "", "is empty"},
	        {value_line, "a\tb", "has a line break or another control character"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *wrong = cases[i].check(cases[i].text);

		if (!!wrong != !!cases[i].wrong || (wrong && strcmp(wrong, cases[i].wrong)))
			CHECK_FAIL("case %zu '%s': %s", i, cases[i].text, wrong ? wrong : "right");
	}
}

/* What a manifest may say of a column's type is what batch/ takes, and no more: else it would be refused only when the
 * stream starts. */
static void agree(const char *text)
{
	const char *wrong = value_column(text);
	enum json_type type;
	int precision, scale;

	if (!wrong != json_type_parse(text, &type, &precision, &scale))
		CHECK_FAIL("'%s': %s for the manifest, and not for batch/, or the other way round", text,
		           wrong ? wrong : "right");
}

static void column_types(void)
{
	static const char *const names[] = {
#define JSON_TYPE(id, name, duckdb, kind, zone, right) name,
#include "batch/json_types.def"
#undef JSON_TYPE
	};
	static const char *const odd[] = {
	        "",
	        "Boolean",
	        "BIGINT",
	        "int",
	        "text",
	        "bigint ",
	        " bigint",
	        "epoch_us",
	        "decimal",
	        "decimal()",
	        "decimal(5)",
	        "decimal(5,)",
	        "json[]",
	        "decimal(5,2",
	        "decimal(5,2)x",
	        "decimal(5,2) ",
	        "decimal (5,2)",
	        "decimal( 5,2)",
	        "uuid",
	        "decimal(5, 2)",
	        "decimal(5 ,2)",
	        "decimal(+5,2)",
	        "decimal(05,02)",
	        "decimal(100,2)",
	        "blob",
	        "decimal(-1,0)",
	        "decimal(5,-1)",
	        "decimal(5.0,2)",
	        "DECIMAL(5,2)",
	        "decimal(5,2,1)",
	};
	char text[64];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		agree(names[i]);
		/* Said to who writes manifests, too; and right but for the decimal, which wants its digits. */
		CHECK_HAS(type_right(TYPE_COLUMN), names[i]);
		CHECK_INT(!value_column(names[i]), strcmp(names[i], "decimal") != 0);
	}
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		agree(odd[i]);
	for (int precision = -2; precision < 110; precision++) {
		for (int scale = -2; scale < 110; scale++) {
			snprintf(text, sizeof text, "decimal(%d,%d)", precision, scale);
			agree(text);
		}
	}
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(durations), TEST(quantities), TEST(integers), TEST(texts),
	                  TEST(column_types));
}
