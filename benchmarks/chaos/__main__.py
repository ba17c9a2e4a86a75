"""Disturb every flow in every way, again and again: whatever happened, the next run gives the undisturbed one's bytes.

    python -m benchmarks.chaos --rounds 1000 --folder /tmp/chaos      goes on where it was stopped
    python -m benchmarks.chaos --folder /tmp/chaos --table            what it has found so far
    python -m benchmarks.chaos --folder /tmp/films --flow storyboard  one flow alone
    python -m benchmarks.chaos --folder /tmp/kills --fault "kill -9"  one fault alone

A round takes a command of a flow, disturbs it (kill -9, SIGTERM, a killed Prefect server, a
full disk, damage to the store, a second one beside it, a wrong clock), runs it once more, and looks: an undisturbed
run's digests, every object whole, nothing RUNNING, no hang, no traceback, no process left after 20 s. What is drawn
follows from the seed and the round's number. Exits with 1 if anything is found.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.chaos.faults import WEIGHTS
from benchmarks.chaos.rounds import SHARES, Rounds
from benchmarks.chaos.table import table
from benchmarks.runs import server


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept, and gone on with; a temporary one otherwise")
    parser.add_argument("--table", action="store_true", help="print what the folder's log says, and play nothing")
    parser.add_argument("--slack", type=float, default=1.0, help="factor of all times that are waited: a busy machine")
    parser.add_argument("--only", type=int, help="play this round alone")
    parser.add_argument("--flow", action="append", choices=list(SHARES), help="this one alone; may be repeated")
    parser.add_argument(
        "--fault", action="append", choices=list(WEIGHTS), help="as --flow; `serve` has faults of its own"
    )
    options = parser.parse_args(argv)
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="rotoscope-chaos-"))).absolute()
    log = folder / f"rounds-{options.seed}.jsonl"
    if not options.table:
        chosen = {name: SHARES[name] for name in options.flow or SHARES}
        faults = {name: WEIGHTS[name] for name in options.fault or WEIGHTS}
        rounds = Rounds(folder, options.seed, flows=chosen, faults=faults, slack=options.slack)
        play(rounds, log, [options.only] if options.only is not None else range(options.rounds))
    found = outcomes(log)
    print(table(found))
    return int(any(one["trouble"] for one in found))


def play(rounds: Rounds, log: Path, numbers: Sequence[int]) -> None:
    """Play the rounds that the log does not have yet."""
    done = {one["number"] for one in outcomes(log)}
    with server(rounds.home), rounds.ready():
        for number in numbers:
            if number in done:
                continue
            outcome = rounds.play(number)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcome.plain()) + "\n")
            told = "; ".join(outcome.trouble) or "ok"
            print(f"round {number}: {outcome.flow}, {outcome.fault}, {outcome.seconds:.1f} s: {told}", flush=True)
            rounds.server()


def outcomes(log: Path) -> list[dict[str, Any]]:
    """The rounds of a log; a line that a kill left half-written is none."""
    found = []
    for line in log.read_text("utf-8").splitlines() if log.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
