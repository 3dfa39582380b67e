"""A run of the pipeline that kills itself: python killed_run.py CONFIG RUN LEDGER [STAGE WRITE].

It ends by SIGKILL at the given write (a rename or an fsync, counted from 1) of the given stage.
Every call of the land model is a line of the ledger: stage, tower, members. At the end the writes
of every stage are printed as JSON.
"""

import json
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

from mdpl import pipeline
from mdpl.config import load
from mdpl.errors import MdplError
from mdpl.lsm.opening import open_model
from mdpl.progress import SilentProgress


class Watched(SilentProgress):
    """Counts the writes of each stage; kills the process at one of them."""

    def __init__(self, stage, at):
        self.now, self.wanted, self.at = "start", stage, at
        self.writes = Counter()
        self.lock = threading.Lock()

    def stage(self, name):
        self.now = name

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def before(self, call):
        def counted(*args, **kwargs):
            with self.lock:
                self.writes[self.now] += 1
                if (self.now, self.writes[self.now]) == (self.wanted, self.at):
                    os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted


def main():
    config, folder, ledger, *point = sys.argv[1:]
    stage, at = (point[0], int(point[1])) if point else ("", 0)
    watched = Watched(stage, at)
    os.replace, os.fsync = watched.before(os.replace), watched.before(os.fsync)
    told = load(Path(config))
    model = type(open_model(told.model))
    simulate = model.simulate

    def noted(self, site, values=None, outputs=None):
        if values is not None and len(values) > 1:
            with open(ledger, "a") as file:
                file.write(f"{watched.now} {site.code} {len(values)}\n")
        return simulate(self, site, values, outputs)

    model.simulate = noted
    try:
        pipeline.run(told, Path(folder), watched, report=False)
    except MdplError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(watched.writes))


main()
