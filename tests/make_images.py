#!/usr/bin/env python3
"""make_images.py DIR - one small busybox image in every form that repx-launch reads.

  DIR/docker-dir docker.tar            docker-archive, unpacked and not
  DIR/docker-{gzip,zstd,xz}.tar        with compressed layers
  DIR/oci-dir oci.tar oci-{gzip,zstd}  OCI layouts; oci-dir holds the tags one and two
  DIR/rootfs-dir rootfs.tar{,.gz,.xz,.zst}
  DIR/bare-dir                         /busybox and nothing else
  DIR/odd-dir                          a rootfs for mount points: see odd()
  DIR/merge-dir                        docker-archive whose layers overlay can merge: see merge()

The image has three layers: the second deletes, replaces and links, the third makes a
directory opaque. What the composed tree must be is in the tests.
"""
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile

BUSYBOX = open(shutil.which("busybox") or "/bin/busybox", "rb").read()
APPLETS = "sh cat sed ls echo id env pwd find sort test true kill mkdir sleep stat hostname nc mount wc grep dd touch rm ln chmod ip readlink ps head".split()


def entry(name, content=None, mode=None, link=None, hard=None):
    info = tarfile.TarInfo(name)
    info.mtime = 1000000000
    if link is not None:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, link, 0o777
    elif hard is not None:
        info.type, info.linkname, info.mode = tarfile.LNKTYPE, hard, 0o644
    elif content is None:
        info.type, info.mode = tarfile.DIRTYPE, mode or 0o755
    else:
        info.size, info.mode = len(content), mode or 0o644
    return info, content


def tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for info, content in entries:
            t.addfile(info, io.BytesIO(content) if content is not None else None)
    return out.getvalue()


def layers():
    first = [entry("bin"), entry("bin/busybox", BUSYBOX, 0o755)]
    first += [entry("bin/" + a, link="busybox") for a in APPLETS]
    first += [entry("etc"), entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nimg:x:4242:4242::/:/bin/sh\n"),
              entry("etc/group", b"root:x:0:\n"),
              entry("data"), entry("data/keep", b"keep\n"), entry("data/gone", b"gone\n"),
              entry("data/replaced", b"old\n"), entry("data/dir"), entry("data/dir/a", b"a\n"),
              entry("opaque"), entry("opaque/old", b"old\n"), entry("opaque/olddir"),
              entry("opaque/olddir/x", b"x\n"), entry("was-dir"), entry("was-dir/x", b"x\n"),
              entry("was-file", b"f\n")]
    second = [entry("data/.wh.gone", b""), entry("data/.wh.dir", b""),
              entry("data/replaced", b"new\n"), entry("data/hard1", b"linked\n"),
              entry("data/hard2", hard="data/hard1"), entry("data/soft", link="/data/keep"),
              entry("was-dir", b"now a file\n"), entry("was-file"), entry("was-file/y", b"y\n"),
              entry("run.sh", b"#!/bin/sh\necho ran \"$@\"\n", 0o755), entry("plain", b"text\n", 0o644)]
    third = [entry("opaque"), entry("opaque/.wh..wh..opq", b""), entry("opaque/new", b"new\n")]
    return [tar(first), tar(second), tar(third)]


COMPOSED_ETC = {"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Entrypoint": ["/run.sh"], "Cmd": ["one", "two"], "WorkingDir": "/data"}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def config(parts):
    return compact({"architecture": {"aarch64": "arm64", "x86_64": "amd64"}.get(os.uname().machine, os.uname().machine),
                    "os": "linux", "config": COMPOSED_ETC,
                    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(p) for p in parts]}})


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


COMPRESS = {"none": lambda d: d, "gzip": lambda d: gzip.compress(d, mtime=0), "zstd": zstd, "xz": lambda d: lzma.compress(d, preset=0)}


def docker(parts, method):
    files, names = {}, []
    for p in parts:
        names.append(sha(p) + "/layer.tar")
        files[names[-1]] = COMPRESS[method](p)
    cfg = config(parts)
    files[sha(cfg) + ".json"] = cfg
    files["manifest.json"] = compact([{"Config": sha(cfg) + ".json", "RepoTags": ["img:one"], "Layers": names}])
    return files


def oci(sets, method):
    suffix = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}[method]
    files, manifests = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}, []

    def blob(data, kind):
        files["blobs/sha256/" + sha(data)] = data
        return {"mediaType": "application/vnd.oci.image.%s" % kind, "digest": "sha256:" + sha(data), "size": len(data)}

    for tag, parts in sets:
        m = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
             "config": blob(config(parts), "config.v1+json"),
             "layers": [blob(COMPRESS[method](p), "layer.v1.tar" + suffix) for p in parts]}
        d = blob(compact(m), "manifest.v1+json")
        d["annotations"] = {"org.opencontainers.image.ref.name": tag}
        manifests.append(d)
    files["index.json"] = compact({"schemaVersion": 2, "manifests": manifests})
    return files


def write_dir(path, files):
    for name, data in files.items():
        full = os.path.join(path, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data)


def write_tar(path, files):
    names = sorted(files)
    dirs = sorted({os.path.dirname(n) for n in names if "/" in n} | {"blobs" for n in names if n.startswith("blobs/")})
    with open(path, "wb") as f:
        f.write(tar([entry(d) for d in dirs] + [entry(n, files[n]) for n in names]))


def rootfs(path):
    """A plain tree: the first layer as it is."""
    os.makedirs(path)
    with tarfile.open(fileobj=io.BytesIO(layers()[0])) as t:
        t.extractall(path)


def odd(path):
    """Mount points are missing below directories that hold something, names are hard,
    and links of the image lie where mounts go."""
    rootfs(path)
    for d in ["srv/have/file-here", "etc/inner", "usr/lib", "real/deep"]:
        os.makedirs(os.path.join(path, d), exist_ok=True)
    for name, text in [("srv/have/known", "known\n"), ("etc/inner/conf", "conf\n"), ("srv/top", "top\n"),
                       ("real/deep/file", "deep\n")]:
        with open(os.path.join(path, name), "w") as f:
            f.write(text)
    os.symlink("/real", os.path.join(path, "linked"))
    os.symlink("../../../../../etc", os.path.join(path, "srv/escape"))


def merge():
    """Layers that remove nothing, and all that they can do to each other otherwise."""
    def mode(name, mode, mtime):
        info, content = entry(name, None, mode)
        info.mtime = mtime
        return info, content

    first = [entry(d) for d in ["bin", "dev", "proc", "tmp", "etc"]]
    first += [entry("bin/busybox", BUSYBOX, 0o755)] + [entry("bin/" + a, link="busybox") for a in APPLETS]
    first += [entry("etc/passwd", b"root:x:0:0::/:/bin/sh\n"), entry("etc/group", b"root:x:0:\n"),
              mode("nix", 0o755, 11), mode("nix/store", 0o1775, 12), mode("nix/store/aaa", 0o555, 13),
              entry("nix/store/aaa/file", b"aaa\n", 0o444), entry("nix/store/aaa/hard", hard="nix/store/aaa/file"),
              mode("data", 0o750, 14), mode("data/deep", 0o711, 15), entry("data/deep/one", b"1\n"),
              entry("data/replaced", b"old\n"), entry("data/unreadable", b"", 0o000),
              entry("to-dir", b"a file\n"), entry("to-file"), entry("to-file/hidden", b"x\n"),
              entry("usr"), entry("usr/lib"), entry("usr/lib/so", b"so\n"), entry("lib", link="usr/lib"),
              entry("again"), entry("again/first", b"1\n"), entry("link", link="/data/deep")]
    second = [mode("nix", 0o711, 21), mode("nix/store", 0o755, 22), mode("nix/store/bbb", 0o500, 23),
              entry("nix/store/bbb/file", b"bbb\n", 0o400), entry("nix/store/bbb/dangling", link="/nowhere"),
              entry("data/replaced", b"new and longer\n", 0o600), entry("data/deep/two", b"2\n"),
              entry("to-dir"), entry("to-dir/inside", b"y\n"), entry("to-file", b"now a file\n"),
              entry("again", b"between\n"), entry("usr/lib/more", b"more\n")]
    third = [entry("data/deep/three", b"3\n"), entry("nix/store/ccc/implied", b"c\n"), entry("again"),
             entry("again/last", b"3\n"), entry("name with space", b""), entry("comma,colon:quote'", b""),
             mode("empty", 0o700, 31), entry("lib", link="usr/lib")]
    empty = tar([])  # docker has it once for each step that changed no file
    return [empty, tar(first), empty, tar(second), tar(third), empty]


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    parts = layers()
    write_dir(out + "/docker-dir", docker(parts, "none"))
    write_tar(out + "/docker.tar", docker(parts, "none"))
    for method in ["gzip", "zstd", "xz"]:
        write_tar(out + "/docker-%s.tar" % method, docker(parts, method))
    write_dir(out + "/oci-dir", oci([("one", parts), ("two", parts[:1])], "none"))
    write_tar(out + "/oci.tar", oci([("one", parts)], "none"))
    for method in ["gzip", "zstd"]:
        write_dir(out + "/oci-" + method, oci([("one", parts)], method))
    rootfs(out + "/rootfs-dir")
    for end, method in [("", "none"), (".gz", "gzip"), (".xz", "xz"), (".zst", "zstd")]:
        with open(out + "/rootfs.tar" + end, "wb") as f:
            f.write(COMPRESS[method](parts[0]))
    os.makedirs(out + "/bare-dir")
    with open(out + "/bare-dir/busybox", "wb") as f:
        f.write(BUSYBOX)
    os.chmod(out + "/bare-dir/busybox", 0o755)
    odd(out + "/odd-dir")
    write_dir(out + "/merge-dir", docker(merge(), "none"))


if __name__ == "__main__":
    main()
