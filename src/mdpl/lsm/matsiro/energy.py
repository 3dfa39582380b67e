"""Joint solution of ground surface, canopy, leaf and stability (MATSIRO.md 2.13-2.15)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro import newton, stomata
from mdpl.lsm.matsiro.constants import L_VAP
from mdpl.lsm.matsiro.fluxes import Fluxes, Mismatch, Setting, balances, evaluate
from mdpl.lsm.matsiro.state import Forcing, Surface, Unknowns
from mdpl.lsm.matsiro.turbulence import STABILITY_RANGE, Roughness

CLOSE_KELVIN, CLOSE_PASCAL, CLOSE_ZETA = 0.02, 0.2, 0.005
"""A Newton step shorter than this (in zeta: than this share of 1 + |zeta|) ends the search; the
last, exact step takes what is left."""

LONGEST = 8.0
"""K a temperature may move in one step of the search."""

PATIENCE = 8
"""Steps after which a column that goes round in circles is slowed down."""

TRUST = 0.1
"""K the others may still have to move for the sign of zeta's equation to count."""

COLLAPSED = 1e-4
"""Width of bounds on zeta that hold no solution."""

SETTLING = 8
"""Steps in which columns that did not arrive balance their temperatures at the stability they got
to: from far off the last, linear step would promise fluxes that no surface has."""

FARTHEST = 60.0
"""K a surface may differ from the air."""


class Search(NamedTuple):
    """Where the search stands."""

    at: Unknowns
    low: Array  # zeta between these solves the equations
    high: Array
    moving: Array  # bool, (column,): columns that are not there yet
    steps: Array  # Newton steps taken so far


class Step(NamedTuple):
    """A Newton step, and the equation of zeta when the others have been solved for it."""

    change: Unknowns
    off: Array  # what zeta's equation leaves open, K
    slope: Array  # how that grows with zeta, K; not positive beyond a fold
    others: Unknowns  # change of the others with zeta held
    by_zeta: Unknowns  # their change for a unit of zeta
    held: Array  # bool: the ground is at its ceiling


_System = tuple[stomata.Leaf, Roughness, Setting, Forcing]


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

    Args:
        guess: the last step's solution.
        most: Newton steps at most.
    """
    system: _System = jax.tree.map(jax.lax.stop_gradient, (leaf, rough, setting, air))
    at = _kept_physical(system, jax.tree.map(jax.lax.stop_gradient, guess))
    low, high = STABILITY_RANGE
    one = jnp.ones_like(at.ground)
    start = Search(at, low * one, high * one, one > 0, jnp.zeros((), dtype=int))

    def going(search: Search) -> Array:
        return jnp.any(search.moving) & (search.steps < most + SETTLING)

    def advance(search: Search) -> Search:
        return _advance(system, search, search.steps >= most)

    found = jax.lax.while_loop(going, advance, start)
    return _finish(leaf, rough, setting, air, system, found)


def _jacobian(system: _System, at: Unknowns) -> tuple[list[Fluxes], list[Mismatch]]:
    derivatives = newton.columns(lambda x: evaluate(*system, x), at)
    return [d[0] for d in derivatives], [d[1] for d in derivatives]


def _newton_step(setting: Setting, at: Unknowns, jacobian: list[Mismatch], off: Mismatch) -> Step:
    """The step to the solution of the linearised system.

    Ground that would become warmer than its ceiling is held there; what its balance then
    leaves open melts snow.
    """
    *others, by_zeta = jacobian
    right = [[-item for item in off[:-1]], [-item for item in by_zeta[:-1]]]
    triangle = newton.eliminate([column[:-1] for column in others], right)

    def reduced(steps: list[Array], slopes: list[Array]) -> tuple[Array, ...]:
        left = off.zeta + sum(c.zeta * s for c, s in zip(others, steps, strict=True))
        slope = by_zeta.zeta + sum(c.zeta * s for c, s in zip(others, slopes, strict=True))
        change = -left / slope
        moved = [s + change * d for s, d in zip(steps, slopes, strict=True)]
        return (*moved, change, left, slope, *steps, *slopes)

    limit = setting.ceiling - at.ground
    free = reduced(newton.substitute(triangle, 0), newton.substitute(triangle, 1))
    pinned = reduced(
        newton.substitute(triangle, 0, limit),
        newton.substitute(triangle, 1, jnp.zeros_like(limit)),
    )
    held = free[3] > limit
    made = [jnp.where(held, p, f) for p, f in zip(pinned, free, strict=True)]
    none = jnp.zeros_like(limit)
    return Step(
        change=Unknowns(*made[:5]),
        off=made[5],
        slope=made[6],
        others=Unknowns(*[*made[7:11], none]),
        by_zeta=Unknowns(*[*made[11:15], none + 1.0]),
        held=held,
    )


def _advance(system: _System, search: Search, settling: Array) -> Search:
    """One step of the search; columns that are there stay.

    In stable air the heat flux has a largest value, beyond which plain Newton steps run away.
    At a given stability the other equations are well behaved, so the search keeps zeta between
    bounds and halves these where Newton's step would leave them.
    """
    at = search.at
    _, off = evaluate(*system, at)
    _, jacobian = _jacobian(system, at)
    jacobian, off = _held(jacobian, off, settling)
    step = _newton_step(system[2], at, jacobian, off)

    trusted = (jnp.abs(step.others.canopy) < TRUST) & (jnp.abs(step.others.ground) < TRUST)
    low = jnp.where(trusted & (step.off < 0), at.zeta, search.low)
    high = jnp.where(trusted & (step.off >= 0), at.zeta, search.high)
    # Signs read before the others were near may have closed in on nothing: open up again.
    lost = high - low < COLLAPSED
    low = jnp.where(lost, STABILITY_RANGE[0], low)
    high = jnp.where(lost, STABILITY_RANGE[1], high)
    target = jnp.clip(at.zeta + step.change.zeta, *STABILITY_RANGE)
    inside = (step.slope > 0) & (target >= low) & (target <= high)
    zeta = jnp.where(inside, target, jnp.where(trusted, 0.5 * (low + high), at.zeta))
    moved = zeta - at.zeta
    wish = [a + moved * b for a, b in zip(step.others, step.by_zeta, strict=True)]
    # The leaf's equation bends down towards low c_i: a step there may overshoot, and the others
    # with it.
    arrived = inside & _short(at, step.change) & ~settling
    share = jnp.where((search.steps < PATIENCE) | arrived, 1.0, 0.5)
    share = jnp.minimum(share, 0.75 * at.co2 / jnp.maximum(-wish[0], 1e-6))
    share = jnp.minimum(share, LONGEST / jnp.maximum(jnp.abs(wish[2]), 1e-6))
    share = jnp.minimum(share, LONGEST / jnp.maximum(jnp.abs(wish[3]), 1e-6))
    new = _kept_physical(system, Unknowns(*(a + share * b for a, b in zip(at, wish, strict=True))))
    kept = jax.tree.map(lambda a, b: jnp.where(search.moving, a, b), new, at)
    return Search(kept, low, high, search.moving & ~arrived, search.steps + 1)


def _short(at: Unknowns, step: Unknowns) -> Array:
    """Whether a Newton step is so short that the last, exact one may follow."""
    return (
        (jnp.abs(step.canopy) < CLOSE_KELVIN)
        & (jnp.abs(step.ground) < CLOSE_KELVIN)
        & (jnp.abs(step.co2) < CLOSE_PASCAL)
        & (jnp.abs(step.zeta) < CLOSE_ZETA * (1.0 + jnp.abs(at.zeta)))
        & (jnp.abs(step.zeta_ground) < CLOSE_ZETA * (1.0 + jnp.abs(at.zeta_ground)))
    )


def _kept_physical(system: _System, x: Unknowns) -> Unknowns:
    """Within bounds; a temperature that ran away starts again from that of the air."""
    setting, air = system[2], system[3]
    low, high = STABILITY_RANGE

    def near(temperature: Array) -> Array:
        return jnp.where(jnp.abs(temperature - air.Tair) < FARTHEST, temperature, air.Tair)

    return Unknowns(
        co2=jnp.clip(x.co2, 0.01, 1.2 * air.co2 * air.Psurf),
        zeta_ground=jnp.clip(x.zeta_ground, low, high),
        canopy=near(x.canopy),
        ground=jnp.minimum(near(x.ground), setting.ceiling),
        zeta=jnp.clip(x.zeta, low, high),
    )


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


def _finish(
    leaf: stomata.Leaf,
    rough: Roughness,
    setting: Setting,
    air: Forcing,
    system: _System,
    found: Search,
) -> Surface:
    """Update every flux linearly along the last step, so that the balance closes exactly.

    Where the search has not arrived, both stabilities and c_i stay where it got: near a fold of
    their equations a step would lead anywhere.
    """
    at = found.at
    slopes, jacobian = _jacobian(system, at)
    fluxes, off = evaluate(leaf, rough, setting, air, at)
    jacobian, off = _held(jacobian, off, found.moving)
    step = _newton_step(setting, at, jacobian, off)
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
        solution=_kept_physical(system, new),
        last_step=jnp.maximum(jnp.abs(step.change.canopy), jnp.abs(step.change.ground)),
        unsolved=found.moving.astype(float),
    )
