"""Joint solution of ground surface, canopy, leaf and stability (MATSIRO.md 2.13-2.15)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mdpl.lsm.matsiro.constants import L_VAP
from mdpl.lsm.matsiro.fluxes import Fluxes, KeptLeaves, balances, evaluate
from mdpl.lsm.matsiro.search import Search, System, held, kept_physical, newton_step, search
from mdpl.lsm.matsiro.state import Surface, Unknowns


def solve_surface(system: System, guess: Unknowns, most: int) -> Surface:
    """Solve both energy balances with stomata and stability by Newton's method.

    The search for the solution carries no derivative; one more Newton step with the Jacobian
    there, in which every flux is updated linearly, closes the energy balance exactly however
    far the search got, and is the implicit function theorem where it has converged: reverse
    mode through that step alone is the gradient of the solution.

    Args:
        guess: the last step's solution.
        most: Newton steps at most.
    """
    fixed, guess = jax.lax.stop_gradient((system, guess))
    found = search(fixed, guess, most)
    return _finish(system, found)


def _finish(system: System, found: Search) -> Surface:
    """Update every flux linearly along the last step, so that the balance closes exactly."""
    setting, air, at = system.setting, system.air, found.at
    unsolved = found.moving
    fluxes, off = evaluate(*system, at, KeptLeaves(unsolved, found.leaves))
    step = newton_step(setting, at, *held(found.slopes.rows, off, unsolved))
    slopes = list(zip(found.slopes.fluxes, step.change, strict=True))
    f = Fluxes(
        *(value + sum(slope[i] * d for slope, d in slopes) for i, value in enumerate(fluxes))
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
