/* handoff: what travels between the plugin in slurmstepd, the join program that each
 * task of a step executes first, and `repx-launch step`, which makes the one sandbox of
 * a node and step. base/ only, no file is touched here: the text of the memory file
 * "repx-step" is encoded into a buffer and decoded from bytes, every length checked, as
 * the user's own processes may have written to it.
 *
 * The memory file: a head, the plugin's request, then the launcher's answer. The plugin
 * writes head and request before the tasks exist. Everything later is written by who
 * holds an exclusive OFD lock (F_OFD_SETLKW, whole file) on a description of its own of
 * this file (opened anew through /proc/self/fd/N; the inherited descriptions are all
 * one): the first join program takes the lock, finds HANDOFF_NEW, and runs the launcher
 * with that description inherited, so that the lock lives as long as either of them.
 * The launcher writes the answer behind the request, then the head with the new phase.
 * Whoever gets the lock and finds HANDOFF_NEW is the next maker: the last one died.
 *
 * Namespaces do not live in a process but in the socket pair: the launcher sends one
 * message of HANDOFF_MESSAGE bytes with SCM_RIGHTS: the namespaces in the order in
 * which they are to be entered, then descriptors that only have to live as long as the
 * step: the image's use lock and the like (HANDOFF_DESCRIPTORS at most in all). Nobody
 * receives it; the join programs look with MSG_PEEK, which gives each its own
 * descriptors, and the kernel drops the message, namespaces and locks when slurmstepd
 * and the tasks are gone. A maker empties the queue before it sends, so there is at
 * most one message. Without namespaces and locks there is none.
 *
 * repx-launch step is executed with these descriptors (HANDOFF_FD_*), argv
 * {"repx-launch", "step"}, the environment and working directory of the task, as a
 * child of the join program in a session of its own. It leaves no process behind, so it
 * is waited for like any child; when the join program is killed meanwhile it goes on
 * for the other tasks. When it is asked to stop by a signal, or no task is left (end of
 * file of the hold pipe), it ends without an answer.
 */
#ifndef REPX_REQUEST_HANDOFF_H
#define REPX_REQUEST_HANDOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct buf;
struct error;

/* The descriptors of `repx-launch step`. */
enum {
    HANDOFF_FD_STATE = 3, /* the memory file, the maker's locked description, O_RDWR */
    HANDOFF_FD_HOLD = 4,  /* read end of a pipe: end of file when all tasks have
                           * executed their command or died; then work stops */
    HANDOFF_FD_SEND = 5,  /* socket pair: write here ... */
    HANDOFF_FD_QUEUE = 6, /* ... and it is kept there */
};

enum handoff_phase {
    HANDOFF_NEW = 1,
    HANDOFF_READY = 2,
    HANDOFF_FAILED = 3,
};

#define HANDOFF_HEAD 32        /* bytes of the head */
#define HANDOFF_MAX (4u << 20) /* bytes of the whole file */
#define HANDOFF_NAMESPACES 8   /* at most */
#define HANDOFF_DESCRIPTORS 16
#define HANDOFF_MESSAGE 8 /* payload of the message in the socket pair, zeros */
#define HANDOFF_NO_STEP UINT32_MAX /* a number that Slurm did not tell */

/* By the plugin. All of it is owned by the struct. */
struct handoff_request {
    char *launcher;     /* repx-launch, absolute, trusted */
    char *config;       /* config= of plugstack.conf; NULL: the built-in site file */
    char *node;         /* Slurm's name of this node, for messages */
    char *batch_script; /* the spool script that has to be visible; NULL: none */
    char *gpus; /* SLURM_STEP_GPUS of the node's part of the step, before Slurm makes it
                 * each task's own (--gpus-per-task); NULL: not set */
    struct strv options; /* "--image=X", as request_to_argv writes them */
    uint32_t job_id, step_id, node_id, n_nodes, n_tasks, local_tasks;
};

/* By the launcher. */
struct handoff_answer {
    /* READY: how a task becomes a task of the sandbox. */
    bool isolated; /* false: natively; the environment is kept and env is set in it */
    uint32_t namespaces[HANDOFF_NAMESPACES]; /* CLONE_NEW*, in the order of setns */
    uint32_t n_namespaces;
    /* The task's environment: env, then what of its own matches pass ("NAME" or
     * "PREFIX*"; never PATH and HOME), then TERM of its own when stdin is a terminal,
     * then env_set ("NAME=VALUE"; a bare "NAME" takes the task's own value, if it has
     * one), then PWD. */
    struct strv env, pass, env_set;
    char *cwd;          /* must be entered; NULL: the task's own where it is visible, */
    char *cwd_fallback; /* else this one (absolute; never NULL when cwd is) */
    bool cwd_tell;      /* the first task says that its directory is not visible */
    /* FAILED: the sentence for the user, without a prefix, and the exit code. The join
     * program that ran the launcher prints it ("repx: NODE: ..."), the others only
     * exit; the launcher itself is silent about it. */
    char *error;
    uint32_t exit_code;
};

struct handoff {
    enum handoff_phase phase;
    size_t answer_at; /* where in the file the answer is or has to be */
    struct handoff_request request;
    struct handoff_answer answer; /* READY and FAILED only */
};

#define HANDOFF_REQUEST_INIT                                                           \
    {                                                                                  \
        0                                                                              \
    }
#define HANDOFF_ANSWER_INIT                                                            \
    {                                                                                  \
        0                                                                              \
    }
#define HANDOFF_INIT                                                                   \
    {                                                                                  \
        0                                                                              \
    }

void handoff_request_release(struct handoff_request *r);
void handoff_answer_release(struct handoff_answer *a);
void handoff_release(struct handoff *h);

/* Appends the whole new file: head with HANDOFF_NEW, and the request. -1: a mandatory
 * string is missing, too large, or out of memory. */
int handoff_encode_request(const struct handoff_request *r, struct buf *out,
                           struct error *err);

/* Appends the bytes for answer_at of h's file to answer and puts the head for offset 0,
 * to be written after them, into head. phase: READY or FAILED. */
int handoff_encode_answer(const struct handoff *h, enum handoff_phase phase,
                          const struct handoff_answer *a, struct buf *answer,
                          unsigned char head[HANDOFF_HEAD], struct error *err);

/* Reads a whole file into an empty struct. -1: it is not one, another version's, or
 * broken; nothing of it is kept. */
int handoff_decode(const void *data, size_t len, struct handoff *out,
                   struct error *err);

/* In the answer's env: the numbers of the GPU device files that the sandbox has, in the
 * order in which they are counted inside. A task's CUDA_VISIBLE_DEVICES and its like,
 * which name device files, are counted anew by it; the task does not get it. */
#define HANDOFF_GPUS_VARIABLE "REPX_STEP_GPUS"

/* A task's complete environment (struct handoff_answer) from its own; terminal: stdin
 * is one; cwd: where it will start, NULL unknown. Appended to out. */
int handoff_environment(const struct handoff_answer *a, char *const *own, bool terminal,
                        const char *cwd, struct strv *out, struct error *err);

#endif
