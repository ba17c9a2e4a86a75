"""dance: a live-action clip becomes another character; motion, frame rate, length and sound are kept.

    rotoscope dance clip=my.mp4 prompt="a long-haired warrior in a red coat, dancing"
    rotoscope dance clip=my.mp4 control=[pose,lineart] controls.lineart.weight=0.3
    rotoscope dance -m controls.pose.weight=0.4,0.7,1.0

The flow only wires digests from stage to stage: extract -> preprocess -> stylize -> assemble.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import field_validator

from flows import entry, servers
from flows.published import guard
from flows.settings import Paths
from reel.compute import Compute
from reel.config import Config, Text, parse
from reel.errors import UserError
from reel.models import ModelConfig
from reel.op import Context, Op, get
from reel.record import Recorder, RenderRecord, Role, new_run_id
from reel.store import Store
from tasks.assemble import Assemble
from tasks.cached import Stage, call
from tasks.extract import Extract
from tasks.stylize.settings import Animatediff, Control, Sampling, canonical
from tasks.tracking import Tracking, read_link

ROLES: dict[str, Role] = {"movie": "movie", "contact_sheet": "sheet", "map_preview": "preview"}
"""What a reader takes an exported file for, by its stem."""


class DanceControl(Control):
    """One ControlNet in use and what makes its map."""

    preprocess: str
    """Which preprocessor draws the map; its settings stand under `preprocess.<name>`."""


class Dance(Config):
    """Settings of `dance`."""

    clip: Path
    """The live-action source: a video file, a GIF or a folder of pictures."""
    prompt: Text
    """What the clip shall show."""
    negative_prompt: Text = ""
    """What it shall not show."""
    seed: int = 0
    """Seed of the noise; another seed is another take."""
    extract: Extract
    preprocess: dict[str, dict[str, Any]]
    controls: dict[str, DanceControl] = {}
    """ControlNets in use, by name; none (`control=[]`) is plain video-to-video."""
    model: ModelConfig
    stylize: Sampling
    assemble: Assemble
    embed_facts: bool = True
    """Write render key, prompt, seed and model into the movie's metadata."""
    compute: Compute
    tracking: Tracking
    paths: Paths

    @field_validator("clip", mode="before")
    @classmethod
    def _named(cls, clip: Any) -> Any:
        if clip == "":  # Path("") is the folder one stands in
            raise ValueError("is empty: name a video, a GIF or a folder of pictures")
        return clip


@dataclass(frozen=True)
class Plan:
    """A render worked out and checked, before anything is computed.

    Attributes:
        source: the live-action file and the digest of its content.
        makers: op and settings of every map maker and pose detector in use, by name.
        maps: the maker of each live control's map, by control name.
        stylize: the renderer's op and its whole settings.
    """

    source: Path
    source_digest: str
    makers: Mapping[str, tuple[Op, Config]]
    maps: Mapping[str, str]
    stylize: tuple[Op, Config]


def plan(cfg: Dance, store: Store) -> Plan:
    """Check everything that can be checked without computing: files, names, ranges, prompts, models.

    Raises:
        UserError: the first thing that would make the render fail.
    """
    from tasks.extract import prepare
    from tasks.media.source import source_digest
    from tasks.stylize.animatediff import check_clip
    from tasks.weights import fetch

    settings = _stylize(cfg)
    maps = {name: cfg.controls[name].preprocess for name in settings.controls}
    makers = _makers(set(maps.values()), cfg.preprocess)
    _, job = prepare(cfg.extract, cfg.clip)
    check_clip(settings, job.plan.width, job.plan.height, len(job.expected))
    op = get("stylize", "animatediff")
    fetch([*op.models(settings), *(source for maker, chosen in makers.values() for source in maker.models(chosen))])
    return Plan(cfg.clip, source_digest(cfg.clip), makers, maps, (op, settings))


def _stylize(cfg: Dance) -> Animatediff:
    """The renderer's whole settings, in canonical form."""
    from tasks.stylize.device import cuda_devices, resolve_dtype

    if cfg.compute.device == "cuda" and not cuda_devices():
        raise UserError("compute.device: no NVIDIA driver offers a card here", fix="compute=auto, or compute=cpu")

    controls = {name: control.model_dump(exclude={"preprocess"}) for name, control in cfg.controls.items()}
    whole = {
        **dict(cfg.stylize),
        "prompt": cfg.prompt,
        "negative_prompt": cfg.negative_prompt,
        "seed": cfg.seed,
        "model": cfg.model,
        "controls": controls,
        "dtype": resolve_dtype(cfg.compute),
    }
    return canonical(parse(Animatediff, whole))


def _makers(names: set[str], settings: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Op, Config]]:
    """The map makers of these names and the detectors and drawing ops that they need in turn."""
    found: dict[str, tuple[Op, Config]] = {}
    todo = sorted(names)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        op = get("preprocess", name)
        chosen = parse(op.config, settings.get(name, {}), f"preprocess.{name}")
        found[name] = (op, chosen)
        if op.gives == "poses":
            todo.append("pose_map")
        elif op.takes("poses") and name != "pose_map":
            todo.append(_detector(chosen))
    return found


def _detector(settings: Config) -> str:
    name = getattr(settings, "detector", "")
    if get("preprocess", name).gives != "poses":
        raise UserError(f"preprocess: detector {name!r} finds no poses", fix="blazepose, dwpose and openpose do")
    return name


def stages(plan: Plan, cfg: Dance, ctx: Context, note: Callable[[Stage], Stage]) -> str:
    """The DAG: runs every stage in order, or takes it from the cache.

    Returns:
        the digest of the assembled render.
    """

    def run(op: Op, settings: Config, **inputs: str) -> str:
        return note(call(op, settings, inputs, ctx)).digest

    made: dict[str, str] = {}

    def make(maker: str) -> str:
        if maker not in made:
            op, settings = plan.makers[maker]
            poses = {"poses": make(_detector(settings))} if op.takes("poses") else {}
            made[maker] = run(op, settings, frames=frames, **poses)
        return made[maker]

    def draw(maker: str) -> str:
        if plan.makers[maker][0].gives != "poses":
            return make(maker)
        return run(*plan.makers["pose_map"], poses=make(maker))

    frames = run(get("extract", "extract"), cfg.extract, source=plan.source_digest)
    maps = {f"map_{control}": draw(maker) for control, maker in plan.maps.items()}
    stylized = note(call(*plan.stylize, {"frames": frames, **maps}, ctx))
    ends = {"frames": stylized.digest, "original": frames, "source": plan.source_digest}
    return run(get("assemble", "assemble"), _assemble(cfg, stylized.key), **ends, **maps)


def _assemble(cfg: Dance, key: str) -> Assemble:
    """The settings of the last stage, with the facts of the render for the movie's metadata."""
    facts = {"render": key, "prompt": cfg.prompt, "seed": str(cfg.seed), "model": cfg.model.name}
    return cfg.assemble.model_copy(update={"metadata": {**(facts if cfg.embed_facts else {}), **cfg.assemble.metadata}})


def run(cfg: Dance) -> RenderRecord:
    """One render, recorded and tracked from start to end.

    Raises:
        UserError: something to put right; found before any model loads wherever that is possible.
    """
    from prefect import flow

    from tasks.media.export import check_writable
    from tasks.tracking import tracked

    store = Store(cfg.paths.store)
    todo = plan(cfg, store)
    name = new_run_id()
    output = cfg.paths.output or cfg.paths.renders / name
    guard(output, cfg.paths.root)
    check_writable(output)
    with tracked(store, cfg.tracking, "dance", cfg.model_dump(mode="json"), output=output, run=name) as recorder:
        servers.start_temporary()
        ctx = Context(store, cfg.compute, files={"source": todo.source})
        dance = flow(
            lambda: stages(todo, cfg, ctx, recorder.stage), name="dance", flow_run_name=name, persist_result=False
        )
        publish(store, dance(), output, recorder)
    say(recorder.record, cfg)
    return recorder.record


def publish(store: Store, digest: str, output: Path, recorder: Recorder) -> None:
    """Copy an assembled render's files to the output folder and note them in the record."""
    from tasks.media.export import export

    for name, path in export(store, digest, output).items():
        recorder.output(path, ROLES.get(name.partition(".")[0], "other"))


def say(record: RenderRecord, cfg: Dance) -> None:
    """Tell where everything is, and whether anything was computed."""
    computed = [stage.op for stage in record.stages if not stage.reused]
    if computed:
        print(f"\nrendered in {record.seconds:.1f} s; computed: {', '.join(computed)}")
        print(f"reused: {', '.join(stage.op for stage in record.stages if stage.reused) or 'nothing'}")
    else:
        print(f"\nnothing rendered anew: all {len(record.stages)} stages came from the store ({record.seconds:.1f} s)")
    for output in record.outputs:
        if output.role != "other":
            print(f"  {output.role:<8} {Path(record.output or '') / output.name}")
    print(f"  {'run':<8} {record.run}  (rotoscope why {record.run})")
    if link := read_link(Store(cfg.paths.store), record.run):
        print(f"  {'MLflow':<8} {link}")


def main(argv: list[str] | None = None) -> int:
    """``rotoscope dance`` and ``python -m flows.dance``."""
    return entry.run_flow("dance", Dance, run, argv)


if __name__ == "__main__":
    sys.exit(main())
