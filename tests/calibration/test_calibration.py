"""What a calibration gives back, in physical units and as a table."""

import numpy as np

from mdpl.calibration.calibration import COLUMNS, Calibration
from mdpl.lsm.model import Parameter, ParameterSpace

SPACE = ParameterSpace(
    (
        Parameter("slope", "1", "a slope", 2.0, 16.0, 9.0, "test"),
        Parameter("rate", "s-1", "a rate", 1e-4, 1e-2, 1e-3, "test", "log"),
    )
)


def test_table_has_values_between_bounds_beside_defaults():
    found = Calibration(
        "mdpl", SPACE, {"XX-One": np.array([0.5, 0.25])}, {"XX-One": SPACE.defaults(1)}, 1
    )
    np.testing.assert_allclose(found.values("XX-One"), [9.0, 10**-3.5])
    table = found.table()
    assert tuple(table.columns) == COLUMNS
    assert table["parameter"].tolist() == ["slope", "rate"]
    np.testing.assert_allclose(table["value"], [9.0, 10**-3.5])
    assert table["unit"].tolist() == ["1", "s-1"]
    np.testing.assert_allclose(SPACE.to_unit(table["value"].to_numpy()), [0.5, 0.25])


def test_spread_is_that_of_the_ensemble_in_physical_units():
    each = np.array([[0.25, 0.0], [0.75, 1.0]])
    found = Calibration(
        "mdpl", SPACE, {"A": each.mean(0), "B": each[0]}, dict.fromkeys("AB", SPACE.defaults(1)),
        members={"A": each},
    )  # fmt: skip
    np.testing.assert_allclose(found.spread("A"), np.std([[5.5, 1e-4], [12.5, 1e-2]], 0, ddof=1))
    assert np.isnan(found.spread("B")).all()
    assert found.table()["spread"].notna().sum() == 2
