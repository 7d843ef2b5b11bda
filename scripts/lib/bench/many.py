"""many: launches that start at the same moment on one node.

On a warm store the reference is one launch alone, and the figure is the time until the last of
them has ended, divided by how many they are. On a cold store it is one cold launch: one of
them extracts, the others wait for it.
"""
import os

from . import trees
from .place import BenchError
from .runner import Row, Section, settle

COUNTS = {"full": (32, 128), "small": (4, 8)}
COLD = {"full": 32, "small": 4}


def argv(bench, image, store, command):
    return [bench.place.built("src/repx-launch"), "exec", "--quiet", "--node-local-path", store,
            "--image", image.docker_dir("none"), "--"] + command


def together(bench, command, count):
    """Seconds until the last of so many has ended."""
    settle(bench.place)
    results = bench.place.time([command] * count, together=True)
    bad = [r for r in results if r[1] != 0]
    if bad:
        raise BenchError("%d of %d launches failed, the first with %d: %s" % (
            len(bad), count, bad[0][1], bench.place.said()))
    return max(r[0] for r in results)


def section_warm(bench):
    counts = (1,) + COUNTS[bench.size]
    section = Section("many/warm", "Warm launches at once: time for each of them",
                      "repx-launch, 1 alone", "ms")
    image, store = bench.images.get("start"), bench.place.fresh("many-store")
    command = argv(bench, image, store, ["/bin/nothing"])
    bench.place.run(command)
    rows = [Row("repx-launch, 1 alone")] + [Row("repx-launch, %d at once" % n) for n in counts[1:]]
    section.rows = rows
    for _ in range(bench.rounds):
        for row, count in zip(rows, counts):
            row.samples.append(together(bench, command, count) / count)
    return section


def extracted_once(image, store):
    """The layers that are in the store: no more than the image has, and all of each."""
    top = os.path.join(store, "repx", "store-v1", "layers")
    names = os.listdir(top)
    if len(names) != image.about["layers"]:
        raise BenchError("%d layers are in the store" % len(names))
    found = trees.count(*[os.path.join(top, n, "tree") for n in names])
    if found != image.expected:
        raise BenchError("left %s, the image has %s" % (found, image.expected))


def section_cold(bench):
    count = COLD[bench.size]
    section = Section("many/cold", "Launches at once on a cold store: time until all have ended",
                      "repx-launch, 1 cold")
    image = bench.images.get("repx")
    rows = [Row("repx-launch, 1 cold"), Row("repx-launch, %d cold at once" % count,
                                            "one extracts, the others wait")]
    section.rows = rows
    for _ in range(bench.rounds):
        for row, n in zip(rows, (1, count)):
            store = bench.place.fresh("many-cold")
            image.warm(image.docker_dir("none"))
            # the image has no program of its own: the command comes in from outside
            command = argv(bench, image, store, ["/tmp/nothing"])
            command[3:3] = ["--mount-path", bench.place.built("tests/bench-nothing") +
                            ":/tmp/nothing:ro"]
            row.samples.append(together(bench, command, n))
            extracted_once(image, store)
            bench.place.fresh("many-cold")
    return section


def sections(bench):
    for key, make in (("many/warm", section_warm), ("many/cold", section_cold)):
        if bench.selected(key):
            yield make(bench)
