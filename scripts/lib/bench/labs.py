"""labs: RepX labs for the benchmark, made by scripts/make-lab and then changed: jobs with as
many inputs as wanted, and scripts that do nothing."""
import json
import os
import shutil
import time


class Lab:
    def __init__(self, place, path):
        self.place, self.path = place, path
        self.jobs = []       # those that are measured
        self.producers = []  # those that jobs take inputs from

    def metadata(self):
        return os.path.join(self.path, "revision", "metadata-sim.json")

    def manifest(self):
        return os.path.join(self.path, "lab", "lab-metadata.json")

    def reseal(self):
        """The manifest fits the files again."""
        self.place.run([os.path.join(self.place.source, "tests", "repx_rules.py"), "reseal",
                        self.path])

    def ripen(self, size):
        """A file written less than ten seconds ago is hashed by each launch (decision 17). The
        labs of real experiments are older; tiny ones need not be, nothing is read from them."""
        if size == "full":
            time.sleep(max(0, os.stat(os.path.join(self.path, "lab")).st_ctime + 12 - time.time()))

    def give_inputs(self, base):
        """What producers would leave in a store, as RepX writes it."""
        for job in self.producers:
            out = os.path.join(base, "outputs", job, "out")
            os.makedirs(out)
            os.makedirs(os.path.join(base, "outputs", job, "repx"))
            with open(os.path.join(out, "numbers.txt"), "w") as f:
                f.write("1\n")
            open(os.path.join(base, "outputs", job, "repx", "SUCCESS"), "w").close()


def make(place, name, *options):
    path = place.path(name, "bench-lab")
    os.makedirs(os.path.dirname(path))
    place.run([os.path.join(place.source, "scripts", "make-lab"), *options, path])
    return Lab(place, path)


def is_consumer(job):
    return bool(job["executables"]["main"]["inputs"])


def with_inputs(place, name, counts):
    """A lab with one job for each count, which takes so many inputs; all do nothing."""
    lab = make(place, name, "--image", "unified", "--trivial", "--sweep",
               str(max(len(counts), max(counts))))
    with open(lab.metadata()) as f:
        metadata = json.load(f)
    consumers = [j for j, v in metadata["jobs"].items() if is_consumer(v)]
    lab.producers = [j for j, v in metadata["jobs"].items() if not is_consumer(v)]
    program = place.built("tests/bench-nothing")
    for job, count in zip(consumers, counts):
        main = metadata["jobs"][job]["executables"]["main"]
        template = main["inputs"][0]
        main["inputs"] = [dict(template, job_id=p, target_input="input%d" % i)
                          for i, p in enumerate(lab.producers[:count])]
        script = os.path.join(lab.path, main["path"])
        os.chmod(os.path.dirname(script), 0o755)
        os.unlink(script)
        shutil.copy(program, script)
        lab.jobs.append(job)
    os.chmod(lab.metadata(), 0o644)
    with open(lab.metadata(), "w") as f:
        json.dump(metadata, f)
    lab.reseal()
    return lab
