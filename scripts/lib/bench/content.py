"""content: directory trees with the shape of real images, made from a fixed seed.

What matters for extraction is how many files there are, how their sizes are spread and how
well they compress; so sizes are log-normal as in a Debian root (half of the files below
2.5 KB, a few of many MB), and content is made of pages of words that gzip takes to about a
third, in an order that does not repeat within its window.
"""
import math
import os
import random

PAGE = 4096
# More than the windows of gzip (32 KB) and zstd (2 MB), so that pages do not repeat in one.
PAGES = {"full": 4096, "small": 64}
FILES = {"full": {"debian": 15000, "repx": 16000, "big": 64 << 20},
         "small": {"debian": 400, "repx": 240, "big": 1 << 20}}
REPX_LAYERS = {"full": 80, "small": 12}


class Maker:
    def __init__(self, seed, size):
        self.rng = random.Random(seed)
        words = ["%s%d" % (w, self.rng.randrange(1000)) for w in
                 "return static const include struct char library version install config "
                 "value error module import define package example usr share".split() * 40]
        self.pages = [self.page(words) for _ in range(PAGES[size])]

    def page(self, words):
        text = " ".join(self.rng.choice(words) for _ in range(PAGE // 6)).encode()
        noise = self.rng.randbytes(PAGE // 8)
        return (noise + text)[:PAGE].ljust(PAGE, b"\n")

    def size(self, limit):
        return min(int(math.exp(self.rng.gauss(math.log(2500), 2.1))), limit)

    def file(self, path, size, mode=0o644):
        with open(path, "wb") as f:
            left = size
            while left > 0:
                # a few pages at a time: the choice of a page costs more than its copy
                chunk = b"".join(self.rng.choices(self.pages, k=min(64, -(-left // PAGE))))
                f.write(chunk[:left])
                left -= len(chunk)
        os.chmod(path, mode)

    def tree(self, top, files, limit, modes=(0o755, 0o644)):
        """So many files in directories of nine or so, a few links; directories last, for
        they may be read-only."""
        os.makedirs(top, exist_ok=True)
        dirs = [top]
        for i in range(files):
            if i % 9 == 8:
                new = os.path.join(self.rng.choice(dirs[-40:]), "dir%d" % i)
                os.mkdir(new)
                dirs.append(new)
            path = os.path.join(self.rng.choice(dirs[-4:]), "file%d" % i)
            if i % 17 == 16:
                os.symlink("file%d" % (i - 1), path)
            else:
                self.file(path, self.size(limit), modes[1])
        for d in reversed(dirs):
            os.chmod(d, modes[0])


def synthetic_debian(top, size):
    m = Maker("debian", size)
    share = FILES[size]["debian"]
    limit = 24 << 20 if size == "full" else 64 << 10
    for name, part in [("bin", 3), ("etc", 5), ("usr/bin", 5), ("usr/lib", 42),
                       ("usr/share", 40), ("var/lib", 5)]:
        m.tree(os.path.join(top, name), share * part // 100, limit)


def repx(top, size, part=1):
    """Store paths of which the first are large, as a closure has them; all read-only. A
    part of it has that much less of everything."""
    m = Maker("repx", size)
    count, files = REPX_LAYERS[size] // part, FILES[size]["repx"] // part
    limit = 24 << 20 if size == "full" else 64 << 10
    store = os.path.join(top, "nix/store")
    os.makedirs(store)
    weights = [1 / (i + 4) for i in range(count)]
    alphabet = "0123456789abcdfghijklmnpqrsvwxyz"
    groups = []
    for i, w in enumerate(weights):
        name = "".join(m.rng.choices(alphabet, k=32)) + "-package-%d.0" % i
        m.tree(os.path.join(store, name), max(2, int(files * w / sum(weights))), limit,
               (0o555, 0o444))
        groups.append(["nix/store/" + name])
    return groups


def big(top, size):
    """Five files, as a model or a data set in an image would be."""
    m = Maker("big", size)
    unit = FILES[size]["big"]
    groups = []
    for layer, sizes in enumerate([[4], [2, 1], [1, 1]]):
        d = "data%d" % layer
        os.makedirs(os.path.join(top, d))
        for i, n in enumerate(sizes):
            m.file(os.path.join(top, d, "file%d.bin" % i), n * unit)
        groups.append([d])
    return groups
