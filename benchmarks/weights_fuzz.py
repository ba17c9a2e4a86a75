"""Mutated safetensors headers: each file is read, or refused in one line, within 5 s of the processor and 1 GiB.

``python -m benchmarks.weights_fuzz --files 10000`` makes real headers of every format that is known, damages them, and
hands each to the guard that settings go through (`tasks.weights.formats.demand`) in a process of its own with limits. A
file that the guard lets through must be one that the safetensors library opens, with the same tensors. What the process
does not answer, or dies of, is a failure, and the process is started anew. Seeded: the same files at each run.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.runs import ROOT

LIMIT, MEMORY = 5.0, 1 << 30
"""Seconds of the processor, and bytes, for one file."""
HANGS = 120.0
"""Seconds by the clock after which no answer is a hang: the machine may be busy with other things."""
SHAPE = (2, 4)
NAMES = {
    "lora": ["lora_unet_a.lora_down.weight", "lora_unet_a.lora_up.weight", "lora_unet_a.alpha"],
    "loha": ["lora_unet_a.hada_w1_a", "lora_unet_a.hada_w1_b"],
    "vae": ["first_stage_model.encoder.down.0.block.0.conv1.weight", "first_stage_model.quant_conv.bias"],
    "base": ["model.diffusion_model.input_blocks.0.0.weight", "cond_stage_model.transformer.text_model.x"],
    "motion": ["down_blocks.0.motion_modules.0.temporal_transformer.norm.weight"],
    "embedding": ["emb_params"],
    "none": ["some.thing", "else"],
}
ODD: list[Any] = [
    -1,
    0,
    1,
    1 << 31,
    1 << 53,
    1 << 63,
    1 << 70,
    1e308,
    0.5,
    True,
    None,
    "",
    "F64",
    [],
    [0],
    {},
    "\0",
    "é",
]


def whole(chance: random.Random) -> tuple[dict[str, Any], int]:
    """A header that is right, and the bytes of its tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}} if chance.random() < 0.5 else {}
    end = 0
    for name in NAMES[chance.choice([*NAMES])]:
        start, end = end, end + 2 * SHAPE[0] * SHAPE[1]
        header[name] = {"dtype": "F16", "shape": list(SHAPE), "data_offsets": [start, end]}
    return header, end


def mutated(chance: random.Random) -> bytes:
    """A file's bytes: its plain data, its text, its bytes or its length damaged, at times several of them."""
    header, size = whole(chance)
    if chance.random() < 0.4:
        _change(header, chance)
    text = json.dumps(header, ensure_ascii=False).encode()
    if chance.random() < 0.2:
        text = _spoiled(text, chance)
    length = (
        len(text) if chance.random() < 0.9 else chance.choice([0, 1, 7, 1 << 20, 1 << 40, (1 << 64) - 1, len(text) + 8])
    )
    data = length.to_bytes(8, "little") + text + bytes(max(0, size + chance.choice([0] * 12 + [-1, 1, 100])))
    if chance.random() < 0.1:
        data = _spoiled(data, chance)
    return data[: chance.randrange(len(data) + 1)] if chance.random() < 0.1 else data


def _change(header: dict[str, Any], chance: random.Random) -> None:
    """Put something odd in the place of some entry, or of a part of it."""
    name = chance.choice([*header])
    entry = header[name]
    match chance.randrange(6):
        case 0:
            header[name] = chance.choice(ODD)
        case 1 if name != "__metadata__":
            entry[chance.choice(["dtype", "shape", "data_offsets"])] = chance.choice(ODD)
        case 2 if name != "__metadata__":
            entry["shape"] = [chance.choice(ODD) for _ in range(chance.randrange(40))]
        case 3 if name != "__metadata__":
            entry["data_offsets"][chance.randrange(2)] = chance.choice(ODD)
        case 4:
            header["".join(map(chr, chance.choices(range(1, 0x3000), k=chance.randrange(300))))] = header.pop(name)
        case _:
            header["__metadata__"] = chance.choice(ODD)


def _spoiled(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, left out, doubled, or many of one kind put in."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(4):
            case 0 if at < len(found):
                found[at] = chance.randrange(256)
            case 1:
                del found[at : at + chance.randint(1, 8)]
            case 2:
                found[at:at] = found[at : at + 40]
            case _:
                found[at:at] = chance.choice([b"[", b"{", b'"', b"1", b"\\u0000", b" "]) * chance.choice(
                    [1, 30, 50_000]
                )
    return bytes(found)


CHILD = """
import json, resource, sys, time
from pathlib import Path
from reel.errors import UserError
from safetensors import safe_open
from tasks.weights.formats import ROLES, demand, text_width
from tasks.weights.header import read_header
for line in sys.stdin:
    path, role = json.loads(line)
    said, began = "", time.process_time()
    try:
        header = read_header(Path(path))
        text_width(header)
        with safe_open(path, framework="np") as opened:
            same = set(opened.keys()) == set(header.tensors)
            same = same and all(tuple(opened.get_slice(k).get_shape()) == t.shape for k, t in header.tensors.items())
        said = "read" if same else "FAILED: the library reads it otherwise"
        if same:
            demand(Path(path), role, "stylize.loras[0]")
    except UserError as error:
        bad = "\\n" in error.message or len(error.message) > 1000
        said = f"FAILED: {error.message!r}" if bad else f"{'another format' if said == 'read' else 'refused'}"
    except BaseException as error:
        said = f"FAILED: {type(error).__name__}: {error}"
    seconds = time.process_time() - began
    print(json.dumps(said if seconds < LIMIT else f"FAILED: {seconds:.1f} s"), flush=True)
"""


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Guard:
    """The process that judges files, started anew after it died or hung."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def judge(self, path: Path, role: str) -> str:
        """What became of a file: ``read``, ``refused``, or how it failed."""
        if self._process is None:
            command = [sys.executable, "-c", f"LIMIT = {LIMIT}\n{CHILD}"]
            self._process = subprocess.Popen(
                command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=_limits
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(path), role]) + "\n")
        self._process.stdin.flush()
        answered = bool(select.select([self._process.stdout], [], [], HANGS)[0])
        line = self._process.stdout.readline() if answered else ""
        if line:
            return str(json.loads(line))
        self._process.kill()
        code = self._process.wait()
        self._process = None
        return f"FAILED: {f'the process ended with {code}' if answered else 'it hangs'}"

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def run(files: int, seed: int) -> Counter[str]:
    """Judge so many files; counts by outcome. Failures are printed with the number that makes the same file again."""
    chance, found, guard = random.Random(seed), Counter[str](), Guard()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(files):
            path = Path(folder) / f"{number % 20}.safetensors"
            path.unlink(missing_ok=True)  # another file, not the same one changed: headers are remembered
            path.write_bytes(mutated(chance))
            outcome = guard.judge(path, chance.choice(["lora", "vae", "base", "motion", "embedding"]))
            found[outcome.partition(":")[0]] += 1
            if outcome.startswith("FAILED"):
                print(f"file {number} of seed {seed}: {outcome}", flush=True)
    guard.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    found = run(options.files, options.seed)
    seconds = time.monotonic() - began
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
    print(f"{options.files} files (seed {options.seed}): {told}; {seconds:.0f} s")
    return 1 if found["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
