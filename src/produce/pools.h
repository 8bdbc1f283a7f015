/*
 * pools.h - what the made-up events are put together from. All texts are ASCII or UTF-8 and stand inside JSON strings
 * as they are (nothing in them needs an escape but what is escaped already).
 *
 * Invariant: a text is at most POOL_TEXT_MAX bytes; posthog.c sizes its rows by that.
 */
#ifndef TARN_PRODUCE_POOLS_H
#define TARN_PRODUCE_POOLS_H

#include <stdint.h>

#define POOL_TEXT_MAX 640

struct text {
	const char *bytes;
	uint32_t size;
};

/* A device: the part of `properties` that it decides. */
struct device {
	struct text system; /* "$os" to "$browser_version" */
	struct text agent; /* "$raw_user_agent" */
	uint32_t width; /* of its screen, in pixels */
	struct text version; /* "$lib_version" */
};

struct place {
	struct text geo; /* "$geoip_..." */
	struct text language;
	uint8_t network[2]; /* the first two bytes of its addresses */
};

struct site {
	int64_t team, project;
	struct text host;
};

enum event_kind {
	KIND_PAGEVIEW,
	KIND_AUTOCAPTURE,
	KIND_PAGELEAVE,
	KIND_FLAG,
	KIND_VITALS,
	KIND_IDENTIFY,
	KIND_PRODUCT,
	KIND_CART,
	KIND_PURCHASE,
	KIND_SEARCH,
	KIND_VIDEO,
	KIND_RAGECLICK,
	KIND_EXCEPTION,
	KIND_COUNT
};

struct kind {
	struct text name;
	uint32_t weight; /* of 1000 */
};

extern const struct kind pool_kinds[KIND_COUNT];

#define POOL(type, name)                                                                                               \
	extern const type name[];                                                                                      \
	extern const uint32_t name##_count

POOL(struct device, pool_devices);
POOL(struct place, pool_places);
POOL(struct site, pool_sites);
POOL(struct text, pool_paths);
POOL(struct text, pool_queries); /* behind a path: "?..." */
POOL(struct text, pool_referrers); /* "$referrer":.. */
POOL(struct text, pool_utm); /* utm members, with their comma behind */
POOL(struct text, pool_flags); /* feature flags' names */
POOL(struct text, pool_titles);
POOL(struct text, pool_leaves); /* the clicked element of an elements_chain */
POOL(struct text, pool_containers); /* the elements around it */
POOL(struct text, pool_products); /* members of a product, without braces */
POOL(struct text, pool_words);
POOL(struct text, pool_names);
POOL(struct text, pool_domains);
POOL(struct text, pool_errors); /* members of an exception */

#endif
