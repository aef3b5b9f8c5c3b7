/*
 * tally.h - how much of something there was lately, by name: a score that halves with time, in a table of
 * fixed size that forgets the smallest when it is full. Nothing outlives the process. Thread-safe.
 */
#ifndef ADMISSION_TALLY_H
#define ADMISSION_TALLY_H

#include "base/buf.h"

struct tally;
/* half_life_s: in which a score loses half. */
enum err tally_create(int64_t half_life_s, struct tally **out);
void tally_free(struct tally *t);
/* Adds n (0: only looks) to the score of a name and gives what it is then, rounded down. */
uint32_t tally_add(struct tally *t, struct span name, uint32_t n, int64_t now_s);

#endif
