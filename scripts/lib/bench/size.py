"""size: labs of 10 and of 100,000 jobs. The reference of the starts is a job of the small lab;
of the first launch, which builds the index, it is a bare parse of the lab's JSON."""
import os

from . import labs
from .place import BenchError, remove_tree
from .runner import Contender, Section, measure, measure_starts

JOBS = {"full": (10, 100000), "small": (10, 200)}


class Plan(Contender):
    """`repx-launch plan JOB`: finds a job and all it needs, starts nothing."""

    def __init__(self, bench, name, lab, job, base):
        self.name, self.base, self.job = name, base, job
        self.argv = [bench.place.built("src/repx-launch"), "plan", job, "--json", "--native",
                     "--lab", lab.path, "--base-path", base]
        if job not in bench.place.run(self.argv):
            raise BenchError("plan does not speak of " + job)

    def command(self):
        return self.argv


class First(Contender):
    """The same on a store that has no index of the lab yet."""
    name = "repx-launch, first launch"
    note = "checks the lab, builds the index"

    def __init__(self, bench, lab, job):
        self.place, self.job = bench.place, job
        self.base = self.place.path("first-store")
        self.argv = [bench.place.built("src/repx-launch"), "plan", job, "--native", "--lab",
                     lab.path, "--base-path", self.base]

    def commands(self):
        self.place.fresh("first-store")
        return [self.argv]

    def after(self):
        self.place.fresh("first-store")


class Index(First):
    """The same without looking at the files of 100,000 jobs, which is no part of the index."""
    name = "repx-launch, index alone"
    note = "--no-verify-lab: no file is read but the JSON"

    def __init__(self, bench, lab, job):
        super().__init__(bench, lab, job)
        self.argv = self.argv + ["--no-verify-lab"]


class Parse(Contender):
    """What reading manifest and metadata costs anybody who reads all of it."""
    name = "parse"
    note = "jq reads the same JSON once"

    def __init__(self, bench, lab):
        self.argv = [bench.place.tool("jq"), "-e", "(.jobs // .files) | length", lab.metadata(),
                     lab.manifest()]

    def commands(self):
        return [self.argv]


def first_job(lab):
    """The first producer, by the lab's own directory of jobs: no need to read the metadata."""
    found = [n for n in os.listdir(os.path.join(lab.path, "jobs")) if "-stage-A-" in n]
    return min(found)


def make_labs(bench):
    out = []
    for jobs in JOBS[bench.size]:
        lab = labs.make(bench.place, "size-%d" % jobs, "--image", "none", "--trivial", "--jobs",
                        str(jobs))
        out.append((jobs, lab, first_job(lab)))
    for _, lab, _ in out:
        lab.ripen(bench.size)
    return out


def section_start(bench, made):
    section = Section("size/start", "Finding a job in a lab that has been launched from before",
                      "repx-launch, %d jobs" % made[0][0], "ms")
    base = bench.place.fresh("size-store")
    found = [Plan(bench, "repx-launch, %d jobs" % jobs, lab, job, base) for jobs, lab, job in made]
    measure_starts(bench.place, section, found, bench.starts)
    for row in section.rows:
        row.note = "max RSS %.1f MB" % (max(row.values["max_rss_kib"]) / 1024)
    return section


def section_first(bench, made):
    jobs, lab, job = made[-1]
    section = Section("size/first", "The first launch from a lab of %d jobs" % jobs, "parse")
    measure(bench.place, section,
            [Parse(bench, lab), First(bench, lab, job), Index(bench, lab, job)], bench.rounds)
    for row in section.rows:
        if row.values:
            row.note += ", max RSS %.1f MB" % (max(row.values["max_rss_kib"]) / 1024)
    return section


def sections(bench):
    wanted = [make for key, make in [("size/start", section_start), ("size/first", section_first)]
              if bench.selected(key)]
    if not wanted:
        return
    made = make_labs(bench)
    for make in wanted:
        yield make(bench, made)
    # a file for each job, which other sections have no use for
    for _, lab, _ in made:
        remove_tree(os.path.dirname(lab.path))
