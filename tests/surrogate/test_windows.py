import numpy as np
import pytest

import toy_bucket as toy
from mdpl.errors import ModelError, SiteError
from mdpl.surrogate.windows import build


def test_fold_and_unfold_keep_every_step_in_its_place_when_a_record_begins_at_noon():
    tower = toy.site(days=5, start="2001-03-01T12:00")
    tensors = toy.tensors(tower)
    assert (tensors.first, tensors.blocks) == (12, 4)
    hours = (tower.time.astype("datetime64[h]").astype(int) % 24).astype(float)
    folded = tensors.fold(hours)
    assert (folded == np.arange(24)).all()
    back = tensors.unfold(folded)
    inside = slice(12, 12 + 4 * 24)
    assert (back[inside] == hours[inside]).all()
    assert np.isnan(back[:12]).all() and np.isnan(back[inside.stop :]).all()


def test_day_of_year_is_that_of_the_days_kept():
    tensors = toy.tensors(toy.site(days=4, start="2004-02-27T18:00"))
    assert tensors.day_of_year.tolist() == [59, 60, 61]


def test_the_reference_and_its_state_are_inputs():
    tensors = toy.tensors(toy.site(days=3))
    for name in ("Qle", "Qh", "wet", "SWdown", "VPD", "hour_cos"):
        assert name in tensors.dynamic_names
    column = tensors.dynamic[..., tensors.dynamic_names.index("Qle")]
    assert (column == tensors.reference[..., 0]).all()


def test_a_profile_gives_one_input_a_layer():
    tower = toy.site(days=3)
    reference = toy.simulate(tower, toy.default_unit(0))
    layers = reference["wet"].expand_dims(layer=2).transpose("member", "layer", "time")
    built = build(tower, reference.assign(SoilMoist=layers), toy.default_unit(0), ("Qle",))
    assert {"SoilMoist[0]", "SoilMoist[1]"} <= set(built.dynamic_names)


def test_a_recent_rain_feature_does_not_look_ahead():
    tower = toy.site(days=4)
    late = tower.forcing.copy(deep=True)
    late["Precip"].values[60:] = 1.0
    changed = toy.tensors(type(tower)(tower.code, late, tower.fluxes, tower.attributes, {}))
    column = changed.dynamic_names.index("recent_rain")
    before = toy.tensors(tower).dynamic[..., column].ravel()
    after = changed.dynamic[..., column].ravel()
    assert (before[:60] == after[:60]).all() and (before[60:] != after[60:]).all()


def test_errors_name_site_and_what_is_missing():
    tower = toy.site(days=3)
    reference = toy.simulate(tower, toy.default_unit(0))
    with pytest.raises(ModelError, match=r"XX-Toy.*GPP"):
        build(tower, reference, toy.default_unit(0), ("GPP",))
    with pytest.raises(ModelError, match=r"72 steps"):
        build(tower, reference.isel(time=slice(5)), toy.default_unit(0), ("Qle",))
    with pytest.raises(SiteError, match="two whole days"):
        toy.tensors(toy.site(days=2, start="2001-01-01T01:00"))
    tower.forcing["Tair"].values[7] = np.nan
    with pytest.raises(SiteError, match=r"Tair is missing at 2001-03-01T07"):
        build(tower, reference, toy.default_unit(0), ("Qle",))
