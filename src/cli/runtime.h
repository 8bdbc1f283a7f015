/*
 * runtime.h - all that a manifest declares, running in this process: lakes, the embedded broker, streams, the HTTP
 * answers. `tarn run` and `tarn demo` are two ways to drive it.
 *
 * Life cycle: runtime_start -> (runtime_finish | runtime_stop) -> runtime_wait... -> runtime_free. The manifest is
 * borrowed until runtime_free.
 */
#ifndef TARN_CLI_RUNTIME_H
#define TARN_CLI_RUNTIME_H

#include "base/error.h"
#include "serve/serving.h"
#include "spec/spec.h"
#include "stream/stream.h"

struct runtime;

/* serving: the service beside it, whose context and callbacks are filled in here; NULL: none. */
struct runtime *runtime_start(struct manifest *manifest, const struct serving_options *serving, struct error *err);
void runtime_free(struct runtime *runtime);

int runtime_stream_count(const struct runtime *runtime);
struct stream *runtime_stream(struct runtime *runtime, int index);
/* The embedded broker's address; NULL where no stream uses it. */
const char *runtime_embedded_address(const struct runtime *runtime);

/* From now on runtime_wait opens a lake anew whose DuckDB broke, where that is possible. Its streams are other ones
 * then, or for a while none: what runtime_stream gave is not theirs. */
void runtime_mend(struct runtime *runtime);

/* Every stream stops when it has committed what its topic holds now. */
int runtime_finish(struct runtime *runtime, struct error *err);
void runtime_stop(struct runtime *runtime);
/*
 * Waits up to timeout_ms, and shows the progress line meanwhile. 1: every stream ended well; 0: not yet; -1: one
 * failed. After the first SIGINT or SIGTERM (cli_catch_signals) the streams drain, commit and leave from here. A second
 * one ends the process at once: nothing committed is lost, and nothing uncommitted was promised.
 */
int runtime_wait(struct runtime *runtime, int timeout_ms, struct error *err);

#endif
