"""cold: an image of the page cache becomes a directory tree. The reference is GNU tar, one
call for each layer, without any digest.

Programs that keep an image in a store of their own (podman, docker) are given theirs; what
counts is how many files and bytes are there afterwards. Nobody waits for the disk.
"""
import os
import time

from . import trees
from .place import Absent, BenchError, remove_tree
from .runner import Contender, Section, measure

TAR_REPX = ["--no-same-owner", "--no-same-permissions", "--mode=0755", "--delay-directory-restore"]


class Cold(Contender):
    compressions = ("none", "gzip", "zstd")

    def __init__(self, place, image, method):
        self.place, self.image, self.method = place, image, method
        self.dir = place.path("turn")
        self.setup()

    def setup(self):
        """Programs and input files; raises Absent."""

    def inputs(self):
        return [self.image.docker_dir(self.method)]

    def fresh(self):
        remove_tree(self.dir)
        os.makedirs(self.dir)
        self.image.warm(*self.inputs())
        return self.dir

    def trees(self):
        return [self.dir]

    def verify(self):
        found = trees.count(*self.trees())
        if found != self.image.expected:
            raise BenchError("left %s, the image has %s" % (found, self.image.expected))

    def after(self):
        remove_tree(self.dir)


class GnuTar(Cold):
    name = "gnu-tar"
    flag = {"none": [], "gzip": ["-z"], "zstd": ["--zstd"]}

    def setup(self):
        self.tar = self.place.tool("tar")

    def commands(self):
        top = self.fresh()
        return [[self.tar] + self.flag[self.method] + ["-xf", layer, "-C", top]
                for layer in self.image.layers(self.method)]


class BsdTar(Cold):
    name = "bsdtar"

    def setup(self):
        self.tar = self.place.tool("bsdtar", "libarchive-tools")

    def commands(self):
        top = self.fresh()
        return [[self.tar, "-xf", layer, "-C", top] for layer in self.image.layers(self.method)]


class RepxProcedure(Cold):
    """What RepX 0.5 runs on a node that has no such image yet, with its own options."""
    name = "repx-procedure"
    note = "rsync to the node, then tar"

    def setup(self):
        self.tar = self.place.tool("tar")
        self.rsync = self.place.tool("rsync")

    def commands(self):
        self.fresh()
        copy, root = os.path.join(self.dir, "image"), os.path.join(self.dir, "rootfs")
        os.mkdir(root)
        top = self.image.docker_dir(self.method)
        tars = [os.path.join(copy, os.path.relpath(p, top)) for p in self.image.layers(self.method)]
        return [[self.rsync, "-rL", "--chmod=u+w", top + "/", copy]] + \
            [[self.tar, "-xf", t, "-C", root] + TAR_REPX for t in tars]

    def trees(self):
        return [os.path.join(self.dir, "rootfs")]


class Launcher(Cold):
    name = "repx-launch"
    note = "digests verified"

    def setup(self):
        self.program = self.place.built("src/repx-launch")

    def commands(self):
        top = self.fresh()
        return [[self.program, "image", "prepare", "--quiet", "--node-local-path", top,
                 self.image.docker_dir(self.method)]]

    def trees(self):
        """What a job gets: one composed tree, or the layers that are mounted over each other."""
        store = os.path.join(self.dir, "repx", "store-v1")
        for kind, name in (("rootfs", "root"), ("layers", "tree")):
            top = os.path.join(store, kind)
            found = [os.path.join(top, n, name) for n in os.listdir(top)]
            found = [path for path in found if os.path.isdir(path)]
            if found:
                return found
        raise BenchError("%s has neither a root filesystem nor layers" % store)


class Other(Launcher):
    """A second build, taking turns with the first."""
    note = ""

    def __init__(self, place, image, method, name, build):
        self.name, self.other = name, build
        super().__init__(place, image, method)

    def setup(self):
        self.program = os.path.join(self.other, "src/repx-launch")


class Limit(Cold):
    """The same files, without an archive: what the file system takes."""
    threads = 1

    def setup(self):
        self.program = self.place.built("tests/bench-fsfill")

    def inputs(self):
        return [self.image.list]

    def commands(self):
        return [[self.program, self.image.list, self.fresh(), str(self.threads)]]


class Limit1(Limit):
    name = "limit-1-thread"
    note = "creates the files, reads nothing"


class Limit2(Limit):
    name = "limit-2-threads"
    note = Limit1.note
    threads = 2


class Unsquashfs(Cold):
    name = "unsquashfs"

    def setup(self):
        self.program = self.place.tool("unsquashfs", "squashfs-tools")
        self.file = self.image.squashfs(self.method)

    def inputs(self):
        return [self.file]

    def commands(self):
        top = self.fresh()
        return [[self.program, "-no-progress", "-quiet", "-dest", os.path.join(top, "root"),
                 self.file]]


class CharliecloudConvert(Cold):
    name = "ch-convert"
    note = "from one flat tar"
    compressions = ("none", "gzip")
    turns_max = 3

    def setup(self):
        self.program = self.place.tool("ch-convert", "charliecloud")
        self.file = self.image.flat(self.method)

    def inputs(self):
        return [self.file]

    def commands(self):
        top = self.fresh()
        return [[self.program, "--no-clobber", "-i", "tar", "-o", "dir", self.file,
                 os.path.join(top, "root")]]

    def verify(self):
        """It adds files and mount points of its own."""
        found = trees.count(*self.trees())
        extra = found.files - self.image.expected.files
        if not 0 <= extra <= 20 or found.size < self.image.expected.size:
            super().verify()


class Umoci(Cold):
    name = "umoci"
    compressions = ("none", "gzip")
    turns_max = 3

    def setup(self):
        self.program = self.place.tool("umoci")
        self.layout = self.image.oci(self.method)

    def inputs(self):
        return [self.layout]

    def commands(self):
        top = self.fresh()
        rootless = [] if os.geteuid() == 0 else ["--rootless"]
        return [[self.program, "unpack"] + rootless +
                ["--image", self.layout + ":bench", os.path.join(top, "bundle")]]

    def trees(self):
        return [os.path.join(self.dir, "bundle", "rootfs")]


class Skopeo(Cold):
    name = "skopeo"
    note = "to an OCI layout: compresses, extracts nothing"
    compressions = ("none",)
    turns_max = 3

    def setup(self):
        self.program = self.place.tool("skopeo")
        self.file = self.image.archive(self.method)

    def inputs(self):
        return [self.file]

    def commands(self):
        top = self.fresh()
        return [[self.program, "copy", "--quiet", "docker-archive:" + self.file,
                 "oci:%s/oci:bench" % top]]

    def verify(self):
        blobs = os.listdir(os.path.join(self.dir, "oci/blobs/sha256"))
        if len(blobs) != len(self.image.layers(self.method)) + 2:
            raise BenchError("left %d blobs" % len(blobs))


class Engine(Cold):
    """A container engine with layers in an overlay store."""
    note = "into its own store"
    compressions = ("none", "gzip")
    turns_max = 3

    def inputs(self):
        return [self.file]

    def layer_dirs(self, top, below):
        return [os.path.join(top, n, below) for n in os.listdir(top)
                if os.path.isdir(os.path.join(top, n, below))]


class PodmanLoad(Engine):
    name = "podman-load"

    def setup(self):
        self.program = self.place.tool("podman")
        self.file = self.image.archive(self.method)
        self.run = self.place.short()

    def call(self, *words):
        return [self.program, "--root", os.path.join(self.dir, "root"), "--runroot", self.run,
                "--storage-driver", "overlay"] + list(words)

    def commands(self):
        self.fresh()
        return [self.call("load", "--quiet", "--input", self.file)]

    def trees(self):
        return self.layer_dirs(os.path.join(self.dir, "root/overlay"), "diff")

    def after(self):
        """podman keeps its own directory mounted; as a user, files may be of other ids."""
        if os.path.isdir(os.path.join(self.dir, "root")):
            self.place.run(self.call("system", "reset", "--force"))
        super().after()


class DockerLoad(Engine):
    name = "docker-load"

    def __init__(self, place, image, method, docker):
        self.docker = docker
        super().__init__(place, image, method)

    def setup(self):
        self.docker.start()
        self.file = self.image.archive(self.method)

    def commands(self):
        self.after()
        self.image.warm(self.file)
        return [self.docker.call("load", "--quiet", "--input", self.file)]

    def trees(self):
        return self.layer_dirs(os.path.join(self.docker.root, "overlay2"), "diff")

    def after(self):
        if self.docker.images():
            self.place.run(self.docker.call("image", "rm", "--force", *self.docker.images()))
        deadline = time.monotonic() + 20
        while trees.count(*self.trees()).files and time.monotonic() < deadline:
            time.sleep(0.05)


CONTENDERS = [GnuTar, BsdTar, RepxProcedure, Launcher, Limit1, Limit2, Unsquashfs,
              CharliecloudConvert, PodmanLoad, Umoci, Skopeo]


def contenders(bench, image, method, section):
    out = []

    def add(make, cls):
        if not bench.wants(cls.name, cls.name == section.reference):
            return
        if method not in cls.compressions:
            return
        try:
            out.append(make())
        except Absent as e:
            section.absent.append((cls.name, str(e)))

    for cls in CONTENDERS:
        add(lambda: cls(bench.place, image, method), cls)
    add(lambda: DockerLoad(bench.place, image, method, bench.docker), DockerLoad)
    for name, build in bench.others:
        out.append(Other(bench.place, image, method, name, build))
    return out


def sections(bench):
    """All that --only leaves, one after the other."""
    for name in bench.images.names:
        for method in bench.images.compressions:
            key = "cold/%s/%s" % (name, method)
            if not bench.selected(key):
                continue
            image = bench.images.get(name)
            section = Section(key, "Cold: %s, %s (%d layers, %s)" % (
                name, "uncompressed" if method == "none" else method, image.about["layers"],
                image.expected), "gnu-tar")
            taking_part = contenders(bench, image, method, section)
            yield measure(bench.place, section, taking_part, bench.rounds)
