"""What is disturbed: a command of each flow, small, and what it must have made in the end."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chaos import comfy
from benchmarks.runs import ROOT
from flows.search.run import WITHOUT_RECORD
from reel.history.record import RenderRecord, list_records
from reel.history.sweep import Manifest
from reel.store import Store
from tasks.compare.footage import FILM_INSTEAD

FRAMES = 2
SMALL = (
    *(f"extract.max_frames={FRAMES}", "extract.short_side=64", "stylize.num_inference_steps=2", "tracking=none"),
    *("assemble.side_by_side=false", "assemble.contact_sheet=2", "compute.dtype=float32", "measure=[flicker]"),
)
FEWER_DONE = r"compared (\d+) renders \((?!\1 done)"
"""What `compare` says at its end where a render is not done, such as a point of a sweep whose record is damaged."""
Made = dict[str, Any]
"""What a command has made: digests and the like by what they are of. Equal for equal commands."""


@dataclass(frozen=True)
class Subject:
    """A command under test.

    Attributes:
        argv: the flow and its overrides, without folders; ``MODELS`` stands for that of `models`, ``COMFYUI`` for the
            address of the server that `comfy` gives.
        made: reads what the command has made out of its store and output folder.
        base: the subject whose store the command begins on; None: an empty one.
        alone: whether a second one beside it is refused in words instead of sharing the work.
        heals: whether it makes again what is damaged; one that only shows what others made may refuse instead.
        says: patterns of what it says after it has made something else: that others' work is lost.
        waits: seconds for which it may compute nothing, since others work for it.
    """

    name: str
    argv: tuple[str, ...]
    made: Callable[[Path, Path], Made]
    base: str | None = None
    alone: bool = False
    heals: bool = True
    says: tuple[str, ...] = ()
    waits: float = 0.3

    def command(self, folder: Path) -> list[str]:
        """The command line for a folder that holds its store and its output."""
        output = [] if "-m" in self.argv else [f"paths.output={folder / 'out'}"]
        models, server = os.environ.get("ROTOSCOPE_MODELS", ""), os.environ.get(comfy.ADDRESS, "")
        argv = [part.replace("MODELS", models).replace("COMFYUI", server) for part in self.argv]
        return [*argv, f"paths.store={folder / 'store'}", f"paths.renders={folder / 'renders'}", *output]

    @property
    def models(self) -> bool:
        """Whether it needs what `models` writes."""
        return any("MODELS" in part for part in self.argv)

    @property
    def comfyui(self) -> bool:
        """Whether it needs the server that `comfy` gives."""
        return any("COMFYUI" in part for part in self.argv)

    def look(self, folder: Path) -> Made:
        return self.made(folder / "store", folder / "out")


def records(store: Path, flow: str) -> list[RenderRecord]:
    """Closed records of a flow that ended well, oldest first."""
    return [one for one in list_records(Store(store))[0] if one.flow == flow and one.status == "done"]


def digests(record: RenderRecord) -> dict[str, str]:
    return {f"{number} {stage.op}": stage.digest for number, stage in enumerate(record.stages)}


def _rendered(flow: str) -> Callable[[Path, Path], Made]:
    """Reads what a flow's last render has made."""

    def made(store: Path, output: Path) -> Made:
        return {**digests(records(store, flow)[-1]), "film": (output / "movie.mp4").stat().st_size}

    return made


def _storyboard(store: Path, output: Path) -> Made:
    """The film, and every shot as its own record tells of it."""
    film = records(store, "storyboard")[-1]
    shots = {one.title: digests(one) for one in records(store, "shot") if one.parent == film.run}
    made: Made = {f"{title} {name}": digest for title, own in shots.items() for name, digest in own.items()}
    beside = {name: (output / name).stat().st_size > 0 for name in ("film.html", "contact_sheet.png", "story.yaml")}
    return {**_rendered("storyboard")(store, output), **made, **beside}


def _bakeoff(store: Path, output: Path) -> Made:
    with (output / "bakeoff.csv").open(encoding="utf-8") as file:
        rows = [[row[name] for name in ("animator", "seed", "outcome", "frames")] for row in csv.DictReader(file)]
    return {**_sweep(store, output), "rows": rows, "page": (output / "compare.html").stat().st_size > 0}


def _sweep(store: Path, output: Path) -> Made:
    manifest = Manifest.load(Store(store), "latest")
    made: Made = {}
    for point in manifest.points:
        assert point.status == "done", f"point #{point.index} is {point.status}: {point.reason}"
        assert point.run is not None
        record = next(one for one in list_records(Store(store))[0] if one.run == point.run)
        made |= {f"#{point.index} {name}": digest for name, digest in digests(record).items()}
    return made


def _search(store: Path, output: Path) -> Made:
    with (output / "trials.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    made: Made = {f"row {number}": {**row, "run": ""} for number, row in enumerate(rows)}
    for record in records(store, "trial"):
        told = record.config["trial"]
        made |= {f"{told['number']} {told['rung']} {name}": digest for name, digest in digests(record).items()}
    return made


def _compare(store: Path, output: Path) -> Made:
    record = records(store, "compare")[-1]
    page = (output / "compare.html").stat().st_size > 0
    return {**digests(record), "page": page, "grid": (output / "grid.mp4").stat().st_size}


TINY_LTX = "{kind: embedded, id: tiny_ltx, files: [transformer/*, vae/*, text_encoder/*, tokenizer/*, scheduler/*]}"
LTX = ("model=ltx_2b", f"model.base={TINY_LTX}", "width=64", "height=64", "frames=9", "animate.extra_frames=0",
       "animate.num_inference_steps=2", "compute.dtype=float32", "measure=[flicker]", "tracking=none")  # fmt: skip
ANIMATE = (
    *("animate", *LTX, "picture=MODELS/key.png", "prompt=she waves slowly"),
    *("assemble.side_by_side=false", "assemble.contact_sheet=2"),
)
TIMEFRAME = (
    *("timeframe", "track=0-2: red top --pic MODELS/key.png; 2-4: blue top --pic MODELS/key2.png --by sparsectrl"),
    *("model.sparsectrls={rgb: {kind: embedded, id: random_sparsectrl}}", "stylize.num_inference_steps=2"),
    *("width=64", "height=64", "compute.dtype=float32", "tracking=none", "assemble.side_by_side=false"),
    *("assemble.contact_sheet=2", "measure=[key_pictures]"),
)
FILM = (
    *("storyboard", *LTX, "shots=MODELS/story.yaml", "approve=yes", "draw.num_inference_steps=1", "fps=8"),
    *("film.music.file=MODELS/song.wav", "film.output.preset=ultrafast"),
)
STORY = """\
title: Waves
characters: [{name: Mira, words: a girl with short blonde hair}]
shots:
  - {prompt: "Mira stands, green background", motion: she waves, caption: Morning}
  - {picture: key.png, motion: Mira bows, transition: {kind: crossfade, frames: 3}}
  - {prompt: "Mira sits, blue background", motion: she waits, seed: 3}
"""
LOOP = (
    *("loop", "pictures=[MODELS/key.png,MODELS/key2.png]", "frames=4", "width=64", "height=64", "prompt=a girl"),
    *("model.sparsectrls={rgb: {kind: embedded, id: random_sparsectrl}}", "stylize.num_inference_steps=2"),
    *("stylize.windows.context_length=4", "stylize.windows.context_overlap=1", "match_colour=1"),
    *("compute.dtype=float32", "tracking=none", "assemble.side_by_side=false", "assemble.contact_sheet=2"),
    "measure=[flash,key_pictures]",
)


TINY_VACE = TINY_LTX.replace("tiny_ltx", "tiny_vace")
VACE = (
    *("dance", "renderer=vace", f"model.base={TINY_VACE}", "extract.short_side=64", "extract.max_frames=9"),
    *("stylize.windows.frames=5", "stylize.windows.overlap=1", "stylize.references=[MODELS/key.png]"),
    *("stylize.num_inference_steps=2", "compute.dtype=float32", "tracking=none", "assemble.side_by_side=false"),
    *("assemble.contact_sheet=2", "measure=none", "prompt=the figure waves slowly and turns to the left"),
)
WAN_ANIMATE = (
    *("dance", "renderer=wan_animate", "model.base={kind: embedded, id: tiny_wan_animate, files: null}"),
    *("extract.short_side=64", "extract.max_frames=9", "stylize.references=[MODELS/key.png]", "stylize.mode=replace"),
    *("stylize.segments.frames=5", "stylize.num_inference_steps=2", "compute.dtype=float32", "tracking=none"),
    *("assemble.side_by_side=false", "assemble.contact_sheet=2", "measure=none", "prompt=the figure waves slowly"),
)
TEXT2VIDEO = (
    *("text2video", "prompt=a girl who waves", f"frames={FRAMES}", "width=64", "height=64", "tracking=none"),
    *("stylize.num_inference_steps=2", "compute.dtype=float32", "assemble.contact_sheet=2", "measure=[flicker]"),
)
COMFYUI = (
    *("comfyui", "workflow=MODELS/graph.json", "server=COMFYUI", "tracking=none", "assemble.contact_sheet=2"),
    "measure=[flicker]",
)
_ALL = [part for part in ANIMATE[1:] if not part.startswith("model")]
_EACH = f"each={{ltx_2b: {{model.base: {TINY_LTX}}}, ltx_13b: {{model.base: {TINY_LTX}}}}}"
BAKEOFF = ("bakeoff", "animators=[ltx_2b,ltx_13b]", _EACH, *_ALL)


@contextmanager
def models(folder: Path) -> Iterator[None]:
    """The embedded models; tiny ones of LTX, VACE, Wan-Animate and SparseCtrl, random weights; what these are given."""
    place, write = folder / "models", "from benchmarks.chaos.subjects import write_models; write_models()"
    before = os.environ.get("ROTOSCOPE_MODELS")
    os.environ["ROTOSCOPE_MODELS"] = str(place)
    try:
        if not (place / "graph.json").exists():  # the last that is written
            subprocess.run([sys.executable, "-c", write], cwd=ROOT, check=True)  # no torch where processes are watched
        _link_families(place)
        yield
    finally:
        del os.environ["ROTOSCOPE_MODELS"]
        os.environ |= {"ROTOSCOPE_MODELS": before} if before is not None else {}


def _link_families(place: Path) -> None:
    """Let this checkout's families be seen in `place`, which another one may have begun."""
    for family in (ROOT / "data" / "models").iterdir():
        link = place / family.name
        if not link.is_symlink() or link.readlink() != family:  # one that is right may be in use
            link.unlink(missing_ok=True)
            link.symlink_to(family)


def write_models() -> None:
    """Write the folder that `models` names."""
    from tests.tasks import animate_models as tiny
    from tests.tasks import film_samples, sprite_sparse, video_models

    place = Path(os.environ["ROTOSCOPE_MODELS"])
    place.mkdir(exist_ok=True)
    tiny.write_ltx(place / "tiny_ltx")
    sprite_sparse.save(place / "random_sparsectrl")
    tiny.write_vace(place / "tiny_vace")
    video_models.write(place / "tiny_wan_animate", video_models.wan_animate())
    tiny.picture(0, 96, 96).save(place / "key.png")
    tiny.picture(1, 96, 96).save(place / "key2.png")
    film_samples.tone(place / "song.wav", 2)
    (place / "story.yaml").write_text(STORY, "utf-8")
    comfy.write_graph(place / "graph.json")


LIGHT = Subject("dance", ("dance", *SMALL, "control=[]", "measure=none"), _rendered("dance"))
"""The least of a render that still has every kind of stage."""

SUBJECTS: Sequence[Subject] = (
    Subject("dance", ("dance", *SMALL), _rendered("dance")),
    Subject("animate", ANIMATE, _rendered("animate")),
    Subject("storyboard", FILM, _storyboard),
    Subject("loop", LOOP, _rendered("loop")),
    Subject("timeframe", TIMEFRAME, _rendered("timeframe")),
    Subject("vace", VACE, _rendered("dance")),
    Subject("wan_animate", WAN_ANIMATE, _rendered("dance")),
    Subject("text2video", TEXT2VIDEO, _rendered("text2video")),
    Subject("comfyui", COMFYUI, _rendered("comfyui"), waits=3.0),
    Subject("bakeoff", BAKEOFF, _bakeoff),
    Subject("sweep", ("dance", "-m", *SMALL, "controls.pose.weight=0,1", "seed=1,2"), _sweep, base="dance"),
    Subject(
        "search",
        (
            *("search", *SMALL, "search.trials=3", "search.budget=null", "search.proxy.frames=1"),
            *("search.proxy.passages=1", "measure=[flicker,pose,motion]"),
        ),
        _search,
        base="dance",
        alone=True,
        says=(re.escape(WITHOUT_RECORD),),
    ),
    Subject(
        "compare",
        ("compare", "sweep=latest", "tracking=none"),
        _compare,
        base="sweep",
        heals=False,
        says=(re.escape(FILM_INSTEAD), FEWER_DONE),
    ),
)


def computed(store: Path) -> dict[str, int]:
    """How often each stage was computed, by its key, as far as records tell; a film's tells of its shots', too."""
    found: dict[str, int] = {}
    for record in [one for one in list_records(Store(store))[0] if one.flow != "shot"]:
        for stage in record.stages:
            if not stage.reused:
                found[stage.key] = found.get(stage.key, 0) + 1
    return found
