"""E3: how good is that? The run beside regressions, an LSTM and other people's land models.

Reads a finished run; what it makes goes to ``experiments/benchmark/`` of the run folder:
``scores.csv``, ``ranks.csv`` (by tower) and ``mean_ranks.csv``, ``paired.csv``, ``cost.json`` and
``simulations/<model>/<tower>.nc``. No land model is run. Given again, it goes on where it
stopped, and makes anew only what was made from other data or settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl import files
from mdpl.errors import ConfigError, RunError
from mdpl.evaluation import lessons, lstm
from mdpl.evaluation.empirical import EMPIRICAL, fit, simulate
from mdpl.evaluation.full_day import FULL_DAY, daily_means, score_full_days
from mdpl.evaluation.paired import BLOCK_DAYS, Pairs, Statistic, compare_all, day_errors
from mdpl.evaluation.published import Output, find_output, read_output, read_table
from mdpl.evaluation.ranks import PLUMBER, SETS, complete, mean_ranks, ranks
from mdpl.evaluation.scores import masks, observations, score
from mdpl.files import load_dataset, save_dataset, writing
from mdpl.job import Job, open_job
from mdpl.progress import Progress
from mdpl.resuming import check
from mdpl.runs import RunFolder, locked, open_run
from mdpl.sites.site import Site

PLACE = "experiments/benchmark"
COST = "cost.json"
FLUXES = ("Qle", "Qh", "GPP", "NEE")
OURS = ("default", "mdpl")
NETWORKS = ("lstm", "lstm_in_site")
STATISTICS: tuple[Statistic, ...] = ("rmse", "nme")
LEAST_TOWERS = 4
"""For an LSTM out of sample: one to judge, one that says when to stop, two to learn from."""


@dataclass(frozen=True)
class Options:
    """What to compare with.

    Attributes:
        published: tables of metrics (see `mdpl.evaluation.published.read_table`).
        outputs: files or folders of model output, each ``PLACE`` or ``NAME=PLACE``.
        networks: whether to train LSTMs.
        folds: groups of towers the LSTM leaves out in turn; None = each tower alone.
        seed: of clusters, networks and the bootstrap.
    """

    published: tuple[Path, ...] = ()
    outputs: tuple[str, ...] = ()
    networks: bool = True
    folds: int | None = None
    out_of_sample: lstm.LstmSettings = lstm.OUT_OF_SAMPLE
    in_site: lstm.LstmSettings = lstm.IN_SITE
    block_days: int = BLOCK_DAYS
    seed: int = 0


@dataclass(frozen=True)
class Benchmark:
    """A run and what it is to be compared with."""

    run: RunFolder
    job: Job
    options: Options

    @property
    def place(self) -> RunFolder:
        return RunFolder(self.run.path / PLACE, self.run.config)

    @property
    def sites(self) -> tuple[Site, ...]:
        return self.job.sites

    @property
    def others(self) -> list[tuple[str | None, Path]]:
        """Other models: name, if one was given, and place of their output."""
        split = [text.rpartition("=") for text in self.options.outputs]
        return [(name or None, Path(place)) for name, _, place in split]

    @cached_property
    def folds(self) -> list[tuple[str, ...]]:
        """Towers the LSTM leaves out together; none if there are too few towers."""
        codes = [site.code for site in self.sites]
        if not self.options.networks or len(codes) < LEAST_TOWERS:
            return []
        return lessons.folds(codes, self.options.folds or len(codes), self.options.seed)

    @property
    def words(self) -> list[str]:
        """What will be done, a line each."""
        regressions = len(EMPIRICAL) * len(self.sites)
        lines = [
            f"{len(self.sites)} towers; no land-model simulation",
            f"{regressions} regressions to fit: {', '.join(b.name for b in EMPIRICAL)}, for each "
            "tower on all others",
        ]
        if self.folds:
            number = sum(_rotations(len(self.sites) - len(group)) for group in self.folds)
            lines.append(
                f"{number + 1} LSTMs to train: {number} that leave out {_towers(self.folds)}, in "
                f"{len(self.folds)} groups averaged, and one on the calibration periods of all"
            )
        elif self.options.networks:
            lines.append(
                f"1 LSTM to train, on the calibration periods; out of sample it needs "
                f"{LEAST_TOWERS} towers"
            )
        return lines


def prepare(path: Path, options: Options) -> Benchmark:
    """Open a finished run, and find out what is wrong before any work.

    Raises:
        RunError: the run is not finished.
        ConfigError: it has a single tower.
        MdplError: a file to compare with that cannot be.
    """
    run = open_run(path)
    if not run.done("evaluate"):
        raise RunError(f"{path}: not a finished run; give 'mdpl run' or 'mdpl evaluate' first")
    job = open_job(run.config)
    if len(job.sites) < 2:
        raise ConfigError(
            f"{path}: expected two towers or more, for a benchmark of one is learnt from others; "
            f"found {job.sites[0].code} alone"
        )
    bench = Benchmark(run, job, options)
    check(bench.run, bench.job)
    run_scores = files.read_table(path / "scores.csv", again="mdpl evaluate")
    names = [*OURS, *(b.name for b in EMPIRICAL), *NETWORKS]
    names += [read_table(table, run_scores)["model"].iloc[0] for table in options.published]
    for name, place in bench.others:
        found = [output for site in bench.sites if (output := _output(site, name, place))]
        if not found:
            raise ConfigError(
                f"{place}: no file whose name has the code of a tower of this run "
                f"({', '.join(site.code for site in bench.sites)})"
            )
        names += dict.fromkeys(output.model for output in found)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"two models are called {twice[0]}: name an output as --model-output NAME=PLACE; a "
            "published table has the name of its file"
        )
    return bench


def run(bench: Benchmark, progress: Progress) -> Path:
    """Do what is not done; the folder of the results.

    Raises:
        MdplError: what a user can mend.
    """
    with locked(bench.run.path), writing(bench.run.path):
        progress.stage("benchmark: regressions")
        with bench.place.timed("empirical", COST) as counts:
            _empirical(bench, progress, counts)
        if bench.options.networks:
            progress.stage("benchmark: LSTM")
            with bench.place.timed("lstm", COST) as counts:
                _lstm(bench, progress, counts)
        progress.stage("benchmark: scores")
        with bench.place.timed("scores", COST):
            _judge(bench, progress)
    return bench.place.path


def _empirical(bench: Benchmark, progress: Progress, counts: dict[str, int]) -> None:
    jobs = [(b, site) for b in EMPIRICAL for site in bench.sites]
    with progress.task("regressions", len(jobs)) as task:
        for benchmark, site in jobs:
            mark = _mark(bench, repr(benchmark))
            if not _made(bench, benchmark.name, site, mark):
                others = [other for other in bench.sites if other is not site]
                trained = fit(
                    benchmark, others, FLUXES, bench.job.config.sites.flux, bench.options.seed
                )
                counts["models_trained"] += 1
                _keep(bench, benchmark.name, site, simulate(trained, site), mark)
            task.advance(1)


def _lstm(bench: Benchmark, progress: Progress, counts: dict[str, int]) -> None:
    variant, options = bench.job.config.sites.flux, bench.options
    for group in bench.folds:
        judged = [site for site in bench.sites if site.code in group]
        seen = [site for site in bench.sites if site.code not in group]
        taught = lessons.rotations(seen, variant=variant, seed=options.seed)
        words = f"LSTM without {', '.join(group)}"
        _networks(bench, "lstm", judged, taught, options.out_of_sample, words, progress, counts)
    taught = [lessons.in_site(bench.sites, variant=variant)]
    _networks(
        bench,
        "lstm_in_site",
        bench.sites,
        taught,
        options.in_site,
        "LSTM in site",
        progress,
        counts,
    )


def _networks(
    bench: Benchmark,
    name: str,
    judged: Sequence[Site],
    taught: Sequence[Sequence[lessons.Lesson]],
    settings: lstm.LstmSettings,
    description: str,
    progress: Progress,
    counts: dict[str, int],
) -> None:
    """Train networks, one a set of lessons, and keep the mean of what they predict."""
    step = min(site.step_seconds for site in bench.sites)
    settings = replace(settings, seed=bench.options.seed, step_seconds=step)
    marks = [lstm.fingerprint(lesson, settings) for lesson in taught]
    if all(_made(bench, name, site, " ".join(marks)) for site in judged):
        return
    trained = [
        lstm.train(
            lesson,
            settings,
            folder=bench.place.path / "lstm" / mark,
            progress=progress,
            description=description,
        )
        for lesson, mark in zip(taught, marks, strict=True)
    ]
    counts["models_trained"] += len(trained)
    for site in judged:
        predicted = [lstm.predict(network, site) for network in trained]
        mean = xr.concat(predicted, "network").mean("network", keep_attrs=True)
        _keep(bench, name, site, mean, " ".join(marks))


def _judge(bench: Benchmark, progress: Progress) -> None:
    """Every table, from the simulations on disk."""
    scored: list[pd.DataFrame] = []
    pairs: Pairs = {}
    with progress.task("towers", len(bench.sites)) as task:
        for site in bench.sites:
            models, daily = _models(bench, site)
            scored += [_score(bench, site, name, data) for name, data in models.items()]
            if daily:
                whole = {name: daily_means(data, FLUXES) for name, data in models.items()}
                scored += _score_days(bench, site, {**whole, **daily})
            pairs |= _errors(bench, site, models)
            task.advance(1)
    ours = pd.concat(scored, ignore_index=True).assign(same_record=True, record="ours")
    tables = [read_table(path, ours) for path in bench.options.published]
    scores = pd.concat([ours, *tables], ignore_index=True)
    ranked = _ranks(scores)
    differences = compare_all(pairs, STATISTICS, bench.options.block_days, bench.options.seed)
    averaged = [mean_ranks(rows).assign(comparison=name) for name, rows in ranked.items()]
    by_tower = [rows.assign(comparison=name) for name, rows in ranked.items()]
    for name, made in (
        ("scores.csv", scores),
        ("ranks.csv", pd.concat(by_tower, ignore_index=True)),
        ("mean_ranks.csv", pd.concat(averaged, ignore_index=True)),
        ("paired.csv", differences.assign(period="validation")),
    ):
        bench.place.write(name, made.to_csv(index=False))


def _models(bench: Benchmark, site: Site) -> tuple[dict[str, xr.Dataset], dict[str, xr.Dataset]]:
    """Simulations at a tower by model, on its own axis; and those of daily models."""
    networks = NETWORKS if bench.options.networks else ()
    models: dict[str, xr.Dataset] = {}
    daily: dict[str, xr.Dataset] = {}
    for name in (*OURS, *(b.name for b in EMPIRICAL), *networks):
        path = bench.run / f"simulations/{name}/{site.code}.nc"
        path = path if name in OURS else _simulation(bench, name, site)
        if path.exists():
            models[name] = load_dataset(path)
    for given, place in bench.others:
        output = _output(site, given, place)
        if output is None:
            continue
        if output.model in (*models, *daily):
            raise ConfigError(
                f"{place}: there is a model {output.model!r} already; give this one another name, "
                f"as NAME={place}"
            )
        (daily if output.daily else models)[output.model] = output.fluxes
    return models, daily


def _score(bench: Benchmark, site: Site, name: str, data: xr.Dataset) -> pd.DataFrame:
    fluxes = [flux for flux in FLUXES if flux in site.fluxes and flux in data]
    variant = bench.job.config.sites.flux
    return score(site, name, data, fluxes, variant, None, bench.job.coverage())


def _score_days(bench: Benchmark, site: Site, models: dict[str, xr.Dataset]) -> list[pd.DataFrame]:
    return [
        score_full_days(
            site,
            name,
            data,
            [flux for flux in FLUXES if flux in site.fluxes and flux in data],
            bench.job.config.sites.flux,
        )
        for name, data in models.items()
    ]


def _ranks(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Ranks by comparison: models of all towers, those of some, and so on.

    Published tables have few metrics and the whole record only.
    """
    sub_daily = scores[scores["resolution"] != FULL_DAY]
    own = sub_daily[(sub_daily["record"] == "ours") & (sub_daily["period"] == "validation")]
    everywhere = complete(own)
    compared = {"validation": ranks(everywhere)}
    for model in dict.fromkeys(own["model"]):
        if model not in set(everywhere["model"]):
            its = own["site"].isin(own[own["model"] == model]["site"])
            compared[f"towers of {model}"] = ranks(own[its])
    theirs = sub_daily[(sub_daily["record"] != "ours") & sub_daily["same_record"]]
    if len(theirs):
        whole = sub_daily[
            (sub_daily["period"] == "all")
            & (sub_daily["resolution"] == "native")
            & sub_daily["same_record"]
            & sub_daily["site"].isin(theirs["site"])
            & sub_daily["flux"].isin(theirs["flux"])
        ]
        compared["published"] = ranks(whole, SETS["standard"])
    days = scores[(scores["resolution"] == FULL_DAY) & (scores["period"] == "all")]
    if len(days):
        compared["daily models"] = ranks(days, PLUMBER)
    return compared


def _errors(bench: Benchmark, site: Site, models: dict[str, xr.Dataset]) -> Pairs:
    """mdpl paired with every other model, on validation data."""
    observed = observations(site, FLUXES, bench.job.config.sites.flux)
    inside = masks(observed)["validation"]
    found: Pairs = {}
    if "mdpl" not in models:
        return found
    for name, data in models.items():
        for flux in FLUXES:
            if name == "mdpl" or any(flux not in d for d in (observed, data, models["mdpl"])):
                continue
            counts = inside & (observed[f"{flux}_measured"].values == 1)
            if counts.any() and np.isfinite(data[flux].values[counts]).all():
                found["mdpl", name, flux, site.code] = day_errors(
                    site.time,
                    observed[flux].values,
                    models["mdpl"][flux].values,
                    data[flux].values,
                    counts,
                )
    return found


def _output(site: Site, name: str | None, place: Path) -> Output | None:
    path = find_output(place, site.code)
    return read_output(path, site, FLUXES, name) if path else None


def _mark(bench: Benchmark, what: str) -> str:
    """What a regression was made from: towers, variant, seed and the benchmark itself."""
    sources = [(site.code, dict(site.sources)) for site in bench.sites]
    text = repr((sources, bench.job.config.sites.flux, bench.options.seed, what))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _simulation(bench: Benchmark, model: str, site: Site) -> Path:
    return bench.place / f"simulations/{model}/{site.code}.nc"


def _made(bench: Benchmark, model: str, site: Site, mark: str) -> bool:
    path = _simulation(bench, model, site)
    return path.exists() and load_dataset(path).attrs.get("made_from") == mark


def _keep(bench: Benchmark, model: str, site: Site, data: xr.Dataset, mark: str) -> None:
    save_dataset(data.assign_attrs(model=model, made_from=mark), _simulation(bench, model, site))


def _rotations(towers: int) -> int:
    return min(lessons.EVERY, towers)


def _towers(groups: Sequence[Sequence[str]]) -> str:
    largest = max(map(len, groups))
    return "a tower each" if largest == 1 else f"up to {largest} towers each"
