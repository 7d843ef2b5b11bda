"""cluster: Slurm nodes that start an image cold at the same moment, from a shared file system.

scripts/slurm-sandbox gives each node a node-local disk of its own. All of them are on this
machine, so the time says how little nodes wait for each other and not what a cluster would
take; the bytes that each launch reads (image, programs, libraries) are what a file server
would have to send.
"""
import os
import shutil

from .place import Absent, BenchError
from .runner import Row, Section, settle

NODES = {"full": (1, 8, 32), "small": (1, 2)}


def memory_available():
    with open("/proc/meminfo") as f:
        return 1024 * next(int(line.split()[1]) for line in f if line.startswith("MemAvailable:"))


def on_disk(image):
    """Of the extracted image, in pages."""
    return image.expected.size + 4096 * image.expected.files


class Sandbox:
    def __init__(self, bench, nodes, each, plugstack=None):
        """On each node's disk there will be so many bytes."""
        self.place, self.nodes = bench.place, nodes
        if os.geteuid() != 0:
            raise Absent("scripts/slurm-sandbox needs root")
        for tool, package in (("slurmctld", "slurmctld"), ("slurmd", "slurmd"),
                              ("srun", "slurm-client"), ("munged", "munge")):
            self.place.tool(tool, package)
        if nodes * each > memory_available():  # the node-local disks are in memory
            raise Absent("%d nodes need %.0f GB of memory" % (nodes, nodes * each / 1e9))
        self.script = os.path.join(self.place.source, "scripts", "slurm-sandbox")
        self.dir = self.place.short()
        self.place.at_end(self.down)
        self.place.run([self.script, "up", "--nodes", str(nodes), "--cpus", "2", "--dir", self.dir,
                        "--local-size", "%dk" % (each // 512 + 65536), "--watch",
                        str(os.getpid())] + (["--plugstack", plugstack] if plugstack else []))

    def down(self):
        if os.path.isdir(os.path.join(self.dir, "run")):
            self.place.run([self.script, "down", "--dir", self.dir])

    def shared(self, path, name):
        """A copy in the directory that all nodes share."""
        target = os.path.join(self.dir, "shared", name)
        if os.path.isdir(path):
            shutil.copytree(path, target)
        else:
            shutil.copy(path, target)
        os.chmod(target, 0o755)
        return target

    def on_all(self, command, text):
        """One task a node with this standard input; their output."""
        # as root, for only root may ask what a process that has ended had read
        return self.place.run(self.as_user(self.srun("--input=all", *command), "root"), input=text)

    def srun(self, *arguments):
        return [self.place.tool("srun"), "-N", str(self.nodes), "--ntasks-per-node=1", *arguments]

    def as_user(self, command, user=None):
        return [self.script, "exec", "--dir", self.dir] + (["--user", user] if user else []) + \
            ["--"] + command


def cold_once(sandbox, image, program):
    """(seconds until the slowest node has started its command, bytes read a node)."""
    sandbox.on_all(["/bin/rm", "-rf", os.path.join(sandbox.dir, "local", "cold")], b"")
    argv = [program["repx-launch"], "exec", "--quiet", "--node-local-path",
            os.path.join(sandbox.dir, "local", "cold"), "--image", image, "--mount-path",
            program["bench-nothing"] + ":/tmp/nothing:ro", "--", "/tmp/nothing"]
    text = b"".join(os.fsencode(a) + b"\0" for a in argv) + b"\0"
    out = sandbox.on_all([program["bench-timer"]], text)
    rows = [line.split() for line in out.splitlines()]
    if len(rows) != sandbox.nodes or any(r[1] != "0" for r in rows):
        raise BenchError("%d of %d nodes started" % (len([r for r in rows if r[1] == "0"]),
                                                     sandbox.nodes))
    return max(int(r[0]) for r in rows) / 1e9, sum(int(r[5]) for r in rows) / len(rows)


def measure_nodes(bench, row, nodes, image):
    sandbox = Sandbox(bench, nodes, on_disk(image))
    try:
        shared = sandbox.shared(image.docker_dir("none"), "image")
        program = {name: sandbox.shared(bench.place.built(path), name) for name, path in
                   (("repx-launch", "src/repx-launch"),
                    ("repx-sandbox-init", "src/repx-sandbox-init"),
                    ("bench-nothing", "tests/bench-nothing"),
                    ("bench-timer", "tests/bench-timer"))}
        for _ in range(bench.rounds):
            settle(bench.place)
            seconds, read = cold_once(sandbox, shared, program)
            row.samples.append(seconds)
            if read <= 0:
                raise BenchError("what was read could not be counted")
            row.values.setdefault("read_mb_per_node", []).append(read / 1e6)
    finally:
        sandbox.down()


def sections(bench):
    if not bench.selected("cluster/cold"):
        return
    image = bench.images.get("repx")
    counts = NODES[bench.size]
    section = Section("cluster/cold", "Slurm nodes that start an image cold at once (image: %.0f MB)"
                      % (image.expected.size / 1e6), "repx-launch, 1 node")
    for nodes in counts:
        row = Row("repx-launch, %d node%s" % (nodes, "s" * (nodes > 1)))
        try:
            measure_nodes(bench, row, nodes, image)
        except Absent as e:
            section.absent.append((row.name, str(e)))
            continue
        except BenchError as e:
            row.failed = str(e)
        section.rows.append(row)
        if row.values:
            row.note = "%.0f MB read a node" % row.values["read_mb_per_node"][0]
    yield section
