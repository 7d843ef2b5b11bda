"""place: the scratch directory of a run, the programs it uses, and the processes it starts.

Everything is below one directory, which is removed at the end however the run ends; every
process that outlives a call is known by its pid and ended then.
"""
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time


class BenchError(Exception):
    """Said once, as one line, by scripts/bench."""


class Absent(Exception):
    """A contender cannot take part here; the text says why."""


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def remove_tree(path):
    """Like rm -rf; a user's images have directories that not even their owner may write to."""
    if not os.path.lexists(path):
        return
    if os.geteuid() != 0:
        for top, dirs, _ in os.walk(path):
            for name in dirs:
                sub = os.path.join(top, name)
                if not os.path.islink(sub):
                    os.chmod(sub, stat.S_IMODE(os.lstat(sub).st_mode) | 0o700)
    shutil.rmtree(path)


def group(pgid):
    """The living processes of a process group."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name) as f:
                state, _, pgrp = f.read().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == pgid and state not in "ZX":
            found.append(int(name))
    return found


class Place:
    def __init__(self, parent, source, build):
        self.source = source
        self.build = build
        self.cleanups = []
        self.running = []
        self.dir = tempfile.mkdtemp(prefix="repx-bench.", dir=parent)
        os.chmod(self.dir, 0o755)
        self.log = os.path.join(self.dir, "stderr.log")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def fresh(self, *names):
        """An empty directory of this name."""
        path = self.path(*names)
        remove_tree(path)
        os.makedirs(path)
        return path

    def short(self):
        """Another scratch directory, with a path that is short: podman asks for that."""
        path = tempfile.mkdtemp(prefix="rb", dir="/tmp")
        self.at_end(lambda: remove_tree(path))
        return path

    def tool(self, name, package=None):
        """The absolute path of a program; Absent when it is not installed."""
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not found:
            raise Absent("%s is not installed (package %s)" % (name, package or name))
        return os.path.realpath(found) if name == "python3" else found

    def built(self, name):
        path = os.path.join(self.build, name)
        if not os.access(path, os.X_OK):
            raise BenchError("%s is missing: build it first (cmake --build %s)" % (path, self.build))
        return path

    def run(self, argv, **options):
        """Runs a program that is not measured; its output is returned, failure is an error."""
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            # srun says that a task failed after the task has said why
            last = [line for line in said if not line.startswith("srun: ")] or said
            raise BenchError("%s ended with %d: %s" % (" ".join(argv[:3]), done.returncode,
                                                       last[-1] if last else "no message"))
        return done.stdout.decode(errors="replace")

    def start(self, argv, **options):
        """A process that lives until stop() or the end of the run."""
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(argv, start_new_session=True, **options)
        self.running.append(process)
        return process

    def stop(self, process, grace=10):
        """SIGTERM to it and its group, then SIGKILL; returns when none of them is left."""
        if process in self.running:
            self.running.remove(process)
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10)):
            if not group(process.pid):
                break
            os.killpg(process.pid, number)
            deadline = time.monotonic() + patience
            while group(process.pid) and time.monotonic() < deadline:
                process.poll()
                time.sleep(0.02)
        process.wait()

    def at_end(self, function):
        self.cleanups.append(function)

    def time(self, commands, together=False, env=None):
        """Runs argument vectors with bench-timer, one after the other or all at once. A list of
        (seconds, status, max rss in KiB, user s, system s), one for each."""
        argv = [self.built("tests/bench-timer"), "--err", self.log]
        if together:
            argv.append("--together")
        text = b"".join(b"".join(os.fsencode(a) + b"\0" for a in c) + b"\0" for c in commands)
        open(self.log, "w").close()
        timer = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 start_new_session=True, env=env)
        self.running.append(timer)
        try:
            out, _ = timer.communicate(text)
        finally:
            self.stop(timer)
        if timer.returncode != 0:
            raise BenchError("bench-timer ended with %d" % timer.returncode)
        rows = [line.split() for line in out.decode().splitlines()]
        return [(int(r[0]) / 1e9, int(r[1]), int(r[2]), int(r[3]) / 1e6, int(r[4]) / 1e6)
                for r in rows]

    def said(self):
        """The last line that the measured programs wrote to standard error."""
        with open(self.log, errors="replace") as f:
            lines = f.read().strip().splitlines()
        return lines[-1] if lines else "no message"

    def close(self):
        for process in list(self.running):
            self.stop(process)
        for function in reversed(self.cleanups):
            try:
                function()
            except (BenchError, OSError) as e:
                say("cleaning up: %s" % e)
        remove_tree(self.dir)
