"""Joint solution of ground surface, canopy, leaf and stability (MATSIRO.md 2.13-2.15)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro import stomata
from mdpl.lsm.matsiro.constants import L_VAP
from mdpl.lsm.matsiro.fluxes import Fluxes, KeptLeaves, Mismatch, Setting, balances, evaluate
from mdpl.lsm.matsiro.search import (
    LONGEST,
    REACH,
    System,
    jacobian,
    kept_physical,
    newton_step,
    search,
)
from mdpl.lsm.matsiro.state import Forcing, Surface, Unknowns
from mdpl.lsm.matsiro.turbulence import Roughness

PASSES = 5
"""Relaxed passes (MATSIRO.md 2.13) that columns make which the search left unsolved."""

SETTLING = 8
"""Steps in which these then balance their temperatures."""


def solve_surface(
    leaf: stomata.Leaf,
    rough: Roughness,
    setting: Setting,
    air: Forcing,
    guess: Unknowns,
    most: int,
) -> Surface:
    """Solve both energy balances with stomata and stability by Newton's method.

    The search for the solution carries no derivative; one more Newton step with the Jacobian
    there, in which every flux is updated linearly, closes the energy balance exactly however
    far the search got, and is the implicit function theorem where it has converged: reverse
    mode through that step alone is the gradient of the solution.

    A column that the search leaves unsolved keeps stability and stomata of the step before and
    balances its temperatures with these; then it makes one relaxed pass of the description
    towards the stability and c_i that these temperatures imply, for the next step.

    Args:
        guess: the last step's solution.
        most: Newton steps at most.
    """
    system = System(leaf, rough, setting, air)
    fixed, guess = jax.lax.stop_gradient((system, guess))
    found = search(fixed, guess, most)
    guess = kept_physical(fixed, guess)
    kept = KeptLeaves(found.moving, found.at.canopy)
    settled = _settle(fixed, found.at, kept)
    at = jax.tree.map(lambda a, b: jnp.where(kept.where, a, b), settled, found.at)
    return _finish(system, fixed, at, kept)


def _settle(system: System, start: Unknowns, kept: KeptLeaves) -> Unknowns:
    """Relaxed passes, then temperatures in balance at the stability and c_i these lead to.

    With these and the stomata held the balances rise with temperature: Newton's method finds
    their only root, but for the kinks where a store runs out.
    """

    def go(now: tuple[Unknowns, Array]) -> tuple[Unknowns, Array]:
        at, steps = now
        _, off = evaluate(*system, at, kept)
        rows = jacobian(system, at, kept)[1]
        nearer = _relaxed(at, rows, off)
        step = newton_step(system.setting, at, *_held(rows, off, kept.where)).change
        at = jax.tree.map(lambda a, b: jnp.where(steps < PASSES, a, b), nearer, at)
        return at._replace(
            canopy=at.canopy + jnp.clip(step.canopy, -LONGEST, LONGEST),
            ground=at.ground + jnp.clip(step.ground, -LONGEST, LONGEST),
        ), steps + 1

    def going(now: tuple[Unknowns, Array]) -> Array:
        return jnp.any(kept.where) & (now[1] < PASSES + SETTLING)

    return jax.lax.while_loop(going, go, (start, jnp.zeros((), dtype=int)))[0]


def _held(jacobian: list[Mismatch], off: Mismatch, where: Array) -> tuple[list[Mismatch], Mismatch]:
    """The linear system with c_i and both stabilities held in some columns."""
    fixed = {"co2": 0, "zeta_ground": 1, "zeta": 4}
    rows = [
        column._replace(
            **{n: jnp.where(where, float(i == k), getattr(column, n)) for n, k in fixed.items()}
        )
        for i, column in enumerate(jacobian)
    ]
    return rows, off._replace(**{n: jnp.where(where, 0.0, getattr(off, n)) for n in fixed})


def _relaxed(at: Unknowns, rows: list[Mismatch], off: Mismatch) -> Unknowns:
    """c_i and both stabilities on their way to what the temperatures imply."""

    def towards(value: Array, left: Array, slope: Array) -> Array:
        reach = REACH * (1.0 + jnp.abs(value))
        return value - jnp.clip(left / jnp.maximum(jnp.abs(slope), 1e-9), -reach, reach)

    return at._replace(
        co2=at.co2 - jnp.clip(0.5 * off.co2, -0.5 * at.co2, 0.5 * at.co2),
        zeta_ground=towards(at.zeta_ground, off.zeta_ground, rows[1].zeta_ground),
        zeta=towards(at.zeta, off.zeta, rows[4].zeta),
    )


def _finish(system: System, fixed: System, at: Unknowns, kept: KeptLeaves) -> Surface:
    """Update every flux linearly along the last step, so that the balance closes exactly.

    Args:
        fixed: ``system`` without derivatives.
        kept: the columns that the search left unsolved.
    """
    setting, air = system.setting, system.air
    unsolved = kept.where
    slopes, rows = jacobian(fixed, at, kept)
    fluxes, off = evaluate(*system, at, kept)
    step = newton_step(setting, at, *_held(rows, off, unsolved))
    f = Fluxes(
        *(
            value + sum(slope[i] * d for slope, d in zip(slopes, step.change, strict=True))
            for i, value in enumerate(fluxes)
        )
    )
    # What the leaves' store cannot give is taken from the roots, with the same energy;
    # dew on dry leaves wets them instead of flowing into the roots.
    excess = jnp.maximum(f.interception - setting.canopy_store, 0.0)
    interception = f.interception - excess
    transpiration = f.transpiration + excess * setting.leaf_latent / L_VAP
    dew = jnp.minimum(transpiration, 0.0)
    eps, gap = setting.emissivity, setting.gap
    longwave_up = gap * f.black_ground + (1.0 - gap) * f.black_canopy + (1.0 - eps) * air.LWdown
    heat = f.heat_ground + f.heat_canopy
    latent = (
        L_VAP * transpiration
        + setting.leaf_latent * interception
        + setting.ground_latent * f.ground
    )
    absorbed = setting.shortwave_ground + setting.shortwave_canopy
    net = absorbed + air.LWdown - longwave_up
    surplus = jnp.where(step.held, -balances(setting, air, f)[1], 0.0)
    new = Unknowns(*(a + b for a, b in zip(at, step.change, strict=True)))
    return Surface(
        sensible=heat,
        latent=latent,
        net_radiation=net,
        ground_heat=f.ground_heat,
        surplus=surplus,
        ground_vapour=f.ground,
        transpiration=transpiration - dew,
        interception_loss=interception,
        dew_on_leaves=dew,
        shortwave_up=setting.shortwave_up,
        longwave_up=longwave_up,
        gpp=jnp.maximum(f.gpp, 0.0),
        leaf_respiration=jnp.maximum(f.leaf_respiration, 0.0),
        residual=net - heat - latent + f.ground_heat - surplus,
        solution=kept_physical(system, new),
        last_step=jnp.maximum(jnp.abs(step.change.canopy), jnp.abs(step.change.ground)),
        unsolved=unsolved.astype(float),
    )
