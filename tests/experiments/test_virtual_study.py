"""Virtual towers: what is hidden, what is written, and how recovery is counted."""

import numpy as np
import pandas as pd
import pytest

from mdpl.config import Config, SitesConfig
from mdpl.evaluation import scores as scoring
from mdpl.evaluation.periods import split
from mdpl.experiments import virtual_study
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.progress import SilentProgress
from mdpl.sites.catalogue import open_sites
from mdpl.sites.qc import measured

STUDY = virtual_study.Study(trained=3, unseen=2, days=20, seed=5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("virtual")
    virtual_study.make(folder, STUDY, SilentProgress())
    return folder


def config(folder):
    return Config(sites=SitesConfig(folder=folder / "towers", held_out=STUDY.held_out))


def test_held_out_towers_lie_among_the_others():
    study = virtual_study.Study(trained=20, unseen=8)
    assert len(study.codes) == 28
    assert len(set(study.held_out)) == 8
    assert study.codes[0] not in study.held_out
    assert study.codes[-1] not in study.held_out


def test_hidden_parameters_follow_from_the_drivers_alone(made):
    sites = open_sites(made / "towers", None)
    space = Matsiro().parameters.subset(virtual_study.HIDDEN)
    unit = virtual_study.hidden(sites, space, seed=1)
    assert ((unit > 0) & (unit < 1)).all()
    default = np.array([space.to_unit(space.defaults(s.attributes)) for s in sites])
    assert np.abs(unit - default).max() <= virtual_study.REACH + 1e-9
    assert (np.abs(unit - default).mean(axis=0) > 0.02).all()
    np.testing.assert_array_equal(unit, virtual_study.hidden(sites, space, seed=1))


def test_towers_are_read_back_with_noise_and_gaps_around_their_truth(made):
    truth = pd.read_csv(made / "truth.csv")
    sites = open_sites(made / "towers", None)
    assert [s.code for s in sites] == list(STUDY.codes) == list(dict.fromkeys(truth["site"]))
    for site in sites:
        assert len(site.time) == STUDY.days * 48
        share = measured(site, "Qle").mean()
        np.testing.assert_allclose(share, 0.8, atol=0.01)


def test_the_truth_removes_all_excess_and_the_default_none(made):
    """Scores of the true run under the name of a learnt one leave exactly the noise floor."""
    tables = []
    space = Matsiro().parameters
    for site in open_sites(made / "towers", None):
        default = Matsiro().simulate(site, space.defaults(site.attributes)[None]).isel(member=0)
        truth = virtual_study.true_fluxes(made, site.code)
        for name, run in (("default", default), ("mdpl", truth)):
            tables.append(
                scoring.score(site, name, run, virtual_study.FLUXES, "raw", split(site.time))
            )
    pd.concat(tables).to_csv(made / "scores.csv", index=False)
    table = virtual_study.excess(made, config(made))
    assert len(table) == 2 * len(STUDY.codes)
    np.testing.assert_allclose(table["removed"], 1.0)
    assert (table["default"] > table["floor"]).all()
    assert set(table.loc[table["role"] == "held_out", "site"]) == set(STUDY.held_out)
