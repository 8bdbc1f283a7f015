#include "produce/telecom.h"

#include "base/owned.h"
#include "produce/pools.h"
#include "produce/put.h"
#include "produce/random.h"

#define STEP_MS 1000
#define DAY_MS 86400000
#define SHORT_MAX 40 /* source_system, subscriber_id */
#define PAYLOAD_MAX 256
#define SUSPENDED_DAYS 60 /* overdue for longer than that: the line is cut */
#define LOWER_CASE_PERCENT 14 /* of the bad events */
#define SLIGHT_ONE_OF 6 /* sources that send wrong values: one value alone is wrong */

enum column { EVENT_ID, EVENT_TYPE, SOURCE_SYSTEM, SUBSCRIBER_ID, EVENT_TIMESTAMP, PAYLOAD };

static const struct rows_column columns[] = {
        [EVENT_ID] = {.name = "event_id", .text_max = PUT_UUID_SIZE},
        [EVENT_TYPE] = {.name = "event_type", .text_max = SHORT_MAX, .nullable = true},
        [SOURCE_SYSTEM] = {.name = "source_system", .text_max = SHORT_MAX},
        [SUBSCRIBER_ID] = {.name = "subscriber_id", .text_max = SHORT_MAX, .nullable = true},
        [EVENT_TIMESTAMP] = {.name = "event_timestamp", .text_max = PUT_TIME_SIZE, .nullable = true},
        [PAYLOAD] = {.name = "payload", .text_max = PAYLOAD_MAX},
};

enum domain { BSS, OSS, IOT };

#define TEXT(literal)                                                                                                  \
	{                                                                                                              \
		literal, sizeof(literal) - 1                                                                           \
	}

static const struct text domains[] = {[BSS] = TEXT("BSS"), [OSS] = TEXT("OSS"), [IOT] = TEXT("IoT")};
static const struct text unknown_types[] = {TEXT("VAS"), TEXT("bss"), TEXT("TEST"), TEXT("UNKNOWN")};
static const struct text systems[][4] = {
        [BSS] = {TEXT("billing"), TEXT("billing"), TEXT("crm"), TEXT("mobile-money")},
        [OSS] = {TEXT("ran-lusaka"), TEXT("ran-kitwe"), TEXT("ran-ndola"), TEXT("core")},
        [IOT] = {TEXT("iot-gw-1"), TEXT("iot-gw-2"), TEXT("iot-gw-3"), TEXT("iot-gw-4")},
};

struct plan {
	struct text name;
	uint32_t price; /* of a month, in hundredths of a kwacha */
	uint32_t data_mb;
	uint32_t below; /* percent of the subscribers that have this plan or one above it */
	uint32_t late_percent; /* pay late more often than others */
};

static const struct plan plans[] = {
        {TEXT("prepaid"), 5000, 1500, 45, 8},      {TEXT("bronze"), 15000, 6000, 70, 4},
        {TEXT("silver"), 30000, 15000, 87, 2},     {TEXT("gold"), 60000, 40000, 96, 0},
        {TEXT("business"), 150000, 90000, 100, 0},
};

struct telecom_event {
	struct random random;
	int64_t time_ms;
	uint64_t subscriber; /* a hash: everything that a subscriber is comes from it */
	uint32_t rank;
	const struct plan *plan;
	enum domain domain;
	enum telecom_defect defect;
	bool text, beyond; /* the payload has a value of another type, or one out of range */
	bool texts, all_beyond; /* ... and not that one alone */
	bool no_type, no_time;
	bool weak_signal;
	uint32_t days_overdue;
};

/* ---- who, when, and what is wrong */

static const struct plan *plan_of(uint32_t percent)
{
	size_t at = 0;

	/* Each is compared: a branch that goes by chance costs more. */
	for (size_t i = 0; i < COUNT_OF(plans); i++)
		at += percent >= plans[i].below;
	return &plans[at];
}

/* Debts rise by one a day, are paid after some weeks, and begin anew. */
static uint32_t days_overdue(uint64_t subscriber, uint32_t late_percent, int64_t time_ms)
{
	uint64_t days = (uint64_t)(time_ms - SHAPE_EPOCH_MS) / DAY_MS, cycle = 30 + (subscriber >> 24) % 90;

	if ((subscriber >> 16 & 0xff) * 100 >> 8 >= late_percent)
		return 0;
	return 1 + (uint32_t)(((subscriber >> 32) + days) % cycle);
}

/* The upper 53 bits as a number below 1. */
static double unit(uint64_t bits)
{
	return (double)(bits >> 11) * 0x1p-53;
}

/* `source` is the same for both events of a subscriber's cycle, `chance` (below 1) the event's own. Sources that break
 * take their part of the share first, and the lower case takes its part from the events that are left: so the share is
 * right even where it is 1. */
static enum telecom_defect draw_defect(uint64_t source, double chance, double bad)
{
	static const uint8_t percent[DEFECT_COUNT] = {
	        [DEFECT_NO_SUBSCRIBER] = 18, [DEFECT_NO_TIMESTAMP] = 14, [DEFECT_WRONG_TYPE] = 18,
	        [DEFECT_OUT_OF_RANGE] = 18,  [DEFECT_UNKNOWN_TYPE] = 12, [DEFECT_CUT] = 6,
	};
	double lower = bad * LOWER_CASE_PERCENT / 100, broken = bad - lower;
	uint32_t rest = (uint32_t)((source & 0x7ff) * (100 - LOWER_CASE_PERCENT) >> 11), defect = DEFECT_NONE + 1;

	if (unit(source) >= broken)
		return chance * (1 - broken) < lower ? DEFECT_LOWER_CASE : DEFECT_NONE;
	for (; defect < DEFECT_CUT && rest >= percent[defect]; defect++)
		rest -= percent[defect];
	return (enum telecom_defect)defect;
}

static void break_values(struct telecom_event *event, uint64_t source)
{
	bool slight = event->defect != DEFECT_UNKNOWN_TYPE && random_mix(source) % SLIGHT_ONE_OF == 0;

	event->text = event->defect == DEFECT_WRONG_TYPE || event->defect == DEFECT_UNKNOWN_TYPE;
	event->beyond = event->defect == DEFECT_OUT_OF_RANGE;
	event->texts = event->text && !slight;
	event->all_beyond = event->beyond && !slight;
	event->no_type = event->defect == DEFECT_NO_TIMESTAMP;
	/* A device sends one number only: what breaks that one takes the clock, too. */
	event->no_time = event->no_type || (event->domain == IOT && (event->texts || event->all_beyond));
}

static void begin(struct telecom_event *event, const struct shape_source *source, int64_t number)
{
	uint64_t bits, percent, broken, cycle = (uint64_t)number / TELECOM_CYCLE;
	uint32_t place = (uint32_t)((uint64_t)number % TELECOM_CYCLE);

	random_seed(&event->random, source->seed, (uint64_t)number);
	bits = random_next(&event->random);
	event->time_ms = SHAPE_EPOCH_MS + number * STEP_MS + (int64_t)((bits & 0xffff) * STEP_MS >> 16);
	percent = (bits >> 16 & 0xffff) * 100 >> 16;
	event->domain = percent < 40 ? BSS : percent < 80 ? OSS : IOT;
	/* ~cycle: the hashes of small numbers are the subscribers'. */
	event->rank = 1 + random_place(place, TELECOM_CYCLE, random_hash(source->seed, ~cycle)) / 2;
	event->subscriber = random_hash(source->seed, event->rank);
	event->plan = plan_of((uint32_t)((event->subscriber & 0xff) * 100 >> 8));
	event->weak_signal = (event->subscriber >> 8 & 0xff) * 100 >> 8 < 15;
	event->days_overdue = days_overdue(
	        event->subscriber, 4 + event->plan->late_percent + (event->weak_signal ? 25 : 0), event->time_ms);
	broken = random_mix(event->subscriber + cycle);
	event->defect = draw_defect(broken, (double)(bits >> 32) * 0x1p-32, source->bad);
	event->text = event->beyond = event->texts = event->all_beyond = event->no_type = event->no_time = false;
	if (event->defect != DEFECT_NONE)
		break_values(event, broken);
}

enum telecom_defect telecom_defect(const struct shape_source *source, int64_t number)
{
	struct telecom_event event;

	begin(&event, source, number);
	return event.defect;
}

/* ---- payload */

/* A number below `spread` that is the subscriber's own: the same each time. */
static uint32_t own(const struct telecom_event *event, int shift, uint32_t spread)
{
	return (uint32_t)((event->subscriber >> shift & 0xffff) * spread >> 16);
}

static char *put_tenths(char *p, uint32_t value)
{
	p = put_number(p, value / 10);
	*p++ = '.';
	return put_digits(p, value % 10, 1);
}

/* No bill and no use is below nothing. */
static char *put_sign(char *p, const struct telecom_event *event)
{
	return event->all_beyond ? PUT(p, "-") : p;
}

static char *put_billing(char *p, struct telecom_event *event)
{
	const struct plan *plan = event->plan;
	uint32_t used_mille = 200 + own(event, 40, 800) + random_below(&event->random, 600), used, over;
	bool paid = random_below(&event->random, 12);

	/* Hundredths of a megabyte. */
	used = plan->data_mb * used_mille / (event->weak_signal ? 20 : 10) + random_below(&event->random, 100);
	over = used > plan->data_mb * 100 ? (used - plan->data_mb * 100) / 20 : 0;
	p = PUT(p, "{\"plan\":\"");
	p = put_bytes(p, plan->name.bytes, plan->name.size);
	p = PUT(p, "\",\"data_used_mb\":");
	p = event->texts ? PUT(p, "\"unlimited\"") : put_hundredths(put_sign(p, event), used);
	p = PUT(p, ",\"bill_zmw\":");
	p = event->text ? PUT(p, "\"n/a\"") : put_hundredths(put_sign(p, event), plan->price + over);
	p = PUT(p, ",\"days_overdue\":");
	if (event->beyond)
		*p++ = '-';
	p = event->texts ? PUT(p, "\"none\"") : put_number(p, event->days_overdue + event->beyond);
	p = PUT(p, ",\"payment_status\":\"");
	if (event->days_overdue)
		return event->days_overdue > SUSPENDED_DAYS ? PUT(p, "suspended\"}") : PUT(p, "overdue\"}");
	return paid ? PUT(p, "paid\"}") : PUT(p, "pending\"}");
}

static char *put_network(char *p, struct telecom_event *event)
{
	bool weak = event->weak_signal;
	uint32_t signal = (weak ? 1020 : 620) + own(event, 40, weak ? 130 : 260) + random_below(&event->random, 80);
	uint32_t latency = (weak ? 1200 : 180) + own(event, 28, weak ? 2000 : 300) + random_below(&event->random, 400);
	uint32_t loss = weak ? 250 + own(event, 36, 900) + random_below(&event->random, 300)
	                     : random_below(&event->random, 120);

	p = PUT(p, "{\"signal_dbm\":");
	p = event->texts ? PUT(p, "\"none\"") : put_tenths(PUT(p, "-"), signal + event->all_beyond * 8000);
	p = PUT(p, ",\"latency_ms\":");
	p = event->text ? PUT(p, "\"timeout\"") : put_tenths(p, latency + event->all_beyond * 9000000);
	p = PUT(p, ",\"packet_loss_pct\":");
	p = event->texts ? PUT(p, "\"n/a\"") : put_hundredths(p, loss + (event->beyond ? 25000 : 0));
	*p++ = '}';
	return p;
}

/* Batteries lose a little an hour, from full to nearly empty, and are charged. */
static char *put_device(char *p, struct telecom_event *event)
{
	uint64_t hours = (uint64_t)(event->time_ms - SHAPE_EPOCH_MS) / 3600000, lost;
	uint32_t device = random_below(&event->random, 1 + own(event, 20, 3));

	lost = ((event->subscriber >> (8 * device)) + hours * (1 + own(event, 44, 3))) % 96;
	p = PUT(p, "{\"device_id\":");
	if (event->texts || event->all_beyond) {
		p = put_number(p, event->rank * 10 + 1 + device);
	} else {
		p = put_digits(PUT(p, "\"DEV-"), event->rank, 5);
		*p++ = '-';
		p = put_number(p, 1 + device);
		*p++ = '"';
	}
	p = PUT(p, ",\"battery_pct\":");
	p = event->text ? PUT(p, "\"low\"") : put_number(p, 100 - lost + (event->beyond ? 150 : 0));
	*p++ = '}';
	return p;
}

static char *put_payload(char *p, struct telecom_event *event)
{
	switch (event->domain) {
	case BSS: return put_billing(p, event);
	case OSS: return put_network(p, event);
	case IOT: return put_device(p, event);
	}
	return p;
}

/* ---- the rest */

static char *put_type(char *p, struct telecom_event *event)
{
	const struct text *type = &domains[event->domain];

	if (event->defect == DEFECT_UNKNOWN_TYPE)
		type = &unknown_types[random_below(&event->random, COUNT_OF(unknown_types))];
	return put_bytes(p, type->bytes, type->size);
}

/* A subscriber's events of one kind come from the same system. */
static char *put_system(char *p, const struct telecom_event *event)
{
	const struct text *system = &systems[event->domain][event->subscriber >> 60 & 3];

	return put_bytes(p, system->bytes, system->size);
}

static char *put_subscriber(char *p, const struct telecom_event *event)
{
	p = event->defect == DEFECT_LOWER_CASE ? PUT(p, "sub-") : PUT(p, "SUB-");
	return put_digits(p, event->rank, 5);
}

/* An end of the text that comes too early: a quarter to three quarters of it are left. */
static char *cut(struct telecom_event *event, char *start, char *end)
{
	size_t size = (size_t)(end - start);

	return start + size / 4 + random_below(&event->random, (uint32_t)size / 2);
}

static void write_row(struct rows *rows, const struct shape_source *source, int64_t number)
{
	struct telecom_event event;
	char *p, *end;

	begin(&event, source, number);
	p = rows_text(rows, EVENT_ID);
	rows_text_end(rows, EVENT_ID, put_event_uuid(p, event.time_ms, source->seed, number));
	if (event.no_type)
		rows_null(rows, EVENT_TYPE);
	else
		rows_text_end(rows, EVENT_TYPE, put_type(rows_text(rows, EVENT_TYPE), &event));
	rows_text_end(rows, SOURCE_SYSTEM, put_system(rows_text(rows, SOURCE_SYSTEM), &event));
	if (event.defect == DEFECT_NO_SUBSCRIBER)
		rows_null(rows, SUBSCRIBER_ID);
	else
		rows_text_end(rows, SUBSCRIBER_ID, put_subscriber(rows_text(rows, SUBSCRIBER_ID), &event));
	if (event.no_time)
		rows_null(rows, EVENT_TIMESTAMP);
	else
		rows_text_end(rows, EVENT_TIMESTAMP, put_time(rows_text(rows, EVENT_TIMESTAMP), event.time_ms));
	p = rows_text(rows, PAYLOAD);
	end = put_payload(p, &event);
	rows_text_end(rows, PAYLOAD, event.defect == DEFECT_CUT ? cut(&event, p, end) : end);
}

/* Missing is without its key, or null: half and half. */
static char *write_json(char *p, const struct shape_source *source, int64_t number)
{
	char *start = p;
	struct telecom_event event;

	begin(&event, source, number);
	p = PUT(p, "{\"event_id\":\"");
	p = put_event_uuid(p, event.time_ms, source->seed, number);
	*p++ = '"';
	if (!event.no_type) {
		p = PUT(p, ",\"event_type\":\"");
		p = put_type(p, &event);
		*p++ = '"';
	} else if (number & 1) {
		p = PUT(p, ",\"event_type\":null");
	}
	p = PUT(p, ",\"source_system\":\"");
	p = put_system(p, &event);
	*p++ = '"';
	if (event.defect != DEFECT_NO_SUBSCRIBER) {
		p = PUT(p, ",\"subscriber_id\":\"");
		p = put_subscriber(p, &event);
		*p++ = '"';
	} else if (number & 1) {
		p = PUT(p, ",\"subscriber_id\":null");
	}
	if (!event.no_time) {
		p = PUT(p, ",\"event_timestamp\":\"");
		p = put_time(p, event.time_ms);
		*p++ = '"';
	} else if (number & 1) {
		p = PUT(p, ",\"event_timestamp\":null");
	}
	p = PUT(p, ",\"payload\":");
	p = put_payload(p, &event);
	*p++ = '}';
	return event.defect == DEFECT_CUT ? cut(&event, start, p) : p;
}

const struct shape shape_telecom = {
        .name = "telecom",
        .has_bad = true,
        .bad = 0.05,
        .columns = columns,
        .column_count = COUNT_OF(columns),
        .json_max = PUT_UUID_SIZE + 3 * SHORT_MAX + PUT_TIME_SIZE + PAYLOAD_MAX + 256,
        .write_row = write_row,
        .write_json = write_json,
};
