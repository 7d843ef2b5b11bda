/* cases: launches as plan_build gets them, shared by the tests of plan/ and of bwrap's
 * options. */
#ifndef REPX_TESTS_PLAN_CASES_H
#define REPX_TESTS_PLAN_CASES_H

#include <string.h>

#include "plan/build.h"

#define CASE_BASE "/data/store"
#define CASE_OUT CASE_BASE "/outputs/abc-sim-1.0/out"

static inline struct strv *case_strv(struct strv *v, char *const *items)
{
    strv_extend(v, items);
    return v;
}

static char *case_argv[] = {(char[]){"/lab/jobs/abc-sim-1.0/bin/sim"},
                            (char[]){CASE_OUT}, (char[]){"in.json"}, NULL};
static char *case_host_env[] = {
    (char[]){"PATH=/opt/host/bin:/usr/bin"}, (char[]){"HOME=/home/alice"},
    (char[]){"TERM=screen-256color"},        (char[]){"SECRET=do not pass"},
    (char[]){"PICKED=from the host"},        NULL};

static const struct plan_bind case_binds[] = {
    {PLAN_MOUNT_BIND_RO, PLAN_ROLE_LAB, "/lab/jobs/abc-sim-1.0",
     "/lab/jobs/abc-sim-1.0"},
    {PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, CASE_BASE "/outputs/def-prep/out",
     CASE_BASE "/outputs/def-prep/out"},
    {PLAN_MOUNT_BIND_RW, PLAN_ROLE_OUT, CASE_OUT, CASE_OUT},
    {PLAN_MOUNT_BIND_RW, PLAN_ROLE_USER, "/scratch/x", "/lib/ext"},
    {PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "/scratch/y", "/lib/ext/inner"},
    {PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "/scratch/z", "/tmp/z"},
};

static inline struct plan_input case_pure(void)
{
    return (struct plan_input){
        .runtime = "bwrap",
        .rootfs = "/node/rootfs/0123/root",
        .image_ref = "sha256:0123",
        .isolated = true,
        .passwd = "alice:x:1000:1000::/tmp:/bin/sh\n",
        .group = "alice:x:1000:\n",
        .host_env = case_host_env,
        .path_prefix = "/lab/host-tools/h/bin",
        .cwd = CASE_OUT,
        .argv = case_argv,
    };
}

static char *case_lower_items[] = {(char[]){"/node/layers/aa/tree"},
                                   (char[]){"/node/layers/bb/tree"}, NULL};
static const struct strv case_lowers = {.items = case_lower_items, .count = 2};
static struct rootview_attr case_attrs[] = {
    {(char[]){"/"}, 0755, 1, 0},
    {(char[]){"/data"}, 0700, 2, 3},
};
static struct rootview_dest case_merged_dests[] = {
    {(char[]){"/lib/ext"}, (char[]){"/usr/lib/ext"}},
};
static const struct rootview case_merged_view = {
    .merged = true,
    .attrs = case_attrs,
    .n_attrs = 2,
    .dests = case_merged_dests,
    .n_dests = 1,
};

/* An image that is left as two layers. */
static inline struct plan_input case_merged(void)
{
    struct plan_input in = case_pure();

    in.rootfs = "/node/rootfs/0123";
    in.lowers = &case_lowers;
    in.view = &case_merged_view;
    in.binds = case_binds;
    in.n_binds = sizeof(case_binds) / sizeof(case_binds[0]);
    return in;
}

/* An image with /etc/passwd, usr-merged /lib, a file where the bind needs a directory
 * (/data), and without /lab. */
static struct rootview_entry case_top[] = {
    {(char[]){"bin"}, ROOTVIEW_SYMLINK, (char[]){"usr/bin"}},
    {(char[]){"data"}, ROOTVIEW_FILE, NULL},
    {(char[]){"dev"}, ROOTVIEW_DIR, NULL},
    {(char[]){"etc"}, ROOTVIEW_DIR, NULL},
    {(char[]){"init"}, ROOTVIEW_FILE, NULL},
    {(char[]){"lib"}, ROOTVIEW_SYMLINK, (char[]){"usr/lib"}},
    {(char[]){"proc"}, ROOTVIEW_DIR, NULL},
    {(char[]){"tmp"}, ROOTVIEW_SYMLINK, (char[]){"/var/tmp"}},
    {(char[]){"usr"}, ROOTVIEW_DIR, NULL},
};
static struct rootview_entry case_etc[] = {
    {(char[]){"passwd"}, ROOTVIEW_FILE, NULL},
    {(char[]){"ssl"}, ROOTVIEW_DIR, NULL},
};
static struct rootview_entry case_usr[] = {
    {(char[]){"bin"}, ROOTVIEW_DIR, NULL},
    {(char[]){"lib"}, ROOTVIEW_DIR, NULL},
};
static struct rootview_entry case_usr_lib[] = {
    {(char[]){"libc.so.6"}, ROOTVIEW_SYMLINK, (char[]){"libc-2.so"}},
    {(char[]){"libc-2.so"}, ROOTVIEW_FILE, NULL},
};
static struct rootview_dir case_dirs[] = {
    {(char[]){"/"}, case_top, 9},
    {(char[]){"/etc"}, case_etc, 2},
    {(char[]){"/usr"}, case_usr, 2},
    {(char[]){"/usr/lib"}, case_usr_lib, 2},
};
static struct rootview_dest case_dests[] = {
    {(char[]){"/etc/passwd"}, (char[]){"/etc/passwd"}},
    {(char[]){"/etc/group"}, (char[]){"/etc/group"}},
    {(char[]){"/lab/jobs/abc-sim-1.0"}, (char[]){"/lab/jobs/abc-sim-1.0"}},
    {(char[]){CASE_BASE "/outputs/def-prep/out"},
     (char[]){CASE_BASE "/outputs/def-prep/out"}},
    {(char[]){CASE_OUT}, (char[]){CASE_OUT}},
    {(char[]){"/lib/ext"}, (char[]){"/usr/lib/ext"}},
};
static const struct rootview case_view = {
    .dirs = case_dirs, .n_dirs = 4, .dests = case_dests, .n_dests = 6};

static inline struct plan_input case_opened(void)
{
    struct plan_input in = case_pure();

    in.view = &case_view;
    in.binds = case_binds;
    in.n_binds = sizeof(case_binds) / sizeof(case_binds[0]);
    return in;
}

static const struct plan_bind case_host_binds[] = {
    {PLAN_MOUNT_SYMLINK, PLAN_ROLE_ROOT, "usr/bin", "/bin"},
    {PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, "/usr", "/usr"},
    {PLAN_MOUNT_BIND_RW, PLAN_ROLE_ROOT, "/home", "/home"},
    {PLAN_MOUNT_DIR, PLAN_ROLE_ROOT, NULL, "/nix/store"},
    {PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, "/node/rootfs/0123/root/nix/store/a-x",
     "/nix/store/a-x"},
};

static inline struct plan_input case_host_root(void)
{
    struct plan_input in = case_pure();

    in.host_root = true;
    in.network_host = true;
    in.passwd = in.group = NULL;
    in.root_binds = case_host_binds;
    in.n_root_binds = sizeof(case_host_binds) / sizeof(case_host_binds[0]);
    in.cwd = NULL;
    return in;
}

static inline struct plan_input case_native(void)
{
    return (struct plan_input){
        .runtime = "native",
        .host_env = case_host_env,
        .path_prefix = "/lab/host-tools/h/bin",
        .argv = case_argv,
    };
}

#endif
