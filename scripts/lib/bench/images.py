"""images: the benchmark's images, in every form that a contender takes.

  debian   a Debian root of some 15,000 files in 3 layers, the first of them with 80 % of
           the files (debootstrap; without network or root a synthetic one of its shape)
  repx     80 layers of disjoint, read-only /nix/store paths
  big      3 layers of a few big files
  start    a root with one static program, for the warm starts
  stage    that root and a quarter of repx: many nodes have it in memory at once

An image is DIR/NAME/ with `list` (for fsfill), `about.json`, `tree/`, and for each
compression the docker-archive as a directory, as a RepX lab has it; archives, OCI layouts,
flat tars and squashfs are made when a contender asks for them.
"""
import hashlib
import json
import os
import shutil
import subprocess
import tarfile

from . import content, trees
from .place import Absent, BenchError, remove_tree, say

NAMES = ["debian", "repx", "big"]
COMPRESSIONS = ["none", "gzip", "zstd"]
COMPRESS = {"gzip": ["gzip", "-6", "-n", "-c"], "zstd": ["zstd", "-q", "-3", "-c"]}
PACKAGES = "python3,perl,git,vim,less,openssh-client,rsync,gawk,python3-pip,python3-venv"
NOT_IMAGE = ["dev", "proc", "sys", "var/cache", "var/lib/apt/lists"]
FORMAT = 2  # of this directory; another number makes the images again


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def compress(method, source, target):
    with open(source, "rb") as i, open(target, "wb") as o:
        subprocess.run(COMPRESS[method], stdin=i, stdout=o, check=True)


class Images:
    """Makes what is missing below a directory; one that is kept serves many runs."""

    def __init__(self, place, top, size):
        self.place, self.top, self.size = place, top, size
        self.names, self.compressions = NAMES, COMPRESSIONS
        self.got = {}
        os.makedirs(top, exist_ok=True)

    def get(self, name):
        path = os.path.join(self.top, "%s-%s-v%d" % (name, self.size, FORMAT))
        if not os.path.isdir(path):
            say("making image %s (%s)" % (name, self.size))
            new = path + ".new"
            remove_tree(new)
            os.makedirs(new)
            Builder(self.place, name, self.size, new).build()
            os.rename(new, path)
        return self.got.setdefault(name, Image(self.place, name, path))

    def used(self):
        """What was measured: name -> where it came from."""
        return {name: image.about["origin"] for name, image in sorted(self.got.items())}


class Builder:
    def __init__(self, place, name, size, path):
        self.place, self.name, self.size, self.path = place, name, size, path
        self.tree = os.path.join(path, "tree")
        self.origin = "synthetic"

    def build(self):
        os.mkdir(self.tree)
        layers = getattr(self, self.name)()
        trees.write_list(self.tree, os.path.join(self.path, "list"))
        total = trees.count(self.tree)
        tars = self.write_layers(layers)
        for method in COMPRESSIONS:
            self.write_docker(tars, method)
        write(os.path.join(self.path, "about.json"),
              compact({"name": self.name, "origin": self.origin, "layers": len(tars),
                       "files": total.files, "bytes": total.size}))

    def debian(self):
        try:
            if self.size != "full" or os.geteuid() != 0:
                raise Absent("a synthetic one is asked for")
            tool = self.place.tool("debootstrap")
            self.place.run([tool, "--variant=minbase", "--include=" + PACKAGES, "bookworm",
                            self.tree])
            for name in NOT_IMAGE:
                remove_tree(os.path.join(self.tree, name))
            self.origin = "debootstrap"
        except (Absent, BenchError) as e:
            say("debian: synthetic (%s)" % e)
            remove_tree(self.tree)
            os.mkdir(self.tree)
            content.synthetic_debian(self.tree, self.size)
        names = [n for n in trees.walk(self.tree)]
        cuts = [0, len(names) * 80 // 100, len(names) * 95 // 100, len(names)]
        return [names[a:b] for a, b in zip(cuts, cuts[1:])]

    def groups(self, maker):
        groups = maker(self.tree, self.size)
        out = []
        for tops in groups:
            names = []
            for top in tops:
                names.append(top)
                names += [os.path.join(top, n) for n in trees.walk(os.path.join(self.tree, top))]
            out.append(names)
        return out

    def repx(self):
        return self.groups(content.repx)

    def big(self):
        return self.groups(content.big)

    def stage(self):
        return [self.root("stamp")] + self.groups(lambda top, size: content.repx(top, size, 4))

    def start(self):
        return [self.root("nothing")]

    def root(self, program):
        """The directories that every root has, and one program of tests/bench."""
        for name in ["bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr",
                     "usr/bin", "var"]:
            os.mkdir(os.path.join(self.tree, name))
        shutil.copy(self.place.built("tests/bench-" + program),
                    os.path.join(self.tree, "bin", program))
        for name, text in [("bench-marker", "inside\n"), ("passwd", "root:x:0:0::/root:/bin/sh\n"),
                           ("group", "root:x:0:\n"), ("hosts", ""), ("resolv.conf", "")]:
            write(os.path.join(self.tree, "etc", name), text.encode())
        return trees.walk(self.tree)

    def write_layers(self, layers):
        """One tar for each list of names, with the directories above them."""
        out = []
        os.mkdir(os.path.join(self.path, "layers"))
        for i, names in enumerate(layers):
            path = os.path.join(self.path, "layers", "%d.tar" % i)
            with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as t:
                done = set()
                for name in names:
                    for parent in parents(name):
                        if parent not in done:
                            self.add(t, parent)
                            done.add(parent)
                    if name not in done:
                        self.add(t, name)
                        done.add(name)
            out.append(path)
        return out

    def add(self, tar, name):
        path = os.path.join(self.tree, name)
        info = tar.gettarinfo(path, name)
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = 1000000000
        if info.isreg():
            with open(path, "rb") as f:
                tar.addfile(info, f)
        else:
            tar.addfile(info)

    def write_docker(self, tars, method):
        top = os.path.join(self.path, "docker-" + method)
        os.mkdir(top)
        names, diffs = [], []
        for tar in tars:
            diff = sha256(tar)
            diffs.append("sha256:" + diff)
            os.mkdir(os.path.join(top, diff))
            names.append(diff + "/layer.tar")
            if method == "none":
                os.link(tar, os.path.join(top, names[-1]))
            else:
                compress(method, tar, os.path.join(top, names[-1]))
        config = compact({
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine,
                                                                      os.uname().machine),
            "os": "linux", "created": "2001-09-09T01:46:40Z",
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": diffs},
            "history": [{"created": "2001-09-09T01:46:40Z", "created_by": "bench"}] * len(tars)})
        name = hashlib.sha256(config).hexdigest() + ".json"
        write(os.path.join(top, name), config)
        write(os.path.join(top, "manifest.json"),
              compact([{"Config": name, "RepoTags": ["bench/%s:%s" % (self.name, method)],
                        "Layers": names}]))


def parents(name):
    parts = name.split("/")[:-1]
    return ["/".join(parts[:i + 1]) for i in range(len(parts))]


class Image:
    def __init__(self, place, name, path):
        self.place, self.name, self.path = place, name, path
        self.list = os.path.join(path, "list")
        with open(os.path.join(path, "about.json")) as f:
            self.about = json.load(f)
        self.expected = trees.Content(self.about["files"], self.about["bytes"])

    def tag(self, method):
        return "bench/%s:%s" % (self.name, method)

    def docker_dir(self, method):
        return os.path.join(self.path, "docker-" + method)

    def manifest(self, method):
        with open(os.path.join(self.docker_dir(method), "manifest.json")) as f:
            return json.load(f)[0]

    def layers(self, method):
        return [os.path.join(self.docker_dir(method), n) for n in self.manifest(method)["Layers"]]

    def derived(self, name, make):
        """A form that is made once, beside the others."""
        path = os.path.join(self.path, name)
        if not os.path.exists(path):
            remove_tree(path + ".new")
            make(path + ".new")
            os.rename(path + ".new", path)
        return path

    def archive(self, method):
        def make(path):
            with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as t:
                top = self.docker_dir(method)
                for name in sorted(trees.walk(top)):
                    t.add(os.path.join(top, name), name, recursive=False)
        return self.derived("archive-%s.tar" % method, make)

    def flat(self, method):
        """One tar of the whole tree."""
        def make(path):
            with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as t:
                t.add(os.path.join(self.path, "tree"), ".")

        plain = self.derived("flat.tar", make)
        if method == "none":
            return plain
        suffix = {"gzip": ".gz", "zstd": ".zst"}[method]
        return self.derived("flat.tar" + suffix, lambda p: compress(method, plain, p))

    def squashfs(self, method):
        tool = self.place.tool("mksquashfs", "squashfs-tools")
        extra = {"none": ["-noI", "-noD", "-noF", "-noX"], "gzip": ["-comp", "gzip"],
                 "zstd": ["-comp", "zstd"]}[method]
        return self.derived("root-%s.sqfs" % method, lambda p: self.place.run(
            [tool, os.path.join(self.path, "tree"), p, "-no-progress", "-quiet"] + extra))

    def oci(self, method):
        return self.derived("oci-" + method, lambda p: self.write_oci(p, method))

    def write_oci(self, path, method):
        blobs = os.path.join(path, "blobs/sha256")
        os.makedirs(blobs)

        def blob(source, kind):
            digest = sha256(source)
            target = os.path.join(blobs, digest)
            if not os.path.exists(target):
                os.link(source, target)
            return {"mediaType": "application/vnd.oci.image." + kind,
                    "digest": "sha256:" + digest, "size": os.stat(source).st_size}

        suffix = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}[method]
        top = self.docker_dir(method)
        manifest = {"schemaVersion": 2,
                    "config": blob(os.path.join(top, self.manifest(method)["Config"]),
                                   "config.v1+json"),
                    "layers": [blob(p, "layer.v1.tar" + suffix) for p in self.layers(method)]}
        new = os.path.join(path, "manifest")
        write(new, compact(manifest))
        entry = blob(new, "manifest.v1+json")
        os.unlink(new)
        entry["annotations"] = {"org.opencontainers.image.ref.name": "bench"}
        write(os.path.join(path, "index.json"), compact({"schemaVersion": 2, "manifests": [entry]}))
        write(os.path.join(path, "oci-layout"), b'{"imageLayoutVersion":"1.0.0"}')

    def warm(self, *paths):
        """Reads files, so that each contender finds them in the page cache."""
        for top in paths:
            files = [top] if os.path.isfile(top) else \
                [os.path.join(top, n) for n in trees.walk(top)]
            for name in files:
                if os.path.isfile(name):
                    with open(name, "rb") as f:
                        while f.read(1 << 20):
                            pass


def copy_lab_image(image, method, lab):
    """The image as a lab has it, with layers that are links into its store/."""
    top = os.path.join(lab, "images", image.name)
    os.makedirs(top)
    os.makedirs(os.path.join(lab, "store"), exist_ok=True)
    for name in trees.walk(image.docker_dir(method)):
        source, target = os.path.join(image.docker_dir(method), name), os.path.join(top, name)
        if os.path.isdir(source):
            os.mkdir(target)
        elif name.endswith("layer.tar"):
            layer = name.split("/")[0] + "-layer.tar"
            os.link(source, os.path.join(lab, "store", layer))
            os.symlink("../../../store/" + layer, target)
        else:
            shutil.copyfile(source, target)
    return top
