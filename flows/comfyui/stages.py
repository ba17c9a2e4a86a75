"""The stages of `comfyui`, which pass digests.

files ─> run (on the server) -> frames -> assemble
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flows.flow import Made, Source
from flows.render.finishing import Finishing
from flows.render.measures import Measures
from reel.config import Config
from reel.op import Context, Op, get
from tasks.assemble import Assemble
from tasks.cached import call
from tasks.comfyui.run import SERVER
from tasks.comfyui.settings import Frames, Run


@dataclass(frozen=True)
class Upload:
    """A file that is sent to the server.

    Attributes:
        input: of the op, ``file_0``.
        setting: that names it.
        name: what it is called on the server, by its content.
    """

    input: str
    setting: str
    source: Source
    name: str


@dataclass(frozen=True)
class ComfyPlan:
    """A render worked out and checked (`flows.flow.RenderPlan`).

    Attributes:
        workflow: the graph's file.
        address: of the server.
        assembly: settings of the last stage; ``embed_facts``: the render's key goes into its metadata.
        finish: what is done to the frames before that.
    """

    workflow: Source
    run: Run
    uploads: Sequence[Upload]
    address: str
    frames: Frames
    assembly: Assemble
    embed_facts: bool
    finish: Finishing
    measures: Measures

    @property
    def sources(self) -> Mapping[str, Source]:
        return {"workflow": self.workflow, **{one.setting: one.source for one in self.uploads}}

    @property
    def ops(self) -> list[tuple[Op, Config]]:
        own = [(get("comfyui", "run"), self.run), (get("comfyui", "frames"), self.frames)]
        return [*own, *self.finish.ops, (get("assemble", "assemble"), self.assembly)]

    def draw(self, ctx: Context) -> Made:
        """Every stage up to the frames."""
        given = {one.input: one.source.digest for one in self.uploads}
        paths = {one.input: one.source.path for one in self.uploads}
        there = replace(ctx, files=paths, addresses={SERVER: self.address})
        files = call(get("comfyui", "run"), self.run, given, there)
        return Made(call(get("comfyui", "frames"), self.frames, {"files": files.digest}, ctx).digest, key=files.key)

    def assemble(self, made: Made, ctx: Context) -> str:
        """The film and what goes with it."""
        return self.finish.film(made, self.assembly, self.embed_facts, ctx)
