"""``rotoscope``: the flows and the commands around them. Each is imported only when it is called."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.config.compose import project_root
from flows.edge import entry
from flows.edge.help_first import topics
from reel.config import suggest
from reel.errors import UserError

COMMANDS = {
    "schedule": "flows.commands.schedule",
    "up": "flows.commands.up",
    "down": "flows.commands.down",
    "doctor": "flows.commands.doctor",
    "runs": "flows.commands.runs",
    "sweeps": "flows.commands.sweeps",
    "why": "flows.commands.why",
    "models": "flows.commands.models",
    "gc": "flows.commands.gc",
    "mirror": "flows.commands.mirror",
    "track": "flows.commands.track",
}
"""Module of each command that is no flow; its ``main(argv)`` returns the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """The ``rotoscope`` program.

    Returns:
        the exit code, see `flows.edge.entry`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    return entry.guarded(lambda: _dispatch(arguments), debug="--debug" in arguments)


def _dispatch(argv: list[str]) -> int:
    argv = argv or ["--help"]
    name, rest = argv[0], argv[1:]
    if name == "help" or (name.startswith("-") and topics(argv) is not None):
        print(overview())
        return entry.OK
    if name in ("--version", "version"):
        print(f"rotoscope {version()}")
        return entry.OK
    known = available()
    name = name.replace("_", "-")  # train_sprite is the module's name, train-sprite the command's
    if name not in known:
        raise UserError(f"no command {name!r}{suggest(name, known)}", fix=f"commands: {', '.join(known)}")
    return int(importlib.import_module(known[name]).main(rest) or entry.OK)


def available() -> dict[str, str]:
    """Module by command: flows are the modules that have a root config of their name, ``conf/<name>.yaml``."""
    roots = sorted(path.stem for path in (project_root() / "conf").glob("*.yaml"))
    found = {
        name: f"flows.{name}.flow" if _source(f"flows.{name}.flow").is_file() else f"flows.{name}" for name in roots
    }
    flows = {name.replace("_", "-"): module for name, module in found.items() if _source(module).is_file()}
    return flows | {name: module for name, module in COMMANDS.items() if _source(module).is_file()}


def version() -> str:
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
            "First steps: rotoscope doctor, rotoscope dance --help, docs/cli.md",
        ]
    )


def _source(module: str) -> Path:
    file = Path(__file__).parent.joinpath(*module.split(".")[1:])
    return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")


def _summary(module: str) -> str:
    """First line of a module's docstring, read without importing it."""
    doc = ast.get_docstring(ast.parse(_source(module).read_text("utf-8"))) or ""
    line = doc.partition("\n")[0].rstrip(".")
    return line.partition(": ")[2] or line


if __name__ == "__main__":
    sys.exit(main())
