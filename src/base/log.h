/*
 * log.h - what the program says while it runs, on standard error.
 *
 * On a terminal: short lines for a person. Otherwise: one JSON object a line (ts, level, event, message and fields).
 * Results go to standard output and never through here. A field's text is masked (log_mask_secret) before it is
 * written. Every event is a row of log.def, from which docs/cli.md is made.
 */
#ifndef TARN_BASE_LOG_H
#define TARN_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };
extern const char *const log_level_names[LOG_LEVELS];

enum log_event {
#define LOG_EVENT(id, level, name, meaning) EVENT_##id,
#include "base/log.def"
#undef LOG_EVENT
	EVENT_COUNT
};

/* One field of a line. Made by the macros below; texts are borrowed for the call. */
struct log_field {
	const char *name;
	const char *text; /* NULL: a number */
	int64_t number;
};

#define LOG_TEXT(n, t) ((struct log_field){.name = (n), .text = (t)})
#define LOG_NUMBER(n, v) ((struct log_field){.name = (n), .number = (v)})

/* json: force JSON lines even on a terminal. minimum: lines below it are not written. colors: of the lines for people.
 */
void log_init(bool json, enum log_level minimum, bool colors);
void log_write(enum log_event event, const struct log_field *fields, int count, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* log_event(EVENT_X, FIELDS(LOG_TEXT("stream", s)), "message %d", n) */
#define FIELDS(...)                                                                                                    \
	(struct log_field[]){__VA_ARGS__}, (int)(sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define NO_FIELDS NULL, 0
#define log_event(event, ...) log_write(event, __VA_ARGS__)

/* A line that stays at the bottom of a terminal and is rewritten; NULL removes it. Nothing off a terminal. */
void log_progress(const char *line);
bool log_is_terminal(void);

/* Every line and field passes this: a registered secret (a password from a manifest) is written as ***. */
void log_mask_secret(const char *secret);
/* Replaces registered secrets in place. */
void log_mask(char *text);

#endif
