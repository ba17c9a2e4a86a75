"""How fast schedules of 10,000 keys over 100,000 frames compile (bar: 1 s) and lint (bar: 2 s).

``python benchmarks/schedule_speed.py`` prints one row for each dialect and kind, in CPU seconds (the best of three: a
busy machine disturbs wall times), and exits with 1 when a bar is missed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from reel.schedule.compile import compile_pictures, compile_prompts, compile_values
from reel.schedule.lint import lint
from reel.schedule.model import Schedule
from reel.schedule.read import parse

KEYS, FRAMES = 10_000, 100_000
STEP = FRAMES // KEYS
COMPILE_BAR, LINT_BAR = 1.0, 2.0


def texts() -> dict[str, tuple[str, str]]:
    """name -> (dialect, text) of one schedule for each form."""
    at = range(0, FRAMES, STEP)
    return {
        "FizzNodes": ("fizz", ",\n".join(f'"{k}": "a dancer, scene {k % 97}, red top"' for k in at)),
        "FizzNodes, formulas": ("fizz", ",\n".join(f'"{k}": "(smile:`0.5+0.4*sin(t/7)`), scene {k % 97}"' for k in at)),
        "FizzNodes values": ("fizz-value", ", ".join(f"{k}:({k % 13 / 10})" for k in at)),
        "Deforum formulas": ("deforum", ", ".join(f"{k}:({k % 13 / 10}+0.1*sin(t/{k % 17 + 1}))" for k in at)),
        "AnimateDiff-Evolved": ("evolved", ",\n".join(f'{k}:{k + STEP // 2} = "scene {k % 97}"' for k in at)),
        "web UI": ("webui", "\n".join(["head", *(f"{k}: scene {k % 97}" for k in at), "tail"])),
        "prompt-travel": ("travel", '{"prompt_map": {' + ",\n".join(f'"{k}": "scene {k % 97}"' for k in at) + "}}"),
        "latent keyframes": ("latent", ", ".join(f"{k}:{k + 4} = 0.5" for k in at)),
        "one line": ("short", "; ".join(f"{k} blend: scene {k % 97}" for k in at)),
        "YAML": ("yaml", "keys:\n" + "".join(f"  {k}: {{prompt: scene {k % 97}, then: ease(in-out)}}\n" for k in at)),
        "YAML track": (
            "yaml",
            "kind: track\nthen: blend\nkeys:\n" + "".join(f"  {k}-{k + 5}: p{k % 97}.png\n" for k in at),
        ),
    }


def best(work: Callable[[], object]) -> float:
    """CPU seconds of the best of three runs."""
    taken = []
    for _ in range(3):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return min(taken)


def compiler(schedule: Schedule) -> Callable[[], object]:
    kinds: dict[str, Callable[[Any, int], object]] = {
        "prompt": compile_prompts,
        "value": compile_values,
        "track": compile_pictures,
    }
    work = kinds[schedule.what]
    return lambda: work(schedule, FRAMES)


def main() -> int:
    """Measure all forms; returns the exit code."""
    late = False
    print(f"{KEYS} keys over {FRAMES} frames     compile      lint")
    for name, (dialect, text) in texts().items():
        schedule = parse(text, dialect).schedule
        assert schedule is not None, name
        assert len(schedule.keys) == KEYS, name
        compiling = best(compiler(schedule))
        linting = best(lambda text=text, dialect=dialect: lint(text, dialect, frames=FRAMES))  # type: ignore[misc]
        missed = compiling > COMPILE_BAR or linting > LINT_BAR
        late |= missed
        print(f"{name:<30} {compiling:7.3f} s {linting:7.3f} s{'   too slow' if missed else ''}", flush=True)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
