"""From a flow's command line to its typed settings, with errors a person can act on.

A flow says what it does (`flows.flow.Flow`); this module does the rest: help, literal text, composition, sweeps through
Hydra's own launchers and sweepers. Help and mistyped names are told from what is kept of conf/ and the settings
classes: the flow's own module is imported when there is something to run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.config.diagnose import keys_under
from flows.config.engine import Engine, hydra_ready
from flows.config.meant import check_words, flag
from flows.config.quoting import literal_overrides
from flows.config.root import Root
from flows.edge.exits import OK, guarded
from flows.edge.help_first import topics
from flows.edge.quiet import quiet
from reel.errors import UserError
from reel.masking import masked
from reel.values import from_home

if TYPE_CHECKING:
    from flows.config.compose import Composed
    from flows.config.help import Help
    from flows.flow import Flow


def run_flow(flow: Flow[Any], argv: Sequence[str] | None = None, *, conf: Path | None = None) -> int:
    """Run a flow from a command line.

    Args:
        argv: arguments without the program's name; None takes the process's own.
        conf: folder of the root config; None takes the project's ``conf/``.

    Returns:
        the exit code, see `flows.edge.exits`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    root = Root(flow.name, flow.settings, conf)

    def work() -> int:
        with quiet("--quiet" in arguments):
            with hydra_ready(root) as engine:
                done = _dispatch(engine, lambda: flow, arguments)
            return done if isinstance(done, int) else _run(flow, done)

    return guarded(work, debug="--debug" in arguments)


def run_named(name: str, argv: Sequence[str]) -> int:
    """Run the flow of that name, inside `flows.edge.exits.guarded`; it is imported when there is something to run."""
    from flows.flow import get

    root: Root[Any] = Root(name, lambda: get(name).settings)
    with quiet("--quiet" in argv):
        with hydra_ready(root) as engine:
            own_way = topics(argv) is None and engine.keep("main", lambda: get(name).main is not None)
            done = None if own_way else _dispatch(engine, lambda: get(name), argv)
        if done is None:
            main = get(name).main
            assert main is not None
            return main(argv)
        return done if isinstance(done, int) else _run(get(name), done)


def _dispatch(engine: Engine, flow: Callable[[], Flow[Any]], argv: Sequence[str]) -> int | Composed[Any]:
    """Do what a command line says; for a single run its settings, to be run when nothing of Hydra is left."""
    if (asked := topics(argv)) is not None:
        return _help(engine, flow, asked)
    options = parse_arguments(argv, lambda: keys_under(engine, []))
    check_words(options.overrides, engine.shape.texts, lambda: drop.key if (drop := flow().drop) else None)
    if options.past is not None:
        options.overrides = [*taken_from(engine, options.past, options.overrides), *options.overrides]
    overrides = literal_overrides(options.overrides, engine.shape.texts, multirun=options.multirun)
    if options.cfg or options.info:
        return _show(engine, overrides, options)
    if options.multirun:
        from flows.sweep.sweep import sweep

        return sweep(engine, flow(), overrides)
    from flows.config.compose import single

    point = single(engine, overrides, options.overrides)
    _no_sweep(options.overrides)
    return point


def _run(flow: Flow[Any], point: Composed[Any]) -> int:
    import logging.config

    from flows.edge.job import Job, call

    logging.config.dictConfig(point.job_logging)
    call(flow.run, point.config, Job(flow.name, point.overrides, dict(point.choices), point.origins))
    return OK


def _help(engine: Engine, flow: Callable[[], Flow[Any]], asked: Sequence[str]) -> int:
    """The help, whatever else the command line says; all of it, or the keys that are asked about."""
    from flows.config.help import shown

    print(shown(help_of(engine, flow), asked))
    return OK


def help_of(engine: Engine, flow: Callable[[], Flow[Any]]) -> Help:
    """What the help of a flow has to say, gathered where it is not kept yet."""
    from flows.config.help import Help

    def gathered() -> dict[str, Any]:
        from flows.config.help_facts import gathered
        from flows.sweep.settings import Sweep

        found = flow()
        return gathered(engine, found.about, found.examples, {"sweep": Sweep}).plain()

    return Help.of_plain(engine.keep("help", gathered))


def taken_from(engine: Engine, name: str, beside: Sequence[str]) -> list[str]:
    """Settings of the past render that ``--from`` names, as overrides; what of them is no more is told on stderr.

    Args:
        beside: what is typed beside it.

    Raises:
        UserError: there is no such render, or it is another flow's.
    """
    from flows.config.compose import plain_data
    from flows.config.past import overrides
    from flows.render.past import find

    folders = [text for text in beside if text.startswith("paths.")]
    store = plain_data(engine, literal_overrides(folders, engine.shape.texts, multirun=False)).data["paths"]["store"]
    past = find(name, from_home(store).absolute(), engine.root.name)
    if past.flow not in ("", engine.root.name):
        known = past.flow.replace("_", "-")
        raise UserError(
            f"--from: {past.where} is a render of {known}, and this is {engine.root.name.replace('_', '-')}",
            fix=f"rotoscope {known} --from {name}",
        )
    taken = overrides(engine, past, beside)
    print(f"settings of {past.where}", file=sys.stderr)
    if taken.lost:
        print(f"warning: settings of then that there are no more, left out: {', '.join(taken.lost)}", file=sys.stderr)
    return taken.overrides


def _no_sweep(overrides: Sequence[str]) -> None:
    """A sweep's own settings mean nothing in a single run: it must not render where a plan was asked for."""
    for text in overrides:
        if text.lstrip("+").startswith("sweep."):
            raise UserError(f"{text}: a setting of sweeps, and this is a single run", fix="add -m, or leave it out")


def parse_arguments(argv: Sequence[str], keys: Callable[[], Sequence[str]] = list) -> argparse.Namespace:
    """Flags and overrides of a flow's command line, in any order; ``--help`` is dealt with before.

    Args:
        keys: the settings' keys, of which one may be meant by a flag that does not exist.

    Raises:
        UserError: a flag that does not exist, with the nearest that does, or the setting that is meant.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-p", "--package")
    parser.add_argument("--from", dest="past", metavar="RUN")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--info", choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"))
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--debug", action="store_true")
    flags = [flag for action in parser._actions for flag in action.option_strings]
    try:
        options, unknown = parser.parse_known_intermixed_args(list(argv))
    except argparse.ArgumentError as error:
        raise UserError(str(error).removeprefix("argument "), fix="--help shows the usage") from None
    if unknown:
        behind = [*argv, ""][list(argv).index(unknown[0]) + 1]
        raise flag(unknown[0], "" if behind.startswith("-") or "=" in behind else behind, keys(), flags)
    return options


def _show(engine: Engine, overrides: list[str], options: argparse.Namespace) -> int:
    """Hydra's own views of a config: ``--cfg job`` prints it, ``--info defaults`` tells where it comes from."""
    from flows.config.diagnose import admitted, checked

    overrides = [one.input_line for one in admitted(engine, checked(engine, overrides, multirun=False))]
    if options.info:
        engine.hydra.show_info(options.info, config_name=engine.root.name, overrides=overrides)
    else:
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            engine.hydra.show_cfg(engine.root.name, overrides, options.cfg, options.package, options.resolve)
        print(masked(shown.getvalue()), end="")
    return OK
