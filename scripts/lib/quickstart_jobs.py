"""quickstart_jobs: the parts of scripts/quickstart that read JSON.

  quickstart_jobs.py list LIST_JSON RUN            "ID NAME DEP,DEP" per job of the run
  quickstart_jobs.py report TABLE SCONTROL BASE    the closing summary; 1: not as expected

TABLE has one line per submitted job, tab-separated: Slurm id, what it shows, RepX job,
name, run, the expected end (ok, exit:N or cancelled). SCONTROL is `scontrol -o show job`,
BASE the base_path that the jobs wrote to.
"""
import json
import os
import re
import sys


def read(*parts):
    try:
        with open(os.path.join(*parts), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def list_jobs(path, run):
    with open(path, encoding="utf-8") as file:
        jobs = json.load(file)["jobs"]
    for job in jobs:
        if job["run"] == run:
            print(job["id"], job["name"], ",".join(job["deps"]) or "-")


def parse_scontrol(text):
    jobs = {}
    for line in text.splitlines():
        fields = dict(re.findall(r"(\w+)=(\S*)", line))
        if "JobId" in fields:
            jobs[fields["JobId"]] = fields
    return jobs


def marker_of(base, job):
    repx = os.path.join(base, "outputs", job, "repx")
    found = [m for m in ("SUCCESS", "FAIL") if os.path.exists(os.path.join(repx, m))]
    return "+".join(found) or "-"


def seconds_of(base, job):
    try:
        record = json.loads(read(base, "outputs", job, "repx", "launch.json"))
        return "%.2f" % sum(record["phases"].values())
    except (ValueError, KeyError):
        return "-"


def result_of(base, job, name, expected):
    out = os.path.join(base, "outputs", job, "out")
    for file in ("numbers.txt", "meta.txt"):
        text = read(out, file).split()
        if text:
            text = [re.sub(r"=.*/", "=.../", word) for word in text]
            return "%s: %s" % (file, " ".join(text))
    if expected == "cancelled":
        return "cancelled while it slept"
    return ([""] + read(base, "outputs", job, "repx", "stderr.log").splitlines())[-1]


def as_expected(expected, slurm, marker):
    state, code = slurm.get("JobState", "?"), slurm.get("ExitCode", "?")
    if expected == "ok":
        return state == "COMPLETED" and code == "0:0" and marker == "SUCCESS"
    if expected == "cancelled":
        return state == "CANCELLED" and marker == "FAIL"
    return state == "FAILED" and code == expected.split(":")[1] + ":0" and marker == "FAIL"


def print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())


def print_bound(base, jobs):
    """How the first consumer saw its producer's output, from inside its sandbox."""
    for job in jobs:
        for line in read(base, "outputs", job, "out", "probe.mountinfo").splitlines():
            fields = line.split()
            point, options = fields[4], fields[5]
            if point.startswith(os.path.join(base, "outputs")) and job not in point:
                mode = "read-only" if "ro" in options.split(",") else "WRITABLE"
                print("\nInside the sandbox of %s...:\n  %s\n  is mounted %s (%s)"
                      % (job[:12], point, mode, options))
                return mode == "read-only"
    print("\nNo consumer saw an artifact of another job.")
    return False


def report(table, scontrol, base):
    slurm_jobs = parse_scontrol(read(scontrol))
    rows = [("SLURM", "SHOWS", "JOB", "RUN", "NODE", "STATE", "EXIT", "SECONDS", "MARKER",
             "RESULT")]
    good, consumers = True, []
    for line in read(table).splitlines():
        slurm_id, shows, job, name, run, expected = line.split("\t")
        slurm = slurm_jobs.get(slurm_id, {})
        marker = marker_of(base, job)
        verdict = as_expected(expected, slurm, marker)
        good = good and verdict
        if shows == "consumer":
            consumers.append(job)
        rows.append((slurm_id, shows, "%s %s" % (job[:8], name), run,
                     slurm.get("NodeList", "?"), slurm.get("JobState", "?"),
                     slurm.get("ExitCode", "?:").split(":")[0], seconds_of(base, job), marker,
                     result_of(base, job, name, expected) + ("" if verdict else "  UNEXPECTED")))
    print_table(rows)
    good = print_bound(base, consumers) and good
    return 0 if good else 1


def main():
    verb, args = sys.argv[1], sys.argv[2:]
    if verb == "list":
        return list_jobs(*args)
    return report(*args)


if __name__ == "__main__":
    sys.exit(main())
