"""layers: what a layer's tar can hold, one case a row. (stdlib only)

LEGAL    odd, and still exactly one tree is right: (what, layers)
REFUSED  (what, layers, words): refused, and the sentence has each of the words
FILES    one layer as a file: (what, bytes, expected), expected being the entries it stands
         for, or words of the refusal
"""
import bz2
import gzip
import io
import lzma
import subprocess
import tarfile

from tarbits import (Entry, base256, file, folder, hard, header, gnu_long, pad, pax_header,
                     pax_record, raw, soft, special, tar)

LONG = b"/".join([b"component-%03d" % i for i in range(200)])
NAME_MAX = b"n" * 255
DEEP = b"/".join([b"d"] * 2000)
CONTROL = b"a\nb\x1b[31mred\x07\ttab\x7f"
BINARY = bytes(range(1, 47)) + bytes(range(48, 256))  # all that a name may have: not / and NUL
TWICE = pax_record("path", b"first") + pax_record("path", b"second")
BLOB = bytes(range(256)) * 40


def base():
    return [folder("usr"), folder("usr/lib"), file("usr/lib/old", "old"), soft("lib", "usr/lib"),
            folder("etc", 0o750), file("etc/conf", "one"), file("keep", "keep"),
            folder("dir"), file("dir/a", "a"), file("dir/b", "b"), folder("dir/sub"), file("dir/sub/c", "c")]


LEGAL = [
    ("absolute names", [[file("/etc/a", "a"), folder("//var//"), file("/var/./b", "b")]]),
    ("names with ./ in front", [[folder("./"), folder("./etc"), file("./etc/a", "a"), hard("./etc/b", "./etc/a")]]),
    ("no entry for the parents", [[file("a/b/c/d", "d"), file("a/b/e", "e"), soft("x/y/z", "../q")]]),
    ("a parent's entry after its content", [[file("a/b", "b"), folder("a", 0o711)]]),
    ("a root entry with a mode", [[folder("./", 0o711), file("a", "a")]]),
    ("an absolute link that stays inside", [[folder("usr"), soft("link", "/usr"), file("link/a", "a")]]),
    ("a link's target that is made by what goes through it", [[soft("late", "usr/share/doc"), file("late/a", "a")]]),
    ("a chain of links", [[soft("l%d" % i, "l%d" % (i + 1)) for i in range(30)] + [folder("l30"), file("l0/a", "a")]]),
    ("a link upwards stays at the top", [[soft("up", "../../../.."), file("up/a", "a"), soft("d/up", "../../.."), file("d/up/b", "b")]]),
    ("links that lead nowhere", [[soft("x", "/no/such"), soft("y", "../../../etc/passwd"), soft("z", "z")]]),
    ("a link is replaced, not followed", [[file("real", "real"), soft("a", "real"), file("a", "own")]]),
    ("link targets as long as they may be", [[soft("x", b"t" * 4095), soft("y", b"u" * 101, gnu=True)]]),
    ("hard links", [[file("a", BLOB), hard("b", "a"), folder("d"), hard("d/c", "b"), hard("/abs", "/d/c")]]),
    ("a hard link to itself", [[file("a", "a"), hard("a", "a"), hard("./a", "a")]]),
    ("a hard link to a link", [[file("real", "x"), soft("s", "real"), hard("h", "s")]]),
    ("a hard link through a link", [[folder("usr"), file("usr/a", "a"), soft("l", "/usr"), hard("h", "l/a")]]),
    ("a hard link in place of a file", [[file("a", "a"), file("b", "b"), hard("b", "a")]]),
    ("a hard link to a layer below", [[file("a", "a"), folder("d"), file("d/b", "b")], [hard("h", "a"), hard("d/i", "d/b")], [hard("j", "h")]]),
    ("a hard link to a layer below in place of a directory", [[file("a", "a"), folder("d"), file("d/b", "b")], [hard("d", "a")]]),
    ("a file in place of one with hard links", [[file("a", "a"), hard("b", "a")], [file("a", "new")]]),
    ("the same name again", [[file("a", "1"), file("a", "22"), file("a", "333", 0o600)]]),
    ("a file becomes a directory", [[file("a", "x"), folder("a"), file("a/b", "b")]]),
    ("a directory becomes a file", [[folder("a"), file("a/b", "b"), file("a", "x")]]),
    ("a directory becomes a link, a link a directory", [[folder("a"), file("a/b", "b"), soft("a", "c"), soft("d", "c"), folder("d"), file("d/e", "e")]]),
    ("types change from layer to layer", [[folder("a"), file("a/b", "b"), file("c", "c"), soft("d", "c")],
                                          [file("a", "x"), folder("c"), file("c/y", "y"), folder("d")],
                                          [folder("a", 0o700), soft("c", "a"), file("d", "d")]]),
    ("a directory again keeps its content, takes the mode", [[folder("a", 0o755), file("a/b", "b")], [folder("a", 0o700)]]),
    ("a parent without an entry keeps its mode", [[folder("a", 0o711), file("a/b", "b")], [file("a/c", "c")]]),
    ("a parent without an entry that is a link below", [base(), [file("lib/new", "new")]]),
    ("a deeper parent without an entry behind a link below", [base(), [file("lib/x/y/new", "new"), folder("lib/z")]]),
    ("a link below that is absolute, and a directory through it", [[folder("real"), soft("l", "/real")], [folder("l/d", 0o711), file("l/d/e", "e")]]),
    ("a link below that leads nowhere yet", [[soft("l", "not/yet")], [file("l/a", "a")]]),
    ("a directory in place of a link below", [base(), [folder("lib"), file("lib/new", "new")]]),
    ("read-only directories with later children", [[folder("a", 0o555), file("a/b", "b"), folder("a/c", 0o500), file("a/c/d", "d")], [file("a/c/e", "e")]]),
    ("directories of mode 0000", [[folder("a", 0), file("a/b", "b", 0), folder("a/c", 0), file("a/c/d", "d", 0)], [file("a/c/e", "e", 0)]]),
    ("setuid, setgid and sticky", [[file("su", "x", 0o4755), file("sg", "x", 0o2755), folder("t", 0o1777), folder("g", 0o2775)]]),
    ("devices and pipes are left out", [[special("c", "null"), special("b", "sda"), special("p", "fifo"), folder("d"), special("c", "d/zero"), file("d/a", "a")]]),
    ("whiteouts", [base(), [file("dir/.wh.a"), file(".wh.keep"), file("dir/.wh.sub"), file("etc/new", "new")]]),
    ("a whiteout of what is not there", [base(), [file(".wh.nothing"), file("none/.wh.such")]]),
    ("a whiteout does not touch its own layer", [base(), [file("dir/.wh.a"), file("dir/a", "again")]]),
    ("the same, the other way round", [base(), [file("dir/a", "again"), file("dir/.wh.a")]]),
    ("a whiteout of a directory that its own layer makes", [base(), [folder("dir"), file("dir/new", "new"), file(".wh.dir")]]),
    ("a whiteout through a link below", [base(), [file("lib/.wh.old")]]),
    ("a whiteout of a link takes the link", [base(), [file(".wh.lib")]]),
    ("a whiteout of a link that leads out", [[soft("out", "/tmp"), soft("up", "..")], [file(".wh.out"), file("up/.wh.up")]]),
    ("opaque", [base(), [folder("dir"), file("dir/.wh..wh..opq"), file("dir/new", "new")]]),
    ("opaque, the marker last", [base(), [folder("dir"), file("dir/new", "new"), folder("dir/sub"), file("dir/.wh..wh..opq")]]),
    ("opaque without an entry for the directory", [base(), [file("dir/.wh..wh..opq")]]),
    ("an opaque root", [base(), [file(".wh..wh..opq"), file("only", "only")]]),
    ("opaque through a link below", [base(), [file("lib/.wh..wh..opq"), file("lib/new", "new")]]),
    ("marker files of aufs", [base(), [folder(".wh..wh.plnk"), file(".wh..wh.aufs"), file(".wh..wh.plnk/x", "x")]]),
    ("a name that only looks like a marker", [[file(".whiteout", "w"), file("a.wh.b", "b"), file(".wh", "c")]]),
    ("removed and made again", [base(), [file(".wh.dir")], [folder("dir", 0o700), file("dir/z", "z")]]),
    ("long names, pax and GNU", [[file(LONG, "pax"), folder("g"), file(b"g/" + LONG, "gnu", gnu=True), file(b"p/" + b"x" * 99 + b"/y", "ustar")]]),
    ("a component of 255 bytes", [[file(NAME_MAX, "a"), folder(b"d/" + NAME_MAX, pax={"path": b"d/" + NAME_MAX})]]),
    ("control characters in names", [[file(CONTROL, "a"), folder(b"d" + CONTROL), soft(b"l" + CONTROL, CONTROL)]]),
    ("every byte a name may have", [[file(BINARY[:100], "ustar"), file(BINARY[100:200], "ustar"), file(b"dir/" + BINARY, "gnu", gnu=True)]]),
    ("names in UTF-8", [[file("\u00e4\u00f6\u00fc/\u65e5\u672c", "a"), file("p/\u00e9", "b", pax={"path": "p/\u00e9".encode()}), file("p/e\u0301", "c")]]),
    ("names that differ in a point, a space or case", [[file("a", "1"), file("a ", "2"), file("A", "3"), file("a.", "4"), file("...", "5"), file("..a", "6"), file("-rf", "7")]]),
    ("sparse, all forms", [[file("s%d" % i, mode=0o600, sparse=(200000, [(4096, b"x" * 512), (131072, b"y" * 1024)]), form=f) for i, f in enumerate(["old", "0.0", "0.1", "1.0"])]]),
    ("sparse and empty, sparse with a hole at the end", [[file("e", sparse=(100000, [(100000, b"")]), form="1.0"), file("f", sparse=(50000, [(0, b"z" * 512), (50000, b"")]), form="1.0")]]),
    ("pax: the last of two wins", [[raw(header(b"x", b"pax", len(TWICE)) + pad(TWICE)), file("second", "a", field={"name": b"x"})]]),
    ("pax: unknown keys and extended attributes", [[file("a", "a", pax={"comment": b"c\nc", "SCHILY.xattr.user.x": b"\0\xff", "LIBARCHIVE.xattr.x": b"eA==", "VENDOR.key": b"v"})]]),
    ("pax: names win over the header's", [[file("right", "a", pax={"path": b"right"}, field={"name": b"wrong"}), soft("l", "right", pax={"linkpath": b"right"}, field={"link": b"wrong"})]]),
    ("pax: the size wins over the header's", [[file("a", b"x" * 700, size=0, pax={"size": b"700"}), file("b", "b")]]),
    ("pax: an empty header", [[raw(header(b"x", b"pax", 0)), file("a", "a")]]),
    ("pax: global", [[raw(pax_header({"comment": b"git"}, b"g")), file("a", "a"), raw(pax_header({"mtime": b"1"}, b"g"))]]),
    ("the old format", [[file("a", "a", v7=True), Entry("f", "d/", mode=0o755, v7=True, field={}), file("d/b", "b", v7=True)]]),
    ("contiguous files, and files of type NUL", [[file("a", "a", flag=b"7"), file("b", "b", flag=b"\0")]]),
    ("numbers in base 256", [[file("a", b"x" * 600, field={"size": base256(600, 12)}), file("b", "b", mtime=2 ** 33)]]),
    ("a time before 1970", [[file("a", "a", mtime=-86400)]]),
    ("directories 2000 deep", [[file(DEEP + b"/x", "x", gnu=True)]]),
    ("many entries", [[folder("d%d" % (i // 100)) if i % 100 == 0 else file("d%d/f%d" % (i // 100, i), b"") for i in range(3000)]]),
    ("a file of no bytes, a file of one block, one byte more", [[file("0"), file("512", b"b" * 512), file("513", b"c" * 513)]]),
    ("layers without entries", [[], [file("a", "a")], [], [folder("d")], []]),
    ("127 layers", [[file("f%d" % (i % 40), str(i)), file("own%d" % i, "x")] for i in range(127)]),
]
# A refusal is right, and so is this tree: readers differ, and a digest vouches for the bytes.
EITHER = [
    ("a name in pax that is not UTF-8", [[file("x", "a", pax={"path": b"caf\xe9"})]]),
    ("a name in pax with NUL", [[file("a", "a", pax={"path": b"a\0b"}, field={"name": b"x"})]]),
    ("a hard link without a target", [[file("b", "b"), Entry("", "", raw=header(b"1", b"a"))]]),
]
# A root entry that is written as "d/" of the old format: its type is f, its name says more.
for what, content in LEGAL:
    if what == "the old format":
        content[0][1].kind, content[0][1].hint["flag"] = "d", b"0"


REFUSED = [
    ("a name with ..", [[file("../canary", "bad")]], ["../canary"]),
    ("the same, absolute", [[file("/../canary", "bad")]], ["/../canary"]),
    ("the same, in the middle", [[folder("a"), file("a/../../canary", "bad")]], ["a/../../canary"]),
    ("the same, at the end", [[folder("a/..")]], ["a/.."]),
    ("a directory named ..", [[folder("..")]], [".."]),
    ("the same, in pax", [[file("x", "bad", pax={"path": b"a/../../canary"})]], ["a/../../canary"]),
    ("the same, a GNU name", [[raw(gnu_long(b"L", b"../" + b"c" * 200)), file("x", "bad")]], ["../ccc"]),
    ("the same, a hard link's target", [[hard("a", "../canary")]], ["../canary"]),
    ("the same, a whiteout", [[file("../.wh.canary")]], ["../.wh.canary"]),
    ("a hard link to an absolute name that is only outside", [[hard("a", "/etc/passwd")]], ["etc/passwd"]),
    ("a hard link through a link that leads out", [[soft("l", "/etc"), hard("a", "l/passwd")]], ["l/passwd"]),
    ("a hard link to a directory", [[folder("d"), hard("a", "d")]], ["d"]),
    ("a hard link to a directory of a layer below", [[folder("d")], [hard("a", "d")]], ["d"]),
    ("a hard link to what is nowhere", [[file("b", "b")], [hard("a", "no/such")]], ["no/such"]),
    ("the root as a file", [[file(".", "x")]], ["."]),
    ("the root as a link", [[soft("./", "/tmp", flag=b"2")]], ["./"]),
    ("the root as a hard link", [[file("a", "a"), hard("/", "a")]], ["/"]),
    ("links in a circle", [[soft("a", "b"), soft("b", "a"), file("a/x", "x")]], ["a/x"]),
    ("a link to itself", [[soft("a", "a/b"), file("a/x", "x")]], ["a/x"]),
    ("a link without a target", [[soft("a", "")]], ["a"]),
    ("links in a circle in a layer below", [[soft("a", "b"), soft("b", "a")], [file("a/x", "x")]], ["a"]),
    ("a child of a file", [[file("a", "a"), file("a/b", "b")]], ["a/b"]),
    ("a child of a file of a layer below, through a link", [[file("f", "f"), soft("l", "f")], [file("l/b", "b")]], ["l"]),
    ("a whiteout of .", [[file(".wh..")]], [".wh.."]),
    ("a whiteout of ..", [[file("d/.wh...")]], [".wh..."]),
    ("a whiteout of nothing", [[file("d/.wh.")]], [".wh."]),
    ("a name below a whiteout", [[file(".wh.a/b", "b")]], [".wh.a/b"]),
    ("a component of 256 bytes", [[file(b"n" * 256, "a", gnu=True)]], ["nnnn"]),
    ("a name longer than PATH_MAX", [[file(b"d/" * 2200 + b"x", "a")]], ["d/d/d"]),
    ("a link target longer than PATH_MAX", [[soft("a", b"t" * 4096)]], ["a"]),
    ("a bad name with control characters", [[file(b"../\x1b[2J\x07\n\r" + CONTROL, "bad")]], ["../"]),
    ("a negative size", [[file("a", field={"size": base256(-5, 12)})]], []),
    ("a negative size in pax", [[file("a", pax={"size": b"-5"})]], []),
    ("a size beyond all disks, base 256", [[file("a", field={"size": base256(1 << 62, 12)})]], []),
    ("a size beyond the numbers, base 256", [[file("a", field={"size": b"\x80" + b"\xff" * 11})]], []),
    ("the same in pax", [[file("a", pax={"size": b"9" * 30})]], []),
    ("a size beyond all disks in octal", [[file("a", field={"size": b"777777777777"})]], []),
    ("a size that is longer than the archive", [[file("a", b"abc", size=10000)]], ["a"]),
    ("a wrong checksum", [[file("a", "a"), file("b", "b", field={"chksum": b"000000\0 "})]], []),
    ("no tar at all", [[raw(b"this is not a tar archive" * 100)]], []),
    ("random bytes after an entry", [[file("a", "a"), raw(bytes((i * 7919) % 251 + 1 for i in range(2048)))]], []),
    ("pax: a length that leads out of the header", [[raw(header(b"x", b"pax", 20) + pad(b"999 path=/etc/passwd\n")), file("a", "a")]], []),
    ("pax: a length of nothing", [[raw(header(b"x", b"pax", 20) + pad(b"0 path=/etc/passwd\n\n")), file("a", "a")]], []),
    ("pax: a header of 3 GiB", [[raw(header(b"x", b"pax", 3 << 30)), file("a", "a")]], []),
    ("GNU: a name of 3 GiB", [[raw(header(b"L", b"././@LongLink", 3 << 30, magic=b"ustar  \0")), file("a", "a")]], []),
    ("sparse: parts that overlap backwards", [[file("s", sparse=(100000, [(8192, b"x" * 512), (4096, b"y" * 512)]), form="1.0")]], ["s"]),
    ("sparse: a part behind the end", [[file("s", sparse=(1000, [(5000, b"x" * 512)]), form="1.0")]], ["s"]),
    ("sparse: a size beyond all disks", [[file("s", sparse=(1 << 61, [(0, b"x" * 512)]), form="1.0")]], ["s"]),
]


def no(*words):
    """The words of a refusal."""
    return words


def cut(entries, keep):
    return tar(entries)[:keep]


def zstd(data, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=data, stdout=subprocess.PIPE, check=True).stdout


def python_tar(form):
    """Made by another hand than ours."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for name, text in (("d/" + "x" * 90 + "/" + "y" * 90, "long"), ("p", "plain")):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(text), 1000000000, 0o640
            t.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue(), [file("d/" + "x" * 90 + "/" + "y" * 90, "long", 0o640), file("p", "plain", 0o640)]


SAMPLE = [folder("d"), file("d/a", BLOB), file("z", b"z" * 3000)]
PLAIN = tar(SAMPLE)
SKIPPABLE = b"\x50\x2a\x4d\x18" + (16).to_bytes(4, "little") + b"s" * 16

# The sample's tree, or a refusal: what is damaged is not its content, or a tool's habit.
ANY = ["either", *SAMPLE]

FILES = [
    ("a tar without an end", cut(SAMPLE, -1024), SAMPLE),
    ("a tar with half an end", cut(SAMPLE, -512), SAMPLE),
    ("a tar that ends in its last file's padding", tar(SAMPLE, b"")[:-10], ANY),
    ("a tar that ends inside a file", PLAIN[:2000], no("d/a")),
    ("a tar that ends inside a header", tar(SAMPLE, b"")[:512 + 512 + len(pad(BLOB)) + 200], no()),
    ("garbage behind the end", PLAIN + b"garbage\xff" * 200, SAMPLE),
    ("a second tar behind the end", PLAIN + tar([file("hidden", "x")]), SAMPLE),
    ("many blocks of zeros behind the end", PLAIN + b"\0" * 100000, SAMPLE),
    ("nothing", b"", []),
    ("only the end", b"\0" * 1024, []),
    ("Python's tar: GNU", *python_tar(tarfile.GNU_FORMAT)),
    ("Python's tar: pax", *python_tar(tarfile.PAX_FORMAT)),
    ("Python's tar: ustar", *python_tar(tarfile.USTAR_FORMAT)),
    ("gzip", gzip.compress(PLAIN, mtime=0), SAMPLE),
    ("gzip with a name and a time", b"\x1f\x8b\x08\x08" + b"\1\2\3\4\0\3layer.tar\0" + gzip.compress(PLAIN, mtime=0)[10:], SAMPLE),
    ("gzip in several members", b"".join(gzip.compress(PLAIN[i:i + 1000], mtime=0) for i in range(0, len(PLAIN), 1000)), SAMPLE),
    ("gzip with an empty member in the middle", gzip.compress(PLAIN[:700], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(PLAIN[700:], mtime=0), SAMPLE),
    ("gzip, cut", gzip.compress(PLAIN, mtime=0)[:-30], no("decompress")),
    ("gzip, its last member cut", gzip.compress(PLAIN[:700], mtime=0) + gzip.compress(PLAIN[700:], mtime=0)[:-30], no()),
    ("gzip with a wrong CRC", gzip.compress(PLAIN, mtime=0)[:-8] + b"\0\0\0\0" + gzip.compress(PLAIN, mtime=0)[-4:], ANY),
    ("gzip with a flipped bit", bytes(b ^ (0x10 if i == 60 else 0) for i, b in enumerate(gzip.compress(PLAIN, mtime=0))), no()),
    ("zstd", zstd(PLAIN), SAMPLE),
    ("zstd in several frames, one of them skippable", zstd(PLAIN[:700]) + SKIPPABLE + zstd(PLAIN[700:]), SAMPLE),
    ("zstd with a checksum", zstd(PLAIN, "--check"), SAMPLE),
    ("zstd, cut", zstd(PLAIN)[:-20], no("decompress")),
    ("zstd with a flipped bit", bytes(b ^ (0x40 if i == 40 else 0) for i, b in enumerate(zstd(PLAIN, "--check"))), no()),
    ("xz", lzma.compress(PLAIN, preset=0), SAMPLE),
    ("xz in two streams", lzma.compress(PLAIN[:700], preset=0) + lzma.compress(PLAIN[700:], preset=0), SAMPLE),
    ("xz, cut", lzma.compress(PLAIN, preset=0)[:-20], no("decompress")),
    ("bzip2, which no image uses", bz2.compress(PLAIN), no()),
    ("gzip in gzip", gzip.compress(gzip.compress(PLAIN, mtime=0), mtime=0), ANY),
]
