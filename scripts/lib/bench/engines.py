"""engines: a docker daemon of the run's own, with its data below the scratch directory."""
import os
import subprocess
import time

from .place import Absent, BenchError


class Docker:
    def __init__(self, place):
        self.place = place
        self.process = None
        self.why = None
        self.root = place.path("docker", "data")
        self.socket = place.path("docker", "docker.sock")

    def start(self):
        """Once; Absent when it cannot run here."""
        if self.why:
            raise Absent(self.why)
        if self.process:
            return
        try:
            self.launch()
        except Absent as e:
            self.why = str(e)
            raise

    def launch(self):
        dockerd = self.place.tool("dockerd", "docker.io")
        self.docker = self.place.tool("docker", "docker.io")
        if os.geteuid() != 0:
            raise Absent("a private dockerd needs root")
        os.makedirs(self.root)
        log = open(self.place.path("docker", "log"), "wb")
        self.process = self.place.start(
            [dockerd, "--iptables=false", "--bridge=none", "--data-root", self.root,
             "--exec-root", self.place.path("docker", "exec"), "-H", "unix://" + self.socket,
             "--pidfile", self.place.path("docker", "pid"), "--storage-driver", "overlay2"],
            stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.place.stop(self.process)
                self.process = None
                raise Absent("dockerd does not start: " + self.last_words())
            time.sleep(0.1)

    def last_words(self):
        with open(self.place.path("docker", "log"), errors="replace") as f:
            lines = f.read().strip().splitlines()
        return lines[-1] if lines else "no message"

    def answers(self):
        done = subprocess.run(self.call("version"), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    def call(self, *words):
        return [self.docker, "-H", "unix://" + self.socket] + list(words)

    def images(self):
        if not self.process:
            raise BenchError("dockerd has ended")
        return sorted(set(self.place.run(self.call("image", "ls", "--quiet", "--no-trunc")).split()))
