/* functions.h - what models.c and functions.c share. Private to score/. */
#ifndef TARN_SCORE_FUNCTIONS_H
#define TARN_SCORE_FUNCTIONS_H

#include "score/models.h"

#define BASE_FEATURE "(base)" /* what explain calls the place where every row begins */

/* Another holder of the same models: score_models_free is for each of them. */
struct score_models *score_models_retain(struct score_models *models);

#endif
