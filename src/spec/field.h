/*
 * field.h - what one field of kinds.def takes: a text checked against it, and what would be right.
 */
#ifndef TARN_SPEC_FIELD_H
#define TARN_SPEC_FIELD_H

#include "base/buffer.h"
#include "spec/kinds.h"

/* What would be right for a field, with its range, values or children: completes "would be ...". */
void field_right(struct buffer *out, const struct field *field);
/* NULL where `text` is right for the field (ranges and enums included), else what is wrong. */
const char *field_check(const struct field *field, const char *text);
/* The number as the field has it: ms of a duration, bytes of a quantity, an integer. NULL, or what is wrong. */
const char *field_number(const struct field *field, const char *text, int64_t *ret);

#endif
