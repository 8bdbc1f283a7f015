/*
 * telecom.h - events of a telecom operator in Zambia, made up: billing (BSS), network (OSS) and devices (IoT).
 *
 * About 4,000 subscribers, of whom few have most of the events. What a subscriber is stays so: who has a weak signal
 * has one in each OSS event, uses less data, and is more often one of those who pay late, whose days_overdue rise by
 * one a day for weeks. A model that knows one half of a subscriber's events can say something of the other half.
 *
 * Columns: event_id, event_type, source_system, subscriber_id (null in bad events alone), event_timestamp (so too),
 * payload: text of JSON in Arrow, an object in JSON. About 250 bytes an event; one a second.
 *
 * A share of the events is bad, each in one way.
 */
#ifndef TARN_PRODUCE_TELECOM_H
#define TARN_PRODUCE_TELECOM_H

#include "produce/shape.h"

enum telecom_defect {
	DEFECT_NONE,
	DEFECT_NO_SUBSCRIBER, /* missing, or null */
	DEFECT_NO_TIMESTAMP,
	DEFECT_WRONG_TYPE, /* a text where a number should be */
	DEFECT_OUT_OF_RANGE,
	DEFECT_UNKNOWN_TYPE,
	DEFECT_LOWER_CASE, /* sub-00042: the same subscriber to a person, another one to a program */
	DEFECT_CUT, /* JSON that ends in the middle: in Arrow the payload's */
	DEFECT_COUNT
};

/* What is wrong with an event. */
enum telecom_defect telecom_defect(const struct shape_source *source, int64_t number);

#endif
