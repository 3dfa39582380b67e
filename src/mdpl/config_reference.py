"""The configuration reference, written from the schema."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from mdpl.config import Config

_NAMES = {str: "text", bool: "true or false", int: "whole number", float: "number"}


def reference() -> str:
    """Every key with its type, default and meaning, as Markdown."""
    lines = [
        "# Configuration",
        "",
        "One YAML file describes a run; `mdpl init` writes it with every default and `mdpl check` "
        "says what it would do. A key that is not here is refused. Paths are "
        "relative to the file.",
        "",
    ]
    return "\n".join([*lines, *_section(Config, "")])


def _section(section: type[BaseModel], above: str) -> list[str]:
    heads = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    rows, below = [], []
    for name, field in section.model_fields.items():
        dotted = f"{above}{name}"
        inner = list(_models(field.annotation))
        meaning = field.description or (inner[0].__doc__ or "").strip().splitlines()[0]
        cells = (f"`{dotted}`", _type(field.annotation), _default(field), meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        for part in inner:
            of_tower = ".<name>" if get_origin(field.annotation) is dict else ""
            kind = f", kind `{part.model_fields['kind'].default}`" if len(inner) > 1 else ""
            title = (part.__doc__ or "").strip().splitlines()[0]
            below += ["", f"## `{dotted}{of_tower}`{kind}", "", title, ""]
            below += _section(part, f"{dotted}{of_tower}.")
    return [*heads, *rows, *below]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Sections an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in get_args(annotation):
        yield from _models(inner)


def _type(annotation: Any) -> str:
    """A type in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin is Annotated:
        return _type(parts[0])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in parts))
    if origin is tuple:
        several = len(parts) == 2 and parts[1] is Ellipsis
        inner = _type(parts[0]) if several else ", ".join(_type(part) for part in parts)
        return f"list of {inner}" if several else f"[{inner}]"
    if origin is dict:
        return f"{{name: {_type(parts[1])}}}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _NAMES.get(annotation, "path" if "Path" in str(annotation) else str(annotation))


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "must be given"
    if isinstance(value, BaseModel):
        return "see below"
    text = yaml.safe_dump(_plain(value), default_flow_style=True, width=10_000)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
