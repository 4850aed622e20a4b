"""A memory control group for a test's process: version 2 or version 1, whichever the kernel keeps
memory in. For the run_*.py scripts, as root.
"""

import os
import time

ROOT = "/sys/fs/cgroup"


class MemoryGroup:
    def __init__(self, name, limit_bytes):
        """Raises OSError where no group can be made."""
        self.two = self.is_two()
        self.path = os.path.join(ROOT if self.two else f"{ROOT}/memory", name)
        if self.two:
            self.put(os.path.join(ROOT, "cgroup.subtree_control"), "+memory")
        os.mkdir(self.path)
        try:
            limit = "memory.max" if self.two else "memory.limit_in_bytes"
            self.put(self.file(limit), str(limit_bytes))
        except OSError:
            os.rmdir(self.path)
            raise

    @staticmethod
    def is_two():
        try:
            with open(f"{ROOT}/cgroup.controllers") as f:
                return "memory" in f.read().split()
        except OSError:
            return False

    @staticmethod
    def put(path, text):
        with open(path, "w") as f:
            f.write(text)

    def file(self, name):
        return os.path.join(self.path, name)

    def number(self, name):
        try:
            with open(self.file(name)) as f:
                return int(f.read())
        except OSError:
            return 0

    def most(self):
        """The most it ever had; 0 where the kernel does not say."""
        return self.number("memory.peak" if self.two else "memory.max_usage_in_bytes")

    def kills(self):
        with open(self.file("memory.events" if self.two else "memory.oom_control")) as f:
            rows = dict(line.split() for line in f)
        return int(rows["oom_kill"])

    def enter(self, argv):
        """The command that runs `argv` inside."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', self.file("cgroup.procs"), *argv]

    def remove(self):
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.05)
