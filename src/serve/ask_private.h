/*
 * ask_private.h - between ask.c and ask_rows.c.
 */
#ifndef TARN_SERVE_ASK_PRIVATE_H
#define TARN_SERVE_ASK_PRIVATE_H

#include "serve/ask.h"

/*
 * As many rows as the question allows; closes the answer, which may be NULL where *refusal is filled already. -1:
 * refused, *refusal says why.
 */
int ask_read_rows(struct answer *rows, const struct ask_question *question, struct ask_answer *answer,
                  struct service_refusal *refusal);

#endif
