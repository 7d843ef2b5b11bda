"""layouts: image directories and archives that lie about themselves. (stdlib only)

Each case is a function of a directory that it fills; its docstring says what it is. It
returns the reference's suffix or None, and the words that the refusal must have; ALLOWED
ones return the entries of the tree that is right.
"""
import copy
import gzip
import hashlib
import json
import os
import socket

from tarbits import file, folder, header, pad, tar

LAYER = tar([folder("d"), file("d/a", "a")])
ENTRIES = [folder("d"), file("d/a", "a")]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def dump(value):
    return json.dumps(value).encode()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def config(diff_ids):
    return {"architecture": {"aarch64": "arm64", "x86_64": "amd64"}.get(os.uname().machine, os.uname().machine),
            "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}


def docker(top, blobs, diff_ids=None, **change):
    """A docker-archive directory; change: Config, Layers, or manifest (the whole text)."""
    names = ["l%d/layer.tar" % i for i in range(len(blobs))]
    for name, blob in zip(names, blobs):
        write(os.path.join(top, name), blob)
    cfg = change.get("config") or dump(config(diff_ids or ["sha256:" + sha(b) for b in blobs]))
    write(os.path.join(top, sha(cfg) + ".json"), cfg)
    entry = {"Config": sha(cfg) + ".json", "RepoTags": ["img:one"], "Layers": names}
    entry.update({k: v for k, v in change.items() if k in ("Config", "Layers")})
    write(os.path.join(top, "manifest.json"), change.get("manifest") or dump([entry]))


def blob(top, data, kind="layer.v1.tar"):
    write(os.path.join(top, "blobs/sha256", sha(data)), data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + sha(data), "size": len(data)}


def oci(top, layer=None, change_manifest=None, change_index=None, cfg=None, stored=LAYER):
    write(os.path.join(top, "oci-layout"), b'{"imageLayoutVersion":"1.0.0"}')
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(top, dump(cfg or config(["sha256:" + sha(LAYER)])), "config.v1+json"),
                "layers": [layer or blob(top, stored)]}
    if change_manifest:
        change_manifest(manifest)
    index = {"schemaVersion": 2, "manifests": [blob(top, dump(manifest), "manifest.v1+json")]}
    if change_index:
        change_index(index)
    write(os.path.join(top, "index.json"), dump(index))


# ---- refused: name -> (fill, words) ----
def outside(name):
    return lambda top: docker(top, [LAYER], Layers=[name])


def link_directory(top):
    docker(top, [LAYER], Layers=["l0/layer.tar", "out/secret"], diff_ids=["sha256:" + sha(LAYER)] * 2)
    os.symlink("../..", os.path.join(top, "out"))


def kind_of_file(make, name="l0/layer.tar"):
    def fill(top):
        docker(top, [LAYER])
        path = os.path.join(top, name)
        os.unlink(path)
        make(path)
    return fill


def make_socket(path):
    s = socket.socket(socket.AF_UNIX)
    here = os.open(os.path.dirname(path), os.O_PATH)
    try:
        s.bind("/proc/self/fd/%d/%s" % (here, os.path.basename(path)))
    finally:
        s.close()
        os.close(here)


def manifest_text(text):
    def fill(top):
        docker(top, [LAYER], manifest=text)
    return fill


def config_text(text):
    def fill(top):
        docker(top, [LAYER], config=text)
    return fill


def huge_manifest(top):
    docker(top, [LAYER])
    os.truncate(os.path.join(top, "manifest.json"), 1 << 33)


def diff_id(text):
    return lambda top: docker(top, [LAYER], diff_ids=[text])


def other_layer(top):
    docker(top, [LAYER])
    write(os.path.join(top, "l0/layer.tar"), tar([folder("d"), file("d/a", "b")]))


def changed(key, value):
    def fill(top):
        def change(manifest):
            manifest["layers"][0][key] = value
        oci(top, change_manifest=change)
    return fill


def wrong_blob(top):
    """The content is what diff_id says, compressed in another way than the blob's digest."""
    oci(top, stored=gzip.compress(LAYER, 1, mtime=0))
    for name in os.listdir(os.path.join(top, "blobs/sha256")):
        path = os.path.join(top, "blobs/sha256", name)
        with open(path, "rb") as f:
            if f.read(2) == b"\x1f\x8b":
                write(path, gzip.compress(LAYER, 9, mtime=5))


def wrong_manifest(top):
    oci(top)
    for name in os.listdir(os.path.join(top, "blobs/sha256")):
        path = os.path.join(top, "blobs/sha256", name)
        with open(path, "rb") as f:
            text = f.read()
        if text.startswith(b'{"schemaVersion"'):
            write(path, text + b" ")


def index_loop(top):
    """Indexes that name each other cannot be made with true digests; a long chain can."""
    oci(top)
    with open(os.path.join(top, "index.json"), "rb") as f:
        text = f.read()
    for _ in range(100):
        d = blob(top, text, "index.v1+json")
        text = dump({"schemaVersion": 2, "manifests": [d]})
    write(os.path.join(top, "index.json"), text)


def index_entry(**values):
    def fill(top):
        oci(top, change_index=lambda index: index["manifests"][0].update(values))
    return fill


def no_layers(top):
    oci(top, change_manifest=lambda m: m.update(layers=[]), cfg=config([]))


def many_layers(top):
    docker(top, [LAYER], Layers=["l0/layer.tar"] * 100000, diff_ids=["sha256:" + sha(LAYER)] * 100000)


ONE = [{"Config": "c.json", "RepoTags": None, "Layers": ["l0/layer.tar"]}]


def without(key):
    value = copy.deepcopy(ONE)
    del value[0][key]
    return dump(value)


CONFIG = config(["sha256:" + sha(LAYER)])
REFUSED = [
    ("a layer ../", outside("../secret"), ["../secret"]),
    ("a layer by absolute name", outside("/etc/passwd"), ["/etc/passwd"]),
    ("a layer a/../../", outside("l0/../../secret"), ["l0/../../secret"]),
    ("a layer in a directory that is a link out", link_directory, ["layer 2", "out", "leaves the directory"]),
    ("a layer without a name", outside(""), ["not a"]),
    ("a layer that is the directory", outside("."), ["not a"]),
    ("a layer that is missing", outside("l1/layer.tar"), ["l1/layer.tar", "missing"]),
    ("a layer that is a directory", kind_of_file(os.mkdir), ["l0/layer.tar", "not a regular file"]),
    ("a layer that is a FIFO", kind_of_file(os.mkfifo), ["l0/layer.tar", "not a regular file"]),
    ("a layer that is a socket", kind_of_file(make_socket), ["l0/layer.tar"]),
    ("a layer that is a device", kind_of_file(lambda p: os.symlink("/dev/zero", p)), ["l0/layer.tar", "not a regular file"]),
    ("a layer that is a dangling link", kind_of_file(lambda p: os.symlink("/no/such", p)), ["l0/layer.tar", "does not exist"]),
    ("a layer that is a link to itself", kind_of_file(lambda p: os.symlink("layer.tar", p)), ["l0/layer.tar"]),
    ("a layer that is a link to a file of something else", kind_of_file(lambda p: os.symlink("/etc/passwd", p)), ["layer 1 of 1"]),
    ("a manifest that is a FIFO", kind_of_file(os.mkfifo, "manifest.json"), ["manifest.json"]),
    ("a manifest that is a device", kind_of_file(lambda p: os.symlink("/dev/zero", p), "manifest.json"), ["manifest.json"]),
    ("a manifest of 8 GiB", huge_manifest, ["manifest.json", "larger"]),
    ("a manifest of nothing", manifest_text(b" "), ["manifest.json"]),
    ("a manifest that is cut", manifest_text(dump(ONE)[:-3]), ["manifest.json"]),
    ("a manifest with bytes behind it", manifest_text(dump(ONE) + b"x"), ["manifest.json"]),
    ("a manifest that is no UTF-8", manifest_text(b'[{"Config":"\xff\xfe"}]'), ["manifest.json"]),
    ("a manifest with NUL in a name", manifest_text(b'[{"Config":"a\\u0000b","Layers":["x"]}]'), ["manifest.json"]),
    ("a manifest 100,000 arrays deep", manifest_text(b"[" * 100000 + b"]" * 100000), ["manifest.json"]),
    ("a manifest 100,000 objects deep", manifest_text(b'{"a":' * 100000 + b"1" + b"}" * 100000), ["manifest.json"]),
    ("a manifest that is an empty array", manifest_text(b"[]"), ["manifest.json"]),
    ("a manifest that is an object", manifest_text(b"{}"), ["manifest.json"]),
    ("a manifest that is a number", manifest_text(b"1e999"), ["manifest.json"]),
    ("a manifest of nulls", manifest_text(b"[null]"), ["manifest.json"]),
    ("the same key twice", manifest_text(b'[{"Config":"a","Config":"b","Layers":[]}]'), ["manifest.json"]),
    ("no Config", manifest_text(without("Config")), ["Config"]),
    ("no Layers", manifest_text(without("Layers")), ["no layers"]),
    ("Layers that is a string", manifest_text(dump([dict(ONE[0], Layers="l0/layer.tar")])), ["Layers"]),
    ("Layers of numbers", manifest_text(dump([dict(ONE[0], Layers=[1, 2])])), ["Layers"]),
    ("a Config that is missing", manifest_text(dump(ONE)), ["c.json"]),
    ("a Config that is outside", manifest_text(dump([dict(ONE[0], Config="../secret")])), ["../secret"]),
    ("a Config by absolute name", manifest_text(dump([dict(ONE[0], Config="/etc/passwd")])), ["/etc/passwd"]),
    ("a Config of another digest", manifest_text(dump([dict(ONE[0], Config="0" * 64 + ".json")])), ["0" * 64]),
    ("names with control characters", manifest_text(dump([dict(ONE[0], Layers=["\x1b[2J\n\r\x07x"])])), []),
    ("a config that is no JSON", config_text(b"no"), ["config"]),
    ("a config that is an array", config_text(b"[]"), ["config"]),
    ("a config without rootfs", config_text(dump({k: v for k, v in CONFIG.items() if k != "rootfs"})), ["diff_ids"]),
    ("a config with diff_ids of numbers", config_text(dump(dict(CONFIG, rootfs={"diff_ids": [1]}))), ["diff_id"]),
    ("a config with Env of numbers", config_text(dump(dict(CONFIG, config={"Env": [1]}))), ["Env"]),
    ("a config with Env that is an object", config_text(dump(dict(CONFIG, config={"Env": {"A": "b"}}))), ["Env"]),
    ("more layers in the manifest than diff_ids", lambda top: docker(top, [LAYER, LAYER], diff_ids=["sha256:" + sha(LAYER)]), ["2 layers"]),
    ("fewer layers than diff_ids", lambda top: docker(top, [LAYER], diff_ids=["sha256:" + sha(LAYER)] * 2), ["1 layers"]),
    ("100,000 layers", many_layers, ["layers"]),
    ("a diff_id without an algorithm", diff_id(sha(LAYER)), ["digest"]),
    ("a diff_id of sha512", diff_id("sha512:" + "0" * 128), ["digest"]),
    ("a diff_id in capitals", diff_id("sha256:" + sha(LAYER).upper()), ["digest"]),
    ("a diff_id that is too short", diff_id("sha256:" + sha(LAYER)[:-1]), ["digest"]),
    ("a diff_id that is too long", diff_id("sha256:" + sha(LAYER) + "0"), ["digest"]),
    ("a diff_id that is a path", diff_id("sha256:../../../../etc/passwd"), ["digest"]),
    ("a layer that is not what its diff_id says", other_layer, ["layer 1 of 1", sha(LAYER)]),
    ("OCI: a size that is wrong", changed("size", len(LAYER) + 1), ["layer"]),
    ("OCI: a size that is negative", changed("size", -1), ["layer"]),
    ("OCI: a size that is a string", changed("size", "1"), ["layer"]),
    ("OCI: a size of 2^63 - 1", changed("size", (1 << 63) - 1), ["layer"]),
    ("OCI: a digest that is a path", changed("digest", "sha256:../../secret"), ["digest"]),
    ("OCI: a digest of another algorithm that is a path", changed("digest", "../../secret:00"), ["digest"]),
    ("OCI: a blob that is missing", changed("digest", "sha256:" + "1" * 64), ["1" * 64]),
    ("OCI: a digest that is a number", changed("digest", 7), ["digest"]),
    ("OCI: a media type that no tool knows", changed("mediaType", "application/x-executable"), ["application/x-executable"]),
    ("OCI: a blob that is not what its digest says", wrong_blob, ["layer 1"]),
    ("OCI: a manifest that is not what its digest says", wrong_manifest, ["digest"]),
    ("OCI: 100 indexes, each in the next", index_loop, ["index"]),
    ("OCI: an index without manifests", lambda top: oci(top, change_index=lambda i: i.update(manifests=[])), []),
    ("OCI: manifests that is an object", lambda top: oci(top, change_index=lambda i: i.update(manifests={})), []),
    ("OCI: a manifest of another architecture", index_entry(platform={"architecture": "s390x", "os": "linux"}), ["no image for linux/"]),
    ("OCI: no layers", no_layers, ["layers"]),
]


def absolute_link(top):
    docker(top, [LAYER])
    os.rename(os.path.join(top, "l0/layer.tar"), top + ".elsewhere")
    os.symlink(top + ".elsewhere", os.path.join(top, "l0/layer.tar"))


ALLOWED = [
    ("a layer that is a link to a file elsewhere, as RepX makes them", absolute_link, ENTRIES),
    ("a layer named with ./ and //", outside("./l0//layer.tar"), ENTRIES),
    ("the same layer twice", lambda top: docker(top, [LAYER], Layers=["l0/layer.tar"] * 2, diff_ids=["sha256:" + sha(LAYER)] * 2), ENTRIES),
    ("OCI", oci, ENTRIES),
    ("OCI: unknown keys", lambda top: oci(top, change_index=lambda i: i.update(annotations={"a": "b"}, x=[1, {}])), ENTRIES),
]


# ---- archives: (what, bytes, words or entries) ----
def archive(members):
    return tar([file(name, data) for name, data in members])


def docker_members(layers=(LAYER,)):
    cfg = dump(config(["sha256:" + sha(b) for b in layers]))
    names = ["l%d/layer.tar" % i for i in range(len(layers))]
    return [(sha(cfg) + ".json", cfg)] + list(zip(names, layers)) + \
        [("manifest.json", dump([{"Config": sha(cfg) + ".json", "RepoTags": [], "Layers": names}]))]


def link_member(name, target, flag):
    return header(flag, name, link=target)


GOOD = docker_members()
WITH_LINK = [m for m in GOOD if not m[0].endswith("layer.tar")]
ARCHIVES = [
    ("a docker archive", archive(GOOD), ENTRIES),
    ("the manifest first", archive(GOOD[::-1]), ENTRIES),
    ("names with ./", archive([("./" + n, d) for n, d in GOOD]), ENTRIES),
    ("a layer that is a link to another", archive([("real.tar", LAYER)]) [:-1024] + link_member(b"l0/layer.tar", b"../real.tar", b"2") + archive(WITH_LINK), ENTRIES),
    ("a layer that is a link out", link_member(b"l0/layer.tar", b"/etc/passwd", b"2") + archive(WITH_LINK), ("layer",)),
    ("a layer that is a link to itself", link_member(b"l0/layer.tar", b"layer.tar", b"2") + archive(WITH_LINK), ("layer",)),
    ("a layer that is a hard link to nothing", link_member(b"l0/layer.tar", b"no/such", b"1") + archive(WITH_LINK), ("layer",)),
    ("an archive that is cut", archive(GOOD)[:1500], ()),
    ("an archive without its layer", archive(WITH_LINK), ("l0/layer.tar",)),
    ("the layer twice, the second another", archive(GOOD + [("l0/layer.tar", pad(b"x"))]), ["either", *ENTRIES]),
    ("an archive, compressed twice", gzip.compress(gzip.compress(archive(GOOD), mtime=0), mtime=0), ["either", *ENTRIES]),
    ("an archive of nothing", b"", ()),
]
