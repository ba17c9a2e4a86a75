"""Copy renders to a mirror of the store (a bucket, another host or disk) and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.commands.common import Parser, open_store, store_path
from flows.edge.text import size
from reel.errors import UserError
from reel.masking import masked
from reel.mirror import pull, push
from reel.store import Store


def main(argv: Sequence[str]) -> int:
    """``rotoscope mirror push|pull URL [RUN ...]``: what was rendered there is taken from the cache here."""
    parser = Parser("mirror", f"{__doc__} Any address that fsspec knows: s3://, sftp://, file:///mnt/nas/x.")
    parser.add_argument("direction", choices=("push", "pull"))
    parser.add_argument("url", help="the mirror's address")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="these renders only (default: everything)")
    options = parser.parse_args(list(argv))
    if not options.url.strip():
        raise UserError("the mirror's address is empty", fix="such as s3://bucket/folder or file:///mnt/nas/x")
    if options.direction == "push":
        moved = push(open_store(options.store), options.url, options.runs or None)
    else:
        moved = pull(_store(options.store), options.url, options.runs or None)
    if not moved.runs:
        where = f"the mirror {masked(options.url)}" if options.direction == "pull" else "the store"
        raise UserError(f"nothing to {options.direction}: {where} has no renders",
                        fix="look at the address: it is the folder that was pushed to" if options.direction == "pull"
                        else "render something first (rotoscope FLOW), or give --store")  # fmt: skip
    print(
        f"{len(moved.runs)} renders; {moved.objects} objects copied ({size(moved.size)}), {moved.skipped} there already"
    )
    return 0


def _store(chosen: Path | None) -> Store:
    """The store to pull into: made if there is none, for this may be the machine's first act."""
    return Store(store_path(chosen))
