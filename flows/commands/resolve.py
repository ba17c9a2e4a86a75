"""The settings of a render as one file: what DVC watches instead of the YAML files that they come from.

    python -m flows.commands.resolve dance experiment=dance/new_character --out data/published/new_character.yaml

The file says what is rendered and not how or where: comments and layout of conf/, folders, tracking, device, controls
of weight 0 and what only they would use are not in it. So it changes exactly when the render would.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.config.compose import Root, hydra_ready, project_root, single
from flows.config.quoting import literal_overrides
from flows.dance.plan import map_makers
from flows.edge import entry
from flows.render import schedules
from reel.config import suggest
from reel.errors import UserError
from reel.keys import canonical
from reel.store import write_atomic
from tasks.stylize.settings.controls import live_controls

HEADER = "# Written from conf/ by flows/commands/resolve.py: what the render of that name is made with. Do not edit.\n"
_ELSEWHERE = ("paths", "tracking", "measure", "reference")
_WHAT = ("dtype", "max_memory")
"""The compute settings that can change the result."""


def resolved(flow: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Canonical plain data of a flow's settings; paths inside the checkout relative to it, with `/`.

    Raises:
        UserError: no such flow, or settings that it would refuse.
    """
    root = Root(flow, _settings_class(flow))
    with hydra_ready(root) as engine:
        literal = literal_overrides(list(overrides), root.keys, multirun=False)
        config = single(root, engine, literal).config
    data = canonical(config)
    live = live_controls(config.controls)
    model = canonical(config.model.only({control.kind for control in live.values()}))
    chosen, makers = data.get("compute", {}), map_makers(config, config.controls)
    compute = {name: chosen[name] for name in _WHAT if chosen.get(name) is not None}
    data = {name: value for name, value in data.items() if name not in _ELSEWHERE}
    data |= {
        "controls": canonical(live),
        "model": model,
        "compute": compute,
        "preprocess": {name: canonical(chosen) for name, (_, chosen) in sorted(makers.items())},
    }
    data = {name: value for name, value in data.items() if value is not None or not name.endswith("_schedule")}
    for key, text in schedules.spelled(schedules.slots(config)).items():  # one spelling for one meaning
        *parents, name = key.split(".")
        if parents and parents[0] == "controls" and parents[1] not in live:
            continue
        functools.reduce(dict.__getitem__, parents, data)[name] = text
    if config.prompt_schedule is not None:
        del data["prompt"]
    return _relative(data, project_root())


def _settings_class(flow: str) -> Any:
    """Imported flow by flow: a name on the command line must never choose what is imported."""
    if flow == "dance":
        from flows.dance.flow import Dance

        return Dance
    raise UserError(f"no flow {flow!r} to resolve{suggest(flow, ['dance'])}", fix="known: dance")


def _relative(value: Any, root: Path) -> Any:
    if isinstance(value, dict):
        return {key: _relative(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_relative(item, root) for item in value]
    if isinstance(value, str) and value.startswith(f"{root}/"):
        return Path(value).relative_to(root).as_posix()
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Write the resolved settings to a file, or print them."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.commands.resolve", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("flow")
    parser.add_argument("overrides", nargs="*", help="as for the flow itself: experiment=dance/x seed=3")
    parser.add_argument("--out", type=Path, help="file to write; printed when absent")
    options = parser.parse_intermixed_args(None if argv is None else list(argv))
    return entry.guarded(lambda: _write(resolved(options.flow, options.overrides), options.out))


def _write(data: Mapping[str, Any], out: Path | None) -> int:
    import yaml

    text = HEADER + yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1000)
    if out is None:
        print(text, end="")
    else:
        write_atomic(out, text.encode())
    return entry.OK


if __name__ == "__main__":
    sys.exit(main())
