/* What there is of docker on this node, for doctor. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/docker.h"
#include "runtime/runtime_internal.h"

#define MARK "repx:" /* warnings may stand before and after */

/* "20.10.24 (overlay2, cgroup v2)". The client's configuration is not looked at. */
static void check_daemon(const struct runtime_tools *tools, runtime_report report,
                         void *arg)
{
    static const char format[] =
        MARK "{{.ServerVersion}} ({{.Driver}}, cgroup v{{.CgroupVersion}})";
    char *const argv[] = {tools->docker,
                          (char[]){"--host"},
                          tools->docker_host,
                          (char[]){"info"},
                          (char[]){"--format"},
                          (char *)(uintptr_t)format,
                          NULL};
    char *const env[] = {(char[]){"HOME=/nonexistent"}, NULL};
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *line = NULL;
    struct error err = ERROR_INIT;
    const char *found;

    if (engine_run(argv, env, -1, &text, &err) != 0) {
        report(arg, "docker-server", false, err.text);
        return;
    }
    found = strstr(buf_str(&text), MARK);
    found = found ? found + strlen(MARK) : "it told nothing about itself";
    line = strndup(found, strcspn(found, "\n"));
    report(arg, "docker-server", true, line ? line : "");
}

void docker_diagnose(const struct runtime_tools *tools, runtime_report report,
                     void *arg)
{
    struct error err = ERROR_INIT;

    if (!tools->docker)
        return;
    if (docker_reachable(tools, &err) != 0) {
        report(arg, "docker-socket", false, err.text);
        return;
    }
    report(arg, "docker-socket", true, tools->docker_host);
    check_daemon(tools, report, arg);
}
