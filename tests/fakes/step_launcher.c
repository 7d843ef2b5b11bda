/* step-launcher: stands for `repx-launch step` in tests of plugin and join program.
 * What it does is in FAKE_STEP of the task's environment:
 *
 *   native     READY without a sandbox; FAKE_STEP_SET=NAME=VALUE is set in the tasks
 *   sandbox    READY with user and mount namespaces of its own, in which /mnt is a
 * fresh tmpfs with a file "inside" fail       FAILED with a sentence and exit code 42
 *   silent     exit 3 without an answer
 *   killed     SIGKILL itself, always; killed-once: when FAKE_STEP_LOG is new
 *   wait       like native, once the file FAKE_STEP_GO is there; leaves when all tasks
 *              have died
 *
 * FAKE_STEP_LOG gets a line for each start and the request's words.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "request/handoff.h"

#define CHECK(what)                                                                    \
    do {                                                                               \
        if (!(what)) {                                                                 \
            fprintf(stderr, "step-launcher: %s: %s\n", #what, strerror(errno));        \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

static void read_state(struct handoff *h)
{
    struct error err = ERROR_INIT;
    static char data[HANDOFF_MAX];
    ssize_t n = pread(HANDOFF_FD_STATE, data, sizeof(data), 0);

    CHECK(n > 0);
    if (handoff_decode(data, (size_t)n, h, &err) < 0) {
        fprintf(stderr, "step-launcher: %s\n", err.text);
        exit(1);
    }
}

static void answer(const struct handoff *h, enum handoff_phase phase,
                   const struct handoff_answer *a)
{
    struct buf text = BUF_INIT;
    unsigned char head[HANDOFF_HEAD];
    struct error err = ERROR_INIT;

    CHECK(handoff_encode_answer(h, phase, a, &text, head, &err) == 0);
    CHECK(pwrite(HANDOFF_FD_STATE, text.data, text.len, (off_t)h->answer_at) ==
          (ssize_t)text.len);
    CHECK(pwrite(HANDOFF_FD_STATE, head, sizeof(head), 0) == sizeof(head));
    buf_release(&text);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    CHECK(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void send_descriptors(const int *fds, size_t n)
{
    union {
        char bytes[CMSG_SPACE(8 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char payload[HANDOFF_MESSAGE] = "repx";
    struct iovec iov = {payload, sizeof(payload)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    CHECK(sendmsg(HANDOFF_FD_SEND, &m, 0) == HANDOFF_MESSAGE);
}

static void sandbox(struct handoff_answer *a)
{
    char map[64];
    uid_t uid = getuid();
    gid_t gid = getgid();
    int fds[3];

    CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
    snprintf(map, sizeof(map), "%u %u 1", uid, uid);
    write_file("/proc/self/uid_map", map);
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "%u %u 1", gid, gid);
    write_file("/proc/self/gid_map", map);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0);
    CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
    write_file("/mnt/inside", "");
    fds[0] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    fds[1] = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    fds[2] = open("/mnt/inside", O_RDONLY | O_CLOEXEC);
    CHECK(fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0);
    send_descriptors(fds, 3);
    a->isolated = true;
    a->namespaces[0] = CLONE_NEWUSER;
    a->namespaces[1] = CLONE_NEWNS;
    a->n_namespaces = 2;
    strv_add(&a->env, "PATH=/usr/bin:/bin");
    strv_add(&a->env, "FAKE=inside");
    strv_add(&a->pass, "SLURM_*");
    a->cwd_fallback = strdup("/mnt");
    a->cwd_tell = true;
}

static bool log_start(const struct handoff *h)
{
    const char *path = getenv("FAKE_STEP_LOG");
    bool is_new = path && access(path, F_OK) < 0;
    FILE *f = path ? fopen(path, "ae") : NULL;

    CHECK(!path || f);
    if (!f)
        return is_new;
    fprintf(f, "start step=%x nodes=%u tasks=%u local=%u config=%s script=%s\n",
            h->request.step_id, h->request.n_nodes, h->request.n_tasks,
            h->request.local_tasks, h->request.config ? h->request.config : "",
            h->request.batch_script ? h->request.batch_script : "");
    if (h->request.gpus)
        fprintf(f, "gpus %s\n", h->request.gpus);
    for (size_t i = 0; i < h->request.options.count; i++)
        fprintf(f, "option %s\n", h->request.options.items[i]);
    CHECK(fclose(f) == 0);
    return is_new;
}

/* Until the file is there, or no task waits any more. */
static void wait_for_go(void)
{
    struct pollfd p = {.fd = HANDOFF_FD_HOLD, .events = 0};

    fprintf(stderr, "step-launcher: waiting\n");
    while (access(getenv("FAKE_STEP_GO"), F_OK) < 0)
        if (poll(&p, 1, 20) > 0)
            exit(4);
}

int main(int argc, char **argv)
{
    const char *how = getenv("FAKE_STEP");
    struct handoff_answer a = HANDOFF_ANSWER_INIT;
    struct handoff h = HANDOFF_INIT;
    bool first;

    CHECK(argc == 2 && strcmp(argv[1], "step") == 0);
    CHECK(how);
    CHECK(getsid(0) == getpid());
    CHECK(!getenv("REPX_STEP_FDS") && !getenv("SLURM_REPX_STEP_COMMAND"));
    read_state(&h);
    first = log_start(&h);
    if (strcmp(how, "killed") == 0 || (strcmp(how, "killed-once") == 0 && first))
        raise(SIGKILL);
    if (strcmp(how, "silent") == 0)
        return 3;
    if (strcmp(how, "fail") == 0) {
        a.error = strdup("the image\nis bad");
        a.exit_code = 42;
        answer(&h, HANDOFF_FAILED, &a);
        return 125;
    }
    if (strcmp(how, "sandbox") == 0)
        sandbox(&a);
    else if (strcmp(how, "wait") == 0)
        wait_for_go();
    if (getenv("FAKE_STEP_SET"))
        strv_add(&a.env_set, getenv("FAKE_STEP_SET"));
    if (getenv("FAKE_STEP_CWD"))
        a.cwd = strdup(getenv("FAKE_STEP_CWD"));
    answer(&h, HANDOFF_READY, &a);
    handoff_answer_release(&a);
    handoff_release(&h);
    return 0;
}
