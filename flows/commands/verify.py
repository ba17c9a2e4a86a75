"""Prove a render: make it again from its lock in an empty store, and say how like the two are.

Exit codes: 0 bit-identical; 3 not, but every frame has 50 dB or more; 4 different, or what it was is gone; 2 something
to put right. See docs/verify.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser, store_path
from flows.render import anew, locks
from reel.store import Store

CODES: dict[anew.Grade, int] = {"bit-identical": 0, "near": 3, "different": 4}


def main(argv: Sequence[str]) -> int:
    """``rotoscope verify [RUN] [clip=there.mp4] [compute.threads=4]``: the code says how like they are."""
    parser = Parser("verify", __doc__ or "")
    parser.add_argument(
        "run", nargs="?", default="last", help="a run's id or a part of it, a render.lock, a render's folder or film"
    )
    parser.add_argument("beside", nargs="*", metavar="key=value", help="where a source lies, how to compute")
    options = parser.parse_intermixed_args(list(argv))
    store = store_path(options.store)
    then = locks.find(options.run, store)
    verdict = anew.verify(then, options.beside, Store(store))
    anew.say(verdict, then)
    return CODES[verdict.grade]
