#include "produce/event.h"

#include "produce/put.h"
#include "produce/shape.h"

#define USERS_LOG2 20 /* a million people */
#define SESSION_MS 1800000
#define IDENTIFIED_PERCENT 40

/* ---- who and when */

static void name_user(struct event *event, uint64_t rank)
{
	char *p = event->distinct_id;
	uint64_t user = event->user;

	if (!event->identified) {
		p = put_uuid(p, SHAPE_EPOCH_MS - (int64_t)(user >> 31), user, user * 7);
	} else if (user >> 32 & 1) {
		p = event_text(p, &pool_names[user % pool_names_count]);
		*p++ = '.';
		p = put_number(p, rank);
		*p++ = '@';
		p = event_text(p, &pool_domains[(user >> 8) % pool_domains_count]);
	} else {
		p = PUT(p, "user_");
		p = put_number(p, 100000 + rank);
	}
	event->distinct_id_size = (uint32_t)(p - event->distinct_id);
}

/* Half of the pages are about one thing among many. */
static void name_page(struct event *event)
{
	uint64_t bits = random_next(&event->random);
	char *p = event_text(event->page, &pool_paths[(bits & 0xff) * (bits >> 8 & 0xff) * pool_paths_count >> 16]);

	if (bits >> 63) {
		if (p[-1] != '/')
			*p++ = '/';
		p = put_base36(p, bits >> 8, 10);
	}
	event->page_size = (uint32_t)(p - event->page);
}

static enum event_kind kind_of(uint32_t mille)
{
	uint32_t kind = 0;

	for (uint32_t below = pool_kinds[0].weight; mille >= below && kind < KIND_COUNT - 1;)
		below += pool_kinds[++kind].weight;
	return (enum event_kind)kind;
}

void event_begin(struct event *event, uint64_t seed, int64_t number)
{
	uint64_t rank, bits;

	random_seed(&event->random, seed, (uint64_t)number);
	bits = random_next(&event->random);
	event->number = number;
	event->time_ms = SHAPE_EPOCH_MS + number * EVENT_STEP_MS + (int64_t)(bits & (EVENT_STEP_MS - 1));
	event->kind = kind_of((uint32_t)((bits >> 8 & 0xffffff) * 1000 >> 24));
	rank = random_rank(&event->random, USERS_LOG2);
	event->user = random_hash(seed, rank);
	event->identified = event->user % 100 < IDENTIFIED_PERCENT || event->kind == KIND_IDENTIFY;
	event->session =
	        random_hash(event->user, (uint64_t)(event->time_ms + (int64_t)(event->user >> 44)) / SESSION_MS);
	event->site = &pool_sites[(event->user & 0xff) * (event->user >> 8 & 0xff) * pool_sites_count >> 16];
	event->device = &pool_devices[(event->user >> 16 & 0xffff) % pool_devices_count];
	event->place = &pool_places[(event->user >> 24 & 0xffff) % pool_places_count];
	name_user(event, rank);
	name_page(event);
}

/* ---- properties */

static char *put_page_path(char *p, const struct event *event)
{
	return put_bytes(p, event->page, event->page_size);
}

static char *put_device(char *p, struct event *event)
{
	const struct device *device = event->device;

	*p++ = '{';
	p = event_text(p, &device->system);
	p = PUT(p, ",\"$browser_language\":\"");
	p = event_text(p, &event->place->language);
	p = PUT(p, "\",\"$viewport_width\":");
	p = put_number(p, device->width - event->session % 16);
	p = PUT(p, ",\"$lib_version\":\"");
	p = event_text(p, &device->version);
	*p++ = '"';
	return p;
}

static char *put_page(char *p, struct event *event)
{
	p = PUT(p, ",\"$current_url\":\"https://");
	p = event_text(p, &event->site->host);
	p = put_page_path(p, event);
	p = event_text(p, &pool_queries[random_below(&event->random, pool_queries_count)]);
	p = PUT(p, "\",\"$pathname\":\"");
	p = put_page_path(p, event);
	p = PUT(p, "\",\"$pageview_id\":\"");
	p = put_uuid(p, event->time_ms - (int64_t)(event->session % 60000), event->session >> 9,
	             random_next(&event->random));
	p = PUT(p, "\",");
	if (event->session % 3)
		p = event_text(p, &pool_utm[event->session % pool_utm_count]);
	return event_text(p, &pool_referrers[(event->session >> 16) % pool_referrers_count]);
}

static char *put_identity(char *p, struct event *event)
{
	int64_t session_ms = event->time_ms - (int64_t)(event->session % 600000);
	uint64_t window = random_hash(event->session, event->user >> 60 ? 0 : random_below(&event->random, 3));

	p = PUT(p, ",\"distinct_id\":\"");
	p = put_bytes(p, event->distinct_id, event->distinct_id_size);
	p = PUT(p, "\",\"$device_id\":\"");
	p = put_uuid(p, SHAPE_EPOCH_MS - (int64_t)(event->user >> 30), event->user >> 7, event->user * 5);
	p = PUT(p, "\",\"$session_id\":\"");
	p = put_uuid(p, session_ms / SESSION_MS * SESSION_MS, event->session, event->session * 3);
	p = PUT(p, "\",\"$window_id\":\"");
	p = put_uuid(p, session_ms / SESSION_MS * SESSION_MS, window, window * 3);
	p = PUT(p, "\",\"$insert_id\":\"");
	for (int i = 0; i < 3; i++)
		p = put_base36(p, random_next(&event->random), 10);
	p = PUT(p, "\",\"trace\":{\"trace_id\":\"");
	p = put_hex(p, random_next(&event->random), 16);
	p = put_hex(p, random_next(&event->random), 16);
	p = PUT(p, "\",\"span_id\":\"");
	p = put_hex(p, random_next(&event->random), 16);
	p = PUT(p, "\",\"parent_span_id\":\"");
	p = put_hex(p, random_next(&event->random), 16);
	p = PUT(p, "\"}");
	if (event->session & 1) {
		p = PUT(p, ",\"gclid\":\"EAIaIQ");
		for (uint64_t i = 0; i < 5; i++)
			p = put_base36(p, random_hash(event->session, i), 11);
		*p++ = '"';
	}
	p = PUT(p, ",\"$ip\":\"");
	p = put_number(p, event->place->network[0]);
	*p++ = '.';
	p = put_number(p, event->place->network[1]);
	*p++ = '.';
	p = put_number(p, event->user >> 13 & 255);
	*p++ = '.';
	p = put_number(p, event->user >> 21 & 255);
	p = PUT(p, "\",");
	return event_text(p, &event->place->geo);
}

/* A person's flag: on, or a variant. */
static char *put_flag(char *p, struct event *event)
{
	const struct text *flag = &pool_flags[(event->user >> 5) % pool_flags_count];

	p = PUT(p, ",\"$active_feature_flags\":[\"");
	p = event_text(p, flag);
	p = PUT(p, "\"],\"$feature/");
	p = event_text(p, flag);
	return event->user >> 9 & 1 ? PUT(p, "\":true") : PUT(p, "\":\"test\"");
}

/* A metric of web vitals in milliseconds with two decimals. */
static char *put_vital(char *p, struct event *event, uint32_t limit)
{
	return put_hundredths(p, random_below(&event->random, limit * 100));
}

static char *put_vitals(char *p, struct event *event)
{
	p = PUT(p, ",\"$web_vitals_LCP_value\":");
	p = put_vital(p, event, 4000);
	p = PUT(p, ",\"$web_vitals_LCP_event\":{\"name\":\"LCP\",\"rating\":\"good\",\"delta\":");
	p = put_vital(p, event, 4000);
	p = PUT(p, ",\"entries\":[],\"navigationType\":\"navigate\"},\"$web_vitals_FCP_value\":");
	p = put_vital(p, event, 2500);
	p = PUT(p, ",\"$web_vitals_INP_value\":");
	p = put_number(p, 8 * random_below(&event->random, 60));
	p = PUT(p, ",\"$web_vitals_CLS_value\":0.");
	return put_digits(p, random_below(&event->random, 100000), 5);
}

static char *put_person(char *p, struct event *event)
{
	const struct text *name = &pool_names[event->user % pool_names_count];

	p = PUT(p, ",\"$raw_user_agent\":\"");
	p = event_text(p, &event->device->agent);
	p = PUT(p, "\",\"$anon_distinct_id\":\"");
	p = put_uuid(p, event->time_ms, event->session >> 3, event->session * 11);
	p = PUT(p, "\",\"$set\":{\"name\":\"");
	p = event_text(p, name);
	p = PUT(p, "\",\"email\":\"");
	p = event_text(p, name);
	*p++ = '.';
	p = put_number(p, event->user >> 40);
	*p++ = '@';
	p = event_text(p, &pool_domains[(event->user >> 8) % pool_domains_count]);
	p = event->user >> 3 & 1 ? PUT(p, "\",\"plan\":\"team\",\"seats\":")
	                         : PUT(p, "\",\"plan\":\"free\",\"seats\":");
	p = put_number(p, 1 + (event->user >> 33) % 40);
	p = PUT(p, "},\"$set_once\":{\"$initial_current_url\":\"");
	p = PUT(p, "https://");
	p = event_text(p, &event->site->host);
	p = event_text(p, &pool_paths[(event->user >> 11) % pool_paths_count]);
	p = PUT(p, "\",\"signed_up\":\"");
	p = put_time(p, event->time_ms - (int64_t)(event->user >> 34));
	return PUT(p, "\"}");
}

static char *put_left_page(char *p, struct event *event)
{
	uint32_t scroll = random_below(&event->random, 101);

	p = PUT(p, ",\"$prev_pageview_pathname\":\"");
	p = put_page_path(p, event);
	p = PUT(p, "\",\"$prev_pageview_duration\":");
	p = put_vital(p, event, 90);
	p = PUT(p, ",\"$prev_pageview_max_scroll\":");
	p = put_number(p, scroll * 37);
	p = PUT(p, ",\"$prev_pageview_max_scroll_percentage\":");
	return scroll == 100 ? PUT(p, "1") : put_digits(PUT(p, "0."), scroll, 2);
}

static char *put_products(char *p, struct event *event, uint32_t count)
{
	*p++ = '[';
	for (uint32_t i = 0; i < count; i++) {
		p = i ? PUT(p, ",{") : PUT(p, "{");
		p = event_text(p, &pool_products[random_below(&event->random, pool_products_count)]);
		p = PUT(p, ",\"price\":");
		p = put_vital(p, event, 300);
		p = PUT(p, ",\"quantity\":");
		p = put_number(p, 1 + random_below(&event->random, 3));
		*p++ = '}';
	}
	*p++ = ']';
	return p;
}

static char *put_shop(char *p, struct event *event)
{
	if (event->kind == KIND_PRODUCT) {
		p = PUT(p, ",\"product\":");
		p = put_products(p, event, 1);
		p = PUT(p, ",\"in_stock\":");
		return random_below(&event->random, 8) ? PUT(p, "true") : PUT(p, "false");
	}
	p = PUT(p, ",\"cart\":{\"id\":\"");
	p = put_base36(p, event->session, 10);
	p = PUT(p, "\",\"items\":");
	p = put_products(p, event, 1 + random_below(&event->random, 3));
	p = PUT(p, "},\"currency\":\"EUR\"");
	if (event->kind != KIND_PURCHASE)
		return p;
	p = PUT(p, ",\"order_id\":\"ORD-");
	p = put_number(p, 20000000 + (uint64_t)event->number);
	p = PUT(p, "\",\"revenue\":");
	return put_vital(p, event, 500);
}

static char *put_flag_called(char *p, struct event *event)
{
	p = PUT(p, ",\"$feature_flag\":\"");
	p = event_text(p, &pool_flags[random_below(&event->random, pool_flags_count)]);
	p = random_below(&event->random, 3) ? PUT(p, "\",\"$feature_flag_response\":true")
	                                    : PUT(p, "\",\"$feature_flag_response\":\"control\"");
	p = PUT(p, ",\"$feature_flag_payload\":null,\"$feature_flag_request_id\":\"");
	p = put_uuid(p, event->time_ms, event->session >> 5, random_hash(event->session, 5));
	return PUT(p, "\"");
}

static char *put_click(char *p, struct event *event)
{
	p = PUT(p, ",\"$event_type\":\"click\",\"$ce_version\":1,\"$mouse_x\":");
	p = put_number(p, random_below(&event->random, event->device->width));
	p = PUT(p, ",\"$mouse_y\":");
	return put_number(p, random_below(&event->random, 1000));
}

static char *put_search(char *p, struct event *event)
{
	p = PUT(p, ",\"query\":\"");
	p = event_text(p, &pool_words[random_below(&event->random, pool_words_count)]);
	*p++ = ' ';
	p = event_text(p, &pool_words[random_below(&event->random, pool_words_count)]);
	p = PUT(p, "\",\"results\":");
	p = put_number(p, random_below(&event->random, 240));
	p = PUT(p, ",\"took_ms\":");
	return put_vital(p, event, 800);
}

static char *put_title(char *p, struct event *event)
{
	p = PUT(p, ",\"title\":\"");
	p = event_text(p, &pool_titles[random_below(&event->random, pool_titles_count)]);
	return PUT(p, "\"");
}

/* What only this kind of event has. */
static char *put_special(char *p, struct event *event)
{
	switch (event->kind) {
	case KIND_PAGEVIEW: return put_title(p, event);
	case KIND_AUTOCAPTURE:
	case KIND_RAGECLICK: return put_click(p, event);
	case KIND_PAGELEAVE: return put_left_page(p, event);
	case KIND_FLAG: return put_flag_called(p, event);
	case KIND_VITALS: return put_vitals(p, event);
	case KIND_IDENTIFY: return put_person(p, event);
	case KIND_PRODUCT:
	case KIND_CART:
	case KIND_PURCHASE: return put_shop(p, event);
	case KIND_SEARCH: return put_search(p, event);
	case KIND_VIDEO:
		p = PUT(p, ",\"video\":{\"id\":");
		p = put_number(p, random_below(&event->random, 400));
		p = PUT(p, ",\"position\":");
		p = put_vital(p, event, 1800);
		return PUT(p, ",\"quality\":\"1080p\"}");
	case KIND_EXCEPTION:
		*p++ = ',';
		return event_text(p, &pool_errors[random_below(&event->random, pool_errors_count)]);
	case KIND_COUNT: break;
	}
	return p;
}

char *event_properties(char *p, struct event *event)
{
	p = put_device(p, event);
	p = put_page(p, event);
	p = put_identity(p, event);
	if (event->user >> 61 == 7)
		p = put_flag(p, event);
	p = put_special(p, event);
	*p++ = '}';
	return p;
}

char *event_elements(char *p, struct event *event)
{
	p = event_text(p, &pool_leaves[random_below(&event->random, pool_leaves_count)]);
	*p++ = ';';
	p = event_text(p, &pool_containers[random_below(&event->random, pool_containers_count)]);
	p = PUT(p, ";div.container:attr__class=\"container\"nth-child=\"");
	p = put_number(p, 1 + random_below(&event->random, 20));
	p = PUT(p, "\"nth-of-type=\"");
	p = put_number(p, 1 + random_below(&event->random, 9));
	return PUT(p, "\";body:nth-child=\"2\"nth-of-type=\"1\"");
}
