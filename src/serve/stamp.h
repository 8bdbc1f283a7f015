/*
 * stamp.h - files that somebody else renews: tokens, certificates. A mounted Secret is a link that moves, so a file is
 * looked at through its links, and what counts is which file it is, when it was written and how large it is.
 */
#ifndef TARN_SERVE_STAMP_H
#define TARN_SERVE_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct stamp {
	bool there;
	uint64_t device, inode;
	int64_t written_ns, changed_ns, size;
};

/* False: the file is as *stamp says. True: it is not, and *stamp says how it is now. */
bool stamp_look(struct stamp *stamp, const char *path);
/* All of it, at most out->maximum bytes. INVALID with the path. */
int stamp_read(const char *path, struct buffer *out, struct error *err);

#endif
