/*
 * fault.h - places where a test may make the program fail, by name.
 *
 * TARN_FAULT=point:nth:action[,point:nth:action...] in the environment arms them; `nth` counts from 1.
 * Actions: kill (SIGKILL), stop (SIGSTOP, for a test that plays a paused owner), error (fault_hit returns true once),
 * errors (true from the nth time on), sleep=MS.
 * With nothing armed a point costs one predictable branch. The list of points is fault.def: a test walks all of them.
 */
#ifndef TARN_BASE_FAULT_H
#define TARN_BASE_FAULT_H

#include <stdbool.h>

#include "base/error.h"

enum fault_point {
#define FAULT_POINT(id, name, where) FAULT_##id,
#include "base/fault.def"
#undef FAULT_POINT
	FAULT_COUNT
};

extern bool fault_armed;

/* Reads TARN_FAULT. A point or action that does not exist is an INVALID error that lists what does. */
int fault_init(struct error *err);
bool fault_hit_armed(enum fault_point point);
const char *fault_name(enum fault_point point);

/* True when the caller must act as if this step had failed. */
static inline bool fault_hit(enum fault_point point)
{
	return __builtin_expect(fault_armed, 0) && fault_hit_armed(point);
}

/* fault_hit as an error: fills *err with a TRANSIENT error that names the point and returns true. */
bool fault_error(enum fault_point point, struct error *err);

#endif
