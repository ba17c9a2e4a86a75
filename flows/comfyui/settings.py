"""Settings of `comfyui`; their values stand in conf/comfyui.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, field_validator

from flows.render.settings import Rendering
from reel.config import FILES, OPERATIONAL, Field, Finite, LocalPath, Text
from tasks.assemble import Assemble
from tasks.comfyui.address import checked


class ComfyUI(Rendering):
    """Settings of `comfyui`."""

    workflow: LocalPath | None = None
    """A graph in ComfyUI's API format: Workflow > Export (API)."""
    server: Annotated[Text, AfterValidator(checked), OPERATIONAL]
    """Where ComfyUI runs; a password or token comes from the environment: COMFYUI_PASSWORD, COMFYUI_TOKEN."""
    inputs: dict[str, dict[str, Text]] = {}
    """Values of the graph's inputs, by node (its id, title or class) and input: `inputs.KSampler.seed=3`."""
    files: dict[str, dict[str, LocalPath]] = {}
    """Files of this machine that are uploaded and put into inputs: `files.LoadImage.image=key.png`."""
    output: Text = ""
    """Node whose pictures or film are taken; empty: the one that saves."""
    fps: Finite = Field(default=8.0, gt=0, le=240)
    """Frames a second of an output that is pictures; a film keeps its own times."""
    prompt: Text = ""
    """What the film shows, for metrics and the film's metadata alone: the graph has words of its own."""
    assemble: Annotated[Assemble, FILES]
    embed_facts: Annotated[bool, FILES] = True
    """Write render key, prompt and workflow into the movie's metadata."""

    @field_validator("workflow", mode="before")
    @classmethod
    def _named(cls, path: Any) -> Any:
        if path == "":  # Path("") is the folder one stands in
            raise ValueError("is empty: name a file")
        return path

    @field_validator("inputs", "files", mode="before")
    @classmethod
    def _by_node(cls, given: Any) -> Any:
        """Inputs may be named flat, ``"KSampler.seed": 3``, and hold numbers."""
        if not isinstance(given, Mapping):
            return given
        found: dict[str, Any] = {}
        for name, one in given.items():
            node, _, rest = str(name).rpartition(".")
            pairs = one.items() if isinstance(one, Mapping) else [(rest, one)]
            if not isinstance(one, Mapping) and not (node and rest):
                raise ValueError(f"{name} names no input: write {name}.<input>")
            place = found.setdefault(str(name) if isinstance(one, Mapping) else node, {})
            for key, value in pairs:
                if str(key) in place:
                    raise ValueError(f"{name}: {key} is given twice")
                place[str(key)] = _text(value)
        return found


def _text(value: Any) -> Any:
    """A scalar as it is spelled: the server's own types decide what it is."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else value
