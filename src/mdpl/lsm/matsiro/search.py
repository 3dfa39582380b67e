"""Search for the temperatures, stabilities and c_i of a surface (MATSIRO.md 2.13-2.15)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro import newton, stomata
from mdpl.lsm.matsiro.fluxes import Fluxes, KeptLeaves, Mismatch, Setting, evaluate
from mdpl.lsm.matsiro.state import Forcing, Unknowns, filled
from mdpl.lsm.matsiro.turbulence import STABILITY_RANGE, Roughness

CLOSE_KELVIN, CLOSE_PASCAL, CLOSE_ZETA = 1e-4, 1e-3, 2.5e-5
"""A Newton step shorter than this (in zeta: than this share of 1 + |zeta|) ends the search where
it began; it is left to the last, exact step."""

LONGEST = 8.0
"""K a temperature may move in one step of the search."""

REACH = 0.5
"""Share of 1 + |zeta| that zeta may move in one step: a straight line is no guide further off."""

DRAGGED = 2.0
"""K a temperature may follow such a move."""

TURNED = 0.3
"""A step back of more than this share of the last one counts as going in circles."""

SLOWEST = 0.125
"""Least share of a step that a column going in circles takes."""

TRUST = 0.1
"""K the others may still have to move for the sign of zeta's equation to count; in zeta_ground,
share of 1 + |zeta_ground|."""

COLLAPSED = 1e-4
"""Width of bounds on zeta that hold no solution."""

FARTHEST = 90.0
"""K a surface may differ from the air."""

PASSES = 5
"""Relaxed passes (MATSIRO.md 2.13) that columns make which the search left unsolved."""

SETTLING = 8
"""Steps in which these then balance their temperatures."""


class System(NamedTuple):
    """What the equations of a surface are made of."""

    leaf: stomata.Leaf
    rough: Roughness
    setting: Setting
    air: Forcing


class Slopes(NamedTuple):
    """Derivatives by each unknown."""

    fluxes: list[Fluxes]
    rows: list[Mismatch]


class Search(NamedTuple):
    """Where the search stands."""

    at: Unknowns
    slopes: Slopes  # there, once the search has ended
    last: Unknowns  # the last move
    share: Array  # of a full step that a column takes
    low: Array  # zeta between these solves the equations
    high: Array
    leaves: Array  # temperature of the stomata, K
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


def search(system: System, guess: Unknowns, most: int) -> Search:
    """Newton's method from ``guess``, at most ``most`` steps; where it does not arrive, passes.

    In stable air the heat flux has a largest value, beyond which plain Newton steps run away.
    At a given stability the other equations are well behaved, so the search keeps zeta between
    bounds and halves these where Newton's step would leave them.

    Columns still moving after ``most`` steps make relaxed passes and then balance their
    temperatures, with the stability and c_i these led to and the stomata of where the search
    ended: that balance rises with temperature, so Newton's method finds its only root.
    """
    at = kept_physical(system, guess)
    one = jnp.ones_like(at.ground)
    low, high = STABILITY_RANGE
    zero = jnp.zeros_like(one)
    start = Search(
        at=at,
        slopes=Slopes([filled(Fluxes, zero)] * len(at), [filled(Mismatch, zero)] * len(at)),
        last=filled(Unknowns, zero),
        share=one,
        low=low * one,
        high=high * one,
        leaves=at.canopy,
        moving=one > 0,
        steps=jnp.zeros((), dtype=int),
    )
    return jax.lax.while_loop(
        lambda now: jnp.any(now.moving) & (now.steps < most + PASSES + SETTLING),
        lambda now: _advance(system, now, most),
        start,
    )


def _slopes(system: System, at: Unknowns, kept: KeptLeaves) -> Slopes:
    """Derivatives of `mdpl.lsm.matsiro.fluxes.evaluate`."""
    derivatives = newton.columns(lambda x: evaluate(*system, x, kept), at)
    return Slopes([d[0] for d in derivatives], [d[1] for d in derivatives])


def newton_step(setting: Setting, at: Unknowns, jacobian: list[Mismatch], off: Mismatch) -> Step:
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


def kept_physical(system: System, x: Unknowns) -> Unknowns:
    """Within bounds; a temperature that ran away starts again from that of the air."""
    setting, air = system.setting, system.air
    low, high = STABILITY_RANGE

    def near(temperature: Array) -> Array:
        return jnp.where(jnp.abs(temperature - air.Tair) < FARTHEST, temperature, air.Tair)

    return Unknowns(
        co2=jnp.clip(x.co2, 0.01, stomata.highest_co2(air.co2, air.Psurf)),
        zeta_ground=jnp.clip(x.zeta_ground, low, high),
        canopy=near(x.canopy),
        ground=jnp.minimum(near(x.ground), setting.ceiling),
        zeta=jnp.clip(x.zeta, low, high),
    )


def _advance(system: System, now: Search, most: int) -> Search:
    """One step of the search; columns that are there stay, and in the last step all do."""
    at, over = now.at, now.steps >= most
    kept = KeptLeaves(over & now.moving, now.leaves)
    _, off = evaluate(*system, at, kept)
    found = _slopes(system, at, kept)
    slopes = list(found.rows)
    passed = jax.tree.map(
        lambda a, b: jnp.where(now.steps < most + PASSES, a, b), _relaxed(at, slopes, off), at
    )
    # The leaf's equation bends down towards low c_i; no step there is longer than putting c_i
    # where diffusion wants it.
    slopes[0] = slopes[0]._replace(co2=jnp.maximum(slopes[0].co2, 1.0))
    step = newton_step(system.setting, at, *held(slopes, off, over))
    settled = passed._replace(
        canopy=at.canopy + jnp.clip(step.change.canopy, -LONGEST, LONGEST),
        ground=at.ground + jnp.clip(step.change.ground, -LONGEST, LONGEST),
    )
    ahead = _newton(system, now, step)
    new = jax.tree.map(lambda a, b: jnp.where(over, a, b), settled, ahead.at)
    moving = now.moving & (over | ahead.moving)
    goes = moving & (now.steps + 1 < most + PASSES + SETTLING)
    new = jax.tree.map(lambda a, b: jnp.where(goes, a, b), new, at)
    return ahead._replace(
        at=new,
        slopes=found,
        last=jax.tree.map(jnp.subtract, new, at),
        leaves=jnp.where(over, now.leaves, new.canopy),
        moving=moving,
        steps=now.steps + 1,
    )


def _newton(system: System, now: Search, step: Step) -> Search:
    """Where a Newton step leads, kept to where it can be trusted."""
    at = now.at
    low, high, trusted = _bounds(now, step)
    target = jnp.clip(at.zeta + step.change.zeta, *STABILITY_RANGE)
    inside = (step.slope > 0) & (target >= low) & (target <= high)
    zeta = jnp.where(inside, target, jnp.where(trusted, 0.5 * (low + high), at.zeta))
    moved = _within_reach(at, step, zeta - at.zeta)
    wish = Unknowns(*(a + moved * b for a, b in zip(step.others, step.by_zeta, strict=True)))

    circling = (
        _turned(wish.canopy, now.last.canopy)
        | _turned(wish.ground, now.last.ground)
        | _turned(wish.co2, now.last.co2)
        | (_turned(moved, now.last.zeta) & inside)
    )
    share = jnp.where(circling, jnp.maximum(0.5 * now.share, SLOWEST), 2.0 * now.share)
    share = jnp.minimum(share, 1.0)
    arrived = inside & _short(at, step.change)
    taken = jnp.where(arrived, 1.0, share)
    taken = jnp.minimum(taken, 0.75 * at.co2 / jnp.maximum(-wish.co2, 1e-6))
    warming = jnp.maximum(jnp.abs(wish.canopy), jnp.abs(wish.ground))
    taken = jnp.minimum(taken, LONGEST / jnp.maximum(warming, 1e-6))
    new = kept_physical(system, Unknowns(*(a + taken * b for a, b in zip(at, wish, strict=True))))
    return now._replace(at=new, share=share, low=low, high=high, moving=~arrived)


def held(jacobian: list[Mismatch], off: Mismatch, where: Array) -> tuple[list[Mismatch], Mismatch]:
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


def _bounds(now: Search, step: Step) -> tuple[Array, Array, Array]:
    """Bounds on zeta after a look at the sign of its equation, and where that look counts."""
    at = now.at
    trusted = (
        (jnp.abs(step.others.canopy) < TRUST)
        & (jnp.abs(step.others.ground) < TRUST)
        & (jnp.abs(step.others.zeta_ground) < TRUST * (1.0 + jnp.abs(at.zeta_ground)))
    )
    low = jnp.where(trusted & (step.off < 0), at.zeta, now.low)
    high = jnp.where(trusted & (step.off >= 0), at.zeta, now.high)
    # Signs read before the others were near may have closed in on nothing: open up again.
    lost = high - low < COLLAPSED
    return (
        jnp.where(lost, STABILITY_RANGE[0], low),
        jnp.where(lost, STABILITY_RANGE[1], high),
        trusted,
    )


def _within_reach(at: Unknowns, step: Step, move: Array) -> Array:
    """A move of zeta cut to where the straight lines it goes along still mean something."""
    reach = REACH * (1.0 + jnp.abs(at.zeta))
    move = jnp.clip(move, -reach, reach)
    follow = jnp.maximum(jnp.abs(step.by_zeta.canopy), jnp.abs(step.by_zeta.ground))
    return move * jnp.minimum(1.0, DRAGGED / jnp.maximum(follow * jnp.abs(move), 1e-9))


def _turned(step: Array, last: Array) -> Array:
    return (step * last < 0) & (jnp.abs(step) > TURNED * jnp.abs(last))


def _short(at: Unknowns, step: Unknowns) -> Array:
    """Whether a Newton step is so short that the last, exact one may follow."""
    return (
        (jnp.abs(step.canopy) < CLOSE_KELVIN)
        & (jnp.abs(step.ground) < CLOSE_KELVIN)
        & (jnp.abs(step.co2) < CLOSE_PASCAL)
        & (jnp.abs(step.zeta) < CLOSE_ZETA * (1.0 + jnp.abs(at.zeta)))
        & (jnp.abs(step.zeta_ground) < CLOSE_ZETA * (1.0 + jnp.abs(at.zeta_ground)))
    )
