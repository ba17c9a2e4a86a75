"""The stages of `dance`, which pass digests.

source -> extract -> maps and poses -> encode, embed -> denoise -> decode -> assemble
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flows.dance import people
from flows.flow import Made, Source
from flows.render.control_maps import drawn
from flows.render.finishing import Finishing
from flows.render.measures import Measures
from reel.clip import Clip
from reel.config import Config
from reel.framing import Framing, seen
from reel.op import Context, Op, get
from reel.pose import Poses
from tasks.assemble import Assemble
from tasks.cached import call
from tasks.extract import Extract
from tasks.pick import Pick
from tasks.stylize.settings.split import Stages, at_frames


@dataclass(frozen=True)
class FrameSource(Source):
    """A clip outside the store, and the settings by which its frames are taken."""

    extract: Extract


@dataclass(frozen=True)
class Material:
    """Digests of what a render is drawn from: frames, a map for each live control, mask files, poses by detector."""

    frames: str
    maps: Mapping[str, str]
    masks: Mapping[str, str]
    poses: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """What every renderer draws from and ends with (`flows.flow.RenderPlan` but for the drawing).

    Attributes:
        source: the live-action clip.
        masks: mask files, by the renderer's input: ``mask_<control>``, ``region_<region>``.
        makers: op and settings of every map maker and pose detector in use, by name.
        maps: the maker of each live control's map, by control name.
        detector: whose poses masks and compositing need; empty: they need none.
        assembly: settings of the last stage; ``embed_facts``: the render's key goes into its metadata.
        finish: what is done to the frames before that.
        measures: the metrics that follow.
        count: frames of the whole clip.
        model: name of the model family; framings: what it must see of a person to draw it well, none: anything.
    """

    source: FrameSource
    masks: Mapping[str, FrameSource]
    makers: Mapping[str, tuple[Op, Config]]
    maps: Mapping[str, str]
    detector: str
    assembly: Assemble
    embed_facts: bool
    finish: Finishing
    measures: Measures
    count: int
    model: str = ""
    framings: Sequence[Framing] = ()

    @property
    def sources(self) -> Mapping[str, Source]:
        return {"clip": self.source, **self.masks}

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        extracts = [(get("extract", "extract"), one.extract) for one in self._extracted]
        end = [*self.finish.ops, (get("assemble", "assemble"), self.assembly)]
        return [*extracts, *self.makers.values(), *self.renderer, *end]

    @property
    def _extracted(self) -> list[FrameSource]:
        return [one for one in self.sources.values() if isinstance(one, FrameSource)]

    @property
    def renderer(self) -> list[tuple[Op, Config]]:
        """The renderer's ops with their settings."""
        raise NotImplementedError

    def _tell_of_people(self, made: Material, ctx: Context) -> None:
        """Say what the detector saw; where none is in use, nothing is known."""
        name = self.detector or min(made.poses, default="")
        if name and ctx.say is not None:
            poses = Poses.open(ctx.store, made.poses[name])
            for line in people.lines(seen(poses.frames, poses.width, poses.height), self.model, self.framings):
                ctx.say(*line)

    def assemble(self, made: Made, ctx: Context) -> str:
        """The film and what goes with it."""
        own = replace(ctx, files={"source": self.source.path})
        ends = {"original": made.original, "source": self.source.digest}
        return self.finish.film(made, self.assembly, self.embed_facts, own, **ends)

    def people(self, ctx: Context) -> list[Any]:
        """For every frame the largest person, or None; without a detector in use none is known."""
        made = self.material(ctx)
        known = dict(made.poses)
        for name in sorted(self.measures.detectors.keys() - known.keys()):
            known[name] = call(*self.measures.detectors[name], {"frames": made.frames}, ctx).digest
        if not known:
            return [None] * self.count
        poses = Poses.open(ctx.store, known[min(known)])
        return [people[0] if len(people) else None for people in poses.frames]

    def material(self, ctx: Context) -> Material:
        """The stages before the renderer, for the whole clip: frames, maps, masks, poses."""
        frames = extracted(self.source, ctx)
        maps, poses = drawn(self.makers, self.maps, frames, ctx, self.detector)
        masks = {name: extracted(mask, ctx) for name, mask in self.masks.items()}
        return Material(frames, maps, masks, poses)


@dataclass(frozen=True, kw_only=True)
class DancePlan(Filmed):
    """A render by AnimateDiff, worked out and checked (`flows.flow.Divisible`).

    Attributes:
        stylize: settings of encode, embed, denoise and decode.
        frames: numbers of the frames to draw; None: all.
    """

    stylize: Stages
    frames: Sequence[int] | None = None

    @property
    def renderer(self) -> list[tuple[Op, Config]]:
        names = ("encode", "embed", "denoise", "decode")
        return [(get("stylize", name), getattr(self.stylize, name)) for name in names]

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the decoded frames."""
        whole = self.material(ctx)
        self._tell_of_people(whole, ctx)
        made = whole if self.frames is None else self._picked(whole, self.frames, ctx)
        encode, embed, denoise, decode = self.renderer
        latents = call(*encode, {"frames": made.frames}, ctx).digest
        embeddings = call(*embed, {}, ctx).digest
        guides = {**made.maps, **made.masks}
        if self.detector:
            guides["poses"] = made.poses[self.detector]
        denoised = call(*denoise, {"latents": latents, "embeddings": embeddings, **guides}, ctx)
        frames = call(*decode, {"latents": denoised.digest}, ctx).digest
        return Made(frames, made.frames, made.maps, made.poses, denoised.key)

    def part(self, frames: Sequence[int]) -> DancePlan:
        """The same render of some frames, as a clip of their own: motion modules see it alone."""
        return replace(self, frames=frames, stylize=at_frames(self.stylize, frames))

    def _picked(self, whole: Material, frames: Sequence[int], ctx: Context) -> Material:
        """The material of some frames. Poses need no picking: detectors see each frame by itself, and remember it."""

        def pick(digest: str) -> str:
            return call(get("pick", "pick"), Pick(frames=list(frames)), {"frames": digest}, ctx).digest

        def pick_mask(digest: str) -> str:
            return digest if Clip.open(ctx.store, digest).count == 1 else pick(digest)

        chosen = pick(whole.frames)
        return Material(
            frames=chosen,
            maps={name: pick(digest) for name, digest in whole.maps.items()},
            masks={name: pick_mask(digest) for name, digest in whole.masks.items()},
            poses={
                name: call(*self.makers[name], {"frames": chosen}, ctx).digest for name in filter(None, [self.detector])
            },
        )


def extracted(source: FrameSource, ctx: Context) -> str:
    """Digest of the frames of a clip outside the store."""
    own = replace(ctx, files={"source": source.path})
    return call(get("extract", "extract"), source.extract, {"source": source.digest}, own).digest
