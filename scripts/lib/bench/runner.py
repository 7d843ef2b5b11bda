"""runner: contenders taking turns, so that what the machine does meanwhile hits all alike.

A contender has a name and turns(round) -> the argument vectors to time; verify() raises
BenchError unless the work was done. In each round every contender has one turn, the first
of the round moves by one each time. The ratio is the median over the rounds of its time
over that of the reference *in the same round*.
"""
import ctypes
import os
import statistics

from .place import BenchError, say

LIBC = ctypes.CDLL(None, use_errno=True)


class Row:
    def __init__(self, name, note=""):
        self.name = name
        self.note = note
        self.samples = []  # seconds; None where the contender had no turn
        self.values = {}   # other figures: name -> list
        self.failed = None

    def taken(self):
        return [s for s in self.samples if s is not None]

    def median(self):
        return statistics.median(self.taken()) if self.taken() else None


class Section:
    """One table: rows that are compared with one reference."""

    def __init__(self, name, title, reference, unit="s"):
        self.name, self.title, self.reference, self.unit = name, title, reference, unit
        self.rows = []
        self.absent = []  # (name, why)

    def row(self, name):
        return next((r for r in self.rows if r.name == name), None)

    def ratio(self, row):
        """Against the reference, None without it."""
        base = self.row(self.reference)
        if base is None or row.failed or base.failed:
            return None
        pairs = [a / b for a, b in zip(row.samples, base.samples) if a is not None and b]
        return statistics.median(pairs) if pairs else None

    def as_dict(self):
        rows = []
        for r in self.rows:
            taken = r.taken()
            rows.append({"contender": r.name, "median": r.median(), "ratio": self.ratio(r),
                         "min": min(taken, default=None), "max": max(taken, default=None),
                         "rounds": len(taken), "samples": r.samples, "note": r.note,
                         "failed": r.failed,
                         "values": {k: statistics.median(v) for k, v in r.values.items()}})
        return {"name": self.name, "title": self.title, "unit": self.unit,
                "reference": self.reference, "rows": rows,
                "absent": [{"contender": n, "why": w} for n, w in self.absent]}


class Contender:
    """What takes part. Subclasses say how; slow ones have a turn in `turns_max` rounds only."""
    name = ""
    note = ""
    turns_max = None

    def commands(self):
        """The argument vectors of one turn; what comes before is not timed."""
        raise NotImplementedError

    def verify(self):
        """Raises BenchError unless the work was really done."""

    def after(self):
        """Not timed: take down what the turn left."""


def one_turn(place, contender, row):
    results = place.time(contender.commands())
    for _, status, *_ in results:
        if status != 0:
            raise BenchError("ended with %d: %s" % (status, place.said()))
    contender.verify()
    row.samples.append(sum(r[0] for r in results))
    row.values.setdefault("max_rss_kib", []).append(max(r[2] for r in results))
    row.values.setdefault("cpu_s", []).append(sum(r[3] + r[4] for r in results))


def settle(place):
    """What earlier turns left to be written to disk is not the next one's burden. What is
    removed by now is never written, so this is short."""
    fd = os.open(place.dir, os.O_RDONLY)
    try:
        if LIBC.syncfs(fd) != 0:
            raise BenchError("syncfs: " + os.strerror(ctypes.get_errno()))
    finally:
        os.close(fd)


def measure(place, section, contenders, rounds):
    """Fills the section's rows. A contender that fails is out; its row says why."""
    rows = {c.name: Row(c.name, c.note) for c in contenders}
    section.rows = [rows[c.name] for c in contenders]
    for number in range(rounds):
        say("%s: round %d of %d" % (section.name, number + 1, rounds))
        first = number % len(contenders) if contenders else 0
        for c in contenders[first:] + contenders[:first]:
            row = rows[c.name]
            if row.failed:
                continue
            if c.turns_max is not None and len(row.taken()) >= c.turns_max:
                row.samples.append(None)
                continue
            settle(place)
            try:
                one_turn(place, c, row)
            except (BenchError, OSError) as e:
                row.failed = str(e)
                say("%s: %s is out: %s" % (section.name, c.name, e))
            finally:
                c.after()
    return section


def schedule(contenders, rounds):
    """(round, contender) in the order of the turns."""
    out = []
    for number in range(rounds):
        first = number % len(contenders)
        for c in contenders[first:] + contenders[:first]:
            if c.turns_max is None or number < c.turns_max:
                out.append((number, c))
    return out


def measure_starts(place, section, contenders, rounds):
    """The same for what takes milliseconds: one command a turn, all of them in one go, so that
    nothing but the commands runs. What they do is checked before (Contender.check)."""
    rows = {c.name: Row(c.name, c.note) for c in contenders}
    section.rows = [rows[c.name] for c in contenders]
    for row in section.rows:
        row.samples = [None] * rounds
    say("%s: %d rounds" % (section.name, rounds))
    turns = schedule(contenders, rounds)
    settle(place)
    for (number, c), result in zip(turns, place.time([c.command() for _, c in turns])):
        if result[1] != 0 and not rows[c.name].failed:
            rows[c.name].failed = "ended with %d in round %d" % (result[1], number + 1)
        rows[c.name].samples[number] = result[0]
        rows[c.name].values.setdefault("max_rss_kib", []).append(result[2])
    return section
