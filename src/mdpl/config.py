"""One checked YAML file describes a run."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mdpl.config_learning import AnySurrogateConfig, GeneratorConfig, SequenceConfig
from mdpl.config_model import AnyModelConfig, MatsiroConfig, ModelConfig
from mdpl.errors import ConfigError
from mdpl.plain_yaml import parse
from mdpl.sites.closure import FluxChoice
from mdpl.sites.selection import Rule

_S = TypeVar("_S", bound=BaseModel)


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
    select: Rule | None = Field(
        None,
        description="rule by which towers are taken, such as {years: 1, measured: {Qle: 0.3, "
        "Qh: 0.3}, verdict: [good, usable], pft: [ENF, DBF], closure: [0.6, 1.2]}; null = all",
    )
    flux: FluxChoice = Field(
        "raw",
        description="heat fluxes as measured (raw), corrected by the network (corrected: *_cor), "
        "or the energy balance closed here: bowen_ratio, residual",
    )
    daily: Path | None = Field(
        None,
        description="folder of daily observations with uncertainties in CalLMIP form to learn "
        "from in place of the record's steps, relative to this file; null = none",
    )
    daily_model_error: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2,
        description="part of the standard deviation of daily observations that the model is not "
        "expected to explain, added to their uncertainty when days are weighed",
    )


class EnsembleConfig(_Section):
    """The perturbed-parameter runs the surrogate learns from."""

    members: Annotated[int, Field(ge=4)] = Field(128, description="runs of each tower")
    design: Literal["sobol", "latin_hypercube"] = Field("sobol", description="space-filling design")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="seed of the design")
    unseen: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.125, description="share of members kept from the surrogate, to judge it on"
    )
    failures: Literal["drop", "resample", "abort"] = Field(
        "drop",
        description="members that fail: 'drop' leaves them out, 'resample' runs other points in "
        "their place, 'abort' stops at the first",
    )
    most_failures: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="largest share of a tower's members that may fail"
    )
    absurd: Annotated[float, Field(gt=0)] = Field(
        2e4, description="magnitude of a flux (W m-2, umol m-2 s-1) from which a run has failed"
    )


class ClusterConfig(_Section):
    """Where land-model runs are done; changes nothing in what they give."""

    kind: Literal["threads", "local", "slurm", "pbs", "address"] = Field(
        "threads",
        description="'threads' of this process; with dask: 'local' processes, jobs of 'slurm' or "
        "'pbs', or the scheduler at an 'address'",
    )
    workers: Annotated[int, Field(ge=1)] | None = Field(
        None, description="threads, processes or jobs; null = one a core, or one job"
    )
    address: str | None = Field(None, description="of a dask scheduler, such as tcp://host:8786")
    timeout: Annotated[float, Field(gt=0)] = Field(
        60.0, description="seconds to wait for a scheduler"
    )
    options: dict[str, Any] = Field(
        {},
        description="for dask-jobqueue, such as {queue: normal, cores: 48, processes: 48, "
        "memory: 96GB, walltime: '04:00:00'}",
    )

    @model_validator(mode="after")
    def _has_address(self) -> ClusterConfig:
        if (self.kind == "address") != (self.address is not None):
            raise ValueError("kind 'address' and an address belong together; give both or none")
        return self


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
        "median and at 80 % of towers, thrice that at the others, for the rounds to end",
    )
    members: Annotated[int, Field(ge=2)] = Field(
        16,
        description="land-model runs of each tower and round, the first at the learnt parameters; "
        "where that keeps the promise the others are not made",
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
    tasks: tuple[Literal["Qle", "Qh", "GPP", "NEE"], ...] = Field(
        ("Qle", "Qh"), min_length=1, description="fluxes that are learnt together"
    )
    sites: SitesConfig = SitesConfig()
    model: AnyModelConfig = MatsiroConfig()
    ensemble: EnsembleConfig = EnsembleConfig()
    cluster: ClusterConfig = ClusterConfig()
    surrogate: AnySurrogateConfig = SequenceConfig()
    generator: GeneratorConfig = GeneratorConfig()
    refine: RefineConfig = RefineConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @field_validator("tasks")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"expected every task once, found {', '.join(value)}")
        return value

    @model_validator(mode="after")
    def _weighs_its_tasks(self) -> Config:
        for name in ("surrogate", "generator"):
            odd = set(getattr(self, name).task_weights) - set(self.tasks)
            if odd:
                raise ValueError(
                    f"{name}.task_weights: {', '.join(sorted(odd))} is no task of this run; the "
                    f"tasks are {', '.join(self.tasks)}"
                )
        return self


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
    try:
        found = {
            "sites": _in_place(config.sites, path.parent),
            "model": _in_place(config.model, path.parent),
        }
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{path}: sites, model: not a path ({error})") from error
    return config.model_copy(update=found)


def _in_place(section: _S, folder: Path) -> _S:
    """A section with its relative paths taken from a folder."""
    places = {k: v for k, v in section if isinstance(v, Path)}
    return section.model_copy(update={k: (folder / v).resolve() for k, v in places.items()})


def dump(config: Config) -> str:
    """The configuration as YAML, every value written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def template(
    folder: Path | None = None,
    codes: Sequence[str] | None = None,
    model: ModelConfig | None = None,
) -> str:
    """A commented configuration with every default; `load` gives the defaults back."""
    sites = SitesConfig(folder=folder, codes=tuple(codes) if codes else None)
    config = Config(sites=sites, model=model or MatsiroConfig())
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
            message = problem["msg"].removeprefix("Value error, ")
            # What is wrong between sections names them, and the whole file is no help.
            yield f"{where}: {message} (found {_shown(problem['input'])})" if where else message


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
    if len(location) > 1 and location[0] in Config.model_fields:
        sections = _sections(Config.model_fields[location[0]].annotation)
        if location[1] in {_kind(section) for section in sections} - {None}:
            location = [location[0], *location[2:]]
    return ".".join(str(part) for part in location)
