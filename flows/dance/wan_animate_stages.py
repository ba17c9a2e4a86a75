"""The stages of `dance` with `renderer=wan_animate`, which pass digests.

map ────────────────┐
frames, poses > face ┤        ┌─────────────────────────┐ its state and its last frames
frames > place, mask ┼> pick ─┴> encode > denoise > decode   ... the next segment ...   > join > assemble
picture ─────────────┘                      │
prompt ─────────────────> embed ────────────┘
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.dance.stages import Filmed, FrameSource, Material, extracted
from flows.flow import Made, Source
from reel.config import Config
from reel.op import Context, Op, get
from tasks.animate.settings import Decode, Denoise, Embed, Encode
from tasks.cached import call
from tasks.pick import Pick
from tasks.vace.join import Join
from tasks.vace.outline import Outline
from tasks.wan_animate.face import Face
from tasks.wan_animate.place import Place
from tasks.wan_animate.segments import Span


@dataclass(frozen=True)
class Part:
    """One segment and how it is made."""

    segment: Span
    denoise: Denoise
    decode: Decode

    @property
    def frames(self) -> Pick:
        """The frames of the clip that it is handed."""
        return Pick(frames=list(range(self.segment.first, self.segment.last)))


@dataclass(frozen=True)
class WanAnimates:
    """Settings of the renderer's ops.

    Attributes:
        outline: who is replaced; None: the clip's place does not stay.
    """

    embed: Embed
    encode: Encode
    parts: Sequence[Part]
    face: Face
    join: Join
    outline: Outline | None = None


@dataclass(frozen=True, kw_only=True)
class WanAnimatePlan(Filmed):
    """A render by Wan-Animate, worked out and checked.

    Attributes:
        how: settings of its ops.
        reference: the picture of the character.
    """

    how: WanAnimates
    reference: FrameSource

    @property
    def sources(self) -> Mapping[str, Source]:
        return {**super().sources, "stylize.references.0": self.reference}

    @property
    def renderer(self) -> list[tuple[Op, Config]]:
        how = self.how
        found: list[tuple[Op, Config]] = [(get("wan_animate", "face"), how.face), (get("vace", "join"), how.join)]
        if how.outline is not None:
            found += [(get("vace", "outline"), how.outline), (get("wan_animate", "place"), Place())]
        found += [(get("animate", "embed"), how.embed), (get("animate", "encode"), how.encode)]
        for part in how.parts:
            found += [(get("pick", "pick"), part.frames)] if len(how.parts) > 1 else []
            found += [(get("animate", "denoise"), part.denoise), (get("animate", "decode"), part.decode)]
        return found

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the joined frames."""
        made = self.material(ctx)
        self._tell_of_people(made, ctx)
        driving = self._driving(made, ctx)
        given = {"frames_0": extracted(self.reference, ctx)}
        words = {"embeddings": call(get("animate", "embed"), self.how.embed, {}, ctx).digest}
        films: list[str] = []
        before: dict[str, str] = {}
        key = ""
        for part in self.how.parts:
            own = {**given, **self._cut(part, driving, ctx), **({"carried": films[-1]} if films else {})}
            encoded = call(get("animate", "encode"), self.how.encode, own, ctx).digest
            drawn = {**own, **words, "encoded_0": encoded}
            denoised = call(get("animate", "denoise"), part.denoise, {**drawn, **before}, ctx)
            before, key = {"before": denoised.digest}, denoised.key
            films.append(
                call(get("animate", "decode"), part.decode, {**drawn, "denoised": denoised.digest}, ctx).digest
            )
        ends = {f"window_{number}": digest for number, digest in enumerate(films)}
        ends |= {"frames": made.frames, **({"mask": driving["mask"]} if "mask" in driving else {})}
        joined = call(get("vace", "join"), self.how.join, ends, ctx).digest
        return Made(joined, made.frames, made.maps, made.poses, key)

    def _driving(self, made: Material, ctx: Context) -> dict[str, str]:
        """The clips that the whole film is drawn after, by what they are to it."""
        people = {"frames": made.frames, "poses": made.poses[self.detector]}
        (control,) = made.maps.values()
        found = {"control": control, "face": call(get("wan_animate", "face"), self.how.face, people, ctx).digest}
        if self.how.outline is not None:
            found["mask"] = call(get("vace", "outline"), self.how.outline, people, ctx).digest
            gone = {"frames": made.frames, "mask": found["mask"]}
            found["background"] = call(get("wan_animate", "place"), Place(), gone, ctx).digest
        return found

    def _cut(self, part: Part, driving: Mapping[str, str], ctx: Context) -> dict[str, str]:
        """Of these clips the frames that a segment is handed; of a film of one segment all."""
        if len(self.how.parts) == 1:
            return dict(driving)
        pick = get("pick", "pick")
        return {name: call(pick, part.frames, {"frames": digest}, ctx).digest for name, digest in driving.items()}
