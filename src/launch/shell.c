#include "launch/shell.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/rootscan.h"

static int shell_in_image(const struct launch *l, struct strv *argv, struct error *err)
{
    static const char *const shells[] = {"/bin/bash", "/usr/bin/bash", "/bin/sh",
                                         "/usr/bin/sh"};

    for (size_t i = 0; i < array_size(shells); i++) {
        if (rootscan_has_program(&l->rootfs.tree, shells[i])) {
            strv_add(argv, shells[i]);
            return strv_check(argv, err);
        }
    }
    return 1;
}

static int shell_on_host(struct strv *argv, struct error *err)
{
    strv_add(argv, access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh");
    return strv_check(argv, err);
}

int shell_find(const struct launch *l, const char *host_tools, struct strv *argv,
               struct error *err)
{
    static const char *const tools[] = {"bash", "sh", "busybox"};
    int r;

    /* native, and impure with the host as root: the host's programs are there */
    if (l->rootfs.tree.n_layers == 0)
        return shell_on_host(argv, err);
    r = shell_in_image(l, argv, err);
    if (r != 1)
        return r;
    for (size_t i = 0; host_tools && i < array_size(tools); i++) {
        _cleanup_free_ char *path = str_printf("%s/%s", host_tools, tools[i]);

        if (!path)
            return error_oom(err);
        if (access(path, X_OK) < 0)
            continue;
        strv_add(argv, path);
        if (strcmp(tools[i], "busybox") == 0)
            strv_add(argv, "sh");
        return strv_check(argv, err);
    }
    error_fail(err, "neither the image nor the lab's host-tools have a shell");
    return error_hint(err, "give a command: debug-run JOB -- CMD...");
}
