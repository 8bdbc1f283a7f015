/* Lines of a file: how they are cut, which are too long, and whether the last one is whole. */
#include <fcntl.h>
#include <unistd.h>

#include "base/owned.h"
#include "check.h"
#include "test_files.h"
#include "wire/cut.h"

/* The lines as "LINE:text|". */
static const char *lines_of(const char *text, size_t repeat, int skip)
{
	static char out[4096];
	OWNED_FD int fd = -1;
	struct cut_file file = {.path = "a"};
	struct error err;
	struct cut *cut;

	fresh();
	put("a", "");
	fd = open(path_of("a"), O_RDWR);
	for (size_t i = 0; i < repeat; i++)
		if (write(fd, text, strlen(text)) < 0)
			return "failed";
	file.fd = fd;
	file.size = (int64_t)(repeat * strlen(text));
	cut = cutting_lines.open(NULL, &file, &err);
	out[0] = 0;
	for (;;) {
		struct message message;
		int got = cut->ops->next(cut, skip > 0, &message, &err);
		size_t used = strlen(out);

		if (got <= 0)
			break;
		if (skip-- > 0)
			continue;
		snprintf(out + used, sizeof out - used, "%lld:%.*s|", (long long)message.place,
		         (int)(message.size < 40 ? message.size : 40), (const char *)message.payload);
		message_release(&message);
	}
	cut->ops->close(cut);
	return out;
}

static void lines(void)
{
	CHECK_TEXT(lines_of("a\nb\n", 1, 0), "1:a|2:b|");
	CHECK_TEXT(lines_of("a\r\n\r\n\n \t\nb", 1, 0), "1:a|5:b|");
	CHECK_TEXT(lines_of("", 1, 0), "");
	CHECK_TEXT(lines_of("\n\n", 1, 0), "");
	CHECK_TEXT(lines_of("a\n\nb\nc", 1, 1), "3:b|4:c|");
	CHECK_TEXT(lines_of("a\nb", 1, 5), "");
}

/* Lines over the blocks' borders, held while others are read: no two lines share bytes. */
static void blocks(void)
{
	enum { COUNT = 40000 };
	OWNED_FREE struct message *held = calloc(COUNT, sizeof *held);
	OWNED_FD int fd = -1;
	struct cut_file file = {.path = "a"};
	struct error err;
	struct cut *cut;
	FILE *out;

	fresh();
	out = fopen(path_of("a"), "w");
	for (int i = 0; i < COUNT; i++)
		fprintf(out, "%0*d\n", 1 + i % 97, i);
	fclose(out);
	fd = open(path_of("a"), O_RDONLY);
	file.fd = fd;
	file.size = lseek(fd, 0, SEEK_END);
	cut = cutting_lines.open(NULL, &file, &err);
	for (int i = 0; i < COUNT; i++) {
		CHECK_INT(cut->ops->next(cut, false, &held[i], &err), 1);
		if (i % 3) /* others are let go of at once */
			message_release(&held[i]);
	}
	CHECK_INT(cut->at, file.size);
	cut->ops->close(cut);
	for (int i = 0; i < COUNT; i += 3) {
		char wanted[128];

		snprintf(wanted, sizeof wanted, "%0*d", 1 + i % 97, i);
		CHECK(held[i].size == strlen(wanted) && !memcmp(held[i].payload, wanted, held[i].size));
		message_release(&held[i]);
	}
}

/* A file of lines of so many bytes, each with its newline or, the last one, without. */
static struct cut_file put_long(int *ret_fd, const size_t *sizes, int count, bool last)
{
	FILE *file;

	fresh();
	file = fopen(path_of("a"), "w");
	for (int i = 0; i < count; i++) {
		char *text = malloc(sizes[i] + 1);

		memset(text, 'a' + i, sizes[i]);
		text[sizes[i]] = '\n';
		fwrite(text, sizes[i] + (i < count - 1 || last), 1, file);
		free(text);
	}
	fclose(file);
	*ret_fd = open(path_of("a"), O_RDONLY);
	return (struct cut_file){.fd = *ret_fd, .path = "a", .size = lseek(*ret_fd, 0, SEEK_END)};
}

#define LONG ((size_t)64 << 20)

/* Of the file's lines those that are too long are broken, alone, and the others are as they were; whatever of them is
 * passed over, and whether somebody still holds what was given. */
static void check_long(const size_t *sizes, int count, bool newline, int skip, bool hold)
{
	OWNED_FD int fd = -1;
	struct cut_file file = put_long(&fd, sizes, count, newline);
	struct error err;
	struct cut *cut = cutting_lines.open(NULL, &file, &err);
	struct message messages[8] = {0};

	for (int i = 0; i < count; i++) {
		struct message *message = &messages[i];
		char broken[100];

		CHECK_INT(cut->ops->next(cut, i < skip, message, &err), 1);
		if (i < skip)
			continue;
		CHECK_INT(message->place, i + 1);
		CHECK_INT(message->broken != NULL, sizes[i] > LONG);
		CHECK_INT(message->size, sizes[i] > LONG ? CUT_BROKEN_MAX : sizes[i]);
		CHECK(message->payload[0] == 'a' + i && message->payload[message->size - 1] == 'a' + i);
		snprintf(broken, sizeof broken,
		         "line %d is longer than 64 MiB (the first 4194304 of %zu bytes are kept here)", i + 1,
		         sizes[i]);
		if (message->broken)
			CHECK_TEXT(message->broken, broken);
		if (!hold)
			message_release(message);
	}
	CHECK_INT(cut->ops->next(cut, false, &messages[7], &err), 0);
	CHECK_INT(cut->at, file.size);
	cut->ops->close(cut);
	for (int i = skip; hold && i < count; i++)
		message_release(&messages[i]);
}

static void lines_that_are_too_long(void)
{
	static const size_t sizes[] = {5, LONG + 1, 7, LONG, 3 * LONG / 2, 3};

	check_long(sizes, 6, true, 0, false);
	check_long(sizes, 6, true, 0, true);
	check_long(sizes, 6, true, 2, false);
	check_long(sizes, 5, false, 0, false); /* the last one without a newline */
	check_long(sizes + 1, 1, true, 0, false);
	check_long(sizes + 4, 2, false, 1, true);
}

static char why_not[160];

static bool is_whole(const char *text)
{
	OWNED_FD int fd = -1;
	struct cut_file file = {.path = "a", .size = (int64_t)strlen(text)};

	fresh();
	put("a", text);
	file.fd = fd = open(path_of("a"), O_RDONLY);
	return cutting_lines.is_whole(NULL, &file, why_not, sizeof why_not);
}

static void whole_and_half(void)
{
	static const char *const whole[] = {"",
	                                    "\n",
	                                    "a\n",
	                                    "{\n",
	                                    " \t",
	                                    "{\n\r",
	                                    "{}",
	                                    "{\n[1, {\"a\": [\"]}\"]}] \r",
	                                    "{\"a\\\"}\": \"\\\\\"}",
	                                    "\"a\""};
	static const char *const half[] = {"{",   "{}\n{\"a\": 1", "{\"a\": {}",  "{\"a\": \"}", "{\"a\": \"\\\"}",
	                                   "[{]", "\"a",           "{\"a\": \"\\"};
	static const char *const neither[] = {"a", "{}\n12", "{} a", "{}{", "{}}", "}{", "{}\ntru"};
	OWNED_FREE char *text = malloc((3 << 20) + 1);

	for (size_t i = 0; i < COUNT_OF(whole); i++)
		if (!is_whole(whole[i]))
			CHECK_FAIL("%s is not whole", whole[i]);
	for (size_t i = 0; i < COUNT_OF(half); i++) {
		if (is_whole(half[i]))
			CHECK_FAIL("%s is whole", half[i]);
		CHECK_TEXT(why_not, "its last line has no newline and is no complete JSON value: its writer has not "
		                    "ended it");
	}
	for (size_t i = 0; i < COUNT_OF(neither); i++) {
		if (is_whole(neither[i]))
			CHECK_FAIL("%s is whole", neither[i]);
		CHECK_TEXT(why_not, "its last line has no newline and is no complete JSON value: its writer has not "
		                    "ended it, or it lacks a newline");
	}
	/* Over the borders of what is read at once. */
	memset(text, ' ', 3 << 20);
	text[3 << 20] = 0;
	text[5] = '\n';
	text[6] = '{';
	CHECK(!is_whole(text));
	text[(3 << 20) - 9] = '}';
	CHECK(is_whole(text));
}

static void one_that_is_too_long_has_no_end(void)
{
	OWNED_FD int fd = -1;
	struct cut_file file = put_long(&fd, (size_t[]){3, LONG + (2 << 20)}, 2, false);

	CHECK(!cutting_lines.is_whole(NULL, &file, why_not, sizeof why_not));
	CHECK_HAS(why_not, "or it lacks a newline");
	file.size = 4; /* as far as the first */
	CHECK(cutting_lines.is_whole(NULL, &file, why_not, sizeof why_not));
	file.size = 400; /* it is not there any more */
	if (truncate(path_of("a"), 300))
		CHECK_FAIL("it does not shrink");
	CHECK(!cutting_lines.is_whole(NULL, &file, why_not, sizeof why_not));
	CHECK_HAS(why_not, "became shorter");
}

int main(int argc, char **argv)
{
	int result = CHECK_MAIN(argc, argv, TEST(lines), TEST(blocks), TEST(lines_that_are_too_long),
	                        TEST(whole_and_half), TEST(one_that_is_too_long_has_no_end));
	struct error err;

	if (*folder)
		folder_remove(folder, &err);
	return result;
}
