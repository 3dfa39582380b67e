"""One checked YAML file describes a run."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mdpl.config_learning import AnySurrogateConfig, GeneratorConfig, SequenceConfig
from mdpl.errors import ConfigError
from mdpl.plain_yaml import parse
from mdpl.sites.closure import FluxChoice


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SitesConfig(_Section):
    """Which towers take part."""

    folder: Path | None = Field(
        None,
        description="folder of records (PLUMBER2, FLUXNET, AmeriFlux BASE, mapped tables), "
        "relative to this file; "
        "null = the towers that come with MdPL",
    )
    codes: tuple[str, ...] | None = Field(None, description="tower codes; null = all in the folder")
    held_out: tuple[str, ...] = Field(
        (), description="towers nothing is learnt from, but which are given parameters and judged"
    )
    attributes: Path | None = Field(
        None,
        description="table (CSV) or folder of tables of soil, vegetation fractions and heights, "
        "relative to this file; null = none",
    )
    flux: FluxChoice = Field(
        "raw",
        description="heat fluxes as measured (raw), corrected by the network (corrected: *_cor), "
        "or the energy balance closed here: bowen_ratio, residual",
    )


class SupplyConfig(_Section):
    """Water that a tower's ground gets from outside the standard scheme."""

    irrigation_target: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="saturation that irrigation fills the root zone to; 0 = no irrigation"
    )
    irrigation_below: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="saturation of the root zone that calls for irrigation"
    )
    water_table: Annotated[float, Field(gt=0)] | None = Field(
        None, description="depth of a prescribed water table, m; null = none"
    )


class MixtureConfig(_Section):
    """A second kind of vegetation under a tower."""

    igbp: str = Field(description="IGBP class of the second vegetation")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of the ground")
    leaves: Annotated[float, Field(ge=0)] = Field(
        1.0, description="its leaf area index over the mean one of the tower"
    )
    height: Annotated[float, Field(gt=0)] | None = Field(None, description="of its canopy, m")


class ModelConfig(_Section):
    """The land model."""

    name: Literal["matsiro"] = Field("matsiro", description="land model")
    parameters: tuple[str, ...] | None = Field(
        None, description="parameters to calibrate; null = the model's recommended set"
    )
    ranges: dict[str, tuple[float, float]] = Field(
        {}, description="narrower bounds, physical units, such as {vmax: [20, 120]}"
    )
    newton_steps: Annotated[int, Field(ge=1, le=200)] = Field(
        20, description="Newton steps of the surface solution at most, in a step of the model"
    )
    default_cycles: Annotated[int, Field(ge=1)] = Field(
        12,
        description="cycles of spin-up at most to the default parameters' equilibrium; it ends "
        "where stores change by less than 1 kg m-2 and 0.1 K",
    )
    member_cycles: Annotated[int, Field(ge=0)] = Field(
        1, description="years every other parameter set runs from there before its record counts"
    )

    supply: dict[str, SupplyConfig] = Field(
        {},
        description="irrigation or a shallow water table by tower, such as "
        "{US-Tw3: {water_table: 0.7}}; not part of the standard scheme",
    )
    mixtures: dict[str, MixtureConfig] = Field(
        {},
        description="a second vegetation by tower, such as {US-SRM: {igbp: GRA, share: 0.4}}",
    )

    @field_validator("ranges")
    @classmethod
    def _upright(cls, value: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in value.items():
            if not low < high:
                raise ValueError(
                    f"parameter {name}: expected [lower, upper] with lower < upper, "
                    f"found [{low:g}, {high:g}]; swap them"
                )
        return value


class EnsembleConfig(_Section):
    """The perturbed-parameter runs the surrogate learns from."""

    members: Annotated[int, Field(ge=4)] = Field(128, description="runs of each tower")
    design: Literal["sobol", "latin_hypercube"] = Field("sobol", description="space-filling design")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="seed of the design")
    unseen: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.125, description="share of members kept from the surrogate, to judge it on"
    )


class RefineConfig(_Section):
    """Closing the gap between what the surrogate promises and what the land model delivers."""

    rounds: Annotated[int, Field(ge=0)] = Field(
        2,
        description="rounds at most of running the land model at the learnt parameters and "
        "around them, and learning again",
    )
    tolerance: Annotated[float, Field(gt=0)] = Field(
        0.05,
        description="share of the delivered RMSE by which the promise may be off, in the "
        "median and at 80 % of towers, for the rounds to end",
    )
    members: Annotated[int, Field(ge=2)] = Field(
        16, description="land-model runs of each tower and round"
    )
    spread: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.1, description="standard deviation of their parameters about the learnt, unit cube"
    )
    steps: Annotated[int, Field(ge=1)] = Field(
        500, description="training steps of the surrogate in each round"
    )


class EvaluationConfig(_Section):
    """What counts in daily and monthly scores."""

    day_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="least measured share of a day's steps"
    )
    month_days: Annotated[int, Field(ge=1, le=28)] = Field(
        7, description="least number of valid days in a month"
    )


class Config(_Section):
    """A run of MdPL."""

    title: str = Field("MdPL calibration", description="heading of the report")
    tasks: tuple[Literal["Qle", "Qh", "GPP"], ...] = Field(
        ("Qle", "Qh"), min_length=1, description="fluxes that are learnt together"
    )
    sites: SitesConfig = SitesConfig()
    model: ModelConfig = ModelConfig()
    ensemble: EnsembleConfig = EnsembleConfig()
    surrogate: AnySurrogateConfig = SequenceConfig()
    generator: GeneratorConfig = GeneratorConfig()
    refine: RefineConfig = RefineConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


def load(path: Path) -> Config:
    """Read and check a configuration; relative paths of ``sites`` are taken from the file's place.

    Raises:
        ConfigError: the file is missing, not YAML, or does not describe a run; the message names
            the key.
    """
    try:
        raw = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such configuration; write one with 'mdpl init --out {path}'"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected sections such as 'sites:', found {type(raw).__name__}")
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        lines = "\n".join(f"  {line}" for line in _explain(error))
        raise ConfigError(f"{path}: this does not describe a run:\n{lines}") from error
    places = {"folder": config.sites.folder, "attributes": config.sites.attributes}
    try:
        found = {key: (path.parent / place).resolve() for key, place in places.items() if place}
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{path}: sites: not a path ({error})") from error
    return config.model_copy(update={"sites": config.sites.model_copy(update=found)})


def dump(config: Config) -> str:
    """The configuration as YAML, every value written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def template(folder: Path | None = None, codes: Sequence[str] | None = None) -> str:
    """A commented configuration with every default; `load` gives the defaults back."""
    sites = SitesConfig(folder=folder, codes=tuple(codes) if codes else None)
    config = Config(sites=sites)
    lines = ["# A run of MdPL. Every value here is the default unless you change it."]
    for name, field in Config.model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            about = (type(value).__doc__ or "").strip().splitlines()[0]
            lines += ["", f"# {about}", f"{name}:", *_fields(value)]
        else:
            lines += [f"# {field.description}", f"{name}: {_inline(config, name)}"]
    return "\n".join(lines) + "\n"


def _fields(section: BaseModel) -> Iterator[str]:
    for name, field in type(section).model_fields.items():
        yield f"  # {field.description}"
        yield f"  {name}: {_inline(section, name)}"


def _inline(section: BaseModel, name: str) -> str:
    value = section.model_dump(mode="json")[name]
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        where = _place(problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _known_keys(problem["loc"][:-1])
            close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
            yield f"{where}: unknown key{hint}"
        else:
            found = _shown(problem["input"])
            message = problem["msg"].removeprefix("Value error, ")
            yield f"{where}: {message} (found {found})"


def _shown(value: object) -> str:
    try:
        return repr(value)[:80]
    except ValueError:  # an integer of thousands of digits
        return f"a very large {type(value).__name__}"


def _known_keys(location: Sequence[Any]) -> list[str]:
    """Keys of the section at a place; a part on the way may be one of several kinds, or a tower."""
    candidates: list[type[BaseModel]] = [Config]
    for part in location:
        of_kind = [m for m in candidates if _kind(m) == part]
        fields = [m.model_fields[part] for m in candidates if part in m.model_fields]
        if of_kind:
            candidates = of_kind
        elif fields:
            candidates = list(_sections(fields[0].annotation))
    return list(candidates[0].model_fields) if candidates else []


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections an annotation speaks of, such as those of a union or of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)


def _kind(section: type[BaseModel]) -> object:
    field = section.model_fields.get("kind")
    return None if field is None else field.default


def _place(location: Sequence[Any]) -> str:
    """A place in words, without the kind a section was taken for."""
    before = [None, *location[:-1]]
    kinds = {_kind(m) for m in _sections(Config.model_fields["surrogate"].annotation)}
    kept = [p for b, p in zip(before, location, strict=True) if b != "surrogate" or p not in kinds]
    return ".".join(str(part) for part in kept)
