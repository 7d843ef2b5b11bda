#!/usr/bin/env python3
"""repx_rules.py - RepX's rules a second time, for the tests to compare with.

  inputs LAB JOB BASE               inputs.json of a simple job, or of a scatter phase
  parameters LAB JOB                parameters.json
  step-inputs LAB JOB BASE N STEP   inputs.json of one step of branch N
  gather-inputs LAB JOB BASE        gather_inputs.json
  manifest LAB JOB BASE BRANCHES    worker_outs_manifest.json
  reseal LAB                        make the lab's manifest fit its files again
  processes TEXT                    processes with TEXT in argv or environment
"""
import glob
import hashlib
import json
import os
import sys


def load(lab):
    jobs = {}
    for path in sorted(glob.glob(os.path.join(lab, "revision", "metadata-*.json"))):
        with open(path) as f:
            jobs.update(json.load(f).get("jobs", {}))
    return jobs


def pretty(value):
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def resolve(lab, jobs, job, base):
    exes = jobs[job]["executables"]
    exe = exes["main"] if "main" in exes else exes["scatter"]
    out = {}
    for m in exe["inputs"]:
        target = m["target_input"]
        if m["job_id"] and m["source_output"]:
            producer = jobs[m["job_id"]]["executables"]
            template = producer.get("main", producer.get("gather"))["outputs"][m["source_output"]]
            out[target] = template.replace("$out", "%s/outputs/%s/out" % (base, m["job_id"]))
        elif m["type"] == "global" or target == "store__base":
            out[target] = base
        elif m["source_run"]:
            names = sorted(n for n in os.listdir(os.path.join(lab, "revision"))
                           if n.endswith("metadata-%s.json" % m["source_run"]))
            if names:
                out[target] = "%s/artifacts/revision/%s" % (base, names[0])
    return out


def step_inputs(lab, jobs, job, base, branch, step):
    exes = jobs[job]["executables"]
    sg = resolve(lab, jobs, job, base)
    branch_dir = "%s/outputs/%s/branch-%d" % (base, job, branch)
    out = {}
    for m in exes["step-" + step]["inputs"]:
        source = m["source"] or ""
        if source == "scatter:work_item":
            out[m["target_input"]] = branch_dir + "/repx/work_item.json"
        elif source.startswith("step:"):
            template = exes["step-" + source[5:]]["outputs"][m["source_output"]]
            out[m["target_input"]] = template.replace(
                "$out", "%s/step-%s/out" % (branch_dir, source[5:]))
        elif m["job_id"] and m["target_input"] in sg:
            out[m["target_input"]] = sg[m["target_input"]]
    return out


def manifest(jobs, job, base, branches):
    exes = jobs[job]["executables"]
    needed = {d for e in exes.values() for d in e.get("deps", [])}
    sink = next(n for n in exes if n.startswith("step-") and n[5:] not in needed)
    return [{k: v.replace("$out", "%s/outputs/%s/branch-%d/%s/out" % (base, job, i, sink))
             for k, v in exes[sink]["outputs"].items()} for i in range(branches)]


def reseal(lab):
    path = glob.glob(os.path.join(lab, "lab", "*lab-metadata.json"))[0]
    with open(path) as f:
        top = json.load(f)
    for entry in top["files"]:
        try:
            with open(os.path.join(lab, entry["path"]), "rb") as f:
                entry["sha256"] = hashlib.sha256(f.read()).hexdigest()
        except OSError:
            pass
    with open(path, "w") as f:
        json.dump(top, f, separators=(",", ":"), sort_keys=True)


def ancestors():
    pid, out = os.getpid(), set()
    while pid > 0 and pid not in out:
        out.add(pid)
        with open("/proc/%d/stat" % pid) as f:
            pid = int(f.read().rsplit(")", 1)[1].split()[1])
    return out


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def processes(text):
    mine = ancestors()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) in mine:
            continue
        argv = read("/proc/%s/cmdline" % pid)
        if not argv or text.encode() not in argv + read("/proc/%s/environ" % pid):
            continue
        print(pid, argv.replace(b"\0", b" ").decode(errors="replace"))


def main():
    command, args = sys.argv[1], sys.argv[2:]
    if command == "reseal":
        return reseal(*args)
    if command == "processes":
        return processes(*args)
    jobs = load(args[0])
    if command == "inputs":
        text = pretty(resolve(args[0], jobs, args[1], args[2]))
    elif command == "parameters":
        text = pretty(jobs[args[1]]["params"])
    elif command == "step-inputs":
        text = pretty(step_inputs(args[0], jobs, args[1], args[2], int(args[3]), args[4]))
    elif command == "gather-inputs":
        sg = resolve(args[0], jobs, args[1], args[2])
        sg["worker__outs"] = "%s/outputs/%s/repx/worker_outs_manifest.json" % (args[2], args[1])
        text = pretty(sg)
    elif command == "manifest":
        text = json.dumps(manifest(jobs, args[1], args[2], int(args[3])),
                          separators=(",", ":"), sort_keys=True)
    else:
        sys.exit(__doc__)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
