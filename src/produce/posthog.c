/*
 * posthog.c - web analytics events as PostHog exports them, made up.
 *
 * Columns: uuid, event, distinct_id, properties (JSON), timestamp (ISO 8601), team_id, project_id, elements_chain (null
 * but for $autocapture). About 1.1 KB a row; compresses like the real thing. `properties` is text of valid JSON in
 * Arrow, and the object itself in JSON.
 */
#include "base/owned.h"
#include "produce/event.h"
#include "produce/put.h"
#include "produce/shape.h"

enum column { UUID, EVENT, DISTINCT_ID, PROPERTIES, TIMESTAMP, TEAM_ID, PROJECT_ID, ELEMENTS_CHAIN };

static const struct rows_column columns[] = {
        [UUID] = {.name = "uuid", .text_max = PUT_UUID_SIZE},
        [EVENT] = {.name = "event", .text_max = EVENT_SHORT_MAX},
        [DISTINCT_ID] = {.name = "distinct_id", .text_max = EVENT_SHORT_MAX},
        [PROPERTIES] = {.name = "properties", .text_max = EVENT_PROPERTIES_MAX},
        [TIMESTAMP] = {.name = "timestamp", .text_max = PUT_TIME_SIZE},
        [TEAM_ID] = {.name = "team_id"},
        [PROJECT_ID] = {.name = "project_id"},
        [ELEMENTS_CHAIN] = {.name = "elements_chain", .text_max = EVENT_ELEMENTS_MAX, .nullable = true},
};

static void write_row(struct rows *rows, const struct shape_source *source, int64_t number)
{
	struct event event;
	char *p;

	event_begin(&event, source->seed, number);
	p = rows_text(rows, UUID);
	rows_text_end(rows, UUID, put_event_uuid(p, event.time_ms, source->seed, number));
	p = rows_text(rows, EVENT);
	rows_text_end(rows, EVENT, event_text(p, &pool_kinds[event.kind].name));
	p = rows_text(rows, DISTINCT_ID);
	rows_text_end(rows, DISTINCT_ID, put_bytes(p, event.distinct_id, event.distinct_id_size));
	p = rows_text(rows, PROPERTIES);
	rows_text_end(rows, PROPERTIES, event_properties(p, &event));
	p = rows_text(rows, TIMESTAMP);
	rows_text_end(rows, TIMESTAMP, put_time(p, event.time_ms));
	rows_number(rows, TEAM_ID, event.site->team);
	rows_number(rows, PROJECT_ID, event.site->project);
	if (event.kind == KIND_AUTOCAPTURE)
		rows_text_end(rows, ELEMENTS_CHAIN, event_elements(rows_text(rows, ELEMENTS_CHAIN), &event));
	else
		rows_null(rows, ELEMENTS_CHAIN);
}

static char *write_json(char *p, const struct shape_source *source, int64_t number)
{
	char elements[EVENT_ELEMENTS_MAX];
	struct event event;

	event_begin(&event, source->seed, number);
	p = PUT(p, "{\"uuid\":\"");
	p = put_event_uuid(p, event.time_ms, source->seed, number);
	p = PUT(p, "\",\"event\":\"");
	p = event_text(p, &pool_kinds[event.kind].name);
	p = PUT(p, "\",\"distinct_id\":\"");
	p = put_bytes(p, event.distinct_id, event.distinct_id_size);
	p = PUT(p, "\",\"properties\":");
	p = event_properties(p, &event);
	p = PUT(p, ",\"timestamp\":\"");
	p = put_time(p, event.time_ms);
	p = PUT(p, "\",\"team_id\":");
	p = put_number(p, (uint64_t)event.site->team);
	p = PUT(p, ",\"project_id\":");
	p = put_number(p, (uint64_t)event.site->project);
	p = PUT(p, ",\"elements_chain\":");
	if (event.kind == KIND_AUTOCAPTURE)
		p = put_json_text(p, elements, (size_t)(event_elements(elements, &event) - elements));
	else
		p = PUT(p, "null");
	*p++ = '}';
	return p;
}

const struct shape shape_posthog = {
        .name = "posthog",
        .columns = columns,
        .column_count = COUNT_OF(columns),
        .json_max = 4 * EVENT_SHORT_MAX + EVENT_PROPERTIES_MAX + 6 * EVENT_ELEMENTS_MAX + 512,
        .write_row = write_row,
        .write_json = write_json,
};
