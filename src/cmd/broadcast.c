#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "cmd/command.h"
#include "launch/broadcast.h"

static int broadcast_main(const struct request *req, char *const *env, int *exit_code,
                          struct error *err)
{
    _cleanup_buf_ struct buf staged = BUF_INIT;
    struct broadcast b = {0};
    uint64_t nodes = 0;

    if (req->args.count != 3 || !parse_u64(req->args.items[1], &nodes) || nodes == 0 ||
        nodes > UINT32_MAX) {
        error_usage(err, "broadcast is called by Slurm's plugin only");
        return error_hint(err, "srun --repx-stage=bcast broadcasts a step's image");
    }
    b.step = req->args.items[0];
    b.nodes = (uint32_t)nodes;
    b.config = req->args.items[2][0] ? req->args.items[2] : NULL;
    log_set_name("repx");
    if (broadcast_image(&b, req, env, &staged, err) < 0)
        return -1;
    *exit_code = 0;
    return staged.len > 0 ? print_text(buf_str(&staged), err) : 0;
}

const struct command cmd_broadcast = {
    .name = "broadcast",
    .options = FOR_STEP | FOR_EXEC | FOR_LAUNCH | FOR_LAB | FOR_CONFIG | FOR_ALL,
    .synopsis = "JOB.STEP NODES SITE-FILE",
    .summary = "Put a step's image on its nodes; called by Slurm's plugin",
    .main = broadcast_main,
};
