/* cpus.h - how many processors this process may use. */
#ifndef TARN_BASE_CPUS_H
#define TARN_BASE_CPUS_H

/* Those that it may run on, or as many as its control group's quota makes, rounded up: threads beyond that only wait
 * for each other's share. At least 1. */
int cpus(void);

/* The same of another root than "/", and of `online` processors; for tests. */
int cpus_under(const char *root, int online);

#endif
