"""trees: what is in a directory tree, counted, so that no contender wins by doing less."""
import os
import stat


class Content:
    """Files (everything but directories) and the bytes of regular files. A file with several
    names counts once for each, as a copy would."""

    def __init__(self, files=0, size=0):
        self.files = files
        self.size = size

    def __eq__(self, other):
        return (self.files, self.size) == (other.files, other.size)

    def __add__(self, other):
        return Content(self.files + other.files, self.size + other.size)

    def __str__(self):
        return "%d files with %d bytes" % (self.files, self.size)


def count(*tops):
    """The content of trees, without following links."""
    total = Content()
    todo = list(tops)
    while todo:
        with os.scandir(todo.pop()) as entries:
            for e in entries:
                if e.is_dir(follow_symlinks=False):
                    todo.append(e.path)
                    continue
                total.files += 1
                if e.is_file(follow_symlinks=False):
                    total.size += e.stat(follow_symlinks=False).st_size
    return total


def walk(top):
    """Relative paths below top, parents first, sorted."""
    out = []
    for base, dirs, files in os.walk(top):
        dirs.sort()
        relative = os.path.relpath(base, top)
        for name in sorted(dirs + files):
            out.append(os.path.normpath(os.path.join(relative, name)))
    return sorted(out, key=lambda p: p.split("/"))


def write_list(top, path):
    """The entries of a tree as tests/bench/fsfill.c reads them."""
    seen = {}
    with open(path, "wb") as f:
        for name in walk(top):
            st = os.lstat(os.path.join(top, name))
            kind, size, target = "f", st.st_size, ""
            if stat.S_ISDIR(st.st_mode):
                kind, size = "d", 0
            elif stat.S_ISLNK(st.st_mode):
                kind, target = "l", os.readlink(os.path.join(top, name))
            elif st.st_nlink > 1:
                target = seen.setdefault(st.st_ino, name)
                kind, target = ("f", "") if target == name else ("h", target)
            fields = [kind, "%o" % stat.S_IMODE(st.st_mode), str(size), name, target]
            f.write(b"".join(os.fsencode(x) + b"\0" for x in fields))
