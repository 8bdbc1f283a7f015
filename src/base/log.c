#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/owned.h"

#define TEXT_BYTES_MAX 4096 /* of the message, and of a field; more is cut */
#define LINE_BYTES_MAX ((size_t)1 << 20) /* dozens of these, six times as long in JSON */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool json, terminal, colors;
	enum log_level minimum;
	char progress[512];
	char **secrets; /* longest first: a secret that begins another must not uncover its end */
	int secret_count;
} state = {.json = true, .minimum = LOG_INFO};

static const struct {
	const char *name;
	enum log_level level;
} events[EVENT_COUNT] = {
#define LOG_EVENT(id, level, name, meaning) [EVENT_##id] = {name, level},
#include "base/log.def"
#undef LOG_EVENT
};

const char *const log_level_names[LOG_LEVELS] = {"debug", "info", "warn", "error"};

void log_init(bool json, enum log_level minimum, bool colors)
{
	state.terminal = isatty(STDERR_FILENO) && !json;
	state.json = json || !isatty(STDERR_FILENO);
	state.minimum = minimum;
	state.colors = colors;
}

bool log_is_terminal(void)
{
	return state.terminal;
}

/* False when out of memory. */
static bool keep_secret(const char *secret)
{
	size_t size = strlen(secret);
	char **secrets = realloc(state.secrets, (size_t)(state.secret_count + 1) * sizeof *secrets), *copy;
	int at = 0;

	if (!secrets)
		return false;
	state.secrets = secrets;
	copy = strdup(secret);
	if (!copy)
		return false;
	while (at < state.secret_count && strlen(secrets[at]) >= size)
		at++;
	memmove(secrets + at + 1, secrets + at, (size_t)(state.secret_count - at) * sizeof *secrets);
	secrets[at] = copy;
	state.secret_count++;
	return true;
}

void log_mask_secret(const char *secret)
{
	bool known = false;

	/* One or two characters would mask half of every line, and protect nothing. */
	if (strlen(secret) < 3)
		return;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < state.secret_count; i++)
		known |= !strcmp(state.secrets[i], secret);
	if (!known && !keep_secret(secret)) {
		/* Going on would print it. */
		fputs("tarn: out of memory\n", stderr);
		abort();
	}
	pthread_mutex_unlock(&lock);
}

static void mask_locked(char *text)
{
	for (int i = 0; i < state.secret_count; i++) {
		size_t size = strlen(state.secrets[i]);

		for (char *at = strstr(text, state.secrets[i]); at; at = strstr(at, state.secrets[i])) {
			memmove(at + 3, at + size, strlen(at + size) + 1);
			memset(at, '*', 3);
			at += 3;
		}
	}
}

void log_mask(char *text)
{
	pthread_mutex_lock(&lock);
	mask_locked(text);
	pthread_mutex_unlock(&lock);
}

/* The text as it may be shown: masked before any escaping could hide a secret from the search. Owned by the caller. */
static char *masked(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return NULL;
	log_mask(copy);
	if (strlen(copy) > TEXT_BYTES_MAX) {
		copy[TEXT_BYTES_MAX] = 0;
		text_end_whole(copy);
	}
	return copy;
}

static void append_json_masked(struct buffer *line, const char *text)
{
	OWNED_FREE char *shown = masked(text);

	buffer_json_text(line, shown ? shown : "", shown ? strlen(shown) : 0);
}

static void append_json(struct buffer *line, enum log_event event, const struct log_field *fields, int count,
                        const char *message)
{
	char now[40];

	clock_format(clock_wall_ms(), now, sizeof now);
	buffer_printf(line, "{\"ts\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"message\":", now,
	              log_level_names[events[event].level], events[event].name);
	append_json_masked(line, message);
	for (int i = 0; i < count; i++) {
		buffer_printf(line, ",\"%s\":", fields[i].name);
		if (fields[i].text)
			append_json_masked(line, fields[i].text);
		else
			buffer_printf(line, "%lld", (long long)fields[i].number);
	}
	buffer_text(line, "}\n");
}

static void append_human(struct buffer *line, enum log_event event, const struct log_field *fields, int count,
                         const char *message)
{
	static const char *const colors[] = {"\033[2m", "", "\033[33m", "\033[31m"};
	enum log_level level = events[event].level;
	const char *color = state.colors ? colors[level] : "";

	buffer_printf(line, "%s%s%s", color, level >= LOG_WARN ? log_level_names[level] : "",
	              level >= LOG_WARN ? ": " : "");
	buffer_text(line, message);
	for (int i = 0; i < count && level >= LOG_WARN; i++) {
		if (fields[i].text)
			buffer_printf(line, " %s=%.*s", fields[i].name, TEXT_BYTES_MAX, fields[i].text);
		else
			buffer_printf(line, " %s=%lld", fields[i].name, (long long)fields[i].number);
	}
	buffer_text(line, *color ? "\033[0m\n" : "\n");
}

void log_write(enum log_event event, const struct log_field *fields, int count, const char *format, ...)
{
	OWNED_BUFFER struct buffer line = {0};
	char message[TEXT_BYTES_MAX + 1];
	va_list args;

	if (events[event].level < state.minimum)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	text_end_whole(message);
	buffer_init(&line, LINE_BYTES_MAX);
	if (state.json)
		append_json(&line, event, fields, count, message);
	else
		append_human(&line, event, fields, count, message);
	if (!buffer_ok(&line)) { /* half a line would make one with the next */
		buffer_clear(&line);
		buffer_printf(&line, "{\"level\":\"%s\",\"event\":\"%s\",\"message\":\"no memory for it\"}\n",
		              log_level_names[events[event].level], events[event].name);
	}
	pthread_mutex_lock(&lock);
	if (line.data)
		mask_locked(line.data);
	if (state.terminal && *state.progress)
		fputs("\r\033[K", stderr);
	fputs(buffer_string(&line), stderr);
	if (state.terminal && *state.progress)
		fputs(state.progress, stderr);
	pthread_mutex_unlock(&lock);
}

void log_progress(const char *text)
{
	if (!state.terminal)
		return;
	pthread_mutex_lock(&lock);
	snprintf(state.progress, sizeof state.progress, "%s", text ? text : "");
	fprintf(stderr, "\r\033[K%s", state.progress);
	fflush(stderr);
	pthread_mutex_unlock(&lock);
}
