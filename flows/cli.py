"""``rotoscope``: the flows and the commands around them. Each is imported only when it is called."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from flows import flow
from flows.edge.entry import run_named
from flows.edge.exits import OK, guarded
from flows.edge.help_first import topics
from reel.errors import UserError, suggest

COMMANDS = {
    "schedule": "flows.commands.schedule",
    "import": "flows.commands.import_file",
    "up": "flows.commands.up",
    "down": "flows.commands.down",
    "doctor": "flows.commands.doctor",
    "runs": "flows.commands.runs",
    "gallery": "flows.commands.gallery",
    "open": "flows.commands.open",
    "sweeps": "flows.commands.sweeps",
    "why": "flows.commands.why",
    "verify": "flows.commands.verify",
    "models": "flows.commands.models",
    "gc": "flows.commands.gc",
    "mirror": "flows.commands.mirror",
    "track": "flows.commands.track",
    "bench": "flows.commands.bench",
    "completion": "flows.commands.completion",
}
"""Module of each command that is no flow; its ``main(argv)`` returns the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """The ``rotoscope`` program.

    Returns:
        the exit code, see `flows.edge.exits`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(arguments), debug="--debug" in arguments)


def _dispatch(argv: list[str]) -> int:
    argv = argv or ["--help"]
    name, rest = argv[0], argv[1:]
    if name == "help" or (name.startswith("-") and topics(argv) is not None):
        print(overview())
        return OK
    if name in ("--version", "version"):
        print(f"rotoscope {version()}")
        return OK
    name = name.replace("_", "-")  # train_sprite is the flow's name, train-sprite the command's
    if name in COMMANDS:
        return int(importlib.import_module(COMMANDS[name]).main(rest) or OK)
    known = available()
    if name not in known:
        raise UserError(f"no command {name!r}{suggest(name, known)}", fix=f"commands: {', '.join(known)}")
    return run_named(name.replace("-", "_"), rest)


def available() -> dict[str, Path]:
    """The file behind each command: flows first."""
    flows = {name.replace("_", "-"): path for name in flow.names() if (path := flow.source(name))}
    folder = Path(__file__).parents[1]
    return flows | {name: folder.joinpath(*module.split(".")).with_suffix(".py") for name, module in COMMANDS.items()}


def version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("rotoscope")
    except importlib.metadata.PackageNotFoundError:  # a checkout on the path, not installed
        return "0 (not installed)"


def overview() -> str:
    """``rotoscope --help``: flows first, then the commands, one line each."""
    known = available()
    flows = [name for name in known if name not in COMMANDS]
    width = max(map(len, known), default=0) + 2

    def listed(names: Sequence[str]) -> str:
        return "\n".join(f"  {name:{width}}{_summary(known[name])}" for name in names)

    return "\n".join(
        [
            "rotoscope: live action in, animation out; every render cached, compared and versioned.",
            "",
            "Flows (rotoscope FLOW --help teaches its settings)",
            listed(flows),
            "",
            "Commands (rotoscope COMMAND --help)",
            listed([name for name in known if name in COMMANDS]),
            "",
            "First steps: rotoscope doctor, rotoscope FLOW --help, docs/cli.md",
        ]
    )


def _summary(path: Path) -> str:
    """First line of a module's docstring, read without importing it; a flow's without the name that it begins with."""
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    line = doc.partition("\n")[0].rstrip(".")
    named, _, told = line.partition(": ")
    line = told if told and " " not in named else line
    return line[:1].lower() + line[1:]


if __name__ == "__main__":
    sys.exit(main())
