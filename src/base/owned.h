/*
 * owned.h - one owner per pointer, released at the end of its scope.
 *
 * OWNED_BY(free_fn) marks a local whose address goes to free_fn when the scope ends. TAKE(p) hands a pointer on and
 * leaves NULL behind, so that a function body is a straight line:
 *
 *     OWNED_FREE char *text = strdup(s);
 *     ...
 *     *ret_text = TAKE(text);
 *     return 0;
 */
#ifndef TARN_BASE_OWNED_H
#define TARN_BASE_OWNED_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define OWNED_BY(release) __attribute__((cleanup(release)))

/* The value of p; p itself becomes NULL. */
#define TAKE(p)                                                                                                        \
	({                                                                                                             \
		__typeof__(p) took_ = (p);                                                                             \
		(p) = NULL;                                                                                            \
		took_;                                                                                                 \
	})

static inline void owned_free(void *p)
{
	free(*(void **)p);
}

static inline void owned_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define OWNED_FREE OWNED_BY(owned_free)
#define OWNED_FD OWNED_BY(owned_close)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
