/*
 * listening.h - the options of a service on the command line, and what is told when it listens: of `tarn serve` and
 * `tarn run --listen`.
 */
#ifndef TARN_CLI_LISTENING_H
#define TARN_CLI_LISTENING_H

#include "cli/options.h"
#include "serve/serving.h"

/* Texts are borrowed from the invocation. */
int listening_options(const struct invocation *invocation, const struct manifest *manifest,
                      struct serving_options *ret_options, struct error *err);
/* Where it listens, and how one gets in. A token is shown on a terminal alone. */
void listening_tell(const struct serving *serving);

#endif
