"""Ensembles on disk: one zarr group a tower, written batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from mdpl.errors import RunError

PENDING, DONE, FAILED = 0, 1, 2


@dataclass(frozen=True)
class SiteEnsemble:
    """The runs of one tower.

    Attributes:
        names: parameters perturbed.
        unit: their points in the unit cube, (member, parameter).
        status: `PENDING`, `DONE` or `FAILED` by member.
        outputs: name -> zarr array (member, time), float32.
    """

    code: str
    names: tuple[str, ...]
    unit: np.ndarray
    status: np.ndarray
    outputs: Mapping[str, zarr.Array]

    @property
    def usable(self) -> np.ndarray:
        """Members that ran and did not fail."""
        return np.flatnonzero(self.status == DONE)

    def read(self, output: str, members: Sequence[int] | np.ndarray) -> np.ndarray:
        """One output of some members, (member, time), float32."""
        return np.asarray(self.outputs[output].oindex[np.asarray(members)])


@dataclass(frozen=True)
class EnsembleStore:
    """All ensembles of a run, over (site, member, time); records may differ in length."""

    path: Path

    def create_site(
        self,
        code: str,
        names: Sequence[str],
        unit: np.ndarray,
        steps: int,
        outputs: Sequence[str],
        batch: int,
    ) -> SiteEnsemble:
        """Open a tower's ensemble, making it first where it does not exist.

        Raises:
            RunError: another design is stored under this tower.
        """
        root = zarr.open_group(self.path, mode="a")
        if code in root:
            found = self.site(code)
            same = found.names == tuple(names) and np.array_equal(found.unit, unit)
            if not same or any(o not in found.outputs for o in outputs):
                raise RunError(
                    f"{self.path}: tower {code} holds runs of another design; expected "
                    f"{len(unit)} members of {', '.join(names)}; delete the folder or use another"
                )
            return found
        group = root.create_group(code)
        members = len(unit)
        for name in outputs:
            group.create_array(
                name,
                shape=(members, steps),
                chunks=(min(batch, members), steps),
                dtype="float32",
                fill_value=np.nan,
            )
        stored = group.create_array("unit", shape=unit.shape, dtype="float64")
        stored[...] = unit
        # In the chunks of the outputs, so that writers of other batches never touch the same file.
        status = group.create_array(
            "status", shape=(members,), chunks=(min(batch, members),), dtype="int8"
        )
        status[...] = PENDING
        group.attrs.update({"parameters": list(names), "outputs": list(outputs)})
        return self.site(code)

    def site(self, code: str) -> SiteEnsemble:
        """A tower's ensemble as it stands on disk."""
        root = zarr.open_group(self.path, mode="r")
        if code not in root or "outputs" not in root[code].attrs:
            raise RunError(f"{self.path}: no ensemble of tower {code}; run the ensemble stage")
        group: Any = root[code]
        return SiteEnsemble(
            code,
            tuple(group.attrs["parameters"]),
            np.asarray(group["unit"]),
            np.asarray(group["status"]),
            {name: group[name] for name in group.attrs["outputs"]},
        )

    def finished(self, codes: Sequence[str]) -> int:
        """Members run so far, failed ones included; towers not begun count as none."""
        if not self.path.exists():
            return 0
        root: Any = zarr.open_group(self.path, mode="r")
        there = [code for code in codes if code in root and "status" in root[code]]
        return sum(int((np.asarray(root[code]["status"]) != PENDING).sum()) for code in there)

    def write(
        self, code: str, members: np.ndarray, data: Mapping[str, np.ndarray], status: np.ndarray
    ) -> None:
        """Store finished members; their status is written last, so a cut leaves them pending."""
        group: Any = zarr.open_group(self.path, mode="a")[code]
        first, last = int(members[0]), int(members[-1]) + 1
        for name, array in data.items():
            group[name][first:last] = array.astype("float32")
        group["status"][first:last] = status
