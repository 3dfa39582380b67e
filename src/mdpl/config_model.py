"""Which land model a run calibrates, and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from mdpl.errors import ConfigError
from mdpl.sites.attributes import LAND_COVER


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Model(_Section):
    """What the settings of all land models have in common."""

    parameters: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        None, description="parameters to calibrate; null = the model's recommended set"
    )
    ranges: dict[str, tuple[float, float]] = Field(
        {}, description="narrower bounds, physical units, such as {vmax: [20, 120]}"
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

    @model_validator(mode="after")
    def _whole(self) -> SupplyConfig:
        target, below = self.irrigation_target, self.irrigation_below
        if (target > 0) != (below > 0) or below > target:
            raise ValueError(
                f"irrigation needs both numbers, 0 < irrigation_below <= irrigation_target; found "
                f"{below:g} and {target:g}"
            )
        return self


class MixtureConfig(_Section):
    """A second kind of vegetation under a tower."""

    igbp: str = Field(description="IGBP class of the second vegetation")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of the ground")
    leaves: Annotated[float, Field(ge=0)] = Field(
        1.0, description="its leaf area index over the mean one of the tower"
    )
    height: Annotated[float, Field(gt=0)] | None = Field(None, description="of its canopy, m")

    @field_validator("igbp")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in LAND_COVER:
            raise ValueError(f"expected one of {', '.join(LAND_COVER)}, found {value!r}")
        return value


class MatsiroConfig(_Model):
    """The land model; this one is built in."""

    kind: Literal["matsiro"] = Field(
        "matsiro", description="'matsiro', 'suews', 'python', 'executable' or 'recorded'"
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


class SuewsConfig(_Model):
    """SUEWS through supy (extra ``suews``)."""

    kind: Literal["suews"] = Field("suews", description="SUEWS, in process")


class PythonConfig(_Model):
    """A land model in Python, in a file of the user's."""

    kind: Literal["python"] = Field("python", description="a land model in Python")
    file: Path = Field(description="Python file, relative to this one; it is executed")
    object: str = Field("model", description="name of the land model in it")


class ExecutableConfig(_Model):
    """A land model that is a program of its own."""

    kind: Literal["executable"] = Field("executable", description="a land model as a program")
    adapter: Path = Field(
        description="description of the program (YAML), relative to this file; it is executed"
    )
    work: Path | None = Field(
        None, description="where the folders of runs are made; null = the system's temporary place"
    )


class RecordedConfig(_Model):
    """A land model that is run elsewhere, by hand."""

    kind: Literal["recorded"] = Field("recorded", description="a land model run elsewhere")
    folder: Path = Field(description="of its parameters, designs and runs, relative to this file")


ModelConfig = MatsiroConfig | SuewsConfig | PythonConfig | ExecutableConfig | RecordedConfig


def settings_named(text: str) -> ModelConfig:
    """Settings of the model of a name (``matsiro``, ``suews``), a file (YAML, Python) or a folder.

    Raises:
        ConfigError: it is none of these.
    """
    path = Path(text).resolve()
    if text in {"matsiro", "suews"}:
        return MatsiroConfig() if text == "matsiro" else SuewsConfig()
    if path.suffix == ".py":
        return PythonConfig(file=path)
    if path.suffix in {".yaml", ".yml"}:
        return ExecutableConfig(adapter=path)
    if path.is_dir():
        return RecordedConfig(folder=path)
    raise ConfigError(
        f"no land model {text!r}; expected matsiro, suews, an adapter (.yaml), a Python file (.py) "
        "or a folder of recorded runs"
    )


def _with_kind(value: Any) -> Any:
    return {"kind": "matsiro", **value} if isinstance(value, dict) else value


AnyModelConfig = Annotated[
    Annotated[ModelConfig, Field(discriminator="kind")], BeforeValidator(_with_kind)
]
"""Any land model; a mapping without ``kind`` is the built-in one."""
