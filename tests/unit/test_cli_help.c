/* What the table of commands says: help, manual page, Markdown, completion; and that the files made from it are
 * current. */
#include "check.h"

#include <unistd.h>

#include "cli/help.h"

static struct buffer out;

static const char *fresh(void)
{
	buffer_release(&out);
	buffer_init(&out, 1 << 20);
	return "";
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	if (file && fread(text, 1, (1 << 20) - 1, file) == 0)
		*text = 0;
	if (file)
		fclose(file);
	return text;
}

static bool is_same(const char *path)
{
	char *text = read_file(path);
	bool same = !strcmp(text, buffer_string(&out));

	free(text);
	return same;
}

static void overview_lists_every_command(void)
{
	const struct exit_row *exits;
	char line[64];
	int count;

	fresh();
	help_overview(&out);
	for (int i = 0; i < COMMAND_COUNT; i++) {
		snprintf(line, sizeof line, "\n  %-12s", command_row((enum command_id)i)->name);
		CHECK_HAS(buffer_string(&out), line);
		CHECK_HAS(buffer_string(&out), command_row((enum command_id)i)->summary);
	}
	exits = exit_rows(&count);
	for (int i = 0; i < count; i++) {
		snprintf(line, sizeof line, "\n  %3d  ", exits[i].code);
		CHECK_HAS(buffer_string(&out), line);
	}
}

/* Each command's help has its options, its examples whole, and no line too wide that could be broken. */
static void every_command_has_help(void)
{
	const struct option *rows;
	int count;

	rows = option_rows(&count);
	for (int id = 0; id < COMMAND_COUNT; id++) {
		fresh();
		help_command((enum command_id)id, &out);
		CHECK(!strchr(buffer_string(&out), '`'));
		for (int i = 0; i < count; i++)
			if ((int)rows[i].command == id || rows[i].command == COMMAND_GLOBAL)
				CHECK_HAS(buffer_string(&out), rows[i].name);
		for (const char *line = buffer_string(&out); *line; line += strcspn(line, "\n") + 1)
			CHECK(!strncmp(line, "    ", 4) || strcspn(line, "\n") <= 80);
	}
}

static void manual_is_current(void)
{
	fresh();
	help_man(&out);
	for (int i = 0; i < COMMAND_COUNT; i++)
		CHECK_HAS(buffer_string(&out), command_row((enum command_id)i)->name);
	CHECK(is_same(TESTS_FOLDER "/../docs/tarn.1")); /* tarn help --man > docs/tarn.1 */
	for (const char *line = buffer_string(&out); *line; line += strcspn(line, "\n") + 1)
		CHECK(*line != '\''); /* a control line that nobody meant */
}

static void markdown_is_current(void)
{
	fresh();
	help_markdown(&out);
	CHECK(is_same(TESTS_FOLDER "/../docs/cli.md")); /* tarn help --markdown > docs/cli.md */
}

static const char *const shells[][2] = {{"bash", "tarn.bash"}, {"zsh", "_tarn"}, {"fish", "tarn.fish"}};

static void completion_is_current(void)
{
	for (int i = 0; i < 3; i++) {
		char path[1024];

		fresh();
		CHECK(completion_script(shells[i][0], &out));
		snprintf(path, sizeof path, "%s/../completions/%s", TESTS_FOLDER, shells[i][1]);
		CHECK(is_same(path)); /* tarn completion SHELL > completions/... */
	}
	CHECK(!completion_script("tcsh", &out));
}

static void completion_lists_everything(void)
{
	static const char *const forms[] = {"--%s ", "--%s", "-l %s "};
	const struct option *rows;
	int count;

	rows = option_rows(&count);
	for (int shell = 0; shell < 3; shell++) {
		fresh();
		completion_script(shells[shell][0], &out);
		for (int i = 0; i < COMMAND_COUNT; i++)
			CHECK_HAS(buffer_string(&out), command_row((enum command_id)i)->name);
		for (int i = 0; i < count; i++) {
			char form[64];

			snprintf(form, sizeof form, forms[shell], rows[i].name);
			/* in bash the last of a list stands before the quote */
			if (shell == 0 && !strstr(buffer_string(&out), form))
				form[strlen(form) - 1] = '"';
			CHECK_HAS(buffer_string(&out), form);
		}
	}
}

/* A shell that is here reads its script without complaint. */
static void shells_accept_their_scripts(void)
{
	for (int i = 0; i < 3; i++) {
		char command[2048];

		snprintf(command, sizeof command, "! command -v %s >/dev/null || %s -n %s/../completions/%s",
		         shells[i][0], shells[i][0], TESTS_FOLDER, shells[i][1]);
		CHECK_INT(system(command), 0);
	}
}

/* What bash offers for the last of the words. */
static const char *completed(const char *words, int last)
{
	static char answer[4096];
	char command[4096];
	FILE *bash;
	size_t size;

	snprintf(command, sizeof command,
	         "bash -c 'source %s/../completions/tarn.bash; compopt() { COMPREPLY=(FILES); }; COMP_WORDS=(tarn %s); "
	         "COMP_CWORD=%d; "
	         "_tarn; echo -n \"${COMPREPLY[*]}\"'",
	         TESTS_FOLDER, words, last);
	bash = popen(command, "r");
	size = bash ? fread(answer, 1, sizeof answer - 1, bash) : 0;
	answer[size] = 0;
	if (bash)
		pclose(bash);
	return answer;
}

static void bash_completes(void)
{
	if (system("command -v bash >/dev/null"))
		return;
	CHECK_TEXT(completed("ver", 1), "verify version");
	CHECK_TEXT(completed("query --fo", 2), "--format");
	CHECK_TEXT(completed("query --format j", 3), "json");
	CHECK_TEXT(completed("query --format = p", 4), "parquet");
	CHECK_TEXT(completed("query --output \"\"", 3), "FILES");
	CHECK_TEXT(completed("run \"\"", 2), "FILES");
	CHECK_TEXT(completed("help que", 2), "query");
	CHECK_TEXT(completed("completion \"\"", 2), "bash zsh fish");
	CHECK_TEXT(completed("quarantine re", 2), "replay");
	CHECK_TEXT(completed("model pre", 2), "predict");
	CHECK_TEXT(completed("quarantine replay \"\"", 3), "FILES");
	CHECK_TEXT(completed("quarantine list f --st", 4), "--stream");
	CHECK_TEXT(completed("--log-level w", 2), "warn");
	CHECK_TEXT(completed("run f --log-level w", 4), "warn");
	CHECK_TEXT(completed("--log-level debug que", 3), "query");
}

int main(int argc, char **argv)
{
	int failed =
	        CHECK_MAIN(argc, argv, TEST(overview_lists_every_command), TEST(every_command_has_help),
	                   TEST(manual_is_current), TEST(markdown_is_current), TEST(completion_is_current),
	                   TEST(completion_lists_everything), TEST(shells_accept_their_scripts), TEST(bash_completes));

	buffer_release(&out);
	return failed;
}
