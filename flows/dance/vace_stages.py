"""The stages of `dance` with `renderer=vace`, which pass digests.

            ┌──────────────────────────────────────┐ its last frames, with mask 0
            ▼                                      │
map ─> window ─> encode ─┐                         │
references ────> encode ─┴> denoise -> decode -> seam   ... the next window ...  -> join -> assemble
prompt ────────> embed ──┘
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from flows.dance.stages import Filmed, FrameSource, Material, extracted
from flows.flow import Made, Source
from reel.config import Config
from reel.op import Context, Op, get
from tasks.animate.settings import Decode, Denoise, Embed, Encode
from tasks.cached import call
from tasks.vace.join import Join
from tasks.vace.noise import WindowNoise
from tasks.vace.outline import Outline
from tasks.vace.overlay import Overlay
from tasks.vace.seam import Seam
from tasks.vace.window import MakeWindow
from tasks.vace.windows import Window


@dataclass(frozen=True)
class Part:
    """One window and how it is made; ``noise`` None: the pipeline draws its own, by the seed."""

    window: Window
    denoise: Denoise
    decode: Decode
    noise: WindowNoise | None


@dataclass(frozen=True)
class Vaces:
    """Settings of the renderer's ops.

    Attributes:
        outline: where the clip is drawn anew; None: everywhere.
        overlay: the maps drawn into one; None: there is one.
    """

    embed: Embed
    encode: Encode
    parts: Sequence[Part]
    seam: Seam
    join: Join
    overlay: Overlay | None = None
    outline: Outline | None = None


@dataclass(frozen=True, kw_only=True)
class VacePlan(Filmed):
    """A render by Wan VACE, worked out and checked.

    Attributes:
        vace: settings of its ops.
        references: pictures of the character.
    """

    vace: Vaces
    references: Sequence[FrameSource] = ()

    @property
    def sources(self) -> Mapping[str, Source]:
        pictures = {f"stylize.references.{number}": one for number, one in enumerate(self.references)}
        return {**super().sources, **pictures}

    @property
    def renderer(self) -> list[tuple[Op, Config]]:
        how = self.vace
        whole = [("overlay", how.overlay), ("outline", how.outline), ("seam", how.seam), ("join", how.join)]
        found: list[tuple[Op, Config]] = [(get("vace", name), cfg) for name, cfg in whole if cfg is not None]
        found += [(get("animate", "embed"), how.embed), (get("animate", "encode"), how.encode)]
        for part in how.parts:
            found += [(get("vace", "window"), cut(part.window, "control"))]
            found += [(get("vace", "window"), cut(part.window, "mask"))]
            found += [(get("vace", "noise"), part.noise)] if part.noise else []
            found += [(get("animate", "denoise"), part.denoise), (get("animate", "decode"), part.decode)]
        return found

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the joined frames."""
        made = self.material(ctx)
        self._tell_of_people(made, ctx)
        driving = self._driving(made, ctx)
        given = {"embeddings": call(get("animate", "embed"), self.vace.embed, {}, ctx).digest, **self._pictures(ctx)}
        films: list[str] = []
        key = ""
        for part in self.vace.parts:
            before = {"previous": films[-1]} if films else {}
            frames, key = self._window(part, {**driving, **before}, given, ctx)
            seamed = {"frames": frames, **before}
            films.append(call(get("vace", "seam"), self.vace.seam, seamed, ctx).digest if before else frames)
        ends = {f"window_{number}": digest for number, digest in enumerate(films)}
        ends |= {"frames": made.frames, **({"mask": driving["mask"]} if "mask" in driving else {})}
        joined = call(get("vace", "join"), self.vace.join, ends, ctx).digest
        shown = {**made.maps, **({"map_overlay": driving["map"]} if self.vace.overlay else {})}
        return Made(joined, made.frames, shown, made.poses, key)

    def _driving(self, made: Material, ctx: Context) -> dict[str, str]:
        """The map of the whole clip, and where a part of it stays its mask and frames."""
        overlay, outline = self.vace.overlay, self.vace.outline
        digest = next(iter(made.maps.values()))
        if overlay is not None:
            digest = call(get("vace", "overlay"), overlay, made.maps, ctx).digest
        if outline is None:
            return {"map": digest}
        people = {"frames": made.frames, "poses": made.poses[self.detector]}
        return {
            "map": digest,
            "mask": call(get("vace", "outline"), outline, people, ctx).digest,
            "frames": made.frames,
        }

    def _pictures(self, ctx: Context) -> dict[str, str]:
        """The character's pictures, and what the VAE makes of each."""
        found = {}
        for number, one in enumerate(self.references):
            found[f"frames_{number}"] = digest = extracted(one, ctx)
            encoded = call(get("animate", "encode"), self.vace.encode, {"frames_0": digest}, ctx)
            found[f"encoded_{number}"] = encoded.digest
        return found

    def _window(
        self, part: Part, driving: Mapping[str, str], given: Mapping[str, str], ctx: Context
    ) -> tuple[str, str]:
        """Digest of a window's frames, and the key of its denoising."""
        masked = "mask" in driving or part.window.carried > 0
        own = {"control": call(get("vace", "window"), cut(part.window, "control"), driving, ctx).digest}
        if masked:
            own["mask"] = call(get("vace", "window"), cut(part.window, "mask"), driving, ctx).digest
        encoded = call(get("animate", "encode"), self.vace.encode, own, ctx).digest
        drawn = {**given, **own, "encoded_control": encoded}
        if part.noise is not None:
            drawn["latents"] = call(get("vace", "noise"), part.noise, {}, ctx).digest
        denoised = call(get("animate", "denoise"), part.denoise, drawn, ctx)
        after = {**drawn, "denoised": denoised.digest}
        return call(get("animate", "decode"), part.decode, after, ctx).digest, denoised.key


def cut(window: Window, what: Literal["control", "mask"]) -> MakeWindow:
    """Settings of the op that takes a window out of the clip."""
    return MakeWindow(what=what, first=window.first, count=window.count, carried=window.carried)
