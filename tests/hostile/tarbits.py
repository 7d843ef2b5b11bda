"""tarbits: tar archives byte by byte, so that each field can be wrong. (stdlib only)

An Entry is what a layer says about one name. tar() writes entries in the form that they ask
for; nothing is checked or normalised, because the reader under test has to do that.
"""

BLOCK = 512
MTIME = 1000000000


class Entry:
    """kind: f d l h c b p, or another type flag. hint: how it is written:
    pax     dict of PAX records in front of it (bytes values)
    gnu     name and link in GNU long name entries
    v7      without the ustar magic
    flag    the type flag to write instead of kind's
    field   dict of header fields given as raw bytes
    size    the number in the size field
    sparse  (the file's whole size, [(offset, data), ...]); form: old, 0.0, 0.1 or 1.0
    raw     these bytes and nothing else
    """

    def __init__(self, kind, name, content=b"", mode=None, link=b"", mtime=MTIME, **hint):
        self.kind = kind
        self.name = name if isinstance(name, bytes) else name.encode()
        self.content = content if isinstance(content, bytes) else content.encode()
        self.mode = (0o755 if kind == "d" else 0o777 if kind == "l" else 0o644) if mode is None else mode
        self.link = link if isinstance(link, bytes) else link.encode()
        self.mtime = mtime
        self.hint = hint


def file(name, content=b"", mode=None, **hint):
    return Entry("f", name, content, mode, **hint)


def folder(name, mode=None, **hint):
    return Entry("d", name, mode=mode, **hint)


def soft(name, target, **hint):
    return Entry("l", name, link=target, **hint)


def hard(name, target, **hint):
    return Entry("h", name, link=target, **hint)


def special(kind, name):
    return Entry(kind, name)


def raw(data):
    return Entry("", b"", raw=data)


FLAGS = {"f": b"0", "h": b"1", "l": b"2", "c": b"3", "b": b"4", "d": b"5", "p": b"6"}


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    """GNU's form for numbers that octal has no room for; negative ones too."""
    data = (value % (1 << (8 * width))).to_bytes(width, "big")
    return bytes([data[0] | 0x80]) + data[1:]


def number(value, width):
    return octal(value, width) if 0 <= value < 8 ** (width - 1) else base256(value, width)


def header(flag, name, size=0, mode=0o644, link=b"", mtime=MTIME, field=(), **more):
    """One header block. field and more: raw bytes for name, mode, size, mtime, link, magic,
    chksum, major, minor and tail (from offset 345)."""
    field = {"magic": b"ustar\x0000", **dict(field), **more}
    parts = [("name", 100, name), ("mode", 8, octal(mode, 8)), ("uid", 8, octal(0, 8)),
             ("gid", 8, octal(0, 8)), ("size", 12, number(size, 12)),
             ("mtime", 12, number(mtime, 12)), ("chksum", 8, b" " * 8), ("flag", 1, flag),
             ("link", 100, link), ("magic", 8, b""), ("uname", 32, b""), ("gname", 32, b""),
             ("major", 8, octal(0, 8)), ("minor", 8, octal(0, 8)), ("tail", 167, b"")]
    block = b""
    for key, width, value in parts:
        value = field.get(key, value)
        block += value[:width].ljust(width, b"\0")
    if "chksum" in field:
        return block
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def pad(data):
    return data + b"\0" * (-len(data) % BLOCK)


def pax_record(key, value):
    key = key if isinstance(key, bytes) else key.encode()
    body = b" " + key + b"=" + value + b"\n"
    n = len(body)
    while n != len(body) + len(str(n)):
        n = len(body) + len(str(n))
    return b"%d" % n + body


def pax_header(records, flag=b"x"):
    body = b"".join(pax_record(k, v) for k, v in records.items())
    return header(flag, b"pax", len(body)) + pad(body)


def gnu_long(flag, text):
    return header(flag, b"././@LongLink", len(text) + 1, magic=b"ustar  \0") + pad(text + b"\0")


def split_ustar(name):
    """(prefix, name) of the ustar form, None when it does not fit."""
    if len(name) <= 100:
        return b"", name
    at = name.find(b"/", max(0, len(name) - 101))
    if at <= 0 or at > 155 or not name[at + 1:]:
        return None
    return name[:at], name[at + 1:]


def sparse(e):
    """A sparse file as GNU tar writes it."""
    whole, parts, form = e.hint["sparse"][0], e.hint["sparse"][1], e.hint.get("form", "1.0")
    data = b"".join(d for _, d in parts)
    if form == "old":
        tail = b"\0" * 41 + b"".join(number(o, 12) + number(len(d), 12) for o, d in parts[:4]).ljust(96, b"\0")
        tail += b"\0" + number(whole, 12)
        return header(b"S", e.name, len(data), e.mode, magic=b"ustar  \0", tail=tail) + pad(data)
    records = {"GNU.sparse.realsize" if form == "1.0" else "GNU.sparse.size": b"%d" % whole}
    if form == "1.0":
        numbers = [len(parts)] + [n for o, d in parts for n in (o, len(d))]
        data = pad(b"".join(b"%d\n" % n for n in numbers)) + data
        records.update({"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.name": e.name})
        return pax_header(records) + header(b"0", b"GNUSparseFile.0/x", len(data), e.mode) + pad(data)
    records["GNU.sparse.numblocks"] = b"%d" % len(parts)
    if form == "0.1":
        records["GNU.sparse.name"] = e.name
        records["GNU.sparse.map"] = b",".join(b"%d,%d" % (o, len(d)) for o, d in parts)
        return pax_header(records) + header(b"0", b"GNUSparseFile.0/x", len(data), e.mode) + pad(data)
    body = b"".join(pax_record(k, v) for k, v in records.items())
    for o, d in parts:
        body += pax_record("GNU.sparse.offset", b"%d" % o) + pax_record("GNU.sparse.numbytes", b"%d" % len(d))
    return header(b"x", b"pax", len(body)) + pad(body) + header(b"0", e.name, len(data), e.mode) + pad(data)


def one(e):
    h = e.hint
    if "raw" in h:
        return h["raw"]
    if "sparse" in h:
        return sparse(e)
    name = e.name + (b"/" if e.kind == "d" and not e.name.endswith(b"/") and not h.get("bare") else b"")
    out, field, link = b"", dict(h.get("field", {})), e.link
    pax = dict(h.get("pax", {}))
    where = split_ustar(name)
    if h.get("gnu"):
        out += gnu_long(b"K", link) if len(link) > 100 else b""
        out += gnu_long(b"L", name) if len(name) > 100 else b""
        where, link = (b"", name[:100]), link[:100]
    elif where is None:
        pax.setdefault("path", name)
        where = (b"", name[:100])
    if len(link) > 100:
        pax.setdefault("linkpath", link)
        link = link[:100]
    if pax:
        out += pax_header(pax)
    if where[0]:
        field.setdefault("tail", where[0])
    magic = b"" if h.get("v7") else b"ustar  \0" if h.get("gnu") else b"ustar\x0000"
    size = h.get("size", len(e.content))
    field.setdefault("magic", magic)
    out += header(h.get("flag", FLAGS.get(e.kind, e.kind.encode())), where[1], size, e.mode, link,
                  int(e.mtime), field)
    return out + pad(e.content)


def tar(entries, end=b"\0" * 2 * BLOCK):
    return b"".join(one(e) for e in entries) + end
