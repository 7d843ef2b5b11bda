/* init_protocol: what repx-sandbox-init (pid 1 of the sandbox) tells the supervisor over
 * the status pipe. Fixed-size messages, each written in one write(2). */
#ifndef REPX_RUNTIME_INIT_PROTOCOL_H
#define REPX_RUNTIME_INIT_PROTOCOL_H

#include <stdint.h>

#define INIT_PROTOCOL_MAGIC 0x52505831u /* "RPX1" */

enum init_message_kind {
    INIT_STARTED = 1,     /* the command was executed; value: unused */
    INIT_EXEC_FAILED = 2, /* value: errno; stage tells what failed */
    INIT_EXITED = 3,      /* value: wait status; usage is filled */
};

enum init_stage { INIT_STAGE_SETUP = 1, INIT_STAGE_CHDIR = 2, INIT_STAGE_EXEC = 3 };

struct init_message {
    uint32_t magic;
    uint32_t kind;
    int32_t value;
    uint32_t stage;
    int64_t user_us, system_us; /* CPU time of the command and what init reaped */
    int64_t max_rss_kib;
};

#endif
