/*
 * rights.h - a request within a token's rights: the tables of both, the smaller bound of each.
 *
 * Life cycle: rights_narrow -> borrow -> rights_release. What is narrowed borrows from the request and the token.
 */
#ifndef TARN_SERVE_RIGHTS_H
#define TARN_SERVE_RIGHTS_H

#include "pool/request.h"
#include "spec/spec.h"

struct rights {
	struct request request; /* shallow: never request_release */
	char **tables; /* owned list of borrowed texts */
};

/*
 * token NULL: nothing is narrowed. Of two patterns the narrower one stays where one of them means all that the other
 * means; two that only overlap give nothing: what is not certain is not allowed. -1: out of memory.
 */
int rights_narrow(const struct request *request, const struct spec_token *token, struct rights *ret_rights);
void rights_release(struct rights *rights);

#endif
