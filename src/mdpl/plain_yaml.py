"""YAML from strangers: plain data of plain size."""

from __future__ import annotations

from typing import Any

import yaml

LARGEST = 1_000_000
"""Characters of a file that is read."""


class _Plain(yaml.SafeLoader):
    """Without references, by which a few lines can stand for gigabytes, and keys given twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.YAMLError(f"references (*name) are not read, found one at{mark}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                raise yaml.YAMLError(
                    f"{name!r} stands twice, in lines {lines[name]} and {line}; the second would "
                    "replace the first: join them"
                )
            lines[name] = line
        return super().construct_mapping(node, deep)


def parse(text: str) -> Any:
    """The content of a YAML text; no tags but the standard ones, no references.

    Raises:
        yaml.YAMLError: it is something else, too large or nested too deeply.
    """
    if len(text) > LARGEST:
        raise yaml.YAMLError(f"expected at most {LARGEST} characters, found {len(text)}")
    try:
        return _Plain(text).get_single_data()
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error
    except (ValueError, OverflowError, LookupError, TypeError, AttributeError) as error:
        # Dates and numbers that are none.
        raise yaml.YAMLError(str(error)) from error
