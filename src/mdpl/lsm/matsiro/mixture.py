"""A second kind of vegetation under the same tower, such as grass between trees.

The description mixes tiles outside the scheme (MATSIRO.md 5.1): each kind stands on its own
column of soil, and the tower sees their mean by area.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax.numpy as jnp
import xarray as xr
from jax import Array

from mdpl.errors import ModelError
from mdpl.lsm.matsiro.parameters import PARAMETERS, VEGETATION
from mdpl.sites.attributes import CANOPY_HEIGHT, land_cover
from mdpl.sites.site import Site

KINDS = (".first", ".second")
"""What follows the code of a tower as each kind of vegetation sees it."""


def tower_of(code: str) -> str:
    """The code of a tower, whichever of its kinds is meant."""
    return code.removesuffix(KINDS[0]).removesuffix(KINDS[1])


@dataclass(frozen=True)
class Mixture:
    """What stands beside a tower's own vegetation.

    Attributes:
        igbp: class of the second vegetation; it keeps its class's default parameters, while
            soil and snow have those of the tower.
        share: of the ground it covers, between 0 and 1.
        leaves: its leaf area index over the tower's mean one; the first kind takes the rest.
        height: of its canopy, m; None = typical of its class.
    """

    igbp: str
    share: float
    leaves: float = 1.0
    height: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ModelError(f"mixture: expected a share between 0 and 1, found {self.share:g}")
        if not 0.0 <= self.leaves * self.share < 1.0:
            raise ModelError(
                f"mixture: leaves {self.leaves:g} on a share of {self.share:g} leave none for the "
                "first kind; lower one of them"
            )
        if self.height is not None and not self.height > 0.0:
            raise ModelError(f"mixture: expected a height above 0 m, found {self.height:g}")
        land_cover(self.igbp)

    def sites(self, site: Site) -> tuple[Site, Site]:
        """The tower as the first and as the second kind see it."""
        rest = (1.0 - self.leaves * self.share) / (1.0 - self.share)
        height = CANOPY_HEIGHT[self.igbp] if self.height is None else self.height
        about = {
            **site.attributes,
            "igbp": self.igbp,
            "land_cover": land_cover(self.igbp),
            "canopy_height": height,
        }
        first = replace(site, code=f"{site.code}{KINDS[0]}", forcing=_leaves(site, rest))
        second = replace(
            site,
            code=f"{site.code}{KINDS[1]}",
            forcing=_leaves(site, self.leaves),
            attributes=about,
        )
        return first, second

    def second_values(self, second: Site, values: Array) -> Array:
        """Values of the second kind, from those of the tower, shape (..., parameter)."""
        own = jnp.asarray([name in VEGETATION for name in PARAMETERS.names])
        return jnp.where(own, PARAMETERS.defaults(second.attributes), values)

    def mean(self, first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
        """What the tower sees; how the second kind's spin-up ended stands beside the first's."""
        with xr.set_options(keep_attrs=True):
            both = (1.0 - self.share) * first + self.share * second
        spinup = {f"{k}_second": v for k, v in second.attrs.items() if k.startswith("spinup")}
        return both.assign_attrs({**first.attrs, **spinup, "mixture": str(self)})


def _leaves(site: Site, factor: float) -> xr.Dataset:
    leaves = site.forcing["LAI"]
    return site.forcing.assign(LAI=(leaves.dims, factor * leaves.values, leaves.attrs))
