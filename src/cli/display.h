/*
 * display.h - text as a terminal shows it.
 */
#ifndef TARN_CLI_DISPLAY_H
#define TARN_CLI_DISPLAY_H

#include <stdbool.h>

#include "base/buffer.h"

/* Appends the text with \n, \t, \r, \xHH for control characters and for bytes that are not UTF-8: it cannot steer a
 * terminal, and one line stays one line. */
void display_text(struct buffer *out, const char *text);
/* Cuts what display_text appended to an empty buffer to `width` columns, the last being an ellipsis. */
void display_cut(struct buffer *text, int width, bool unicode);
/* Columns that UTF-8 text takes on a terminal. */
int display_width(const char *text);

#endif
