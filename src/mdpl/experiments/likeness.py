"""How alike towers are, by what is known of them before any observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mdpl.generator.known import Known
from mdpl.generator.network import fit_encoder


class Surroundings(NamedTuple):
    """A tower among others, in the generator's space of attributes, standardised without it.

    Attributes:
        names: the numeric attributes; the land-cover classes come after them.
        here: the tower, (feature,).
        there: the others, (tower, feature).
        distance: to each of the others; root mean square over the features that vary, (tower,).
    """

    names: tuple[str, ...]
    here: np.ndarray
    there: np.ndarray
    distance: np.ndarray


def surroundings(
    code: str, others: Sequence[str], known: Mapping[str, Known], kind: str
) -> Surroundings:
    """A tower among some of those known.

    Args:
        kind: of the generator whose features these are.
    """
    usual = [each for each in known if each != code]
    encoder = fit_encoder(usual, [known[each] for each in usual], kind)
    features = {each: encoder(each, known[each]) for each in known}
    varies = np.ptp(np.stack([features[each] for each in usual]), axis=0) > 0
    varies = varies if varies.any() else np.ones_like(varies)
    here, there = features[code], np.stack([features[each] for each in others])
    distance = np.sqrt(((there - here)[:, varies] ** 2).mean(axis=1))
    return Surroundings(encoder.names, here, there, distance)


def weights(distance: np.ndarray) -> np.ndarray:
    """What each other tower counts, sum one: Gaussian, as wide as the nearest is far.

    Args:
        distance: (tower,).
    """
    nearest = distance.min()
    if nearest == 0:
        found = (distance == 0).astype(float)
    else:
        found = np.exp(-0.5 * (distance / nearest) ** 2)
    return np.asarray(found / found.sum())


def alike(known: Mapping[str, Known], kind: str) -> dict[str, dict[str, float]]:
    """What every other tower counts for a tower, sum one, from what is known of them.

    Args:
        kind: of the generator whose features tell towers apart.
    """
    found = {}
    for code in known:
        others = [other for other in known if other != code]
        if others:
            near = weights(surroundings(code, others, known, kind).distance)
            found[code] = dict(zip(others, near.tolist(), strict=True))
    return found
