"""Bad input to every flow and command: each must be refused with words, at once, and nothing may be half done.

    python -m benchmarks.hostile                     # all of it, minutes
    python -m benchmarks.hostile --kind conf         # one kind
    python -m benchmarks.hostile --part 3/20         # every twentieth case, from the third on
    python -m benchmarks.hostile --show unclear      # what was said, too; --show all: of every case

The table counts, by kind: ok; traceback, an error that nothing explains, or a process that died; hang, longer than
20 s; accepted, done as if nothing were wrong; unclear, refused without naming the key or file, what is wrong and what
is allowed. Exits with 1 unless all are ok.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from benchmarks.hostile.run import LIMIT, Outcome, Verdict, part, prepare, run
from benchmarks.hostile.table import CASES, KINDS
from flows.edge.text import table

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, action="append", help="this one only; may be repeated")
    parser.add_argument("--part", type=_part, default=(1, 1), metavar="N/OF", help="every OF-th case, from the N-th on")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds for one case (default: {LIMIT:g})")
    parser.add_argument("--show", choices=("bad", "all", *VERDICTS), default="bad", help="whose words are shown")
    options = parser.parse_args()
    chosen = part([one for one in CASES if one.kind in (options.kind or KINDS)], *options.part)
    outcomes = []
    work = Path(tempfile.mkdtemp(prefix="hostile-"))  # a TemporaryDirectory would be removed by the first child to end
    try:
        prepare(work)
        for case in chosen:
            outcomes.append(run(case, work, options.limit))
            _tell(outcomes[-1], options.show)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\n{counted(outcomes)}")
    return int(any(one.verdict != "ok" for one in outcomes))


def counted(outcomes: Sequence[Outcome]) -> str:
    """The table: number of cases by kind and verdict, and the slowest of a kind."""
    found: dict[str, list[Outcome]] = {}
    for one in outcomes:
        found.setdefault(one.case.kind, []).append(one)
    rows = [_row(kind, of_kind) for kind, of_kind in found.items()]
    return table([*rows, _row("all", outcomes)], ("kind", "cases", *VERDICTS, "slowest (s)"))


def _row(kind: str, outcomes: Sequence[Outcome]) -> tuple[object, ...]:
    verdicts = Counter(one.verdict for one in outcomes)
    slowest = max((one.seconds for one in outcomes), default=0.0)
    return (kind, len(outcomes), *(verdicts[name] for name in VERDICTS), f"{slowest:.1f}")


def _tell(one: Outcome, show: str) -> None:
    if not (show == "all" or show == one.verdict or (show == "bad" and one.verdict != "ok")):
        return
    print(f"== {one.verdict} ({one.case.kind}, exit {one.code}, {one.seconds:.1f} s): rotoscope {one.case.name}")
    for words in one.missing:
        print(f"   not said: {words}")
    lines = one.output.rstrip().splitlines()
    for line in [*lines[:4], f"... {len(lines) - 8} lines", *lines[-4:]] if len(lines) > 9 else lines:
        print(f"   | {line[:300]}")
    sys.stdout.flush()


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"must be N/OF such as 3/20, got {text!r}")
    return int(number), int(of)


if __name__ == "__main__":
    sys.exit(main())
