"""Time this machine: seconds a frame-step of the engine and of stock diffusers at the size of real weights."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.common import Parser
from flows.edge.arguments import path
from flows.edge.text import memory, table
from reel.errors import UserError

if TYPE_CHECKING:
    from reel.compute import Compute
    from tasks.bench.cases import Case, Measured

MORE = """\
The networks are those of SD 1.5 + AnimateDiff v3 + ControlNet with random weights, made on the spot: nothing is
downloaded, and what is computed is as much as with real ones. What does not fit into the minutes is left out and said.
On a CPU frames are 256 px wide unless you say otherwise, on a GPU 512.
"""


def main(argv: Sequence[str]) -> int:
    """``rotoscope bench``: a table as it is measured, the settings worth having, and a JSON file where one is named."""
    options = _parser().parse_args(list(argv))
    compute, device, dtype = _computed(options)
    if options.json is not None and not options.json.absolute().parent.is_dir():
        raise UserError(f"--json: there is no folder {options.json.absolute().parent}", fix="name a file in one")
    from tasks.bench.cases import Bench, cases
    from tasks.networks.quiet import quiet
    from tasks.stylize.settings.compute import ATTENTION, hardware

    px = options.px or (256 if device == "cpu" else 512)
    kernels = [kernel for kernel in ATTENTION[device] if _runs(compute, kernel)]
    wanted = cases(options.frames, options.controls, kernels, _compiles(compute))
    _room(options, wanted, dtype, device)
    print(f"{hardware(compute, torch=True)}, {dtype}, {px} px, models of {options.size} size", flush=True)
    begun = time.monotonic()
    bench = Bench(options.size, px, dtype, device, options.steps, options.minutes * 60)
    measured: list[Measured] = []
    with quiet():
        for one in bench.run(wanted):
            measured.append(one)
            print(f"  {one.case}: {_told(one)}", flush=True)
    print(f"\n{_table(measured)}\n\n{_advice(measured, dtype)}\ntook {time.monotonic() - begun:.0f} s")
    if options.json is not None:
        facts = {"size": options.size, "px": px, "dtype": dtype, "device": device, "steps": options.steps}
        _save(options.json, {"machine": hardware(compute, torch=True), **facts, "versions": _versions()}, measured)
    return 0


def _parser() -> Parser:
    parser = Parser("bench", f"{__doc__}\n\n{MORE}")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=_number(float, 0.1, 600), default=5, help="time in all (default: 5)")
    parser.add_argument("--frames", type=_numbers(4, 1024), default=[16, 48], help="lengths (default: 16,48)")
    parser.add_argument("--controls", type=_numbers(0, 8), default=[0, 1, 3], help="ControlNets (default: 0,1,3)")
    parser.add_argument("--px", type=_side, help="width and height of a frame")
    parser.add_argument("--steps", type=_number(int, 1, 100), default=1, help="steps that are counted (default: 1)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    parser.add_argument("--size", choices=("sd15", "small"), default="sd15", help="small: to try the command itself")
    parser.add_argument("--json", type=path, help="a file for the figures")
    return parser


def _number(kind: Callable[[str], Any], least: float, most: float) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:g} to {most:g}")
        return value

    return parse


def _numbers(least: int, most: int) -> Callable[[str], list[int]]:
    one = _number(int, least, most)
    return lambda text: [one(part.strip()) for part in text.split(",")]


def _side(text: str) -> int:
    value = int(_number(int, 64, 2048)(text))
    if value % 64:
        raise argparse.ArgumentTypeError(
            f"{value} is not divisible by 64: {value // 64 * 64} or {value // 64 * 64 + 64}"
        )
    return value


def _computed(options: argparse.Namespace) -> tuple[Compute, str, str]:
    """The device and number format, checked before torch is imported."""
    from reel.compute import Compute
    from tasks.stylize.settings.compute import check_compute, resolve_device, resolve_dtype

    compute = Compute(device=options.device, dtype=options.dtype)
    check_compute(compute)
    return compute, resolve_device(compute), resolve_dtype(compute)


def _runs(compute: Compute, kernel: str) -> bool:
    from tasks.stylize.settings.compute import check_kernels

    try:
        check_kernels(compute.model_copy(update={"attention": kernel}))
    except UserError:
        return False
    return True


def _compiles(compute: Compute) -> bool:
    from tasks.stylize.settings.compute import check_kernels

    try:
        check_kernels(compute.model_copy(update={"compile": True}))
    except UserError:
        return False
    return True


def _room(options: argparse.Namespace, wanted: Sequence[Case], dtype: str, device: str) -> None:
    """Raises: UserError where not even the weights fit into main memory; a GPU says so itself, case by case."""
    from tasks.bench.random_models import parameters
    from tasks.networks.files import BYTES
    from tasks.weights.memory import available_memory

    most = max(case.controls for case in wanted)
    needed = parameters(options.size, most) * BYTES[dtype]
    if device == "cpu" and needed > available_memory():
        raise UserError(
            f"the weights of {options.size} with {most} controls take {memory(needed)}, and "
            f"{memory(available_memory())} of memory are free",
            fix="--controls 0,1, or --dtype bfloat16",
        )


def _told(one: Measured) -> str:
    return f"not measured: {one.why}" if one.seconds is None else f"{one.seconds:.3f} s a frame-step"


def _table(measured: Sequence[Measured]) -> str:
    by_case = {one.case: one.seconds for one in measured}

    def row(one: Measured) -> list[object]:
        case = one.case
        kernel = f"{case.attention}{', compiled' * case.compile}" if case.side == "engine" else ""
        other = by_case.get(replace(case, side="stock", attention="auto", compile=False))
        against = f"{one.seconds / other:.2f}" if case.side == "engine" and one.seconds and other else ""
        figures = [f"{one.seconds:.3f}", f"{one.cpu:.3f}", memory(one.peak) if one.peak else ""] if one.seconds else []
        change = f"{one.change:.0e}" if one.change else ""
        return [case.frames, case.controls, case.side, kernel, *(figures or ["-", "-", ""]), against, change]

    header = ("frames", "controls", "side", "attention", "s a frame-step", "CPU s", "peak memory", "of stock", "change")
    return table([row(one) for one in measured], header)


def _advice(measured: Sequence[Measured], dtype: str) -> str:
    """The fastest settings that keep the picture, as a file of one's own for every render."""
    from tasks.bench.cases import fastest

    best = fastest(measured, dtype)
    if best is None:
        return "the settings as they are are the fastest that keep the picture"
    first = measured[0].seconds or 0.0
    lines = [f"  attention: {best.case.attention}"] if best.case.attention != "auto" else []
    lines += ["  compile: true"] if best.case.compile else []
    share = (best.seconds or 0.0) / first
    told = f"fastest with the same picture: {share:.2f} of the time. For every render, in conf/local/default.yaml:"
    return "\n".join([told, "# @package _global_", "compute:", *lines])


def _versions() -> dict[str, str]:
    import importlib.metadata

    return {name: importlib.metadata.version(name) for name in ("rotoscope", "torch", "diffusers")}


def _save(path: Path, facts: dict[str, Any], measured: Sequence[Measured]) -> None:
    from reel.files import write_atomic

    when = time.strftime("%Y-%m-%d %H:%M:%S")
    content = {"when": when, **facts, "cases": [one.plain() for one in measured]}
    write_atomic(path.absolute(), (json.dumps(content, indent=2) + "\n").encode())
    print(f"figures {path}")
