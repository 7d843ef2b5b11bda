#!/usr/bin/env python3
"""step_host: stands in for slurmstepd, the plugin and the join program, so that
`repx-launch step` can be tested without Slurm. Knows the hand-off file by its
description (src/request/handoff.h), not by our code.

  step_host.py [OPTIONS] LAUNCHER [--image=X and other options of the step]...

Prints the answer as JSON. With --join CMD, given once or more, each command then runs in
the sandbox (/bin/sh -c), one after the other, and its output comes behind the JSON; with
--run CMD a command of the host runs while the step's queue is there.
"""
import argparse
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys

TAGS = {1: "launcher", 2: "config", 3: "node", 4: "batch_script", 5: "option", 6: "job_id",
        7: "step_id", 8: "node_id", 9: "n_nodes", 10: "n_tasks", 11: "local_tasks", 12: "gpus",
        100: "isolated", 101: "namespace", 102: "env", 103: "pass", 104: "env_set",
        105: "cwd", 106: "cwd_fallback", 107: "cwd_tell", 108: "error", 109: "exit_code"}
NUMBERS = {"job_id", "step_id", "node_id", "n_nodes", "n_tasks", "local_tasks", "isolated",
           "namespace", "cwd_tell", "exit_code"}
LISTS = {"option", "namespace", "env", "pass", "env_set"}
HEAD = struct.Struct("8sIIII8x")
PHASES = {1: "new", 2: "ready", 3: "failed"}
LIBC = ctypes.CDLL(None, use_errno=True)


def record(name, value):
    tag = next(t for t, n in TAGS.items() if n == name)
    data = struct.pack("I", value) if name in NUMBERS else os.fsencode(value) + b"\0"
    return struct.pack("II", tag, len(data)) + data


def encode(args):
    request = record("launcher", args.launcher) + record("node", args.node)
    for name in ("config", "batch_script", "gpus"):
        if getattr(args, name, None):
            request += record(name, getattr(args, name))
    for option in args.options:
        request += record("option", option)
    for name in ("job_id", "step_id", "node_id", "n_nodes", "n_tasks", "local_tasks"):
        request += record(name, getattr(args, name))
    return HEAD.pack(b"repx-stp", 1, args.phase, len(request), 0) + request


def decode(data):
    magic, version, phase, request, answer = HEAD.unpack_from(data)
    assert (magic, version) == (b"repx-stp", 1)
    result = {"phase": PHASES[phase]}
    at, end = HEAD.size + request, HEAD.size + request + answer
    while at < end:
        tag, length = struct.unpack_from("II", data, at)
        value = data[at + 8:at + 8 + length]
        name = TAGS[tag]
        value = struct.unpack("I", value)[0] if name in NUMBERS else os.fsdecode(value[:-1])
        if name in LISTS:
            result.setdefault(name, []).append(value)
        else:
            result[name] = value
        at += 8 + length
    return result


def peek(queue):
    """The descriptors of the message that nobody takes out."""
    try:
        _, ancillary, _, _ = queue.recvmsg(8, socket.CMSG_SPACE(16 * 4),
                                           socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return []
    return [fd for _, _, data in ancillary
            for fd in struct.unpack("%di" % (len(data) // 4), data)]


def run_launcher(args, state, hold, send, queue):
    """With the descriptors 3 to 6, as the join program leaves them."""
    own = os.open("/proc/self/fd/%d" % state, os.O_RDWR)
    fcntl.lockf(own, fcntl.LOCK_EX)

    def descriptors():
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64)
                for fd in (own, hold, send.fileno(), queue.fileno())]
        for number, fd in enumerate(high, 3):
            os.dup2(fd, number)
            os.set_inheritable(number, True)
            os.close(fd)
        os.setsid()
    return subprocess.Popen([args.launcher, "step"], close_fds=False, preexec_fn=descriptors,
                            stdin=subprocess.DEVNULL)


def join(answer, queue, script):
    """A task: enters the namespaces and runs the script; shares nothing with others."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        for fd, kind in zip(peek(queue), answer["namespace"]):
            if LIBC.setns(fd, kind) != 0:
                print("setns %#x: %s" % (kind, os.strerror(ctypes.get_errno())), flush=True)
                os._exit(99)
        os.closerange(3, 256)
        os.execve("/bin/sh", ["sh", "-c", script], dict(e.split("=", 1) for e in answer["env"]))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("job-id", 7), ("step-id", 0), ("node-id", 0), ("n-nodes", 1),
                          ("n-tasks", 1), ("local-tasks", 1), ("phase", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--node", default="n1")
    parser.add_argument("--config", help="the site file that the plugin names")
    parser.add_argument("--batch-script")
    parser.add_argument("--step-gpus", dest="gpus", help="what the step has of them on this node")
    parser.add_argument("--join", action="append", default=[])
    parser.add_argument("--run", help="a command of the host, before the others")
    parser.add_argument("--stale", action="store_true", help="a dead maker's message")
    parser.add_argument("--tasks-gone", action="store_true", help="nobody waits any more")
    parser.add_argument("--broken", action="store_true", help="a hand-off file that is none")
    parser.add_argument("launcher")
    args, args.options = parser.parse_known_args()

    state = os.memfd_create("repx-step")
    os.write(state, b"nonsense" if args.broken else encode(args))
    hold, waiting = os.pipe()
    send, queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if args.stale:
        socket.send_fds(send, [bytes(8)], [0, 1, 2])
    if args.tasks_gone:
        os.close(waiting)
    launcher = run_launcher(args, state, hold, send, queue)
    status = launcher.wait()
    data = os.pread(state, os.fstat(state).st_size, 0)
    answer = {} if args.broken else decode(data)
    answer["status"] = status
    answer["descriptors"] = len(peek(queue))
    print(json.dumps(answer), flush=True)
    codes = [subprocess.call(args.run, shell=True)] if args.run else []
    codes += [join(answer, queue, script) for script in args.join]
    sys.exit(next((code for code in codes if code), 0))


if __name__ == "__main__":
    main()
