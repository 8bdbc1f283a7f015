/* TOPIC/PARTITION:OFFSET, strictly. */
#include "check.h"

#include "base/owned.h"
#include "lake/place.h"

static struct error err;
static struct place place;

static int parse(const char *text, bool whole)
{
	err = (struct error){0};
	place = (struct place){0};
	return place_parse(text, whole, &place, &err);
}

static void reads_places(void)
{
	CHECK_INT(parse("events/3:1207", true), 0);
	CHECK_TEXT(place.topic, "events");
	CHECK_INT(place.partition, 3);
	CHECK_INT(place.offset, 1207);
	CHECK_INT(parse("a.b_c-D9/0:0", true), 0);
	CHECK_TEXT(place.topic, "a.b_c-D9");
	CHECK_INT(parse("t/2147483647:9223372036854775806", true), 0);
	CHECK_INT(place.partition, 2147483647);
	CHECK(place.offset == INT64_MAX - 1);
	CHECK_INT(parse("files:orders/0:17", true), 0);
	CHECK_TEXT(place.topic, "files:orders");
	CHECK_INT(place.offset, 17);
	CHECK_INT(parse("t/007:010", true), 0);
	CHECK_INT(place.partition, 7);
	CHECK_INT(place.offset, 10);
}

static void reads_parts_of_places(void)
{
	CHECK_INT(parse("events", false), 0);
	CHECK_INT(place.partition, -1);
	CHECK_INT(place.offset, -1);
	CHECK_INT(parse("events/3", false), 0);
	CHECK_INT(place.partition, 3);
	CHECK_INT(place.offset, -1);
	CHECK_INT(parse("events", true), -1);
	CHECK_INT(parse("events/3", true), -1);
	CHECK_TEXT(err.message,
	           "'events/3' is no place of a message: TOPIC/PARTITION:OFFSET, as events/3:1207, would be right");
}

static void refuses_what_is_none(void)
{
	static const char *const wrong[] = {
	        "",
	        "/",
	        "/0:1",
	        "t/",
	        "t/:1",
	        "t/0:",
	        "t/0:1:2",
	        "t/0:1 ",
	        " t/0:1",
	        "t/ 0:1",
	        "t/0: 1",
	        "t/-1:1",
	        "t/0:-1",
	        "t/+1:1",
	        "t/0:1.0",
	        "t/0:0x1",
	        "t//0:1",
	        "t:1",
	        "t/0/1",
	        "a b/0:1",
	        "t/2147483648:1",
	        "\xc3\xa4/0:1",
	        "t/0:9223372036854775807",
	        "t/0:99999999999999999999",
	        "t/0:1\n",
	        "t'/0:1",
	        "files:/0:1",
	        "file:t/0:1",
	        "files:files:t/0:1",
	};
	char text[400];

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		CHECK_INT(parse(wrong[i], true), -1);
		CHECK_INT(err.kind, ERROR_INVALID);
		CHECK_HAS(err.message, "would be right");
	}
	memset(text, 't', sizeof text);
	memcpy(text + PLACE_TOPIC_MAX, "/0:1", 5);
	CHECK_INT(parse(text, true), 0);
	memcpy(text + PLACE_TOPIC_MAX, "t/0:1", 6);
	CHECK_INT(parse(text, true), -1);
}

static void writes_places(void)
{
	char text[PLACE_SIZE];

	CHECK_TEXT(place_text(text, "events", 3, 1207), "events/3:1207");
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(reads_places), TEST(reads_parts_of_places), TEST(refuses_what_is_none),
	                  TEST(writes_places));
}
