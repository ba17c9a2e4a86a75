"""Check, repair, show and convert schedules of every dialect, without loading a model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.edge.arguments import path, whole
from flows.edge.help_first import HelpFirst
from reel.config import local_path, shortened
from reel.errors import UserError
from reel.files import write_atomic
from reel.schedule.codes import ERROR, NOTE, WARNING
from reel.schedule.dialects.base import Options
from reel.schedule.dialects.catalogue import DIALECTS
from reel.schedule.findings import Finding, ScheduleError
from reel.schedule.fix import fix
from reel.schedule.lint import PARAMETERS, LintResult, lint
from reel.schedule.model import KINDS, Schedule, What
from reel.schedule.read import MAX_SIZE, decode, load
from reel.schedule.show import plot, table, thumbnails, timeline
from reel.schedule.track import BACK_ENDS, described
from reel.schedule.write import write

CLEAN, FOUND, USAGE = 0, 1, 2
EXAMPLES = """\
examples:
  rotoscope schedule lint walk.txt --frames 96
  rotoscope schedule fix walk.txt --write
  rotoscope schedule show '0-24 blend: red top; 36: blue top' --frames 48 --table
  rotoscope schedule convert walk.txt --to fizz --frames 96

dialects, their traps and the codes of the findings: docs/schedules/
"""
_COUNT = whole(1, 10_000_000)
_RANK = {NOTE: 0, WARNING: 1, ERROR: 2, "never": 3}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns: 0 clean or done; 1 findings at or above ``--fail-on`` (lint), errors left (fix, show, convert); 2 usage,
    or a file that cannot be read.
    """
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except ScheduleError as error:
        print("\n".join(f.render(error.name) for f in error.findings), file=sys.stderr)
        return USAGE if any(f.code in ("RS001", "RS006") for f in error.findings) else FOUND
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE


def _parser() -> argparse.ArgumentParser:
    parser = HelpFirst(
        prog="rotoscope schedule", description=__doc__, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    parser.commands = commands.choices
    common = HelpFirst(add_help=False)
    common.add_argument("schedule", metavar="FILE|TEXT|-", help="a file, the schedule itself, or - for standard input")
    common.add_argument("--dialect", choices=[*DIALECTS], help="read it as this dialect (default: detected)")
    common.add_argument("--kind", choices=KINDS, help="what it schedules (default: as it says or looks)")
    common.add_argument("--frames", type=_COUNT, help="number of frames of the clip")
    common.add_argument("--fps", type=_positive, help="frames per second (default: the schedule's own, or 12)")
    common.add_argument("--seed", type=int, default=0, help="value of s in expressions")
    common.add_argument("--pre-text", default="", help="the node's pre text")
    common.add_argument("--app-text", default="", help="the node's app text")

    p = commands.add_parser("lint", parents=[common], help="say what is wrong, and where")
    p.add_argument("--format", choices=("text", "json", "github"), default="text")
    p.add_argument(
        "--fail-on", choices=(ERROR, WARNING, NOTE, "never"), default=ERROR, help="exit with 1 from this severity on"
    )
    p.add_argument("--parameter", choices=[*PARAMETERS], help="the parameter the values are for: checks its range")
    p.add_argument("--range", metavar="LOW..HIGH", type=_range, help="smallest and largest allowed value")
    p.set_defaults(run=_lint)

    p = commands.add_parser("fix", parents=[common], help="repair what is certain; shows a diff")
    p.add_argument("--unsafe", action="store_true", help="also repairs that are only likely")
    p.add_argument("--write", action="store_true", help="change the file (the diff goes to standard error)")
    p.add_argument("--print", action="store_true", dest="whole", help="print the mended text instead of the diff")
    p.set_defaults(run=_fix)

    p = commands.add_parser("show", parents=[common], help="a timeline and a table of frames")
    p.add_argument("--table", action="store_true", help="also one row for each frame or stretch of equal frames")
    p.add_argument("--every", type=_COUNT, default=1, help="in the table: only each n-th frame")
    p.add_argument("--out", type=path, help="draw the timeline into a .png or .svg file")
    p.add_argument("--for", choices=BACK_ENDS, dest="back_end", help="what this back-end gets of a track's pictures")
    p.add_argument("--thumbnails", action="store_true", help="show the pictures in the terminal")
    p.set_defaults(run=_show)

    p = commands.add_parser("convert", parents=[common], help="write it in another dialect, and say what is lost")
    p.add_argument("--to", choices=[*DIALECTS], default="yaml", help="the dialect to write (default: yaml)")
    p.add_argument("--out", type=path, help="write into this file")
    p.add_argument(
        "--strict", action="store_true", help="exit with 1 when the written schedule is not exactly the same"
    )
    p.set_defaults(run=_convert)
    return parser


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e5:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got '{text}'")
    return value


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("..")
    try:
        found = float(low), float(high)
    except ValueError:
        found = (0.0, -1.0)
    if not found[0] <= found[1]:  # which no NaN is
        raise argparse.ArgumentTypeError(f"must be LOW..HIGH such as 0..2, got '{text}'")
    return found


def _input(args: argparse.Namespace) -> tuple[str, str | None]:
    """(text, file name or None) of the first argument."""
    word = args.schedule
    if word == "-":
        return decode(sys.stdin.buffer.read(4 * MAX_SIZE + 1), "<stdin>"), None
    try:
        path, looks_like_file = local_path(word.removeprefix("@")), "\n" not in word
    except ValueError as error:  # a schedule that is longer than a path can be, or empty
        if word.startswith("@"):
            raise UserError(f"{shortened(word)}: {error}", fix="the path of a file, or the schedule itself") from None
        path, looks_like_file = Path(), False
    if looks_like_file and word.strip() and path.is_dir():
        raise UserError(f"{word} is a folder", fix="a file in it, or the schedule itself")
    if looks_like_file and (word.startswith("@") or path.exists()):
        return load(path)
    named = Path(word).suffix in (".yaml", ".yml", ".json", ".txt") or ("/" in word and ":" not in word)
    if looks_like_file and named and " " not in word:
        raise UserError(f"there is no file {word}", fix="check the path, or give the schedule itself")
    return word, None


def _look(args: argparse.Namespace, text: str, name: str | None) -> LintResult:
    limits = getattr(args, "range", None) or PARAMETERS.get(getattr(args, "parameter", None) or "")
    kind: What | None = args.kind or ("value" if limits else None)
    return lint(
        text, args.dialect, kind, frames=args.frames, fps=args.fps, seed=args.seed, value_range=limits, name=name,
        options=Options(args.pre_text, args.app_text), folder=Path(name).parent if name else None,
    )  # fmt: skip


def _lint(args: argparse.Namespace) -> int:
    text, name = _input(args)
    result = _look(args, text, name)
    shown = name or ("<stdin>" if args.schedule == "-" else "<text>")
    if args.format == "json":
        print(json.dumps({"file": shown, "dialect": result.dialect, "kind": result.what,
                          "findings": [_plain(f) for f in result.findings]}, indent=2, ensure_ascii=False))  # fmt: skip
    elif args.format == "github":
        for finding in result.findings:
            print(_github(finding, shown))
    else:
        for finding in result.findings:
            print(finding.render(shown))
        counts = {s: sum(f.severity == s for f in result.findings) for s in (ERROR, WARNING, NOTE)}
        more = f" ({result.dropped} more not shown)" if result.dropped else ""
        print(
            f"{DIALECTS[result.dialect].title}, {result.what}: "
            + ", ".join(f"{n} {s}(s)" for s, n in counts.items())
            + more
        )
    worst = result.worst()
    return FOUND if worst is not None and _RANK[worst] >= _RANK[args.fail_on] else CLEAN


def _plain(finding: Finding) -> dict[str, object]:
    repair = finding.repair
    return {
        "code": finding.code, "severity": finding.severity, "message": finding.message, "line": finding.line,
        "column": finding.column, "fix": repair.label if repair else None, "certain": bool(repair and repair.certain),
        "docs": finding.docs,
    }  # fmt: skip


def _github(finding: Finding, name: str) -> str:
    """A workflow command that marks the line in a pull request."""
    level = "notice" if finding.severity == NOTE else finding.severity
    fix_ = f" Fix: {finding.repair.label}" if finding.repair else ""
    message = f"{finding.message}{fix_} ({finding.docs})".replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = name.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} file={place},line={finding.line},col={finding.column},title={finding.code}::{message}"


def _fix(args: argparse.Namespace) -> int:
    text, name = _input(args)
    fixed = fix(text, args.dialect, args.kind, unsafe=args.unsafe, frames=args.frames)
    difference = fixed.diff(text, name or "schedule")
    if args.write:
        if name is None:
            raise UserError("--write needs a file", fix="give the schedule as a file, or use --print")
        if fixed.text != text:
            write_atomic(Path(name), fixed.text.encode())
        print(difference, end="", file=sys.stderr)
    elif args.whole:
        print(fixed.text, end="" if fixed.text.endswith("\n") else "\n")
    else:
        print(difference, end="")
    errors = [f for f in fixed.left if f.severity == ERROR]
    print(f"{len(fixed.applied)} repaired, {len(errors)} error(s) left", file=sys.stderr)
    for finding in errors:
        print(finding.render(name or "<text>"), file=sys.stderr)
    return FOUND if errors else CLEAN


def _check_out(path: Path | None) -> None:
    """Whether a file can be written there, before anything is drawn or printed.

    Raises:
        UserError: it is a folder, or in none.
    """
    if path is not None and path.is_dir():
        raise UserError(f"--out: {path} is a folder", fix=f"name a file in it, such as {path / 'schedule.txt'}")
    if path is not None and not path.parent.is_dir():
        raise UserError(f"--out: {path}: there is no folder {path.parent}", fix="make it first, or write elsewhere")


def _usable(args: argparse.Namespace) -> tuple[Schedule, str | None]:
    """The schedule without errors; warnings go to standard error."""
    text, name = _input(args)
    result = _look(args, text, name)
    if result.schedule is None or result.worst() == ERROR:
        raise ScheduleError([f for f in result.findings if f.severity == ERROR], name or "<text>")
    for finding in result.findings:
        if finding.severity == WARNING:
            place = f"{name or '<text>'}:{finding.line}:{finding.column}"
            print(f"{place}: {finding.severity} {finding.code}: {finding.message}", file=sys.stderr)
    return result.schedule, name


def _length(schedule: Schedule, frames: int | None) -> int:
    """Frames to show: as given, as the schedule says, or just enough for all its keys."""
    known = frames or schedule.frames
    if known:
        return known
    fixed = all(t.absolute for key in schedule.keys for t in (key.at, key.until) if t is not None)
    if not fixed or schedule.loop:
        raise UserError(
            "the number of frames is needed: the schedule counts from the end, in percent or seconds, or loops",
            fix="--frames 96",
        )
    return max(1, *(int(key.until.value if key.until else key.at.value + 1) for key in schedule.keys))


def _show(args: argparse.Namespace) -> int:
    _check_out(args.out)
    schedule, name = _usable(args)
    frames, fps = _length(schedule, args.frames), args.fps or schedule.fps or 12.0
    folder = Path(name).parent if name else Path()
    print(timeline(schedule, frames, fps, args.seed))
    if args.table:
        print(table(schedule, frames, fps, args.seed, args.every))
    if args.back_end:
        print(described(schedule, args.back_end, frames, fps, args.seed))
    if args.thumbnails:
        print(thumbnails(schedule, folder))
    if args.out:
        plot(schedule, args.out, frames, fps, args.seed, folder)
        print(f"written: {args.out}", file=sys.stderr)
    return CLEAN


def _convert(args: argparse.Namespace) -> int:
    _check_out(args.out)
    schedule, _ = _usable(args)
    written = write(schedule, args.to, args.frames, args.fps)
    if args.out:
        write_atomic(args.out, written.text.encode())
        print(f"written: {args.out}", file=sys.stderr)
    else:
        print(written.text, end="")
    for note in written.notes:
        print(f"{note.severity} {note.code}: {note.message}", file=sys.stderr)
    return FOUND if args.strict and not written.exact else CLEAN


if __name__ == "__main__":
    sys.exit(main())
