"""Does the jobs on standard input, see README.md beside this file."""

import sys


class Job:
    """A verb and its fields."""

    def __init__(self, line):
        self.verb, *fields = line.rstrip("\n").split("\t")
        self.fields = [field.split("=", 1) for field in fields]

    def has(self, name):
        return any(key == name for key, _ in self.fields)

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def get(self, name, otherwise=None):
        found = self.all(name) or [otherwise]
        if found[0] is None:
            raise ValueError(f"no field {name}")
        return found[0]

    def bytes(self, name):
        return read(self.get(name))

    def triples(self, name):
        """Values of three parts: the two files, read, and how."""
        for value in self.all(name):
            certificate, key, how = value.split("|")
            yield read(certificate), read(key), how


def read(path):
    with open(path, "rb") as file:
        return file.read()


def run(verbs):
    """Does every job with the function of its verb, which gives the result as bytes."""
    for line in sys.stdin:
        job = Job(line)
        try:
            result = verbs[job.verb](job)
            with open(job.get("out"), "wb") as file:
                file.write(result)
            print("ok")
        except Exception as error:
            print("failed:", " ".join(f"{type(error).__name__} {error}".split()))
