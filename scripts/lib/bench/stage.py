"""cluster/stage: steps of Slurm whose nodes have nothing of the image, read by each node from
the shared file system (--repx-stage=shared) and broadcast to them by srun (bcast).

Where the plugin expects repx-launch stands tests/bench/count.c, which runs it and writes down
what it read: on srun's side, which with bcast reads the image once, and on each node. While
the image is broadcast no node can see it: it lies where the nodes have disks of their own.
So what the nodes read then is their copy, and the shared file system serves srun alone.
"""
import os
import shutil
import time

from . import trees
from .cluster import Sandbox, on_disk
from .place import Absent, BenchError, say
from .runner import Row, Section, settle

NODES = {"full": (8, 32), "small": (2,)}
WAYS = ("shared", "bcast")
PLUGIN = ("spank/repx.so", "src/repx-launch", "src/repx-step-join", "src/repx-sandbox-init",
          "src/repx-job", "tests/bench-count")
PATIENCE = 60  # seconds


def contents(path):
    with open(path, encoding="ascii") as f:
        return f.read()


class Cluster:
    """Nodes with the plugin, and an image that is moved to where it is to be seen."""

    def __init__(self, bench, nodes, image):
        self.bench, self.nodes = bench, nodes
        bench.place.tool("sbcast", "slurm-client")
        if not os.path.exists(os.path.join(bench.place.build, "spank/repx.so")):
            raise Absent("repx.so is not built: Slurm's headers are missing (package libslurm-dev)")
        self.bytes = trees.count(image.docker_dir("none")).size
        self.plugin = bench.place.fresh("plugin")
        plugstack = os.path.join(self.plugin, "plugstack.conf")
        open(plugstack, "w").close()
        # the copy, its layers, and what one layer more needs while it is made
        self.sandbox = Sandbox(bench, nodes, self.bytes + on_disk(image), plugstack)
        self.local = os.path.join(self.sandbox.dir, "local")
        self.seen = os.path.join(self.sandbox.dir, "shared", "image")
        self.hidden = os.path.join(self.local, "image")
        self.stamp = self.sandbox.shared(bench.place.built("tests/bench-stamp"), "stamp")
        self.sandbox.shared(image.docker_dir("none"), "image")
        self.install(plugstack)
        # in the last layer, so that all others are there
        tree = os.path.join(image.path, "tree")
        store = "nix/store/" + image_last(image)
        name = next(n for n in trees.walk(os.path.join(tree, store))
                    if os.path.isfile(os.path.join(tree, store, n)))
        self.file = os.path.join("/", store, name)
        self.file_size = os.stat(tree + self.file).st_size

    def install(self, plugstack):
        for program in PLUGIN:
            shutil.copy(self.bench.place.built(program), self.plugin)
        self.reads = os.path.join(self.plugin, "reads")
        open(self.reads, "w").close()
        os.chmod(self.reads, 0o666)  # tasks are another user's
        config = os.path.join(self.plugin, "repx.ini")
        with open(config, "w", encoding="ascii") as f:
            f.write('[targets.local]\nbase_path = "%s"\nnode_local_path = "%s"\nstage_path = "%s"\n'
                    % (os.path.join(self.sandbox.dir, "shared", "base"),
                       os.path.join(self.local, "store"), self.local))
        with open(plugstack, "w", encoding="ascii") as f:
            f.write("required {0}/repx.so config={1} launcher={0}/bench-count "
                    "join={0}/repx-step-join\n".format(self.plugin, config))

    def on_nodes(self, script):
        return self.sandbox.on_all(["/bin/sh", "-c", script, self.local, self.seen], b"")

    def clear(self):
        """Nothing is on the nodes; what was there is said."""
        out = self.on_nodes('ls -A "$0"; rm -rf "$0"/* && [ -z "$(ls -A "$0")" ]')
        return out.split()

    def show(self, way):
        """The nodes see the image, or they do not: made so, and looked at."""
        here, there = (self.hidden, self.seen) if way == "shared" else (self.seen, self.hidden)
        if os.path.exists(here):
            os.rename(here, there)
        seen = "" if way == "shared" else "! "
        self.on_nodes('[ %s-e "$1/manifest.json" ] && [ ! -e "$0/image" ]' % seen)
        return there

    def step(self, way):
        """(seconds until the slowest node's task runs, what was read) of one cold step."""
        self.clear()
        image = self.show(way)
        os.truncate(self.reads, 0)
        settle(self.bench.place)
        step = self.sandbox.srun("-Q", "--repx-image=" + image, "--repx-stage=" + way,
                                 "/bin/stamp", "--read", self.file)
        out = self.bench.place.run(self.sandbox.as_user([self.stamp] + step))
        begin, *tasks = [line.split() for line in out.splitlines()]
        said = sorted(line[1:] for line in tasks)
        if said != sorted([str(i), str(self.file_size)] for i in range(self.nodes)):
            raise BenchError("not every node's task was in the image: %s" % said)
        seconds = (max(int(line[0]) for line in tasks) - int(begin[0])) / 1e9
        return seconds, self.counted(way)

    def counted(self, way):
        """{command: [(own bytes, all bytes), ...]} once all launchers are written down."""
        wanted = {"step": self.nodes}
        if way == "bcast":
            wanted["broadcast"] = 1
        deadline = time.monotonic() + PATIENCE
        while contents(self.reads).count("\n") < sum(wanted.values()):
            if time.monotonic() > deadline:
                raise BenchError("not all launchers were counted: " + contents(self.reads))
            time.sleep(0.02)
        found = {}
        for line in contents(self.reads).splitlines():
            command, own, whole = line.split()
            found.setdefault(command, []).append((int(own), int(whole)))
        if {k: len(v) for k, v in found.items()} != wanted:
            raise BenchError("other launchers ran than were wanted: %s" % found)
        return found


def image_last(image):
    """The store path that is the last layer."""
    return max(os.listdir(os.path.join(image.path, "tree", "nix", "store")),
               key=lambda name: int(name.rpartition("-")[2].split(".")[0]))


def served(cluster, way, found):
    """(bytes that the shared file system served, bytes that a node read on average)."""
    nodes = [whole for _, whole in found["step"]]
    if min(nodes) < cluster.bytes:
        raise BenchError("a node read %d bytes, the image has %d: not all was counted"
                         % (min(nodes), cluster.bytes))
    if way == "shared":
        return sum(nodes), sum(nodes) / len(nodes)
    # its child is sbcast, and reads the archive that was packed, which is not shared
    own = found["broadcast"][0][0]
    if own < cluster.bytes:
        raise BenchError("srun read %d bytes, the image has %d: not all was counted"
                         % (own, cluster.bytes))
    return own, sum(nodes) / len(nodes)


def measure_rounds(bench, cluster, rows):
    """The two ways take turns."""
    for number in range(bench.rounds):
        say("cluster/stage: %d nodes: round %d of %d" % (cluster.nodes, number + 1, bench.rounds))
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            row = rows[way]
            if row.failed:
                continue
            try:
                seconds, found = cluster.step(way)
                shared, each = served(cluster, way, found)
                left = [n for n in cluster.clear() if n.startswith("repx-stage")]
                if left:
                    raise BenchError("copies stay on nodes: " + " ".join(left))
            except (BenchError, OSError) as e:
                row.failed = str(e)
                say("cluster/stage: %s is out: %s" % (row.name, e))
                continue
            row.samples.append(seconds)
            row.values.setdefault("read_shared_mb", []).append(shared / 1e6)
            row.values.setdefault("read_mb_per_node", []).append(each / 1e6)


def note(way, row):
    shared, each = (row.values[name][0] for name in ("read_shared_mb", "read_mb_per_node"))
    text = "%.1f MB read from the shared file system, " % shared
    if way == "shared":
        return text + "%.1f MB a node" % each
    return text + "by srun; %.1f MB a node from its copy" % each


def measure_nodes(bench, nodes, image, rows):
    cluster = Cluster(bench, nodes, image)
    try:
        measure_rounds(bench, cluster, rows)
    finally:
        cluster.sandbox.down()


def sections(bench):
    if not bench.selected("cluster/stage"):
        return
    image = bench.images.get("stage")
    counts = NODES[bench.size]
    section = Section("cluster/stage", "Slurm steps that start an image cold (image: %.0f MB)"
                      % (image.expected.size / 1e6), "shared, %d nodes" % counts[0])
    for nodes in counts:
        rows = {way: Row("%s, %d nodes" % (way, nodes)) for way in WAYS}
        try:
            measure_nodes(bench, nodes, image, rows)
        except Absent as e:
            section.absent += [(row.name, str(e)) for row in rows.values()]
            continue
        except BenchError as e:
            for row in rows.values():
                row.failed = row.failed or str(e)
        section.rows += rows.values()
        for way, row in rows.items():
            if row.values:
                row.note = note(way, row)
    yield section
