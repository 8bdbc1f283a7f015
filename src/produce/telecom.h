/*
 * telecom.h - events of a telecom operator in Zambia, made up: billing (BSS), network (OSS) and devices (IoT).
 *
 * 50,000 subscribers, each with two events of every TELECOM_CYCLE consecutive ones (numbers 0 to 99,999, and so on), at
 * places that look like chance. What a subscriber is stays so: who has a weak signal has one in each OSS event, uses
 * less data, and is more often one of those who pay late, whose days_overdue rise by one a day for weeks. A model that
 * knows one half of a subscriber's events can say something of the other half.
 *
 * Columns: event_id, event_type, source_system, subscriber_id, event_timestamp, payload: text of JSON in Arrow, an
 * object in JSON. Null, in bad events alone: event_type, subscriber_id, event_timestamp. About 250 bytes an event; one
 * a second.
 *
 * A share of the events is bad. A source breaks for a cycle: both of its subscriber's events are bad in the same way,
 * and mostly in more than one place, so that by the rules of examples/telecom they score below 45 or are no JSON. Of
 * the wrong types and ranges one in six is a single value's, and the event scores 80. Lower case is one event's own,
 * and no rule knows it.
 */
#ifndef TARN_PRODUCE_TELECOM_H
#define TARN_PRODUCE_TELECOM_H

#include "produce/shape.h"

#define TELECOM_CYCLE 100000 /* events */
#define TELECOM_SUBSCRIBERS (TELECOM_CYCLE / 2)

enum telecom_defect {
	DEFECT_NONE,
	DEFECT_NO_SUBSCRIBER, /* missing, or null */
	DEFECT_NO_TIMESTAMP, /* ... and with it the type */
	DEFECT_WRONG_TYPE, /* texts for numbers; a device's name is a number then, and its time is missing */
	DEFECT_OUT_OF_RANGE, /* ... and so here */
	DEFECT_UNKNOWN_TYPE, /* ... and values of wrong types */
	DEFECT_LOWER_CASE, /* sub-00042: the same subscriber to a person, another one to a program */
	DEFECT_CUT, /* JSON that ends in the middle: in Arrow the payload's */
	DEFECT_COUNT
};

/* What is wrong with an event. */
enum telecom_defect telecom_defect(const struct shape_source *source, int64_t number);

#endif
