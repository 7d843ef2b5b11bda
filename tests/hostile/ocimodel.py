"""ocimodel: which tree do layers make? The rules of the OCI image specification (layer.md),
written down a second time, on entries instead of archives. (stdlib only)

Tree.apply() takes the layers bottom first. What repx-launch does beside the specification is
in keep_mode(): the tree belongs to an ordinary user, so the owner can always read files and
enter directories, and setuid, setgid and sticky bits are not given.
"""
import hashlib

LINKS_MAX = 40
IMPLIED = 0o755


class Node:
    def __init__(self, kind, mode=IMPLIED, mtime=None, content=b"", target=b"", layer=0):
        self.kind, self.mode, self.mtime = kind, mode, mtime
        self.content, self.target, self.layer = content, target, layer
        self.children = {}


def keep_mode(kind, mode):
    return (mode & 0o777) | (0o700 if kind == "d" else 0o400)


def components(name):
    return [c for c in name.split(b"/") if c not in (b"", b".")]


class Tree:
    def __init__(self):
        self.root = Node("d")

    def parent(self, parts, layer):
        """The directory of these components. Links are followed as in a chroot; what is
        missing is made."""
        stack, todo, links = [self.root], list(parts), 0
        while todo:
            c = todo.pop(0)
            if c == b"..":
                if len(stack) > 1:
                    stack.pop()
                continue
            here = stack[-1]
            node = here.children.get(c)
            if node is None:
                node = here.children[c] = Node("d", layer=layer)
            if node.kind == "l":
                links += 1
                if links > LINKS_MAX:
                    raise ValueError("too many links")
                todo = components(node.target) + todo
                if node.target.startswith(b"/"):
                    stack = [self.root]
                continue
            if node.kind != "d":
                raise ValueError("not a directory")
            stack.append(node)
        return stack[-1]

    def whiteouts(self, entries, layer):
        for e in entries:
            parts = components(e.name)
            if not parts or not parts[-1].startswith(b".wh."):
                continue
            gone = parts[-1][4:]
            try:
                where = self.parent(parts[:-1], layer)
            except ValueError:
                continue
            if parts[-1] == b".wh..wh..opq":
                where.children.clear()
            elif not gone.startswith(b".wh."):
                where.children.pop(gone, None)

    def add(self, e, layer):
        parts = components(e.name)
        if e.kind in "cbp" or any(p.startswith(b".wh.") for p in parts):
            return
        if not parts:
            self.root.mode, self.root.mtime = keep_mode("d", e.mode), e.mtime
            return
        where, last = self.parent(parts[:-1], layer), parts[-1]
        if e.kind == "d":
            old = where.children.get(last)
            if old is None or old.kind != "d":
                old = where.children[last] = Node("d")
            old.mode, old.mtime, old.layer = keep_mode("d", e.mode), e.mtime, layer
        elif e.kind == "h":
            target = components(e.link)
            if target != parts:
                where.children[last] = self.parent(target[:-1], layer).children[target[-1]]
        elif e.kind == "l":
            where.children[last] = Node("l", 0o777, e.mtime, target=e.link, layer=layer)
        else:
            content = whole(e)
            where.children[last] = Node("f", keep_mode("f", e.mode), e.mtime, content, layer=layer)

    def apply(self, layers):
        for n, entries in enumerate(layers):
            entries = [e for e in entries if e.kind]
            self.whiteouts(entries, n)
            for e in entries:
                self.add(e, n)
        return self.describe()

    def describe(self):
        """{path: (kind, mode, mtime, content or target, the paths of the same file)}"""
        out, same, todo = {}, {}, [(b"", self.root)]
        while todo:
            path, node = todo.pop()
            same.setdefault(id(node), []).append(path)
            out[path] = node
            todo += [(path + b"/" + name, child) for name, child in node.children.items()]
        return {path: (n.kind, n.mode if n.kind != "l" else None, n.mtime,
                       hashlib.sha256(n.content).hexdigest() if n.kind == "f" else n.target,
                       tuple(sorted(same[id(n)])) if n.kind == "f" else None)
                for path, n in out.items()}


def whole(e):
    """A file's content with the holes of a sparse one."""
    if "sparse" not in e.hint:
        return e.content
    size, parts = e.hint["sparse"]
    data = bytearray(size)
    for offset, part in parts:
        data[offset:offset + len(part)] = part
    return bytes(data)
