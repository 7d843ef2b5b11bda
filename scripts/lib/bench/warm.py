"""warm: a command starts in an image that is already there. The reference is bare bwrap: the
namespaces and mounts of a launch, the root as one bind, nothing around it.

The command is tests/bench/nothing.c, static, so that no library is loaded. Before anything is
timed each contender has to print a file that only the image has.
"""
import json
import os
import resource
import subprocess

from . import labs
from .place import Absent, BenchError
from .runner import Contender, Section, measure_starts

PROGRAM = "/bin/nothing"
MARKER = "/etc/bench-marker"


class Start(Contender):
    """program(...) is the argument vector that runs a command inside."""
    ours = False

    def __init__(self, bench, image, store):
        self.bench, self.place, self.image, self.store = bench, bench.place, image, store
        self.root = os.path.join(image.path, "tree")
        self.setup()
        self.check()

    def setup(self):
        """Programs; raises Absent."""

    def program(self, *command):
        raise NotImplementedError

    def command(self):
        return self.program(PROGRAM)

    def check(self):
        done = subprocess.run(self.program(PROGRAM, "--print", MARKER), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode == 0 and done.stdout == b"inside\n":
            return
        said = done.stderr.decode(errors="replace").strip().splitlines()
        text = "does not start here: %s" % (said[-1] if said else "no message")
        raise BenchError("%s %s" % (self.name, text)) if self.ours else Absent(text)


class ForkExec(Start):
    name = "fork-exec"
    note = "no sandbox at all"

    def program(self, *command):
        return [self.root + command[0]] + [self.root + c if c == MARKER else c
                                           for c in command[1:]]


class Unshare(Start):
    name = "unshare"
    note = "namespaces and chroot, no mounts"

    def setup(self):
        self.tool = self.place.tool("unshare", "util-linux")

    def program(self, *command):
        return [self.tool, "--user", "--map-root-user", "--mount", "--pid", "--fork", "--ipc",
                "--uts", "--net", "--cgroup", "--root", self.root] + list(command)


class Bwrap(Start):
    name = "bwrap"
    note = "same namespaces, one root bind"

    def setup(self):
        self.tool = self.place.tool("bwrap", "bubblewrap")

    def program(self, *command):
        return [self.tool, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--ro-bind",
                self.root, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"] + \
            list(command)


class Exec(Start):
    name = "repx-launch exec"
    ours = True

    def setup(self):
        self.tool = self.place.built("src/repx-launch")

    def program(self, *command):
        return [self.tool, "exec", "--quiet", "--node-local-path", self.store, "--image",
                self.image.docker_dir("none"), "--"] + list(command)


def own_node(bench, name):
    """Two builds on one node-local path would each ask again what a trial has answered: an
    answer is of one launcher."""
    return bench.place.fresh("node-of-" + name)


class OtherExec(Exec):
    def __init__(self, bench, image, store, name, build):
        self.name, self.build = name + " exec", build
        super().__init__(bench, image, own_node(bench, name))

    def setup(self):
        self.tool = os.path.join(self.build, "src/repx-launch")


class ExecNative(Exec):
    name = "repx-launch exec --native"
    note = "no sandbox: over fork-exec"

    def program(self, *command):
        inside = [self.root + c if c in (PROGRAM, MARKER) else c for c in command]
        return [self.tool, "exec", "--quiet", "--native", "--node-local-path", self.store,
                "--image", self.image.docker_dir("none"), "--"] + inside


class ChRun(Start):
    name = "ch-run"

    def setup(self):
        self.tool = self.place.tool("ch-run", "charliecloud")

    def program(self, *command):
        return [self.tool, self.root, "--"] + list(command)


class PodmanRun(Start):
    name = "podman run"
    turns_max = 10

    def setup(self):
        self.tool = self.place.tool("podman")
        short = self.place.short()
        self.base = [self.tool, "--root", os.path.join(self.place.path("podman"), "root"),
                     "--runroot", short, "--cgroup-manager", "cgroupfs", "--storage-driver",
                     "overlay"]
        self.place.run(self.base + ["load", "--quiet", "--input", self.image.archive("none")])
        self.place.at_end(self.take_down)

    def take_down(self):
        self.place.run(self.base + ["system", "reset", "--force"])

    def program(self, *command):
        files, processes = [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE,
                                                                    resource.RLIMIT_NPROC)]
        return self.base + ["run", "--rm", "--read-only", "--network", "none", "--cgroups",
                            "disabled", "--ulimit", "nofile=%d:%d" % files, "--ulimit",
                            "nproc=%d:%d" % processes, "--runtime", "crun",
                            self.image.tag("none")] + list(command)


class DockerRun(Start):
    name = "docker run"
    turns_max = 10

    def setup(self):
        self.docker = self.bench.docker
        self.docker.start()
        self.place.run(self.docker.call("load", "--quiet", "--input", self.image.archive("none")))

    def program(self, *command):
        return self.docker.call("run", "--rm", "--read-only", "--network", "none",
                                self.image.tag("none"), *command)


class Run(Contender):
    """`repx-launch run JOB`: with files, markers, log and record around the command."""

    def __init__(self, bench, name, options, base, lab, job, runtime="bwrap", build=None):
        self.bench, self.name, self.base, self.job = bench, name, base, job
        self.runtime = runtime
        tool = os.path.join(build, "src/repx-launch") if build else \
            bench.place.built("src/repx-launch")
        self.argv = [tool, "run", "--quiet", "--lab", lab, "--base-path", base] + options + [job]
        self.check()

    def command(self):
        return self.argv

    def check(self):
        repx = os.path.join(self.base, "outputs", self.job, "repx")
        self.bench.place.run(self.argv)
        if not os.path.exists(os.path.join(repx, "SUCCESS")):
            raise BenchError("%s has no SUCCESS" % self.job)
        with open(os.path.join(repx, "launch.json")) as f:
            used = json.load(f)["runtime"]["name"]
        if used != self.runtime:
            raise BenchError("%s ran with %s, not with %s" % (self.job, used, self.runtime))


CONTENDERS = [ForkExec, Unshare, Bwrap, Exec, ExecNative, ChRun, PodmanRun, DockerRun]


def start_contenders(bench, image, store, section, classes):
    out = []
    for cls in classes:
        if not bench.wants(cls.name, cls.name == section.reference):
            continue
        try:
            out.append(cls(bench, image, store))
        except Absent as e:
            section.absent.append((cls.name, str(e)))
    return out


def section_exec(bench, image, store):
    section = Section("warm/exec", "Warm start of a command", "bwrap", "ms")
    found = start_contenders(bench, image, store, section, CONTENDERS)
    for name, build in bench.others:
        found.append(OtherExec(bench, image, store, name, build))
    return measure_starts(bench.place, section, found, bench.starts)


def section_run(bench, image, store):
    section = Section("warm/run", "Warm start of a job of a lab", "bwrap", "ms")
    found = start_contenders(bench, image, store, section, [ForkExec, Bwrap])
    lab = labs.with_inputs(bench.place, "run-lab", [0])
    base = bench.place.fresh("run-store")
    job = lab.jobs[0]
    lab.give_inputs(base)
    lab.ripen(bench.size)
    for name, options, runtime in [("repx-launch run", [], "bwrap"),
                                   ("repx-launch run --native", ["--native"], "native")]:
        found.append(Run(bench, name, options, base, lab.path, job, runtime))
    for name, build in bench.others:
        found.append(Run(bench, name + " run", ["--node-local-path", own_node(bench, name)], base,
                         lab.path, job, build=build))
    return measure_starts(bench.place, section, found, bench.starts)


def section_inputs(bench, image, store):
    """How the number of a job's inputs acts on its start."""
    section = Section("warm/inputs", "Warm start of a job with many inputs",
                      "repx-launch run, 0 inputs", "ms")
    lab = labs.with_inputs(bench.place, "inputs-lab", [0, 20, 200])
    base = bench.place.fresh("inputs-store")
    lab.give_inputs(base)
    lab.ripen(bench.size)
    found = [Run(bench, "repx-launch run, %d inputs" % n, [], base, lab.path, job)
             for n, job in zip([0, 20, 200], lab.jobs)]
    for name, build in bench.others:
        node = ["--node-local-path", own_node(bench, name)]
        found += [Run(bench, "%s run, %d inputs" % (name, n), node, base, lab.path, job, build=build)
                  for n, job in zip([0, 20, 200], lab.jobs)]
    return measure_starts(bench.place, section, found, bench.starts)


def sections(bench):
    wanted = [(key, make) for key, make in [("warm/exec", section_exec), ("warm/run", section_run),
                                            ("warm/inputs", section_inputs)]
              if bench.selected(key)]
    if not wanted:
        return
    image = bench.images.get("start")
    store = bench.place.fresh("warm-store")
    for _, make in wanted:
        yield make(bench, image, store)
