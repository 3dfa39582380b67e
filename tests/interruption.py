"""A user who presses Ctrl-C in the middle of a piece of work."""

from contextlib import contextmanager


class Cut:
    """A progress display that interrupts one piece of work at a step of it, or at its last.

    Attributes:
        fell: whether it did.
    """

    def __init__(self, description, at=2):
        self.description, self.at, self.fell = description, at, False

    def stage(self, name):
        pass

    def say(self, text):
        pass

    @contextmanager
    def task(self, description, total):
        done = 0

        class Bar:
            def advance(_, n):
                nonlocal done
                done += n
                if description == self.description and done >= min(self.at, total):
                    self.fell = True
                    raise KeyboardInterrupt

            def note(_, text):
                pass

        yield Bar()
