"""Read another tool's file into an experiment: prompt travel, web UI infotext, Deforum, ComfyUI graphs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.config.root import project_root
from flows.edge.arguments import path
from flows.edge.help_first import HelpFirst
from reel.errors import UserError
from reel.files import here, write_atomic
from reel.imports.draft import Draft

EXAMPLES = """\
examples:
  rotoscope import walk.json
  rotoscope import workflow_api.json --name walk
  rotoscope import girl.png --print

files: prompt-travel configs (.json), infotexts of the web UI (.txt, or a .png of it), Deforum's settings (.txt, .json),
graphs of ComfyUI (API form, or a .png of it); what of each is mapped: docs/import.md
"""
FLOWS = ("text2video", "dance", "animate")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,80}")


def main(argv: Sequence[str]) -> int:
    """``rotoscope import FILE``: writes conf/experiment/FLOW/NAME.yaml and says what became of each value."""
    options = _parser().parse_args([word for word in argv if word != "--debug"])
    from flows.commands.imported import agreed
    from flows.commands.models import names
    from reel.imports.read import read
    from reel.imports.settle import settle
    from reel.imports.write import experiment

    found = read(options.file)
    draft = agreed(settle(found, names(), options.flow))
    name = options.name or _named(options.file)
    text = experiment(draft, f"{draft.flow}/{name}")
    told = sys.stderr if options.print else sys.stdout
    where = None if options.print else _where(draft, name)
    if where is not None and where.exists() and not options.force:
        raise UserError(f"{where}: there is such an experiment already", fix=f"--name {name}_2, or --force")
    print(_report(draft, options.format), file=told)
    if where is None:
        print(text, end="")
    else:
        where.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(where, text.encode())
        if options.format == "text":
            print(_written(draft, where, name))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = HelpFirst(
        prog="rotoscope import", description=__doc__, epilog=EXAMPLES, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", type=path, metavar="FILE", help="the other tool's file")
    parser.add_argument(
        "--flow", choices=FLOWS, help="the flow to make it with (default: the one that does what it says)"
    )
    parser.add_argument("--name", type=_name, help="name of the experiment (default: the file's)")
    parser.add_argument("--print", action="store_true", help="print the experiment, and write nothing")
    parser.add_argument("--force", action="store_true", help="write over an experiment of that name")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the report")
    return parser


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"must be letters, digits, _ and -, got '{text[:40]}'")
    return text


def _named(file: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", file.stem).strip("_-")[:60] or "imported"


def _where(draft: Draft, name: str) -> Path:
    return project_root() / "conf" / "experiment" / draft.flow / f"{name}.yaml"


def _report(draft: Draft, form: str) -> str:
    from reel.imports import report

    if form == "json":
        return json.dumps(report.plain(draft), indent=2, ensure_ascii=False)
    return report.text(draft)


def _written(draft: Draft, where: Path, name: str) -> str:
    """Where the experiment is, and the command that runs it."""
    typed = [f"{key}=..." for key in draft.asked if "[" not in key]
    inside = [key for key in draft.asked if "[" in key]
    shown = where.relative_to(here()) if here() and where.is_relative_to(here()) else where
    rows = [f"written: {shown}", f"  rotoscope {draft.flow} {' '.join([f'experiment={draft.flow}/{name}', *typed])}"]
    if inside:
        rows.append(f"  and write into the file: {', '.join(inside)}")
    return "\n".join(rows)
