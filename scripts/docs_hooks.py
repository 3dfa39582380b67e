"""What the documentation is given at every build: the configuration reference from the schema."""

from __future__ import annotations

from typing import Any

from mkdocs.structure.files import File, Files

from mdpl.config_reference import reference


def on_files(files: Files, config: Any) -> Files:
    """Put ``configuration.md`` among the pages."""
    files.append(File.generated(config, "configuration.md", content=reference()))
    return files
