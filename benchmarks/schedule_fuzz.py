"""Coverage-guided fuzzing of everything that reads schedules: no unhandled error, no hang.

``python benchmarks/schedule_fuzz.py --runs 1000000`` needs ``pip install atheris``. Each input is a text that goes
through detection, the reader and all rules of the linter; one in eight also through repair, conversion and the
compilers. An input that raises anything but `UserError`, or takes 10 s of the processor, ends the run and is shown.
The last lines (and ``--log``) say how many inputs ran and how many edges they covered.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["reel.schedule"]):
    from reel.errors import UserError
    from reel.schedule.compile import compile_pictures, compile_prompts, compile_values
    from reel.schedule.dialects.catalogue import DIALECTS
    from reel.schedule.fix import fix
    from reel.schedule.lint import lint
    from reel.schedule.write import write

HANG = 10
"""CPU seconds; not libFuzzer's own time-out, which counts the time that the machine gives to others as well."""
NAMES = [None, None, None, *DIALECTS]
SEEDS = [
    '"0": "red top --neg hat",\n"24": "(blue top:`0.5*sin(t/6)`)", "max_f/2": "c"',
    "{'0': 'a', “8”： “b”}",
    '0:(0.5), 24:(0.8), "max_f-2":(sin(t/6))',
    '0 = "a", 8:16 = "b", -1 = "c", 0.5 = "d"',
    "girl\n0: red\n8:blue\n\n16: green\nsmile",
    "0, 8:16=0.5, -1",
    '{"prompt_map": {"0": "a", "16": "b"}, "head_prompt": "h", "prompt_fixed_ratio": 0.5, "n_prompt": ["n"]}',
    "loop: on; then: ease(in-out, 8); 0: red; 24-36 hold: blue --neg dog --pic a.png --strength 0.5; 50%: x; 0:01: y",
    "kind: value\nvariables: {pw_a: 0.5}\nkeys:\n  0: 0.2\n  12-22: {value: where(t>5, 1, 0), then: blend(2)}\n  -1: 0",
]


class Count:
    """Inputs so far."""

    done = 0
    began = time.monotonic()
    log: Path | None = None
    total = 0


def hang(signum: int, frame: object) -> None:
    raise TimeoutError(f"one input takes more than {HANG} s of the processor")


def one(data: bytes) -> None:
    """Read one input in every way that a person could."""
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
    provider = atheris.FuzzedDataProvider(data)
    choice = provider.ConsumeIntInRange(0, 255)
    text = provider.ConsumeUnicode(provider.remaining_bytes())
    name = NAMES[choice % len(NAMES)]
    result = lint(text, name, frames=24)
    if choice >= 224 and result.schedule is not None:
        fix(text, name, unsafe=bool(choice & 1))
        schedule: Any = result.schedule
        for work in (compile_prompts, compile_values, compile_pictures):
            try:
                work(schedule, 24)
            except UserError:
                continue
        with contextlib.suppress(UserError):
            write(schedule, list(DIALECTS)[choice % len(DIALECTS)], 24)
    Count.done += 1
    if Count.done % 10_000 == 0 or Count.done == Count.total:
        say(f"{Count.done:>9} inputs, {time.monotonic() - Count.began:8.0f} s, no unhandled error")


def say(line: str) -> None:
    print(line, flush=True)
    if Count.log is not None:
        with Count.log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def main() -> None:
    """Fuzz; libFuzzer ends the process itself, with 0 after the last run and otherwise with the input that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="progress is also written here")
    parser.add_argument("--corpus", type=Path, required=True, help="folder for inputs that reached new code")
    args = parser.parse_args()
    Count.total, Count.log = args.runs, args.log
    signal.signal(signal.SIGVTALRM, hang)
    args.corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(SEEDS):
        (args.corpus / f"seed{i}").write_bytes(bytes([i]) + seed.encode())
    say(f"atheris, {args.runs} inputs, seed {args.seed}")
    options = [
        f"-runs={args.runs}",
        f"-seed={args.seed}",
        "-timeout=100000",
        "-rss_limit_mb=8192",  # the fuzzer's own memory grows with its inputs, what it calls stays flat
        "-max_len=600",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={args.corpus}/failed-",
    ]
    atheris.Setup([sys.argv[0], *options, str(args.corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
