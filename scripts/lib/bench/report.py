"""report: tables for people, JSON for programs, and the comparison with a baseline.

A baseline holds ratios only, never times. What moved by more than the tolerance is listed;
--check fails for rows of repx-launch that became slower than they were, for a number that
is missing, and for nothing else: a faster tar makes our ratio worse, but is seen beside it.
"""
import json
import os
import platform
import subprocess

TOLERANCE = 0.15
OURS = ("repx-launch",)


def first_line(argv):
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
    except OSError:
        return None
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else None


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def file_system(path):
    """The type of the file system that a path is on, from the mount with the longest name."""
    best = ("", "unknown")
    path = os.path.realpath(path)
    with open("/proc/self/mounts") as f:
        for line in f:
            _, where, kind = line.split()[:3]
            inside = path == where or path.startswith(where.rstrip("/") + "/")
            if inside and len(where) >= len(best[0]):
                best = (where, kind)
    return best[1]


def memory_gib():
    with open("/proc/meminfo") as f:
        return round(int(f.readline().split()[1]) / (1 << 20), 1)


def machine(scratch):
    os_name = "unknown"
    if os.path.exists("/etc/os-release"):
        with open("/etc/os-release") as f:
            names = dict(line.rstrip().split("=", 1) for line in f if "=" in line)
        os_name = names.get("PRETTY_NAME", os_name).strip('"')
    return {"cpu": cpu_model(), "cpus": len(os.sched_getaffinity(0)), "memory_gib": memory_gib(),
            "kernel": platform.release(), "os": os_name, "file_system": file_system(scratch),
            "user": "root" if os.geteuid() == 0 else "user"}


def versions(place):
    asked = {"repx-launch": [place.built("src/repx-launch"), "--version"],
             "tar": ["tar", "--version"], "bsdtar": ["bsdtar", "--version"],
             "bwrap": ["bwrap", "--version"], "podman": ["podman", "--version"],
             "docker": ["docker", "--version"], "umoci": ["umoci", "--version"],
             "skopeo": ["skopeo", "--version"], "ch-run": ["ch-run", "--version"],
             "unsquashfs": ["unsquashfs", "-version"], "sinfo": ["sinfo", "--version"]}
    found = {name: first_line(argv) for name, argv in asked.items()}
    return {name: line for name, line in found.items() if line}


def figure(value, unit):
    if value is None:
        return "-"
    if unit == "ms":
        return "%.2f" % (value * 1000)
    if unit == "MB":
        return "%.1f" % value
    return "%.3f" % value if value < 10 else "%.1f" % value


def ratio_text(value):
    return "-" if value is None else "%.2f" % value


def table(section, markdown=False):
    """A section (as a dict) as aligned columns, or as a table for docs/performance.md."""
    unit = section["unit"]
    rows = []
    for r in sorted(section["rows"], key=lambda r: (r["median"] is None, r["median"] or 0)):
        if r["failed"]:
            rows.append([r["contender"], "failed", "-", "-", r["failed"]])
            continue
        span = "%s-%s" % (figure(r["min"], unit), figure(r["max"], unit))
        rows.append([r["contender"], figure(r["median"], unit), ratio_text(r["ratio"]), span,
                     r["note"]])
    head = ["", "median " + unit, "ratio", "min-max", ""]
    title = "%s [%s]" % (section["title"], section["name"])
    if markdown:
        lines = ["**%s**" % title, "", "| " + " | ".join(head) + " |", "|---|---:|---:|---|---|"]
        lines += ["| " + " | ".join(r) + " |" for r in rows]
    else:
        widths = [max(len(r[i]) for r in rows + [head]) for i in range(4)]
        lines = [title]
        for r in [head] + rows:
            cells = [r[0].ljust(widths[0])] + [r[i].rjust(widths[i]) for i in (1, 2, 3)]
            lines.append(("  " + "  ".join(cells) + "  " + r[4]).rstrip())
    lines += ["%sabsent: %s" % ("" if markdown else "  ", "; ".join(
        "%s (%s)" % (a["contender"], a["why"]) for a in section["absent"]))] \
        if section["absent"] else []
    lines += ["%s%s" % ("" if markdown else "  ", n) for n in section.get("notes", [])]
    return "\n".join(lines)


def failures(result):
    return ["%s: %s: %s" % (s["name"], r["contender"], r["failed"])
            for s in result["sections"] for r in s["rows"] if r["failed"]]


def ratios(result):
    return {s["name"]: {r["contender"]: round(r["ratio"], 4) for r in s["rows"]
                        if r["ratio"] is not None} for s in result["sections"]}


def baseline_of(result):
    return {"machine": result["machine"], "date": result["date"], "size": result["size"],
            "rounds": result["rounds"], "versions": result["versions"],
            "images": result["images"], "ratios": ratios(result)}


def load(path):
    """The JSON of a run or a baseline."""
    with open(path) as f:
        return json.load(f)


def save(path, value):
    with open(path + ".new", "w") as f:
        json.dump(value, f, indent=1, sort_keys=True)
        f.write("\n")
    os.rename(path + ".new", path)


def ours(name):
    return name.startswith(OURS)


def compare(result, baseline):
    """(lines, fine): what moved between a baseline and a result."""
    lines, fine = [], True
    for key in ("cpu", "cpus", "kernel", "file_system", "user"):
        if result["machine"][key] != baseline["machine"][key]:
            lines.append("another machine: %s is %s, was %s" % (
                key, result["machine"][key], baseline["machine"][key]))
    if result["size"] != baseline["size"]:
        lines.append("not the same images: size is %s, was %s" % (result["size"], baseline["size"]))
    for name in sorted(set(result["images"]) & set(baseline["images"])):
        now, then = result["images"][name], baseline["images"][name]
        if now != then:
            lines.append("not the same images: %s is %s, was %s" % (name, now, then))
    now = ratios(result)
    compared = 0
    for section in sorted(now):
        old = baseline["ratios"].get(section, {})
        reference = next(s["reference"] for s in result["sections"] if s["name"] == section)
        for name in sorted(set(old) | set(now[section])):
            a, b = old.get(name), now[section].get(name)
            if name == reference or a is None:
                continue
            if b is None:
                fine = fine and not ours(name)
                lines.append("%s: %s: no ratio in this run, was %.2f" % (section, name, a))
                continue
            compared += 1
            change = b / a - 1
            if abs(change) <= TOLERANCE:
                continue
            worse = change > 0 and ours(name)
            fine = fine and not worse
            lines.append("%s: %s: %.2f, was %.2f (%+.0f %%)%s" % (
                section, name, b, a, change * 100, " SLOWER" if worse else ""))
    if compared == 0:
        return lines + ["nothing to compare: no section of this run is in the baseline"], False
    lines.append("%d ratios compared, tolerance %.0f %%" % (compared, TOLERANCE * 100))
    return lines, fine
