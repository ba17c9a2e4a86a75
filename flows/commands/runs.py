"""List the renders, the latest last: of what, with which words, and what changed."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows import flow
from flows.commands.common import Parser, open_store
from flows.edge.arguments import whole
from flows.edge.text import local, table
from reel.errors import UserError, suggest
from reel.history import summary
from reel.history.record import RenderRecord, list_records
from reel.history.recorder import reconcile
from tasks.networks.journal import unfinished

PROMPT = 40
"""Characters of a prompt in the table."""
_CHANGES = 60
"""Characters of what changed, at least."""


def main(argv: Sequence[str]) -> int:
    """``rotoscope runs``: from the records in the store; renders whose process was killed are closed first."""
    parser = Parser("runs", f"{__doc__} What changed is told against the render of the same clip before it.")
    parser.add_argument("-n", type=whole(0), default=20, metavar="N", help="how many (default: 20; 0: all)")
    parser.add_argument("--flow", help="renders of this flow only")
    parser.add_argument("--status", choices=("running", "done", "failed", "interrupted"), help="of this status only")
    parser.add_argument("--json", action="store_true", help="as a list of JSON objects, with metrics and files")
    options = parser.parse_args(list(argv))
    store = open_store(options.store)
    reconcile(store)
    records, damaged = list_records(store)
    if options.flow and options.flow not in (known := {*flow.names(), *(record.flow for record in records)}):
        raise UserError(f"--flow: there is no flow {options.flow!r}{suggest(options.flow, known)}",
                        fix=f"one of: {', '.join(sorted(known))}")  # fmt: skip
    chosen = [record for record in records if options.flow in (None, record.flow)]
    chosen = [record for record in chosen if options.status in (None, record.status)]
    shown = chosen[-options.n :] if options.n > 0 else chosen
    earlier = summary.before_each(records)
    if options.json:
        print(json.dumps([_plain(one, earlier.get(one.run)) for one in shown], indent=1, ensure_ascii=False))
    elif shown:
        kept = {run: steps for run, (steps, _) in unfinished(store).items()}
        rows = [_row(record, earlier.get(record.run), kept.get(record.run)) for record in shown]
        print(table(rows, ("run", "started", "status", "seconds", "flow", "of", "prompt", "what changed")))
    else:
        print("no renders yet" if not records else "no render fits")
    if len(shown) < len(chosen) and not options.json:
        print(f"({len(chosen) - len(shown)} earlier ones: rotoscope runs -n 0)")
    for error in damaged:
        print(f"warning: {error}", file=sys.stderr)
    return 0


def _row(record: RenderRecord, before: RenderRecord | None, kept: int | None) -> tuple[str, ...]:
    """Columns of one render; ``kept``: denoising steps that the same command need not do again."""
    seconds = f"{record.seconds:.1f}" if record.seconds is not None else ""
    words = f"{record.title}: {summary.prompt(record)}" if record.title else summary.prompt(record)
    words = textwrap.shorten(words, PROMPT, placeholder=" ...")
    if record.status in ("failed", "interrupted"):
        what = (record.reason or "").partition("\n")[0]
        what += f"; resumable: {kept} denoising steps are kept" if kept else ""
    else:
        what = _changed(record, before)
    return (record.run, local(record.started), _status(record), seconds, record.flow, summary.subject(record), words,
            what)  # fmt: skip


def _status(record: RenderRecord) -> str:
    return "reused" if record.reused else record.status


def _changed(record: RenderRecord, before: RenderRecord | None) -> str:
    """``seed=3 controls.pose.weight=0.4``, cut to what the terminal has left."""
    changes = summary.changes(record, before)
    if before is not None and not changes:
        return "nothing"
    told = " ".join(f"{key}={now}" for key, (_, now) in changes.items())
    return textwrap.shorten(told, max(_CHANGES, shutil.get_terminal_size().columns - 120), placeholder=" ...")


def _plain(record: RenderRecord, before: RenderRecord | None) -> Mapping[str, Any]:
    """A render as data: what lists show, its numbers, its files by role."""
    folder = Path(record.output or "")
    return {
        "run": record.run,
        "flow": record.flow,
        "title": record.title,
        "status": _status(record),
        "reason": record.reason,
        "started": record.started.isoformat(),
        "seconds": record.seconds,
        "of": summary.subject(record),
        "prompt": summary.prompt(record),
        "changed": {key: list(pair) for key, pair in summary.changes(record, before).items()},
        "metrics": record.metrics,
        "sweep": record.sweep,
        "output": record.output,
        "files": [{"path": str(folder / one.name), "role": one.role} for one in record.outputs],
    }
