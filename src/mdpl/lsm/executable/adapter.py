"""The description of a land model that is a program: one YAML file, checked."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from mdpl.errors import ConfigError, ModelError
from mdpl.lsm.model import Parameter, ParameterSpace
from mdpl.plain_yaml import parse
from mdpl.sites.site import FORCING, UNITS


def _inside(name: str) -> str:
    """A file of the run folder: no way out of it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise ValueError("expected a file inside the run folder, such as input/run.nml")
    return name


FileName = Annotated[str, AfterValidator(_inside)]
Number = int | float


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InNamelist(_Section):
    """A place in a Fortran namelist."""

    namelist: FileName
    group: str
    key: str
    index: int | str | None = Field(
        None, description="element of an array, from 1, or a setting that gives it; null = all"
    )


class InTable(_Section):
    """A place in a text table whose rows begin with a key."""

    table: FileName
    row: str = Field(description="first cell of the row, or a setting that gives it")
    column: int | str = Field(
        description="column, the key being 0; or its heading; or a setting that gives either"
    )
    separator: str | None = Field(None, description="null = white space")


class InNetcdf(_Section):
    """A variable of a NetCDF file."""

    netcdf: FileName
    variable: str
    at: dict[str, int] = Field({}, description="dimension -> index, from 0; {} = all of it")


Place = InNamelist | InTable | InNetcdf


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Places = Annotated[tuple[Place, ...], BeforeValidator(_listed)]


class ParameterEntry(_Section):
    """A calibratable parameter and where it is put; without ``put`` as ``{{name}}`` in a text."""

    unit: str = "1"
    meaning: str = ""
    lower: float
    upper: float
    default: float | dict[str, float] = Field(
        description="one value, or by IGBP class, such as {ENF: 60, other: 50}"
    )
    scale: Literal["linear", "log"] = "linear"
    source: str = "the user's"
    put: Places = ()
    factor: float = Field(1.0, description="what the value is multiplied by as it is put")


class Setting(_Section):
    """Something the tower says: an attribute, or a number of its record."""

    value: str | None = Field(None, description="such as latitude, igbp, steps, start_year")
    constant: Number | str | None = None
    map: dict[str, Number | str] = Field({}, description="value -> what stands for it; 'other'")
    scale: float = 1.0
    offset: float = 0.0
    put: Places = ()

    @model_validator(mode="after")
    def _one(self) -> Setting:
        if (self.value is None) == (self.constant is None):
            raise ValueError("expected either a value or a constant")
        return self


class Driver(_Section):
    """A forcing variable of the model, made from one of the tower's."""

    from_: str | None = Field(None, alias="from")
    constant: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    units: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Driver:
        if (self.from_ is None) == (self.constant is None):
            raise ValueError("expected either 'from' a forcing variable or a constant")
        if self.from_ is not None and self.from_ not in DRIVERS:
            raise ValueError(f"no forcing {self.from_!r}; there are {', '.join(DRIVERS)}")
        return self


DRIVERS = (*FORCING, "RH", "Rainf", "Snowf")
"""Forcing of a tower; relative humidity (%), and rain and snow told apart at 0 degrees C."""


class MadeVariable(_Section):
    """A variable of a file that is made for every tower."""

    dims: tuple[str, ...]
    value: str | None = Field(None, description="a setting or an attribute of the tower")
    constant: Number | str | tuple[Number, ...] | None = None
    type: Literal["float", "double", "int"] = "float"
    attributes: dict[str, Number | str] = {}

    @model_validator(mode="after")
    def _one(self) -> MadeVariable:
        if (self.value is None) == (self.constant is None):
            raise ValueError("expected either a value or a constant")
        return self


class MadeFile(_Section):
    """A NetCDF file that is made for every tower, such as a set-up or a surface file."""

    dims: dict[str, Annotated[int, Field(ge=1)]]
    unlimited: tuple[str, ...] = ()
    variables: dict[str, MadeVariable]
    attributes: dict[str, Number | str] = {}


def _driver(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


class ForcingForm(_Section):
    """How the model wants its forcing."""

    form: Literal["netcdf", "table", "steps"] = Field(
        description="one NetCDF file, one text table, or a NetCDF file a step"
    )
    file: FileName = Field(description="its name; of 'steps' with the time, as %Y%m%d%H.nc")
    variables: dict[str, Annotated[Driver, BeforeValidator(_driver)]]
    dims: tuple[str, ...] = Field(
        ("time",), description="dimensions in order, the first is time, others of length one"
    )
    time: tuple[str, ...] = Field(
        (), description="table: columns of time before the others, as %Y %m %d %H %M"
    )
    time_heading: str = Field("time", description="heading of a single column of time")
    separator: str = " "
    header: bool = True
    decimals: Annotated[int, Field(ge=1, le=17)] = Field(7, description="digits in a table")
    stamp: Literal["start", "end"] = Field("start", description="of an interval, in its times")
    before: Annotated[int, Field(ge=0)] = Field(0, description="times the first step is repeated")
    after: Annotated[int, Field(ge=0)] = Field(0, description="times the last step is repeated")


class Variable(_Section):
    """An output of the contract, made from one of the model's."""

    from_: str | int = Field(alias="from")
    scale: float = 1.0
    offset: float = 0.0
    at: dict[str, int] = Field({}, description="index in further dimensions, from 0")


def _variable(value: Any) -> Any:
    return {"from": value} if isinstance(value, str | int) else value


class OutputForm(_Section):
    """What the model writes."""

    form: Literal["netcdf", "table"] = "netcdf"
    file: FileName = Field(description="its name, or a pattern such as out/*.nc, sorted by name")
    variables: dict[str, Annotated[Variable, BeforeValidator(_variable)]]
    time: str | None = Field(None, description="variable of time, to be checked; null = by count")
    stamp: Literal["start", "end"] = Field("start", description="of an interval, in that variable")
    skip: Annotated[int, Field(ge=0)] = Field(0, description="steps before the first of the record")
    separator: str | None = None

    @model_validator(mode="after")
    def _heat(self) -> OutputForm:
        lacking = [name for name in ("Qle", "Qh") if name not in self.variables]
        unknown = [name for name in self.variables if name not in OUTPUT_UNITS]
        if lacking:
            raise ValueError(f"expected Qle and Qh among the variables, {lacking[0]} is missing")
        if unknown:
            raise ValueError(f"no output {unknown[0]!r}; there are {', '.join(OUTPUT_UNITS)}")
        return self


OUTPUT_UNITS = {k: UNITS[k] for k in ("Qle", "Qh", "Rnet", "Qg", "GPP", "NEE")} | {
    "SoilStress": "1",
    "SoilMoist": "m3 m-3",
    "SoilTemp": "K",
    "CanopInt": "kg m-2",
}


class Spinup(_Section):
    """Runs of the first year, each from the state the one before left."""

    cycles: Annotated[int, Field(ge=1)]
    restart: FileName = Field(description="the state a run leaves; may be a pattern, last by name")
    start: FileName = Field(description="where a run finds the state it starts from")
    settings: dict[str, Number | str] = Field(
        {}, description="settings that differ once there is a state to start from"
    )


class Adapter(_Section):
    """A land model that is a program."""

    name: str
    command: tuple[str, ...] = Field(
        min_length=1, description="program and arguments; no shell reads it"
    )
    template: str = Field(description="folder every run starts from, relative to this file")
    timeout: Annotated[float, Field(gt=0)] = Field(3600.0, description="seconds a run may take")
    parameters: dict[str, ParameterEntry] = Field(min_length=1)
    settings: dict[str, Setting] = {}
    made: dict[FileName, MadeFile] = Field({}, description="NetCDF files made for every tower")
    utc: bool = Field(False, description="the program counts in UTC, not in local standard time")
    text: tuple[FileName, ...] = Field(
        (), description="text files in which {{name}} of parameters and settings is replaced"
    )
    forcing: ForcingForm
    outputs: OutputForm
    spinup: Spinup | None = None
    recommended: tuple[str, ...] = ()

    def space(self) -> ParameterSpace:
        """The parameters as the contract has them."""
        return ParameterSpace(
            tuple(
                Parameter(
                    name,
                    entry.unit,
                    entry.meaning or name,
                    entry.lower,
                    entry.upper,
                    entry.default,
                    entry.source,
                    entry.scale,
                )
                for name, entry in self.parameters.items()
            )
        )


def read_adapter(path: Path) -> Adapter:
    """Read the description of a program.

    Raises:
        ConfigError: it is missing or not one; the message names the key.
        ModelError: a parameter's bounds or default make no sense.
    """
    try:
        raw = parse(path.read_text(encoding="utf-8"))
        adapter = Adapter.model_validate(raw)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file; expected the description of a land model, see "
            "docs/your_model.md"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({error})") from error
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise ConfigError(
            f"{path}: this does not describe a land model:\n" + "\n".join(lines)
        ) from error
    if not (path.parent / adapter.template).is_dir():
        raise ConfigError(
            f"{path}: template: no folder {path.parent / adapter.template}; it holds what every "
            "run of the program starts from"
        )
    try:
        adapter.space().check_defaults()
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return adapter
