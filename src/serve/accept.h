/*
 * accept.h - lists of what a client takes, with weights: Accept, Accept-Encoding (RFC 9110 sections 12.4.2, 12.5).
 *
 * A weight is in thousandths. A member that does not follow the grammar is passed over.
 */
#ifndef TARN_SERVE_ACCEPT_H
#define TARN_SERVE_ACCEPT_H

/* Of a media type such as "text/csv"; the most specific range decides. header NULL: 1000. */
int accept_type(const char *header, const char *type);
/* Of a content coding; "identity" is taken unless it, or else *, is refused. header NULL: 0, but of identity 1000. */
int accept_coding(const char *header, const char *coding);

#endif
