/*
 * folder.h - folders that Tarn made itself.
 */
#ifndef TARN_BASE_FOLDER_H
#define TARN_BASE_FOLDER_H

#include "base/error.h"

/* Removes the file or folder and all below it; links are removed, not followed. Nothing there is no error.
 * Errors: INVALID, with what could not be removed. */
int folder_remove(const char *path, struct error *err);

#endif
