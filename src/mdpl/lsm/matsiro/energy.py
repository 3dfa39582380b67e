"""Joint solution of ground surface, canopy, leaf and stability (MATSIRO.md 2.13-2.15)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mdpl.lsm.matsiro import stomata
from mdpl.lsm.matsiro.constants import L_VAP
from mdpl.lsm.matsiro.fluxes import Fluxes, KeptLeaves, Setting, balances, evaluate
from mdpl.lsm.matsiro.search import System, held, jacobian, kept_physical, newton_step, search
from mdpl.lsm.matsiro.state import Forcing, Surface, Unknowns
from mdpl.lsm.matsiro.turbulence import Roughness


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
    system = System(leaf, rough, setting, air)
    fixed, guess = jax.lax.stop_gradient((system, guess))
    found = search(fixed, guess, most)
    return _finish(system, fixed, found.at, KeptLeaves(found.moving, found.leaves))


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
    step = newton_step(setting, at, *held(rows, off, unsolved))
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
