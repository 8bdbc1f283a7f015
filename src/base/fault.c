#include "base/fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/owned.h"

enum fault_action { ACTION_NONE, ACTION_KILL, ACTION_STOP, ACTION_ERROR, ACTION_ERRORS, ACTION_SLEEP };

struct fault_plan {
	enum fault_action action;
	long nth;
	long sleep_ms;
	atomic_long seen;
};

bool fault_armed;

static struct fault_plan plans[FAULT_COUNT];

static const char *const names[FAULT_COUNT] = {
#define FAULT_POINT(id, name, where) [FAULT_##id] = name,
#include "base/fault.def"
#undef FAULT_POINT
};

const char *fault_name(enum fault_point point)
{
	return names[point];
}

static int find_point(const char *name)
{
	for (int i = 0; i < FAULT_COUNT; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

static int no_such_point(const char *name, struct error *err)
{
	OWNED_BUFFER struct buffer list = {0};

	buffer_init(&list, 4096);
	for (int i = 0; i < FAULT_COUNT; i++)
		buffer_printf(&list, " %s", names[i]);
	return error_set(err, ERROR_INVALID, 0, "TARN_FAULT: no point '%s'; there are:%s", name, buffer_string(&list));
}

static int arm_one(char *entry, struct error *err)
{
	char *save = NULL;
	const char *point_name = strtok_r(entry, ":", &save);
	const char *nth = strtok_r(NULL, ":", &save);
	const char *action = strtok_r(NULL, ":", &save);
	int point = point_name ? find_point(point_name) : -1;
	struct fault_plan *plan;

	if (point < 0)
		return no_such_point(point_name ? point_name : "", err);
	plan = &plans[point];
	plan->nth = nth ? strtol(nth, NULL, 10) : 0;
	if (action && !strcmp(action, "kill"))
		plan->action = ACTION_KILL;
	else if (action && !strcmp(action, "stop"))
		plan->action = ACTION_STOP;
	else if (action && !strcmp(action, "error"))
		plan->action = ACTION_ERROR;
	else if (action && !strcmp(action, "errors"))
		plan->action = ACTION_ERRORS;
	else if (action && sscanf(action, "sleep=%ld", &plan->sleep_ms) == 1)
		plan->action = ACTION_SLEEP;
	if (plan->nth < 1 || plan->action == ACTION_NONE)
		return error_set(err, ERROR_INVALID, 0,
		                 "TARN_FAULT: %s needs :NTH:ACTION with NTH from 1 and ACTION kill, stop, error, "
		                 "errors or sleep=MS",
		                 point_name);
	fault_armed = true;
	return 0;
}

int fault_init(struct error *err)
{
	const char *text = getenv("TARN_FAULT");
	OWNED_FREE char *copy = NULL;
	char *save = NULL;

	if (!text || !*text)
		return 0;
	copy = strdup(text);
	if (!copy)
		return error_no_memory(err);
	for (char *entry = strtok_r(copy, ",", &save); entry; entry = strtok_r(NULL, ",", &save))
		if (arm_one(entry, err))
			return -1;
	return 0;
}

bool fault_hit_armed(enum fault_point point)
{
	struct fault_plan *plan = &plans[point];
	long seen;

	if (plan->action == ACTION_NONE)
		return false;
	seen = atomic_fetch_add(&plan->seen, 1) + 1;
	if (plan->action == ACTION_ERRORS)
		return seen >= plan->nth;
	if (seen != plan->nth)
		return false;
	switch (plan->action) {
	case ACTION_KILL: raise(SIGKILL); return true;
	case ACTION_STOP: raise(SIGSTOP); return false;
	case ACTION_SLEEP: clock_sleep_ms(plan->sleep_ms); return false;
	default: return true;
	}
}

bool fault_error(enum fault_point point, struct error *err)
{
	if (!fault_hit(point))
		return false;
	error_set(err, ERROR_TRANSIENT, 0, "fault injected at %s", names[point]);
	return true;
}
