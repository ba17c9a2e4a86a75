"""dance: a live-action clip becomes another character; motion, frame rate, length and sound are kept.

    rotoscope dance clip=my.mp4 prompt="a long-haired warrior in a red coat, dancing"
    rotoscope dance clip=my.mp4 control=[pose,lineart] controls.lineart.weight=0.3
    rotoscope dance -m controls.pose.weight=0.4,0.7,1.0

What it does in which order stands in `flows.dance.stages`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import field_validator, model_validator

from flows.dance import stages
from flows.edge import entry
from flows.paths import Paths
from flows.prefect_server import servers
from flows.prefect_server.run import as_flow
from flows.render import measures
from flows.render import schedules as scheduled
from flows.render.published import guard
from reel.compute import Compute
from reel.config import Config, Text
from reel.history.record import RenderRecord, Role, StageRecord
from reel.history.recorder import Recorder, new_run_id
from reel.models import ModelConfig
from reel.op import Context
from reel.schedule.setting import ScheduleText
from reel.store import Store
from tasks.assemble import Assemble
from tasks.cached import Foreseen
from tasks.extract import Extract
from tasks.stylize.control import ControlSettings, Mask
from tasks.stylize.region import Region
from tasks.stylize.settings import Sampling
from tasks.tracking.links import read_link
from tasks.tracking.render import Tracking

ROLES: dict[str, Role] = {"movie": "movie", "contact_sheet": "sheet", "map_preview": "preview"}
"""What a reader takes an exported file for, by its stem."""


class DanceControl(ControlSettings):
    """One ControlNet in use and what makes its map."""

    preprocess: str
    """Which preprocessor draws the map; its settings stand under `preprocess.<name>`."""
    weight_schedule: ScheduleText = None
    """Factor of `weight` over the frames, 0 to 10: `0: 1.0; 50%: 0.4`, a formula over t, @file; docs/schedules/."""
    mask_file: Path | None = None
    """For `mask.region=file`: a picture, or a clip of the source's length; white where the control does not count."""

    @model_validator(mode="after")
    def _mask_and_file(self) -> DanceControl:
        _check_mask_file(self.mask, self.mask_file)
        return self


class DanceRegion(Region):
    """Words that count in a part of the picture alone."""

    mask_file: Path | None = None
    """For `mask.region=file`: a picture, or a clip of the source's length; white where the words count."""

    @model_validator(mode="after")
    def _mask_and_file(self) -> DanceRegion:
        _check_mask_file(self.mask, self.mask_file)
        return self


def _check_mask_file(mask: Mask, file: Path | None) -> None:
    if mask.region == "file" and file is None:
        raise ValueError("mask.region=file wants mask_file: a picture, or a clip of the source's length")
    if mask.region != "file" and file is not None:
        raise ValueError(f"mask_file is read with mask.region=file alone, and that is {mask.region}")


class Dance(Config):
    """Settings of `dance`."""

    clip: Path
    """The live-action source: a video file, a GIF or a folder of pictures."""
    prompt: Text
    """What the clip shall show."""
    prompt_schedule: ScheduleText = None
    """Takes the prompt's place: `0-24 blend: red top; 36: blue top`, @file, keys in YAML; docs/schedules/."""
    negative_prompt: Text = ""
    """What it shall not show."""
    regions: dict[str, DanceRegion] = {}
    """Words for parts of the picture, by name: {wall: {prompt: a green background, mask: {region: background}}}."""
    seed: int = 0
    """Seed of the noise; another seed is another take."""
    strength_schedule: ScheduleText = None
    """Factor of `stylize.strength` over the frames, 0 to 1; 0 keeps the source's frame."""
    guidance_schedule: ScheduleText = None
    """Factor of `stylize.guidance_scale` over the frames, 0 to 10."""
    extract: Extract
    preprocess: dict[str, dict[str, Any]]
    controls: dict[str, DanceControl] = {}
    """ControlNets in use, by name; none (`control=[]`) is plain video-to-video."""
    model: ModelConfig
    stylize: Sampling
    assemble: Assemble
    embed_facts: bool = True
    """Write render key, prompt, seed and model into the movie's metadata."""
    measure: dict[str, dict[str, Any] | None] = {}
    """Metrics of the finished render, by name; none (`measure=none`) measures nothing. See docs/measure.md."""
    reference: Path | None = None
    """A picture of the character, for measure.clip_image; empty: stylize.ip_adapter's, where there is one."""
    compute: Compute
    tracking: Tracking
    paths: Paths

    @field_validator("clip", mode="before")
    @classmethod
    def _named(cls, clip: Any) -> Any:
        if clip == "":  # Path("") is the folder one stands in
            raise ValueError("is empty: name a video, a GIF or a folder of pictures")
        return clip

    @model_validator(mode="after")
    def _readable_schedules(self) -> Dance:
        scheduled.check(self)
        return self


def run(cfg: Dance) -> RenderRecord:
    """One render, recorded and tracked from start to end.

    Raises:
        UserError: something to put right; found before any model loads wherever that is possible.
    """
    from tasks.media.export import check_writable
    from tasks.tracking.render import tracked

    scheduled.refuse_both(entry.current().overrides)
    store = Store(cfg.paths.store)
    todo = stages.plan(cfg, store)
    name = new_run_id()
    output = cfg.paths.output or cfg.paths.renders / name
    guard(output, cfg.paths.root)
    check_writable(output)
    with tracked(store, cfg.tracking, "dance", cfg.model_dump(mode="json"), output=output, run=name) as recorder:
        ctx = Context(store, cfg.compute, run=name)

        def whole() -> None:
            entry.keep_wish_to_stop()
            rendered = stages.run(todo, cfg, ctx, recorder.stage)
            publish(store, rendered.files, output, recorder)  # before measuring: nothing there may keep a film back
            stages.measure(todo, rendered, ctx, recorder.stage)
            measures.record(store, recorder)

        _flow(whole, name, store, lambda: _foreseen(todo, cfg, ctx))
    say(recorder.record, cfg)
    for line in measures.lines(todo.measures, list(measures.results(store, recorder.record))):
        print(f"  {'metric':<8} {line}")
    return recorder.record


def foresee(cfg: Dance) -> list[Foreseen]:
    """The stages of a render with what is cached told from what is to be computed; computes nothing.

    Raises:
        UserError: as `run`, before anything would be computed.
    """
    store = Store(cfg.paths.store)
    return _foreseen(stages.plan(cfg, store), cfg, Context(store, cfg.compute))


def _foreseen(todo: stages.Plan, cfg: Dance, ctx: Context) -> list[Foreseen]:
    from tasks.cached import foreseeing

    with foreseeing() as found:
        stages.measure(todo, stages.run(todo, cfg, ctx, lambda stage: stage), ctx, lambda stage: stage)
    return found


def _flow(whole: Callable[[], None], name: str, store: Store, foresee: Callable[[], list[Foreseen]]) -> None:
    """Run as a Prefect flow; what is wholly in the store waits for no server to be started, see docs/adr/0007."""
    from tasks.cached import foreseeing, sound

    if not servers.at_hand() and all(f.stage.reused and sound(store, f.stage.digest) for f in foresee()):
        with foreseeing():
            return whole()
    as_flow(whole, "dance", name)


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
    if cfg.compute.profile:
        print(f"  {'profile':<8} {profile(record.stages)}")


def profile(noted: Sequence[StageRecord]) -> str:
    """Where the denoising's time went, the longest first, as ``compute.profile`` had it measured."""
    for stage in noted:
        if seconds := stage.facts.get("profile_seconds"):
            longest = sorted(seconds.items(), key=lambda kind: -kind[1])
            parts = (f"{kind} {took:.1f} s ({took / sum(seconds.values()):.0%})" for kind, took in longest)
            return f"{', '.join(parts)}{' when it was computed' if stage.reused else ''}"
    return "nothing measured: what came from the store was computed without compute.profile"


def main(argv: list[str] | None = None) -> int:
    """``rotoscope dance`` and ``python -m flows.dance.flow``."""
    return entry.run_flow("dance", Dance, run, argv)


if __name__ == "__main__":
    sys.exit(main())
