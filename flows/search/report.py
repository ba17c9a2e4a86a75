"""What a search found: a table on the terminal, the front as a plot and as pictures, all trials as a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from flows.edge.text import figure, table
from flows.search.run import Found
from reel.clip import Clip
from reel.errors import UserError
from reel.files import write_atomic
from reel.history.record import RenderRecord, load, record_path
from reel.history.recorder import Recorder
from reel.store import Store
from tasks.search.optuna_study import Trial


def publish(found: Found, output: Path, recorder: Recorder) -> None:
    """Write ``trials.csv``, ``front.png`` and ``front_sheet.png``, and note the knee's numbers in the record."""
    from tasks.search.pareto_plot import plot, sheet

    job, best = found.job, found.knee
    write_atomic(output / "trials.csv", _csv(found).encode())
    recorder.output(output / "trials.csv", "table")
    if best is not None:
        front = [trial.number for trial in found.front]
        write_atomic(output / "front.png", plot(found.trials, job.goals, front, best.number))
        recorder.output(output / "front.png", "plot")
        clips = {label(trial): clip for trial in found.front if (clip := _frames(job.store, trial)) is not None}
        if clips:
            write_atomic(output / "front_sheet.png", sheet(clips))
            recorder.output(output / "front_sheet.png", "sheet")
        recorder.metric(**best.values)
    numbers = {"trials": len(next(iter(found.trials.values()))), "finalists": len(found.finalists)}
    recorder.metric(**{f"search.{name}": n for name, n in numbers.items()}, **{"search.cost": found.cost})


def say(found: Found, record: RenderRecord) -> None:
    """The front with its knee, where the files are, and what to type next."""
    job = found.job
    keys = [axis.key for axis in job.axes]
    rows = [
        (
            *(str(trial.number), *(f"{trial.point[key]:g}" for key in keys)),
            *(figure(trial.values.get(key)) for key in job.keys),
            " ".join(note for note, true in (("knee", trial == found.knee), ("given", trial.number == 0)) if true),
        )
        for trial in found.front
    ]
    print(f"\nsearch {found.definition.id}: {len(found.finalists)} trials in full, {found.cost:.3g} renders' work")
    if not rows:
        print("none of them keeps within the constraints; loosen them, or look at trials.csv")
    else:
        print("nothing is better than these in one without being worse in another:")
        print(table(rows, ("trial", *keys, *job.keys, "")))
    for output in record.outputs:
        print(f"  {output.role:<8} {Path(record.output or '') / output.name}")
    print(f"  {'run':<8} {record.run}")
    if found.knee is not None:
        print(f"render one in full: the same command with promote={found.knee.number}")


def label(trial: Trial) -> str:
    """A trial in a few words: its number and its values."""
    names = (key.removesuffix(".weight").rpartition(".")[2] for key in trial.point)
    return f"{trial.number}: " + " ".join(f"{n} {v:g}" for n, v in zip(names, trial.point.values(), strict=True))


def _frames(store: Store, trial: Trial) -> Clip | None:
    """The frames that a finalist drew, where they are still there."""
    try:
        return Clip.open(store, load(record_path(store, trial.run)).pictures["frames"])
    except (UserError, KeyError):
        return None


def _csv(found: Found) -> str:
    """Every trial of every rung: its values, its numbers, whether it is on the front."""
    job, front = found.job, {trial.number for trial in found.front}
    keys = [axis.key for axis in job.axes]
    numbers = sorted({key for trials in found.trials.values() for trial in trials for key in trial.values})
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["rung", "trial", *keys, *numbers, "beyond_constraint", "front", "cost", "run", "failed"])
    for rung, trials in found.trials.items():
        for trial in trials:
            on = rung == found.definition.rungs[-1] and trial.number in front
            writer.writerow(
                [
                    *(rung, trial.number, *(trial.point[key] for key in keys)),
                    *(trial.values.get(key, "") for key in numbers),
                    *(trial.violation, int(on), f"{trial.cost:.6g}", trial.run, trial.failed),
                ]
            )
    return file.getvalue()
