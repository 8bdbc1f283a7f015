/*
 * refresher.h - a pipeline that refreshes itself, on a thread of its own, when its manifest says so: after a commit,
 * each so many seconds, on a schedule.
 *
 * A refresh that fails leaves the layers as they were and is tried again: soon where that may help (CONFLICT,
 * TRANSIENT), else when something has changed. The models' files are read anew when they change. Streams go on
 * meanwhile.
 *
 * Invariants:
 *  1. After refresher_finish it ends with a refresh that saw all that was committed before, or fails.
 *  2. After refresher_stop nothing of it commits.
 *
 * Life cycle: refresher_start -> notify... -> (finish | stop) -> wait -> free.
 */
#ifndef TARN_LAYERS_REFRESHER_H
#define TARN_LAYERS_REFRESHER_H

#include "layers/pipeline.h"

struct refresher;

/* Reads the models first, so that their mistakes end the start. Spec, manifest and lake are borrowed until
 * refresher_free. */
struct refresher *refresher_start(const struct spec_pipeline *spec, const struct manifest *manifest, struct lake *lake,
                                  struct error *err);
/* Something was committed. Any thread. */
void refresher_notify(struct refresher *refresher);
void refresher_finish(struct refresher *refresher);
void refresher_stop(struct refresher *refresher);
/* Waits up to timeout_ms for its end. 1: ended well; 0: it runs; -1: the last refresh failed, with *err. */
int refresher_wait(struct refresher *refresher, int timeout_ms, struct error *err);
void refresher_free(struct refresher *refresher);

struct refresher_status {
	int64_t refreshes, failures; /* that changed something; that failed */
	int64_t last_ms; /* wall clock, of the last that was right; 0: none yet */
	bool ready; /* the last one was right */
	char problem[512]; /* why not */
};

void refresher_status(struct refresher *refresher, struct refresher_status *ret_status);

#endif
