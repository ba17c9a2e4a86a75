"""Settings of `text2video`; their values stand in conf/text2video.yaml."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import field_validator, model_validator

from flows.render import infotexts, schedules
from flows.render.control_maps import map_makers
from flows.render.settings import Rendering
from reel.config import FIGURES, FILES, Field, Finite, LocalPath, Marker, Text
from reel.models.animatediff import AnimateDiff
from reel.models.source import LoraSource
from reel.schedule.setting import ScheduleText
from reel.units import MOST_FRAMES
from tasks.assemble import Assemble
from tasks.stylize.settings.camera import live_moves
from tasks.stylize.settings.controls import ControlSettings, Mask, live_controls
from tasks.stylize.settings.embed import check_text
from tasks.stylize.settings.sampling import Sampling

OF_A_SOURCE = ("strength", "composite", "composite_dilate", "detector", "encode_chunk_size", "encode_tiling")
"""Settings under `stylize` that say what becomes of a source, of which there is none."""


class MotionControl(ControlSettings):
    """One ControlNet in use and what makes its map."""

    preprocess: str
    """Which preprocessor draws the map; its settings stand under `preprocess.<name>`."""
    weight_schedule: ScheduleText = None
    """Factor of `weight` over the frames, 0 to 10: `0: 1.0; 50%: 0.4`, a formula over t, @file; docs/schedules/."""

    @field_validator("mask")
    @classmethod
    def _everywhere(cls, mask: Mask) -> Mask:
        if mask.region != "none":
            raise ValueError("a control counts everywhere here: there is no source whose places could be told apart")
        return mask


class TextToVideo(Rendering):
    """Settings of `text2video`."""

    prompt: Text
    """What the clip shows."""
    prompt_schedule: ScheduleText = None
    """Takes the prompt's place: `0-24 blend: red top; 36: blue top`, @file, keys in YAML; docs/schedules/."""
    negative_prompt: Text = ""
    """What it should not show."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the noise; another seed is another take."""
    guidance_schedule: ScheduleText = None
    """Factor of `stylize.guidance_scale` over the frames, 0 to 10."""
    frames: int = Field(ge=1, le=MOST_FRAMES)
    """Length. Up to `stylize.windows.context_length` all frames see one another; longer clips are seen in windows."""
    fps: Finite = Field(gt=0, le=240)
    """Frames a second; AnimateDiff's motion modules were trained at 8."""
    width: int = Field(ge=8, le=8192)
    """px."""
    height: int = Field(ge=8, le=8192)
    """px."""
    motion: LocalPath | None = None
    """A clip whose maps the controls follow: the film moves as it does, and takes nothing else of it."""
    motion_start: Finite = Field(default=0.0, ge=0)
    """Second of that clip at which the film begins."""
    preprocess: dict[str, dict[str, Any]] = {}
    controls: dict[str, MotionControl] = {}
    """ControlNets in use, by name, with a motion clip alone: `motion=walk.mp4 control=[pose]`."""
    moves: dict[str, LoraSource] = {}
    """Camera moves by name, each with its weight: `camera=[zoom_in] moves.zoom_in.weight=0.7`; see conf/camera/."""
    model: AnimateDiff
    stylize: Sampling
    assemble: Annotated[Assemble, FILES]
    embed_facts: Annotated[bool, FILES] = True
    """Write render key, prompt, seed and model into the movie's metadata."""

    @model_validator(mode="before")
    @classmethod
    def _pasted(cls, data: Any) -> Any:
        return infotexts.taken_apart(data)

    @model_validator(mode="after")
    def _moved_by_something(self) -> TextToVideo:
        live = live_controls(self.controls)
        if self.motion is None and live:
            raise ValueError(
                f"control=[{','.join(live)}] follows a clip's maps, and none is named: motion=walk.mp4, or control=[]"
            )
        if self.motion is not None and not live:
            raise ValueError("motion names a clip, and no control follows its maps: control=[pose], or motion=null")
        return self

    @model_validator(mode="after")
    def _readable(self) -> TextToVideo:
        """As the renderer would read texts and schedules: a deployment and a sweep's points are checked before."""
        embeddings = self.stylize.embeddings
        if self.prompt_schedule is None:
            check_text(self.prompt, "prompt", embeddings)
        if self.stylize.guidance_scale > 1 and self.guidance_schedule is None:
            check_text(self.negative_prompt, "negative_prompt", embeddings)
        schedules.check(schedules.slots(self, embeddings))
        return self

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        """Without what has no effect: a prompt under a schedule, of sources, ControlNets, still cameras."""
        part = super().result_part(without)
        part["stylize"] = {name: value for name, value in part["stylize"].items() if name not in OF_A_SOURCE}
        part["moves"] = {name: part["moves"][name] for name in live_moves(self.moves)}
        live = live_controls(self.controls)
        part["controls"] = {name: part["controls"][name] for name in live}
        part["model"] = self.model.only({control.kind for control in live.values()}).result_part(without)
        if self.motion is None:
            del part["motion_start"]
        if FIGURES in without:  # metrics have detectors of their own
            makers = map_makers({control.preprocess for control in live.values()}, self.preprocess)
            part["preprocess"] = {name: chosen.result_part(without) for name, (_, chosen) in sorted(makers.items())}
        if self.prompt_schedule is not None:
            del part["prompt"]
        return part
