/* handoff_internal: the bytes of the hand-off file, shared by writer and reader. All
 * numbers are this machine's: the file never leaves it. */
#ifndef REPX_REQUEST_HANDOFF_INTERNAL_H
#define REPX_REQUEST_HANDOFF_INTERNAL_H

#include <stdint.h>

#include "request/handoff.h"

#define HANDOFF_MAGIC "repx-stp"
#define HANDOFF_VERSION 1u

struct head {
    char magic[8];
    uint32_t version, phase, request_len, answer_len;
    uint32_t zero[2];
};
_Static_assert(sizeof(struct head) == HANDOFF_HEAD, "the head has a fixed size");

/* Each record is tag, length, bytes; a string has its NUL, a number four bytes. */
struct record {
    uint32_t tag, len;
};

enum tag {
    TAG_LAUNCHER = 1,
    TAG_CONFIG,
    TAG_NODE,
    TAG_BATCH_SCRIPT,
    TAG_OPTION,
    TAG_JOB_ID,
    TAG_STEP_ID,
    TAG_NODE_ID,
    TAG_N_NODES,
    TAG_N_TASKS,
    TAG_LOCAL_TASKS,
    TAG_GPUS,
    TAG_ISOLATED = 100,
    TAG_NAMESPACE,
    TAG_ENV,
    TAG_PASS,
    TAG_ENV_SET,
    TAG_CWD,
    TAG_CWD_FALLBACK,
    TAG_CWD_TELL,
    TAG_ERROR,
    TAG_EXIT_CODE,
};

#endif
