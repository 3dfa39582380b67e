"""Errors that are the user's to mend; the command line prints them without a traceback."""

from __future__ import annotations


class MdplError(Exception):
    """Base of all errors a user can mend.

    The message says what was expected, what was found, where (file, site, time, parameter)
    and what to do.
    """


class SiteError(MdplError):
    """A tower's files are missing, unreadable or physically impossible."""


class ConfigError(MdplError):
    """The configuration does not describe a run."""


class RunError(MdplError):
    """A run folder cannot be used, or holds something else than expected."""


class ModelError(MdplError):
    """A land model was asked for something it cannot do, or failed."""


class DamageError(RunError):
    """A file of a run folder is not what was written there."""
