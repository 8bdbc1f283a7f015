/* JSON of both shapes, and the telecom events: what they hold, and how many of them are bad in which way. */
#include <math.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "batch/json.h"
#include "check.h"
#include "produce/produce.h"
#include "produce/telecom.h"
#include "spec/spec.h"
#include "wire/producer.h"

#define TEXT_MAX ((size_t)64 << 20)

static struct generator *make(const struct shape *shape, uint64_t seed, double bad, int rows_max)
{
	return generator_new(shape, &(struct shape_source){seed, bad}, rows_max, NULL);
}

/* The JSON of those events; borrowed until the next call. */
static const struct buffer *json_of(struct generator *generator, int64_t first, int count)
{
	static struct buffer text;

	buffer_release(&text);
	buffer_init(&text, TEXT_MAX);
	generator_json(generator, first, count, &text, NULL);
	return &text;
}

/* FNV-1a, 64 bits. */
static uint64_t fnv(const void *bytes, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t hash_of(struct generator *generator, int64_t first, int count)
{
	const struct buffer *text = json_of(generator, first, count);

	return fnv(text->data, text->size);
}

static void same_seed_same_bytes(void)
{
	/* A change here changes everybody's topics: figures before and after do not compare. */
	static const struct {
		const struct shape *shape;
		int64_t hash;
	} known[] = {{&shape_posthog, INT64_C(4802598291126019212)}, {&shape_telecom, INT64_C(1207652600046993895)}};

	for (size_t i = 0; i < COUNT_OF(known); i++) {
		struct generator *one = make(known[i].shape, 1, 0.05, 1000),
		                 *again = make(known[i].shape, 1, 0.05, 777),
		                 *two = make(known[i].shape, 2, 0.05, 1000);
		uint64_t hash = hash_of(one, 5000, 700);

		json_of(again, 777, 10); /* what came before does not matter */
		CHECK(hash == hash_of(again, 5000, 700));
		CHECK(hash != hash_of(two, 5000, 700));
		CHECK_INT(hash_of(one, 0, 1000), known[i].hash);
		generator_free(one);
		generator_free(again);
		generator_free(two);
	}
}

/* ---- the same in Arrow and in JSON */

static yyjson_val *member(yyjson_val *event, const char *name)
{
	return yyjson_obj_get(event, name);
}

/* The cell holds what the event's member does: a text may be JSON of an object there. */
static bool agrees(const struct ArrowSchema *schema, const struct ArrowArray *array, int row, yyjson_val *value)
{
	const uint8_t *valid = array->buffers[0];
	const int32_t *offsets = array->buffers[1];
	const char *text = array->buffers[2];
	yyjson_doc *inner;
	bool same;

	if (valid && !(valid[row / 8] >> row % 8 & 1))
		return !value || yyjson_is_null(value);
	if (!strcmp(schema->format, "l"))
		return yyjson_get_int(value) == ((const int64_t *)array->buffers[1])[row];
	if (yyjson_is_str(value))
		return yyjson_equals_strn(value, text + offsets[row], (size_t)(offsets[row + 1] - offsets[row]));
	inner = yyjson_read(text + offsets[row], (size_t)(offsets[row + 1] - offsets[row]), 0);
	same = inner && yyjson_is_obj(value) && yyjson_equals(yyjson_doc_get_root(inner), value);
	yyjson_doc_free(inner);
	return same;
}

static void json_and_arrow_agree(const struct shape *shape, double bad)
{
	enum { ROWS = 5000 };
	const struct shape_source source = {9, bad};
	struct generator *generator = make(shape, source.seed, bad, ROWS), *single = make(shape, source.seed, bad, 1);
	const struct ArrowArray *array = generator_arrow(generator, 100000, ROWS, NULL);
	const struct ArrowSchema *schema = generator_schema(generator);
	int cut = 0;

	for (int row = 0; row < ROWS; row++) {
		const struct buffer *text = json_of(single, 100000 + row, 1);
		yyjson_doc *document = yyjson_read(text->data, text->size, 0);
		yyjson_val *event = yyjson_doc_get_root(document);

		CHECK(!memchr(text->data, '\n', text->size));
		if (!document) {
			CHECK(shape->has_bad && telecom_defect(&source, 100000 + row) == DEFECT_CUT);
			cut++;
			continue;
		}
		CHECK(yyjson_obj_size(event) <= (size_t)schema->n_children);
		for (int64_t c = 0; c < schema->n_children; c++)
			if (!agrees(schema->children[c], array->children[c], row,
			            member(event, schema->children[c]->name)))
				CHECK_FAIL("row %d, %s: %.*s", row, schema->children[c]->name, (int)text->size,
				           text->data);
		yyjson_doc_free(document);
	}
	CHECK(bad > 0 ? cut > 0 : cut == 0);
	generator_free(generator);
	generator_free(single);
}

static void posthog_agrees(void)
{
	json_and_arrow_agree(&shape_posthog, 0);
}

static void telecom_agrees(void)
{
	json_and_arrow_agree(&shape_telecom, 0.5);
}

static void lines_and_messages(void)
{
	struct generator *one = make(&shape_telecom, 1, 0, 1), *many = make(&shape_telecom, 1, 0, 3);
	struct buffer all;
	struct error err = {0};
	int lines = 0;

	buffer_init(&all, TEXT_MAX);
	for (int i = 0; i < 3; i++) {
		const struct buffer *text = json_of(one, i, 1);

		CHECK(text->data[0] == '{' && text->data[text->size - 1] == '}');
		buffer_append(&all, text->data, text->size);
		buffer_char(&all, '\n');
	}
	CHECK_INT(generator_json(many, 0, 3, &all, &err), 0);
	for (size_t i = 0; i < all.size; i++)
		lines += all.data[i] == '\n';
	CHECK_INT(lines, 6);
	CHECK(!memcmp(all.data, all.data + all.size / 2, all.size / 2)); /* the three, twice */
	buffer_release(&all);
	buffer_init(&all, 1000);
	CHECK_INT(generator_json(many, 0, 3, &all, &err), -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "fewer events a message would be right");
	buffer_release(&all);
	generator_free(one);
	generator_free(many);
}

/* ---- telecom */

static void bad_ones_have_their_share(void)
{
	static const double shares[] = {0, 0.05, 0.3, 1};
	enum { ROWS = 200000 };

	for (size_t i = 0; i < COUNT_OF(shares); i++) {
		const struct shape_source source = {11, shares[i]};
		int counts[DEFECT_COUNT] = {0}, bad;

		for (int64_t number = 0; number < ROWS; number++)
			counts[telecom_defect(&source, number)]++;
		bad = ROWS - counts[DEFECT_NONE];
		CHECK(fabs(bad - ROWS * shares[i]) <= 6 * sqrt(ROWS * shares[i] * (1 - shares[i])));
		for (int defect = DEFECT_NONE + 1; defect < DEFECT_COUNT; defect++)
			CHECK(counts[defect] >= bad / 25 && counts[defect] <= bad / 4);
		CHECK(counts[DEFECT_CUT] <= bad / 12); /* a small part */
	}
}

static void every_type_and_size(void)
{
	enum { ROWS = 20000 };
	struct generator *generator = make(&shape_telecom, 5, 0, 1);
	static const char *const types[] = {"BSS", "OSS", "IoT"};
	static const char *const needed[] = {"payment_status", "packet_loss_pct", "battery_pct"};
	int counts[3] = {0};
	int64_t bytes = 0;

	for (int row = 0; row < ROWS; row++) {
		const struct buffer *text = json_of(generator, row, 1);
		yyjson_doc *document = yyjson_read(text->data, text->size, 0);
		yyjson_val *event = yyjson_doc_get_root(document);

		CHECK(text->size > 200 && text->size < 320);
		bytes += (int64_t)text->size;
		for (int type = 0; type < 3; type++) {
			if (!yyjson_equals_str(member(event, "event_type"), types[type]))
				continue;
			counts[type]++;
			CHECK(member(member(event, "payload"), needed[type]));
		}
		yyjson_doc_free(document);
	}
	CHECK_INT(counts[0] + counts[1] + counts[2], ROWS);
	CHECK(abs(counts[0] - ROWS * 2 / 5) < ROWS / 50 && abs(counts[2] - ROWS / 5) < ROWS / 50);
	CHECK(bytes / ROWS > 230 && bytes / ROWS < 280);
	generator_free(generator);
}

/* The subscriber of each event of a cycle, 1 to TELECOM_SUBSCRIBERS. Bad events have one, too: it is asked of a source
 * that makes good ones alone. */
static void subscribers_of_cycle(uint64_t seed, int64_t cycle, int *ret_ids)
{
	struct generator *generator = make(&shape_telecom, seed, 0, 1);

	for (int row = 0; row < TELECOM_CYCLE; row++) {
		const char *text = json_of(generator, cycle * TELECOM_CYCLE + row, 1)->data;

		ret_ids[row] = atoi(strstr(text, "SUB-") + 4);
	}
	generator_free(generator);
}

/* How far the two events of a subscriber lie apart, on average; -1 where one has not two. */
static double mean_distance(const int *ids)
{
	static int first[TELECOM_SUBSCRIBERS + 1], events[TELECOM_SUBSCRIBERS + 1];
	double sum = 0;

	memset(events, 0, sizeof events);
	for (int row = 0; row < TELECOM_CYCLE; row++) {
		if (ids[row] < 1 || ids[row] > TELECOM_SUBSCRIBERS || events[ids[row]] == 2)
			return -1;
		if (events[ids[row]]++)
			sum += row - first[ids[row]];
		first[ids[row]] = row;
	}
	return sum / TELECOM_SUBSCRIBERS;
}

/* Of an event's subscriber and the next one's: 0 where neither tells the other. */
static double correlation(const int *ids)
{
	double sum = 0, middle = (1 + TELECOM_SUBSCRIBERS) / 2.0;

	for (int row = 1; row < TELECOM_CYCLE; row++)
		sum += (ids[row] - middle) * (ids[row - 1] - middle);
	return sum / (TELECOM_CYCLE * middle * middle / 3);
}

/* Twice each, at places that look like chance: in another order for another seed and in another cycle. */
static void a_cycle_has_two_events_of_each_subscriber(void)
{
	static const struct {
		uint64_t seed;
		int64_t cycle;
	} from[] = {{1, 0}, {1, 1}, {2, 0}, {UINT64_MAX, 90000}};
	static int ids[COUNT_OF(from)][TELECOM_CYCLE];

	for (size_t i = 0; i < COUNT_OF(from); i++) {
		int same = 0;

		subscribers_of_cycle(from[i].seed, from[i].cycle, ids[i]);
		/* by chance a third of the cycle */
		CHECK(fabs(mean_distance(ids[i]) - TELECOM_CYCLE / 3.0) < TELECOM_CYCLE / 100.0);
		CHECK(fabs(correlation(ids[i])) < 0.02);
		for (int row = 0; i && row < TELECOM_CYCLE; row++)
			same += ids[i][row] == ids[0][row];
		CHECK(same < 20); /* by chance 2 */
	}
}

/* The defects of a subscriber's events, two of each cycle. */
static void defects_of(const struct shape_source *source, int cycle, enum telecom_defect (*ret_defects)[2])
{
	static int ids[TELECOM_CYCLE], events[TELECOM_SUBSCRIBERS + 1];

	memset(events, 0, sizeof events);
	subscribers_of_cycle(source->seed, cycle, ids);
	for (int row = 0; row < TELECOM_CYCLE; row++)
		ret_defects[ids[row]][events[ids[row]]++] =
		        telecom_defect(source, (int64_t)cycle * TELECOM_CYCLE + row);
}

/* A source that breaks does so for both events of its subscriber and not for the next cycle's; lower case is alone. */
static void sources_break_for_a_cycle(void)
{
	const struct shape_source source = {4, 0.2};
	static enum telecom_defect defects[2][TELECOM_SUBSCRIBERS + 1][2];
	int lower[3] = {0}, broken[2][2] = {{0}};

	defects_of(&source, 0, defects[0]);
	defects_of(&source, 1, defects[1]);
	for (int id = 1; id <= TELECOM_SUBSCRIBERS; id++) {
		enum telecom_defect one = defects[0][id][0], other = defects[0][id][1];
		int lower_case = (one == DEFECT_LOWER_CASE) + (other == DEFECT_LOWER_CASE);

		lower[lower_case]++;
		if (lower_case == 1)
			CHECK(one == DEFECT_NONE || other == DEFECT_NONE);
		else
			CHECK_INT(one, other);
		broken[one != DEFECT_NONE][defects[1][id][0] != DEFECT_NONE]++;
	}
	CHECK(lower[1] > 10 * lower[2] && lower[2] > 0);
	CHECK(broken[1][0] > 3 * broken[1][1] && broken[0][1] > 3 * broken[1][1] && broken[1][1] > 1000);
}

/* What a model can learn: signal and debts stay with their subscriber, and who has a weak signal pays late more often.
 */
static void subscribers_stay_what_they_are(void)
{
	enum { ROWS = 2 * TELECOM_CYCLE, SUBSCRIBERS = TELECOM_SUBSCRIBERS + 1 };
	struct generator *generator = make(&shape_telecom, 6, 0, 1);
	static int weak[SUBSCRIBERS], strong[SUBSCRIBERS], late[SUBSCRIBERS], paid[SUBSCRIBERS];
	int counts[2][2] = {{0}};

	for (int row = 0; row < ROWS; row++) {
		const struct buffer *text = json_of(generator, row, 1);
		yyjson_doc *document = yyjson_read(text->data, text->size, 0);
		yyjson_val *event = yyjson_doc_get_root(document), *payload = member(event, "payload");
		int id = atoi(yyjson_get_str(member(event, "subscriber_id")) + 4);

		CHECK(id > 0 && id < SUBSCRIBERS);
		if (member(payload, "signal_dbm"))
			(yyjson_get_num(member(payload, "signal_dbm")) < -100 ? weak : strong)[id]++;
		if (member(payload, "days_overdue"))
			(yyjson_get_int(member(payload, "days_overdue")) ? late : paid)[id]++;
		yyjson_doc_free(document);
	}
	for (int id = 1; id < SUBSCRIBERS; id++) {
		CHECK(!weak[id] || !strong[id]);
		CHECK(!late[id] || !paid[id]);
		if (weak[id] + strong[id] && late[id] + paid[id])
			counts[weak[id] > 0][late[id] > 0]++;
	}
	/* the share of late payers among the weak ones is more than twice that of the others */
	CHECK(counts[1][1] > 30 && counts[0][1] > 30);
	CHECK((double)counts[1][1] / counts[1][0] > 2.0 * counts[0][1] / counts[0][0]);
	generator_free(generator);
}

/* ---- under the example's rules */

static struct json_decoder *decoder_of(const struct spec_stream *stream, struct json_column *columns)
{
	const struct json_rules rules = {.columns = columns,
	                                 .column_count = stream->json.column_count,
	                                 .score = stream->json.score,
	                                 .missing = stream->json.missing,
	                                 .wrong_type = stream->json.wrong_type,
	                                 .out_of_range = stream->json.out_of_range};

	for (int i = 0; i < stream->json.column_count; i++) {
		const struct spec_column *from = &stream->json.columns[i];

		columns[i] = (struct json_column){.name = from->name,
		                                  .unstored = !from->stored,
		                                  .pointer = from->pointer,
		                                  .required = from->required,
		                                  .has_minimum = from->minimum,
		                                  .has_maximum = from->maximum,
		                                  .minimum = from->minimum ? strtod(from->minimum, NULL) : 0,
		                                  .maximum = from->maximum ? strtod(from->maximum, NULL) : 0,
		                                  .allowed = (const char *const *)from->allowed,
		                                  .allowed_count = from->allowed_count,
		                                  .weight = strtod(from->weight, NULL)};
		json_type_parse(from->type, &columns[i].type, &columns[i].precision, &columns[i].scale);
	}
	return json_decoder_new(&rules, NULL, NULL);
}

/* The scores of the rows that the decoder holds: the last column. -1 where they are not `count`. */
static int take_scores(struct json_decoder *decoder, int count, double *ret_scores)
{
	struct batch_set set;
	int taken = 0;

	if (json_take(decoder, NULL, NULL, &set, NULL))
		return -1;
	for (int a = 0; a < set.count && taken + set.arrays[a].length <= count; a++) {
		const struct ArrowArray *array = &set.arrays[a], *scores = array->children[array->n_children - 1];

		memcpy(ret_scores + taken, scores->buffers[1], (size_t)array->length * sizeof *ret_scores);
		taken += (int)array->length;
	}
	batch_set_release(&set);
	return taken == count ? 0 : -1;
}

/* Each event's score under the example's rules; -1: it is no JSON, -2: it cannot be told. */
static void score_events(const struct shape_source *source, int count, double *ret_scores)
{
	struct error err = {0};
	struct manifest *manifest = manifest_load(TESTS_FOLDER "/../examples/telecom/tarn.yaml", &err);
	struct json_column columns[32];
	struct generator *generator = make(&shape_telecom, source->seed, source->bad, 1);
	bool ready = manifest && manifest->streams[0].json.column_count <= (int)COUNT_OF(columns);
	struct json_decoder *decoder = ready ? decoder_of(&manifest->streams[0], columns) : NULL;
	double *scores = calloc((size_t)count, sizeof *scores);
	int added = 0, next = 0;

	for (int row = 0; row < count; row++) {
		const struct buffer *text = json_of(generator, row, 1);
		bool refused = !decoder || json_add(decoder, (const uint8_t *)text->data, text->size, 0, &err);

		ret_scores[row] = !refused ? 0 : err.kind == ERROR_CORRUPT ? -1 : -2;
		added += !refused;
	}
	if (decoder && take_scores(decoder, added, scores))
		printf("# the scores cannot be taken\n");
	for (int row = 0; row < count; row++)
		if (ret_scores[row] >= 0)
			ret_scores[row] = scores[next++];
	free(scores);
	json_decoder_free(decoder);
	generator_free(generator);
	manifest_free(manifest);
}

/* A good event loses no points, nor does lower case, which no rule knows; one that is cut is refused; and of what else
 * is bad an event has so much that it scores below 45, or one value alone. */
static void bad_ones_score_low(void)
{
	enum { ROWS = 20000 };
	const struct shape_source source = {3, 0.5};
	static double scores[ROWS];
	int slight[DEFECT_COUNT] = {0}, low[DEFECT_COUNT] = {0};

	score_events(&source, ROWS, scores);
	for (int row = 0; row < ROWS; row++) {
		enum telecom_defect defect = telecom_defect(&source, row);
		double score = scores[row];
		bool values = defect == DEFECT_WRONG_TYPE || defect == DEFECT_OUT_OF_RANGE;
		bool right = defect == DEFECT_NONE || defect == DEFECT_LOWER_CASE ? score == 100
		             : defect == DEFECT_CUT                               ? score == -1
		                                    : (score >= 0 && score < 45) || (values && score == 80);

		if (!right)
			CHECK_FAIL("row %d, defect %d, score %g", row, defect, score);
		slight[defect] += score == 80;
		low[defect] += score < 45;
	}
	for (int defect = DEFECT_WRONG_TYPE; defect <= DEFECT_OUT_OF_RANGE; defect++)
		CHECK(low[defect] > 4 * slight[defect] && low[defect] < 7 * slight[defect]);
}

/* What the medallion's layers meet: of a cycle with its usual share of bad events nearly all pass the quality of 45,
 * and nearly all subscribers keep both of their events; some that pass have a value that no CAST takes. */
static void what_a_cycle_leaves(void)
{
	static double scores[TELECOM_CYCLE];
	static int ids[TELECOM_CYCLE];

	for (uint64_t seed = 1; seed <= 5; seed++) {
		const struct shape_source source = {seed, shape_telecom.bad};
		static uint8_t events[TELECOM_SUBSCRIBERS + 1];
		int passed = 0, low = 0, refused = 0, groups = 0, uncast = 0;

		memset(events, 0, sizeof events);
		subscribers_of_cycle(seed, 0, ids);
		score_events(&source, TELECOM_CYCLE, scores);
		for (int row = 0; row < TELECOM_CYCLE; row++) {
			bool passes = scores[row] >= 45;

			refused += scores[row] == -1;
			low += scores[row] >= 0 && !passes;
			passed += passes;
			groups += passes && ++events[ids[row]] == 2;
			uncast += passes && telecom_defect(&source, row) == DEFECT_WRONG_TYPE;
		}
		printf("# seed %d: %d pass, %d score below 45, %d are no JSON; %d subscribers keep both events; %d "
		       "that pass have a text for a number\n",
		       (int)seed, passed, low, refused, groups, uncast);
		CHECK(passed >= 94000 && passed <= 96500);
		CHECK(groups >= 44000 && groups <= 50000);
		CHECK(refused > 100 && low > 10 * refused);
		CHECK_INT(passed + low + refused, TELECOM_CYCLE);
		CHECK(uncast >= 80 && uncast <= 300);
	}
}

/* ---- produce_run */

static int on_assigned(void *context, struct source_start *starts, int count, struct error *err)
{
	for (int i = 0; i < count; i++)
		starts[i].offset = 0;
	return 0;
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
}

/* Produces 250 rows over 2 partitions and reads them back: the messages. */
static int sent_messages(const struct produce_config *wanted, const char *address)
{
	struct kafka_config reading = {.brokers = address, .topic = wanted->topic, .assign_all = true};
	struct json_decoder *decoder = json_decoder_new(&(struct json_rules){0}, NULL, NULL);
	struct produce_config config = *wanted;
	struct produce_report report = {0};
	struct error err = {0};
	struct source *source;
	int64_t deadline = clock_monotonic_ms() + 20000;
	int messages = 0;

	config.brokers = address;
	if (produce_run(&config, &report, &err) || report.rows != config.count)
		return -1;
	source = source_open_kafka(&reading, &(struct source_events){NULL, on_assigned, on_revoked}, &err);
	while (json_rows(decoder) < config.count && clock_monotonic_ms() < deadline) {
		struct message message = {0};

		if (source->ops->poll(source, 100, &message, &err) != POLL_MESSAGE)
			continue;
		if (json_add(decoder, message.payload, message.size, 0, &err))
			messages = -1000;
		messages++;
		message_release(&message);
	}
	if (json_rows(decoder) != config.count || messages != report.messages)
		messages = -1;
	source->ops->close(source);
	json_decoder_free(decoder);
	return messages;
}

static void sends_json(void)
{
	static const struct {
		const char *shape;
		int batch_rows, messages;
	} wanted[] = {{"telecom", 0, 250}, {"telecom", 100, 3}, {"posthog", 1, 250}, {NULL, 30, 9}};
	struct error err = {0};
	struct embedded_broker *broker = embedded_broker_start(&err);

	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		char topic[] = "events-0";
		struct produce_config config = {.topic = topic,
		                                .shape = wanted[i].shape,
		                                .format = "json",
		                                .batch_rows = wanted[i].batch_rows,
		                                .count = 250,
		                                .partitions = 2,
		                                .seed = 1,
		                                .embedded = true};

		topic[7] = (char)('0' + i);
		CHECK_INT(embedded_broker_create_topic(broker, topic, 2, &err), 0);
		CHECK_INT(sent_messages(&config, embedded_broker_address(broker)), wanted[i].messages);
	}
	embedded_broker_stop(broker);
}

int main(int argc, char **argv)
{
	log_init(true, LOG_WARN, false);
	return CHECK_MAIN(argc, argv, TEST(same_seed_same_bytes), TEST(posthog_agrees), TEST(telecom_agrees),
	                  TEST(lines_and_messages), TEST(bad_ones_have_their_share), TEST(every_type_and_size),
	                  TEST(a_cycle_has_two_events_of_each_subscriber), TEST(sources_break_for_a_cycle),
	                  TEST(subscribers_stay_what_they_are), TEST(bad_ones_score_low), TEST(what_a_cycle_leaves),
	                  TEST(sends_json));
}
