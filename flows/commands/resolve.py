"""What a render is made of as one file: what DVC watches instead of conf/ and code.

    python -m flows.commands.resolve FLOW experiment=FLOW/NAME --out data/published/FLOW/NAME.yaml

The file holds the render's stages, worked out by a dry run: op, version, settings, models, and where each input comes
from, sources by their content. So it changes when the render would, and not with a comment in conf/, another folder or
device, a control of weight 0, a refactoring. What cache keys hold beside that is left out, since it is a machine's own:
the versions of its libraries, and code that is not accepted yet.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows import flow as flows
from flows.config.compose import settings
from flows.config.root import Root, project_root
from flows.edge import exits
from flows.edge.arguments import path
from flows.edge.help_first import HelpFirst
from flows.render.settings import Rendering
from reel.errors import UserError
from reel.files import write_atomic
from reel.op import Context
from reel.store import Store
from tasks.cached import Foreseen, dry_run
from tasks.stylize.settings.compute import decided

HEADER = "# Written by flows/commands/resolve.py: what the published render of that name is made of. Do not edit.\n"


def resolved(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """What a flow's render with these settings is made of, as plain data; paths in the checkout relative to it.

    Raises:
        UserError: no such flow, one that renders nothing, settings that it would refuse or that leave something to the
            machine.
    """
    flow = flows.get(name)
    if flow.plan is None:
        known = [one for one in flows.names() if flows.get(one).plan]
        raise UserError(f"{name} renders nothing that could be published", fix=f"flows that do: {', '.join(known)}")
    cfg = settings(Root(name, flow.settings), overrides).config
    _check_decided(cfg)
    with tempfile.TemporaryDirectory() as empty:  # digests of what is cached are this machine's
        ctx = Context(Store(Path(empty)), cfg.compute)
        plan = flow.plan(cfg, ctx.store)
        with dry_run() as found:
            plan.assemble(plan.draw(ctx), ctx)
    return _relative({"flow": name, "stages": stages(found)}, f"{project_root()}/")


def _check_decided(cfg: Rendering) -> None:
    left = {key: value for key, value in decided(cfg.compute).items() if getattr(cfg.compute, key) == "auto"}
    if left:
        raise UserError(
            f"{', '.join(f'compute.{key}' for key in left)}: auto is another result on another machine, and what is "
            "published must be the same everywhere",
            fix=f"say it in the experiment: {' '.join(f'compute.{key}={value}' for key, value in left.items())}",
        )


def stages(found: Iterable[Foreseen]) -> dict[str, Any]:
    """The stages of a dry run by name: an op's id, with a number where it runs more than once."""
    names: dict[str, str] = {}
    described: dict[str, Any] = {}
    for one in found:
        op, key = one.fields["op"], one.stage.key
        if key not in names:
            number = sum(each == op or each.startswith(f"{op} ") for each in described) + 1
            names[key] = names[one.stage.digest] = op if number == 1 else f"{op} {number}"
            described[names[key]] = _described(one, names)
    return described


def _described(one: Foreseen, names: Mapping[str, str]) -> dict[str, Any]:
    """A stage. Names of stages stand for their keys and for the digests of what they give."""
    parts = {"inputs": one.fields["inputs"], "models": one.fields["models"], "settings": one.fields["config"]}
    return {"version": one.fields["version"], **{name: _named(part, names) for name, part in parts.items() if part}}


def _named(value: Any, names: Mapping[str, str]) -> Any:
    """Plain data with names put in, and without what is not set."""
    if isinstance(value, Mapping):
        return {key: _named(item, names) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _relative(value: Any, root: str) -> Any:
    if isinstance(value, dict):
        return {key.removeprefix(root): _relative(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_relative(item, root) for item in value]
    return value.removeprefix(root) if isinstance(value, str) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Write what a render is made of to a file, or print it."""
    parser = HelpFirst(prog="python -m flows.commands.resolve", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("flow")
    parser.add_argument("overrides", nargs="*", help="as for the flow itself: experiment=<flow>/<name> seed=3")
    parser.add_argument("--out", type=path, help="file to write; printed when absent")
    options = parser.parse_intermixed_args(None if argv is None else list(argv))
    return exits.guarded(lambda: _write(resolved(options.flow, options.overrides), options.out))


def _write(data: Mapping[str, Any], out: Path | None) -> int:
    text = HEADER + _yaml(data)
    if out is None:
        print(text, end="")
    else:
        write_atomic(out, text.encode())
    return exits.OK


def _yaml(data: Mapping[str, Any]) -> str:
    """YAML in alphabetical order, so that no order in the code counts, with a setting on each line; a list of plain
    values, which may hold one for each frame, stays on its line."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def listed(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
        plain = not any(isinstance(item, dict | list) for item in items)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=plain)

    Dumper.add_representer(list, listed)
    return yaml.dump(dict(data), Dumper=Dumper, allow_unicode=True, width=1000)


if __name__ == "__main__":
    sys.exit(main())
