/* Tables for people, the same as JSON, and numbers in words. */
#include "check.h"

#include "cli/display.h"
#include "cli/table.h"

static struct buffer out;
static struct error err;

static struct table *two_rows(void)
{
	static const char *const headers[] = {"name", "row count"};
	struct table *table = table_new(2, headers);

	table_number(table, 1);
	table_add(table, (const char *const[]){"events", "12"});
	table_add(table, (const char *const[]){NULL, "1"});
	return table;
}

static const char *rendered(const struct table *table, struct table_style style)
{
	buffer_release(&out);
	buffer_init(&out, 1 << 20);
	return table_render(table, &style, &out, &err) ? err.message : buffer_string(&out);
}

static const char *as_json(const struct table *table)
{
	buffer_release(&out);
	buffer_init(&out, 1 << 20);
	return table_render_json(table, &out, &err) ? err.message : buffer_string(&out);
}

static void aligns(void)
{
	OWNED_TABLE struct table *table = two_rows();

	CHECK_INT(table_row_count(table), 2);
	CHECK_TEXT(rendered(table, (struct table_style){0}), "+--------+-----------+\n"
	                                                     "| name   | row count |\n"
	                                                     "+--------+-----------+\n"
	                                                     "| events |        12 |\n"
	                                                     "| NULL   |         1 |\n"
	                                                     "+--------+-----------+\n");
	CHECK_TEXT(rendered(table, (struct table_style){.unicode = true}), "┌────────┬───────────┐\n"
	                                                                   "│ name   │ row count │\n"
	                                                                   "├────────┼───────────┤\n"
	                                                                   "│ events │        12 │\n"
	                                                                   "│ NULL   │         1 │\n"
	                                                                   "└────────┴───────────┘\n");
	CHECK_HAS(rendered(table, (struct table_style){.bold = true}), "| \033[1mname\033[0m   |");
}

static void gives_json(void)
{
	static const char *const headers[] = {"a", "b c"};
	OWNED_TABLE struct table *table = two_rows(), *none = table_new(2, headers), *odd = table_new(2, headers);

	CHECK_TEXT(as_json(table),
	           "[{\"name\": \"events\", \"row_count\": 12},\n {\"name\": null, \"row_count\": 1}]\n");
	CHECK_TEXT(as_json(none), "[]\n");
	table_number(odd, 0);
	table_add(odd, (const char *const[]){"1,000", "7"});
	table_add(odd, (const char *const[]){"-0.5e+3", "\""});
	table_add(odd, (const char *const[]){"007", ""});
	table_add(odd, (const char *const[]){"nan", "x\n"});
	CHECK_TEXT(as_json(odd), "[{\"a\": \"1,000\", \"b_c\": \"7\"},\n {\"a\": -0.5e+3, \"b_c\": \"\\\"\"},\n"
	                         " {\"a\": \"007\", \"b_c\": \"\"},\n {\"a\": \"nan\", \"b_c\": \"x\\n\"}]\n");
}

static void numbers_have_two_faces(void)
{
	static const char *const headers[] = {"rows", "bytes", "time"};
	OWNED_TABLE struct table *table = table_new(3, headers);

	table_cell_count(table, 1234567);
	table_cell_bytes(table, 3 << 19);
	table_cell_duration(table, 125000);
	CHECK_HAS(rendered(table, (struct table_style){0}), "| 1,234,567 | 1.5 MiB | 2 min 5 s |");
	CHECK_TEXT(as_json(table), "[{\"rows\": 1234567, \"bytes\": 1572864, \"time\": 125000}]\n");
}

static void cuts_only_to_a_width(void)
{
	static const char *const headers[] = {"text", "number"};
	OWNED_TABLE struct table *table = table_new(2, headers);

	table_number(table, 1);
	table_add(table, (const char *const[]){"a text that is rather long", "1234567890123456"});
	CHECK_HAS(rendered(table, (struct table_style){0}), "| a text that is rather long | 1234567890123456 |");
	CHECK_HAS(rendered(table, (struct table_style){.width = 40}), "| a text that is... | 1234567890123456 |");
	CHECK_HAS(rendered(table, (struct table_style){.width = 40, .unicode = true}),
	          "│ a text that is r… │ 1234567890123456 │");
	/* A number is never cut, and something of a text stays. */
	CHECK_HAS(rendered(table, (struct table_style){.width = 10, .unicode = true}), "│ a tex… │ 1234567890123456 │");
}

static void cells_cannot_steer_a_terminal(void)
{
	static const char *const headers[] = {"a"};
	OWNED_TABLE struct table *table = table_new(1, headers);

	table_cell(table, "x\033[31m\n\ty\r\x7f\xff\xc2\x9b");
	CHECK_HAS(rendered(table, (struct table_style){0}), "| x\\x1b[31m\\n\\ty\\r\\x7f\\xff\\u009b |");
}

static void knows_widths(void)
{
	CHECK_INT(display_width("abc"), 3);
	CHECK_INT(display_width("é"), 1);
	CHECK_INT(display_width("e\xcc\x81"), 1);
	CHECK_INT(display_width("日本"), 4);
	CHECK_INT(display_width("👍"), 2);
	CHECK_INT(display_width("\xff"), 1);
}

static void out_of_memory_is_told(void)
{
	table_cell(NULL, "x");
	table_cellf(NULL, "%d", 1);
	table_cell_count(NULL, 1);
	CHECK_TEXT(as_json(NULL), "out of memory");
	CHECK_TEXT(rendered(NULL, (struct table_style){0}), "out of memory");
	CHECK_INT(table_row_count(NULL), 0);
}

static void speaks_of_numbers(void)
{
	char text[HUMAN_SIZE];

	CHECK_TEXT(human_bytes(0, text), "0 B");
	CHECK_TEXT(human_bytes(1023, text), "1023 B");
	CHECK_TEXT(human_bytes(1536, text), "1.5 KiB");
	CHECK_TEXT(human_bytes(1048575, text), "1.0 MiB");
	CHECK_TEXT(human_bytes((int64_t)256 << 20, text), "256 MiB");
	CHECK_TEXT(human_bytes(INT64_MAX, text), "8.0 EiB");
	CHECK_TEXT(human_count(0, text), "0");
	CHECK_TEXT(human_count(999, text), "999");
	CHECK_TEXT(human_count(1000, text), "1,000");
	CHECK_TEXT(human_count(-1234567, text), "-1,234,567");
	CHECK_TEXT(human_count(INT64_MIN, text), "-9,223,372,036,854,775,808");
	CHECK_TEXT(human_duration(999, text), "999 ms");
	CHECK_TEXT(human_duration(1500, text), "1.5 s");
	CHECK_TEXT(human_duration(59949, text), "59.9 s");
	CHECK_TEXT(human_duration(59999, text), "1 min 0 s");
	CHECK_TEXT(human_duration(125000, text), "2 min 5 s");
	CHECK_TEXT(human_duration(3 * 3600000 + 240000, text), "3 h 4 min");
	CHECK_TEXT(human_duration(51 * 3600000LL, text), "2 d 3 h");
	CHECK_TEXT(human_percent(0.5, text), "50 %");
	CHECK_TEXT(human_percent(0.012, text), "1.2 %");
}

static void honours_no_color(void)
{
	color_choose(COLOR_ALWAYS);
	CHECK(color_for(stdout));
	color_choose(COLOR_NEVER);
	CHECK(!color_for(stdout));
	color_choose(COLOR_AUTO);
	setenv("NO_COLOR", "1", 1);
	CHECK(!color_for(stdout));
}

int main(int argc, char **argv)
{
	int failed = CHECK_MAIN(argc, argv, TEST(aligns), TEST(gives_json), TEST(numbers_have_two_faces),
	                        TEST(cuts_only_to_a_width), TEST(cells_cannot_steer_a_terminal), TEST(knows_widths),
	                        TEST(out_of_memory_is_told), TEST(speaks_of_numbers), TEST(honours_no_color));

	buffer_release(&out);
	return failed;
}
