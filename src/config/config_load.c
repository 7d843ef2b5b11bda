#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "config/config.h"
#include "sys/pathfd.h"
#include "sys/process.h"
#include "sys/trust.h"

/* No sane configuration is larger; keeps a wrong --config from filling the memory. */
enum { MAX_FILE = 1 << 20 };

enum file_kind { FILE_SITE, FILE_USER, FILE_EXTRA };

static int load_file(struct config *c, const char *path, enum file_kind kind,
                     struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error opened = ERROR_INIT;
    _cleanup_close_ int fd = -1;

    /* O_NONBLOCK: a FIFO must not hold the launch; pathfd_read_all refuses it. */
    fd = pathfd_open_user(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, &opened);
    if (fd < 0) {
        if (opened.errnum == ENOENT && kind != FILE_EXTRA)
            return 0;
        return error_sys(err, opened.errnum, "cannot read the configuration file %s",
                         path);
    }
    if (kind == FILE_SITE && trust_site_file(fd, path, err) < 0)
        return -1;
    if (pathfd_read_all(fd, MAX_FILE, &text, err) < 0)
        return error_context(err, "cannot read the configuration file %s", path);
    return config_parse(c, buf_str(&text), text.len, path, kind == FILE_SITE, err);
}

/* $XDG_CONFIG_HOME/repx or $HOME/.config/repx. As the XDG specification says, a
 * relative $XDG_CONFIG_HOME does not count. Owned by the caller. */
static char *user_directory(char *const *env, struct error *err)
{
    const char *xdg = strv_env_get(env, "XDG_CONFIG_HOME");
    const char *home = strv_env_get(env, "HOME");
    struct process_user user = {0};
    char *path;

    if (xdg && xdg[0] == '/') {
        path = str_printf("%s/repx", xdg);
    } else if (home && home[0] == '/') {
        path = str_printf("%s/.config/repx", home);
    } else {
        if (process_user_init(&user, err) < 0)
            return NULL;
        path = str_printf("%s/.config/repx", user.home);
        process_user_release(&user);
    }
    if (!path)
        error_oom(err);
    return path;
}

int config_load(struct config *c, const char *site_file, char *const *env,
                const char *extra, struct error *err)
{
    static const char *const names[] = {"config.toml", "repx.ini"};
    _cleanup_free_ char *directory = user_directory(env, err);

    if (!directory || load_file(c, site_file, FILE_SITE, err) < 0)
        return -1;
    for (size_t i = 0; i < array_size(names); i++) {
        _cleanup_free_ char *path = str_printf("%s/%s", directory, names[i]);

        if (!path)
            return error_oom(err);
        if (load_file(c, path, FILE_USER, err) < 0)
            return -1;
    }
    return extra ? load_file(c, extra, FILE_EXTRA, err) : 0;
}
