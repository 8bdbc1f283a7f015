/*
 * check.h - the unit tests' few words. A test is a function; a file's main lists them:
 *
 *     static void rises(void) { CHECK(2 > 1); CHECK_INT(f(), 3); CHECK_TEXT(err.message, "..."); }
 *     int main(int argc, char **argv) { return CHECK_MAIN(argc, argv, TEST(rises)); }
 *
 * Each test runs in this process, in order, and prints one line "ok NAME" or "not ok NAME: FILE:LINE: ...", which
 * tests/run counts. With arguments only the tests so named run.
 */
#ifndef TARN_TESTS_CHECK_H
#define TARN_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_test {
	const char *name;
	void (*run)(void);
};

static bool check_failed __attribute__((unused));

#define TEST(function)                                                                                                 \
	{                                                                                                              \
#function, function                                                                                    \
	}
#define CHECK_FAIL(...)                                                                                                \
	do {                                                                                                           \
		check_failed = true;                                                                                   \
		printf("# %s:%d: ", __FILE__, __LINE__);                                                               \
		printf(__VA_ARGS__);                                                                                   \
		printf("\n");                                                                                          \
	} while (0)
#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			CHECK_FAIL("%s is false", #condition);                                                         \
			return;                                                                                        \
		}                                                                                                      \
	} while (0)
#define CHECK_INT(actual, expected)                                                                                    \
	do {                                                                                                           \
		long long actual_ = (long long)(actual), expected_ = (long long)(expected);                            \
		if (actual_ != expected_) {                                                                            \
			CHECK_FAIL("%s is %lld, not %lld", #actual, actual_, expected_);                               \
			return;                                                                                        \
		}                                                                                                      \
	} while (0)
#define CHECK_TEXT(actual, expected)                                                                                   \
	do {                                                                                                           \
		const char *actual_ = (actual), *expected_ = (expected);                                               \
		if (!actual_ || strcmp(actual_, expected_)) {                                                          \
			CHECK_FAIL("%s is \"%s\", not \"%s\"", #actual, actual_ ? actual_ : "(null)", expected_);      \
			return;                                                                                        \
		}                                                                                                      \
	} while (0)
/* `part` stands somewhere in `text` */
#define CHECK_HAS(text, part)                                                                                          \
	do {                                                                                                           \
		const char *text_ = (text), *part_ = (part);                                                           \
		if (!text_ || !strstr(text_, part_)) {                                                                 \
			CHECK_FAIL("%s is \"%s\", without \"%s\"", #text, text_ ? text_ : "(null)", part_);            \
			return;                                                                                        \
		}                                                                                                      \
	} while (0)

static inline int check_run(int argc, char **argv, const struct check_test *tests, int count)
{
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < count; i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], tests[i].name);
		if (!wanted)
			continue;
		check_failed = false;
		tests[i].run();
		printf("%s %s\n", check_failed ? "not ok" : "ok", tests[i].name);
		failed += check_failed;
	}
	return failed ? 1 : 0;
}

#define CHECK_MAIN(argc, argv, ...)                                                                                    \
	check_run(argc, argv, (struct check_test[]){__VA_ARGS__},                                                      \
	          (int)(sizeof((struct check_test[]){__VA_ARGS__}) / sizeof(struct check_test)))

#endif
