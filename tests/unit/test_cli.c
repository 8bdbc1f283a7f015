/* The command line: parsing, mistakes, exit codes. */
#include "check.h"

#include "cli/options.h"

#define ARGV_MAX 16

static struct invocation invocation;
static struct error err;

/* Parses "a b c" split at spaces. */
static int parse(const char *line)
{
	static char words[1024];
	char *argv[ARGV_MAX] = {"tarn"};
	int argc = 1;

	invocation_release(&invocation);
	err = (struct error){0};
	snprintf(words, sizeof words, "%s", line);
	for (char *word = strtok(words, " "); word && argc < ARGV_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	return options_parse(argc, argv, &invocation, &err);
}

static void reads_options_everywhere(void)
{
	CHECK_INT(parse("--log-level debug query a.yaml --format=csv --at 7 SELECT -o out"), 0);
	CHECK_INT(invocation.command, COMMAND_QUERY);
	CHECK_INT(invocation.positional_count, 2);
	CHECK_TEXT(invocation.positional[0], "a.yaml");
	CHECK_TEXT(invocation.positional[1], "SELECT");
	CHECK_TEXT(option_text(&invocation, "format"), "csv");
	CHECK_TEXT(option_text(&invocation, "output"), "out");
	CHECK_TEXT(option_text(&invocation, "log-level"), "debug");
	CHECK_INT(option_int(&invocation, "at"), 7);
	CHECK_INT(parse("query a.yaml SELECT --log-format json -fjson"), 0);
	CHECK_TEXT(option_text(&invocation, "log-format"), "json");
	CHECK_TEXT(option_text(&invocation, "format"), "json");
}

static void fills_defaults(void)
{
	CHECK_INT(parse("demo"), 0);
	CHECK_INT(option_int(&invocation, "count"), 660000);
	CHECK_INT(option_int(&invocation, "batch"), 1000);
	CHECK_INT(option_int(&invocation, "partitions"), 8);
	CHECK_INT(option_int(&invocation, "seed"), 1);
	CHECK(!option_flag(&invocation, "keep"));
	CHECK(!option_given(&invocation, "count"));
	CHECK_INT(parse("query f s"), 0);
	CHECK(!option_text(&invocation, "catalog"));
	CHECK_TEXT(option_text(&invocation, "format"), "table");
}

static void reads_sizes(void)
{
	CHECK_INT(parse("bench -b b"), 0);
	CHECK_INT(option_int(&invocation, "memory"), 256 << 20);
	CHECK_INT(parse("bench -b b --memory 1Gi"), 0);
	CHECK_INT(option_int(&invocation, "memory"), 1 << 30);
	CHECK_INT(parse("bench -b b --memory 1Mi"), -1);
	CHECK_TEXT(err.message, "--memory: '1Mi' is out of range: 32Mi to 64Gi would be right");
	CHECK_INT(parse("bench -b b --memory much"), -1);
	CHECK_HAS(err.message, "--memory: 'much' ");
	CHECK_HAS(err.message, "256Mi");
}

static void reads_numbers(void)
{
	CHECK_INT(parse("produce -t t -b b --bad 0.25"), 0);
	CHECK(option_given(&invocation, "bad") && option_number(&invocation, "bad") == 0.25);
	CHECK_INT(parse("produce -t t -b b --bad=1"), 0);
	CHECK(option_number(&invocation, "bad") == 1);
	CHECK_INT(parse("produce -t t -b b"), 0);
	CHECK(!option_given(&invocation, "bad"));
	CHECK_INT(parse("produce -t t -b b --bad -0.1"), -1);
	CHECK_TEXT(err.message, "--bad: '-0.1' is out of range: 0 to 1 would be right");
	CHECK_INT(parse("produce -t t -b b --bad 5%"), -1);
	CHECK_TEXT(err.message, "--bad: '5%' is not a number: 0 to 1 would be right");
}

static void collects_lists(void)
{
	const char *const *items;

	CHECK_INT(parse("produce --topic t --brokers b -X a=1 --property b=2 --property=c=3"), 0);
	CHECK_INT(option_list(&invocation, "property", &items), 3);
	CHECK_TEXT(items[0], "a=1");
	CHECK_TEXT(items[1], "b=2");
	CHECK_TEXT(items[2], "c=3");
	CHECK_INT(parse("produce --topic t --brokers b"), 0);
	CHECK_INT(option_list(&invocation, "property", &items), 0);
}

static void two_dashes_end_options(void)
{
	CHECK_INT(parse("query -- --file -"), 0);
	CHECK_TEXT(invocation.positional[0], "--file");
	CHECK_TEXT(invocation.positional[1], "-");
	CHECK_INT(parse("query f -"), 0);
	CHECK_TEXT(invocation.positional[1], "-");
}

static void help_needs_nothing_else(void)
{
	CHECK_INT(parse("query --help"), 0);
	CHECK_INT(invocation.command, COMMAND_HELP);
	CHECK_TEXT(invocation.positional[0], "query");
	CHECK(!option_flag(&invocation, "man"));
	CHECK_INT(parse("-h"), 0);
	CHECK_INT(invocation.command, COMMAND_HELP);
	CHECK_INT(invocation.positional_count, 0);
	CHECK_INT(parse("--version"), 0);
	CHECK_INT(invocation.command, COMMAND_VERSION);
	CHECK_INT(parse("produce -V"), 0);
	CHECK_INT(invocation.command, COMMAND_VERSION);
}

static void mistakes_say_what_is_right(void)
{
	static const struct {
		const char *line, *message;
	} wrong[] = {
	        {"", "say which command"},
	        {"qurey", "there is no command 'qurey': did you mean query?"},
	        {"frobnicate", "there is no command 'frobnicate'"},
	        {"--once run f", "there is no option '--once' before a command: a command's own options come after it"},
	        {"query f s --fromat csv", "there is no option '--fromat': did you mean --format?"},
	        {"run f --elephants", "run has no option '--elephants'"},
	        {"run f -z", "run has no option '-z'"},
	        {"run f --once=yes", "--once takes no value"},
	        {"run f --listen", "--listen needs a value: ADDR"},
	        {"run f --listen=", "--listen: '' is empty: ADDR would be right"},
	        {"run", "run needs one argument, none is given: tarn run FILE"},
	        {"query f", "query needs two arguments, one is given: tarn query FILE SQL"},
	        {"run f g", "run takes no argument 'g': tarn run FILE"},
	        {"produce --topic t", "produce needs --brokers HOST:PORT,..."},
	        {"demo --count 0", "--count: '0' is out of range: 1 to 1000000000000 would be right"},
	        {"query f s --at -1", "--at: '-1' is out of range: 0 or more would be right"},
	        {"query f s --format xml",
	         "--format: 'xml' is not a choice: table|csv|json|arrow|parquet would be right"},
	        {"query f s --format csv|json",
	         "--format: 'csv|json' is not a choice: table|csv|json|arrow|parquet would be right"},
	        {"--color sometimes run f", "--color: 'sometimes' is not a choice: auto|always|never would be right"},
	};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		CHECK_INT(parse(wrong[i].line), -1);
		CHECK_TEXT(err.message, wrong[i].message);
		CHECK_INT(err.kind, ERROR_INVALID);
	}
	CHECK_INT(parse("demo --count many"), -1);
	CHECK_HAS(err.message, "--count: 'many' ");
	CHECK_HAS(err.message, "a whole number would be right");
}

/* What is echoed cannot steer a terminal or fill the screen. */
static void quotes_what_it_repeats(void)
{
	char line[600] = "run f --";

	CHECK_INT(parse("\033[31mrun"), -1);
	CHECK(!strchr(err.message, '\033'));
	memset(line + 8, 'x', 500);
	CHECK_INT(parse(line), -1);
	CHECK(strlen(err.message) < 200);
}

static void knows_the_command_of_a_mistake(void)
{
	CHECK_INT(parse("run f --elephants"), -1);
	CHECK_INT(invocation.command, COMMAND_RUN);
	CHECK_INT(parse("nothing"), -1);
	CHECK_INT(invocation.command, COMMAND_COUNT);
}

static void suggests_only_near_names(void)
{
	static const char *const names[] = {"query", "verify", "run"};

	CHECK_TEXT(nearest_name("verfy", names, 3), "verify");
	CHECK_TEXT(nearest_name("QUERY", names, 3), "query");
	CHECK(!nearest_name("elephant", names, 3));
	CHECK(!nearest_name("x", names, 0));
}

static void exit_codes_follow_kinds(void)
{
	const struct exit_row *rows;
	int count;

	CHECK_INT(exit_code(ERROR_NONE), 0);
	CHECK_INT(exit_code(ERROR_INVALID), 3);
	CHECK_INT(exit_code(ERROR_CORRUPT), 3);
	CHECK_INT(exit_code(ERROR_CONFLICT), 4);
	CHECK_INT(exit_code(ERROR_TRANSIENT), 5);
	CHECK_INT(exit_code(ERROR_FATAL), 70);
	rows = exit_rows(&count);
	for (int i = 1; i < count; i++)
		CHECK(rows[i - 1].code < rows[i].code);
}

/* The table itself: names unique within a command, defaults that its own rules accept, texts that help can print. */
static void table_is_sound(void)
{
	const struct option *rows;
	int count;

	rows = option_rows(&count);
	for (int i = 0; i < count; i++) {
		CHECK((rows[i].kind == OPTION_FLAG) == !*rows[i].argument);
		CHECK(rows[i].help[strlen(rows[i].help) - 1] == '.');
		for (int j = 0; j < i; j++) {
			bool both = rows[i].command == rows[j].command || rows[i].command == COMMAND_GLOBAL ||
			            rows[j].command == COMMAND_GLOBAL;

			CHECK(!both || strcmp(rows[i].name, rows[j].name));
			CHECK(!both || !rows[i].letter || rows[i].letter != rows[j].letter);
		}
	}
	for (int i = 0; i < COMMAND_COUNT; i++) {
		CHECK_INT(command_find(command_row((enum command_id)i)->name), i);
		CHECK(!strchr(command_row((enum command_id)i)->summary, '.'));
	}
	CHECK_INT(command_find("nothing"), COMMAND_COUNT);
}

int main(int argc, char **argv)
{
	int failed = CHECK_MAIN(argc, argv, TEST(reads_options_everywhere), TEST(fills_defaults), TEST(reads_sizes),
	                        TEST(reads_numbers), TEST(collects_lists), TEST(two_dashes_end_options),
	                        TEST(help_needs_nothing_else), TEST(mistakes_say_what_is_right),
	                        TEST(quotes_what_it_repeats), TEST(knows_the_command_of_a_mistake),
	                        TEST(suggests_only_near_names), TEST(exit_codes_follow_kinds), TEST(table_is_sound));

	invocation_release(&invocation);
	return failed;
}
