"""Settings of `dance`; their values stand in conf/dance.yaml."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import field_validator, model_validator

from flows.dance.makers import map_makers
from flows.render import infotexts, schedules
from flows.render.settings import Rendering
from reel.config import FIGURES, FILES, Config, LocalPath, Marker, Text, tag, told_apart
from reel.errors import UserError
from reel.models.animatediff import AnimateDiff
from reel.models.animator import Animator
from reel.schedule.setting import ScheduleText
from tasks.assemble import Assemble
from tasks.extract import Extract
from tasks.stylize.settings.controls import ControlSettings, Mask, live_controls
from tasks.stylize.settings.embed import check_text
from tasks.stylize.settings.regions import Region, live_regions
from tasks.stylize.settings.sampling import Sampling
from tasks.vace.settings import Vace
from tasks.wan_animate.settings import WanAnimate

DRIVEN: dict[str, type[Config]] = {"vace": Vace, "wan_animate": WanAnimate}
"""Settings of the renderers that draw with an animator, by the renderer and by the architecture of its families."""


class DanceControl(ControlSettings):
    """One ControlNet in use and what makes its map."""

    preprocess: str
    """Which preprocessor draws the map; its settings stand under `preprocess.<name>`."""
    weight_schedule: ScheduleText = None
    """Factor of `weight` over the frames, 0 to 10: `0: 1.0; 50%: 0.4`, a formula over t, @file; docs/schedules/."""
    mask_file: LocalPath | None = None
    """For `mask.region=file`: a picture, or a clip of the source's length; white where the control does not count."""

    @model_validator(mode="after")
    def _mask_and_file(self) -> DanceControl:
        _check_mask_file(self.mask, self.mask_file)
        return self


class DanceRegion(Region):
    """Words that count in a part of the picture alone."""

    mask_file: LocalPath | None = None
    """For `mask.region=file`: a picture, or a clip of the source's length; white where the words count."""

    @model_validator(mode="after")
    def _mask_and_file(self) -> DanceRegion:
        _check_mask_file(self.mask, self.mask_file)
        return self


def _check_mask_file(mask: Mask, file: Path | None) -> None:
    if mask.region == "file" and file is None:
        raise ValueError("mask.region=file needs mask_file: a picture, or a clip of the source's length")
    if mask.region != "file" and file is not None:
        raise ValueError(f"mask_file is read with mask.region=file alone, and that is {mask.region}")


def _family(model: Mapping[str, Any]) -> type[Config]:
    return Animator if model.get("architecture") in Animator.architectures() else AnimateDiff


def _renderer(stylize: Mapping[str, Any]) -> type[Config]:
    if "renderer" not in stylize:
        return Sampling
    if (name := str(stylize["renderer"])) not in DRIVEN:
        raise UserError(
            f"stylize.renderer: there is no {name!r}", fix=f"renderer={' or renderer='.join(sorted(DRIVEN))}"
        )
    others = (other for other, cls in DRIVEN.items() if stylize.keys() <= cls.model_fields.keys())
    if stylize.keys() - DRIVEN[name].model_fields.keys() and (other := next(others, None)):
        raise UserError(f"stylize.renderer: the other settings of stylize are {other}'s", fix=f"renderer={name}")
    return DRIVEN[name]


class Dance(Rendering):
    """Settings of `dance`."""

    clip: LocalPath
    """The live-action source: a video file, a GIF or a folder of pictures."""
    prompt: Text
    """What the clip should show."""
    prompt_schedule: ScheduleText = None
    """Takes the prompt's place: `0-24 blend: red top; 36: blue top`, @file, keys in YAML; docs/schedules/."""
    negative_prompt: Text = ""
    """What it should not show."""
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
    model: Annotated[Annotated[AnimateDiff, tag(AnimateDiff)] | Annotated[Animator, tag(Animator)], told_apart(_family)]
    stylize: Annotated[
        Annotated[Sampling, tag(Sampling)] | Annotated[Vace, tag(Vace)] | Annotated[WanAnimate, tag(WanAnimate)],
        told_apart(_renderer),
    ]
    assemble: Annotated[Assemble, FILES]
    embed_facts: Annotated[bool, FILES] = True
    """Write render key, prompt, seed and model into the movie's metadata."""

    @model_validator(mode="before")
    @classmethod
    def _pasted(cls, data: Any) -> Any:
        return infotexts.taken_apart(data)

    @field_validator("clip", mode="before")
    @classmethod
    def _named(cls, clip: Any) -> Any:
        if clip == "":  # Path("") is the folder one stands in
            raise ValueError("is empty: name a video, a GIF or a folder of pictures")
        return clip

    @model_validator(mode="after")
    def _readable_texts(self) -> Dance:
        """As the renderer would read them: a deployment and the points of a sweep are checked before they run."""
        if not isinstance(self.stylize, Sampling):  # whose prompts are plain texts
            return self
        texts = {f"regions.{name}.prompt": region.prompt for name, region in live_regions(self.regions).items()}
        if self.prompt_schedule is None:
            texts["prompt"] = self.prompt
        if self.stylize.guidance_scale > 1 and self.guidance_schedule is None:
            texts["negative_prompt"] = self.negative_prompt
        for key, text in texts.items():
            check_text(text, key, self.stylize.embeddings)
        return self

    @model_validator(mode="after")
    def _readable_schedules(self) -> Dance:
        schedules.check(schedules.slots(self, getattr(self.stylize, "embeddings", ())))
        return self

    @model_validator(mode="after")
    def _one_renderer(self) -> Dance:
        drawn = self.model.architecture if self.model.architecture in DRIVEN else None
        if isinstance(self.model, AnimateDiff):
            drawn = "animatediff"
        taken = "animatediff" if isinstance(self.stylize, Sampling) else self.stylize.renderer
        if drawn != taken:
            raise ValueError(
                f"model {self.model.name} ({self.model.architecture}) is not drawn by stylize={taken}: "
                + (f"renderer={drawn} draws it" if drawn else "it brings pictures to life, with rotoscope animate")
            )
        return self

    @property
    def animatediff(self) -> tuple[Sampling, AnimateDiff]:
        """How AnimateDiff is run, and its family."""
        assert isinstance(self.stylize, Sampling)
        assert isinstance(self.model, AnimateDiff)
        return self.stylize, self.model

    def result_part(self, without: Collection[Marker] = ()) -> dict[str, Any]:
        """Without what has no effect: what has a weight of 0, what only that uses, a prompt under a schedule."""
        part, live = super().result_part(without), live_controls(self.controls)
        part["controls"] = {name: part["controls"][name] for name in live}
        part["regions"] = {name: part["regions"][name] for name in live_regions(self.regions)}
        if isinstance(self.model, AnimateDiff):
            part["model"] = self.model.only({control.kind for control in live.values()}).result_part(without)
        if FIGURES in without:  # metrics have detectors of their own
            makers = map_makers(self, self.controls)
            part["preprocess"] = {name: chosen.result_part(without) for name, (_, chosen) in sorted(makers.items())}
        if self.prompt_schedule is not None:
            del part["prompt"]
        return part
