#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/engine.h"
#include "runtime/runtime_internal.h"
#include "runtime/stage.h"

static const struct runtime_backend *const backends[] = {
    &backend_bwrap,
    &backend_podman,
    &backend_docker,
    &backend_native,
};

const struct runtime_backend *const *runtime_all(size_t *n)
{
    *n = array_size(backends);
    return backends;
}

const struct runtime_backend *runtime_find(const char *name)
{
    for (size_t i = 0; i < array_size(backends); i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

int runtime_command_add_fd(struct runtime_command *c, int fd, struct error *err)
{
    int *fds = reallocarray(c->fds, c->n_fds + 1, sizeof(*fds));

    if (!fds) {
        close(fd);
        return error_oom(err);
    }
    c->fds = fds;
    c->fds[c->n_fds++] = fd;
    return 0;
}

void runtime_command_release(struct runtime_command *c)
{
    int *const own[] = {&c->status_fd, &c->status_write_fd, &c->info_fd,
                        &c->info_write_fd};

    for (size_t i = 0; i < array_size(own); i++)
        cleanup_closep(own[i]);
    for (size_t i = 0; i < c->n_fds; i++)
        close(c->fds[i]);
    free(c->fds);
    free(c->program);
    stage_free(c->stage);
    engine_free(c->engine);
    strv_release(&c->argv);
    strv_release(&c->env);
    *c = (struct runtime_command)RUNTIME_COMMAND_INIT;
}

void strv_to_block(const struct strv *v, struct buf *out)
{
    for (size_t i = 0; i < v->count; i++)
        buf_add(out, v->items[i], strlen(v->items[i]) + 1);
}
