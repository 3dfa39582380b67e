"""Speed of training the surrogate beside an LSTM in PyTorch: same hidden size, same data.

Usage: python benchmarks/lstm.py RUN --torch PYTHON [--rows 16] [--steps 6]

RUN is a finished run folder; PYTHON the interpreter of an environment with PyTorch in it
(``python -m venv t && t/bin/pip install torch numpy``), which MdPL itself does not need. Both
learn the fluxes of ensemble members over the same year of half-hours from the same inputs. The
LSTM steps through every half-hour and answers each; the surrogate steps through its blocks and
answers those half-hours that its settings draw.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from elsewhere import last_number

from mdpl import job as jobs
from mdpl.ensemble.store import EnsembleStore
from mdpl.rounds import runs_of
from mdpl.runs import open_run
from mdpl.surrogate.train import TowerRuns, train

DAYS = 365


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--torch", required=True, metavar="PYTHON")
    parser.add_argument(
        "--rows", type=int, default=16, help="members in a training step, of those there are"
    )
    parser.add_argument("--steps", type=int, default=6, help="training steps timed")
    chosen = parser.parse_args()
    folder = open_run(chosen.run)
    job = jobs.open_job(folder.config)
    store = EnsembleStore(folder / "ensemble.zarr")
    tower = runs_of(job, store, jobs.tensors(job, folder))[0]
    config = folder.config.surrogate.model_copy(
        update={
            "sites_per_batch": 1,
            "members_per_batch": chosen.rows,
            "window_days": DAYS,
            "steps": chosen.steps + 2,
            "compare_every": 0,
        }
    )
    steps = min(DAYS * tower.tensors.per_day, tower.tensors.blocks) * tower.tensors.slots
    _, history = train([tower], job.space.names, config)
    ours = float(np.min(np.diff(history["seconds"])[1:]))
    theirs = lstm(chosen.torch, tower, steps, chosen.rows, config.hidden, chosen.steps)
    for name, seconds in (("surrogate", ours), ("LSTM in PyTorch", theirs)):
        rate = chosen.rows * steps / seconds
        print(f"{name}: {seconds:.2f} s a training step, {rate:,.0f} half-hours a second")
    print(f"{tower.tensors.code}, {chosen.rows} members x {steps} steps: ratio {theirs / ours:.1f}")


LSTM = """
import sys, time
import numpy as np, torch
data = np.load(sys.argv[1])
hidden, steps = int(sys.argv[2]), int(sys.argv[3])
x, unit, y = (torch.from_numpy(data[name]) for name in ("inputs", "unit", "target"))
x = torch.cat([x.expand(len(unit), -1, -1), unit[:, None].expand(-1, x.shape[1], -1)], dim=2)
cell = torch.nn.LSTM(x.shape[2], hidden, batch_first=True)
head = torch.nn.Linear(hidden, y.shape[2])
optimiser = torch.optim.AdamW([*cell.parameters(), *head.parameters()], lr=1e-3)
found = []
for _ in range(1 + steps):
    begin = time.perf_counter()
    optimiser.zero_grad()
    loss = ((head(cell(x)[0]) - y) ** 2).mean()
    loss.backward()
    optimiser.step()
    found.append(time.perf_counter() - begin)
print(min(found[1:]))
"""


def lstm(python: str, tower: TowerRuns, steps: int, rows: int, hidden: int, times: int) -> float:
    """Least seconds of a training step of the LSTM."""
    tensors, few = tower.tensors, tower.select(np.arange(rows))
    dynamic = tensors.dynamic.reshape(-1, tensors.dynamic.shape[-1])[:steps]
    inputs = (dynamic - dynamic.mean(axis=0)) / np.maximum(dynamic.std(axis=0), 1e-6)
    target = few.folded().reshape(rows, -1, len(tensors.tasks))[:, :steps]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(
            path,
            inputs=inputs[None].astype(np.float32),
            unit=few.unit.astype(np.float32),
            target=(target / target.std(axis=(0, 1))).astype(np.float32),
        )
        return last_number(python, LSTM, path, hidden, times)


if __name__ == "__main__":
    main()
