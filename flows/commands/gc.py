"""Show what the store holds and what can go; `--yes` removes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flows.commands.common import Parser, open_store
from flows.edge.arguments import whole
from flows.edge.text import size, table
from reel.gc import collect, latest_runs
from reel.history.record import find_record
from reel.history.recorder import reconcile


def main(argv: Sequence[str]) -> int:
    """``rotoscope gc``: whatever no kept render was made of goes; everything that goes can be rendered again."""
    parser = Parser("gc", f"{__doc__} All finished renders are kept, with all they were made of, unless you say less.")
    parser.add_argument("--keep-last", type=whole(0), metavar="N", help="keep the N latest finished renders only")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="RUN", help="keep this one, too; may be repeated"
    )
    parser.add_argument("--yes", action="store_true", help="remove; without it nothing is touched")
    options = parser.parse_args(list(argv))
    store = open_store(options.store)
    reconcile(store)
    count = options.keep_last if options.keep_last is not None else 10**9
    keep = dict.fromkeys([*latest_runs(store, count), *(find_record(store, name).run for name in options.keep)])
    plan = collect(store, list(keep))
    print(f"{store.root}: {len(keep)} finished renders kept{f', {len(plan.live)} running' if plan.live else ''}\n")
    print(table(_rows(plan.staying, plan.going), ("kind", "stays", "", "goes", "")))
    if not plan.items:
        print("\nnothing can go")
    elif options.yes:
        print(f"\nremoved {len(plan.items)} things, freed {size(plan.apply())}")
    else:
        print(f"\n{size(plan.size)} can go; remove it with: rotoscope gc {' '.join([*argv, '--yes'])}")
    return 0


def _rows(staying: Mapping[str, tuple[int, int]], going: Mapping[str, tuple[int, int]]) -> list[tuple[str, ...]]:
    """Number and size by kind, and their sums."""
    kinds = sorted({*staying, *going})
    pairs = [(kind, staying.get(kind, (0, 0)), going.get(kind, (0, 0))) for kind in kinds]
    pairs.append(("all", _sum(staying), _sum(going)))
    return [(kind, str(stay[1]), size(stay[0]), str(go[1]), size(go[0])) for kind, stay, go in pairs]


def _sum(sizes: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    return sum(size for size, _ in sizes.values()), sum(count for _, count in sizes.values())
