"""Settings of the two networks that learn: the surrogate and the parameter generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, field_validator

_Rate = Annotated[float, Field(gt=0, le=1)]


class _Learning(BaseModel):
    """What both trainings have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    window_days: int = Field(
        1098, ge=2, description="longest stretch of a record the recurrence runs over, days"
    )
    warmup_days: int = Field(
        90,
        ge=0,
        description="days at the head of a stretch that do not count, unless it begins the record",
    )
    slots_per_day: int = Field(
        6, ge=1, description="half-hours (or hours) of each day drawn for the loss of one step"
    )
    weight_decay: float = Field(1e-4, ge=0, description="decay of the weights (AdamW)")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    balance: Literal["fixed", "uncertainty", "gradnorm"] = Field(
        "fixed", description="how tasks are weighed: by task_weights, or learnt"
    )
    task_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="weights of tasks, such as {Qle: 2}; 1 unless said, 0 = not learnt from"
    )
    compare_every: int = Field(
        100, ge=0, description="steps between comparisons of the tasks' gradients; 0 = never"
    )
    patience: Annotated[int, Field(ge=1)] | None = Field(
        None, description="judgements without a better one that end the training; null = none do"
    )
    seed: int = Field(0, ge=0, description="seed of the weights and of the batches")


class SurrogateConfig(_Learning):
    """What the emulators of the land model have in common."""

    kind: str
    block_hours: float

    hidden: int = Field(48, ge=1, description="size of the state carried from block to block")
    width: int = Field(64, ge=1, description="width of the shared layers and of the gates")
    layers: int = Field(2, ge=1, description="number of shared layers")
    tower: int = Field(32, ge=1, description="width of the hidden layer of each task's tower")
    steps: int = Field(1500, ge=1, description="training steps (updates of the weights)")
    sites_per_batch: int = Field(8, ge=1, description="towers in one batch (fewer if there are)")
    members_per_batch: int = Field(8, ge=1, description="ensemble members of each tower in it")
    days_per_batch: int = Field(
        240, ge=1, description="days of the stretch drawn for the loss of one step"
    )
    weight_decay: float = Field(5e-2, ge=0, description="decay of the matrices (Muon)")
    learning_rate: _Rate = Field(
        4e-2, description="highest learning rate of the matrices (Muon, cosine schedule)"
    )
    checkpoint_every: int = Field(100, ge=1, description="steps between checkpoints")
    patience: None = Field(None, description="null: nothing judges a surrogate while it learns")


class DayBlockConfig(SurrogateConfig):
    """The multi-task emulator, a day's fluxes at once and memory from day to day."""

    kind: Literal["day-block"] = Field(
        "day-block", description="'day-block', or 'sequence' for memory from step to step"
    )
    block_hours: float = Field(24, ge=24, le=24, description="hours from one state to the next")


class SequenceConfig(SurrogateConfig):
    """The multi-task emulator of the paper, memory from step to step of the forcing."""

    kind: Literal["sequence"] = Field("sequence", description="'sequence', or 'day-block'")
    block_hours: float = Field(
        3, gt=0, le=24, description="hours from one state to the next: 0.5, 1, 3, ..."
    )
    window_days: int = Field(
        365, ge=2, description="longest stretch of a record the recurrence runs over, days"
    )
    warmup_days: int = Field(
        60,
        ge=0,
        description="days at the head of a stretch that do not count, unless it begins the record",
    )

    @field_validator("block_hours")
    @classmethod
    def _divides_a_day(cls, value: float) -> float:
        if abs(24 / value - round(24 / value)) > 1e-9:
            raise ValueError(
                f"expected hours that divide a day, such as 0.5, 1, 3, 6; found {value:g}"
            )
        return value


def _with_kind(value: Any) -> Any:
    return {"kind": "sequence", **value} if isinstance(value, dict) else value


AnySurrogateConfig = Annotated[
    Annotated[DayBlockConfig | SequenceConfig, Field(discriminator="kind")],
    BeforeValidator(_with_kind),
]
"""Either network; a mapping without ``kind`` is the sequence one."""


def surrogate_config(stored: dict[str, Any]) -> DayBlockConfig | SequenceConfig:
    """A network's config from its `model_dump`; pydantic's ValidationError where it is none."""
    found: DayBlockConfig | SequenceConfig = TypeAdapter(AnySurrogateConfig).validate_python(stored)
    return found


class GeneratorConfig(_Learning):
    """The parameter generator g_z and how it is trained."""

    kind: Literal["attributes", "forcing", "pft", "common", "free"] = Field(
        "attributes",
        description="'attributes': a network from attributes to parameters; 'forcing': from "
        "attributes and the course of the weather; 'pft': one shift of the defaults a "
        "land-cover class; 'common': one for all; 'free': one a tower (upper bound of what the "
        "surrogate allows)",
    )
    ensemble: int = Field(
        1, ge=1, description="generators trained from different seeds; their mean is the answer"
    )
    hidden: int = Field(16, ge=1, description="width of the hidden layers")
    layers: int = Field(1, ge=0, description="number of hidden layers")
    steps: int = Field(400, ge=1, description="training steps (updates of the weights)")
    sites_per_batch: int = Field(16, ge=1, description="towers in one batch (fewer if there are)")
    days_per_batch: int = Field(
        60, ge=1, description="days of the stretch drawn for the loss of one step"
    )
    prior_width: float = Field(
        0.5, gt=0, description="standard deviation of the prior around the default, unit cube"
    )
    prior_widths: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="of single parameters in its place, such as {vmax: 0.16}"
    )
    prior_weight: float = Field(0.02, ge=0, description="weight of the penalty towards defaults")
    learning_rate: _Rate = Field(5e-2, description="highest learning rate (cosine schedule)")
    evaluate_every: int = Field(100, ge=1, description="steps between full evaluations")
    checkpoint_every: int = Field(50, ge=1, description="steps between checkpoints")

    def widths(self, names: Sequence[str]) -> tuple[float, ...]:
        """Prior width of each of some parameters, unit cube."""
        return tuple(self.prior_widths.get(name, self.prior_width) for name in names)
