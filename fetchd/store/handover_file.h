/*
 * handover_file.h - the files of the handover journal, as bytes and in their directory. Shared by the one
 * that writes them (handover.c) and the one that reads them (handover_file.c).
 */
#ifndef STORE_HANDOVER_FILE_H
#define STORE_HANDOVER_FILE_H

#include "store/handover.h"

#define HANDOVER_HEADER_BYTES 64
#define HANDOVER_HEAD_BYTES 104 /* of an entry, before its body */
#define HANDOVER_SUM_BYTES 8
#define HANDOVER_END_BYTES (HANDOVER_HEAD_BYTES + HANDOVER_SUM_BYTES)
#define HANDOVER_NAME_MAX 32

void handover_file_name(uint64_t number, char out[HANDOVER_NAME_MAX]);
enum err handover_file_header(const uint8_t id[HANDOVER_ID_BYTES], uint64_t number, int64_t begun_s,
                              uint8_t out[HANDOVER_HEADER_BYTES]);
/* How many entries these bytes are, which handover_encode made. */
uint32_t handover_count(struct span entries);

/* The newest file of a directory. */
struct handover_end {
    uint64_t number; /* 0: there is none */
    uint8_t id[HANDOVER_ID_BYTES];
    bool whole; /* nothing between its first and last entry is damaged */
    int64_t last_s;
};
/* Looks at it and ends it with HANDOVER_END behind its last entry, if that is missing. */
enum err handover_files_end(int directory_fd, struct handover_end *out, struct buf *why);
/* Removes files whose successor was begun before that time. */
void handover_files_forget(int directory_fd, int64_t before_s);

#endif
