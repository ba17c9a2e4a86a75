"""List the renders, the latest last."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flows import flow
from flows.commands.common import Parser, open_store
from flows.edge.arguments import whole
from flows.edge.text import local, table
from reel.errors import UserError, suggest
from reel.history.record import RenderRecord, list_records
from reel.history.recorder import reconcile
from tasks.networks.journal import unfinished


def main(argv: Sequence[str]) -> int:
    """``rotoscope runs``: from the records in the store; renders whose process was killed are closed first."""
    parser = Parser("runs", __doc__ or "")
    parser.add_argument("-n", type=whole(0), default=20, metavar="N", help="how many (default: 20; 0: all)")
    parser.add_argument("--flow", help="renders of this flow only")
    parser.add_argument("--status", choices=("running", "done", "failed", "interrupted"), help="of this status only")
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
    kept = {run: steps for run, (steps, _) in unfinished(store).items()}
    if shown:
        print(
            table(
                [_row(record, kept.get(record.run)) for record in shown],
                ("run", "flow", "started", "status", "seconds", "what"),
            )
        )
    else:
        print("no renders yet" if not records else "no render fits")
    if len(shown) < len(chosen):
        print(f"({len(chosen) - len(shown)} earlier ones: rotoscope runs -n 0)")
    for error in damaged:
        print(f"warning: {error}", file=sys.stderr)
    return 0


def _row(record: RenderRecord, kept: int | None) -> tuple[str, ...]:
    """Columns of one render; ``kept``: denoising steps that the same command need not do again."""
    status = "reused" if record.reused else record.status
    seconds = f"{record.seconds:.1f}" if record.seconds is not None else ""
    what = record.output or ""
    if record.status in ("failed", "interrupted"):
        what = (record.reason or "").partition("\n")[0]
        what += f"; resumable: {kept} denoising steps are kept" if kept else ""
    return (record.run, record.flow, local(record.started), status, seconds, what)
