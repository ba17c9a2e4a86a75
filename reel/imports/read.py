"""Which tool a file is of, and what it says: the one way in for all formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reel.errors import UserError
from reel.imports import deforum, travel, webui
from reel.imports.comfy import graph as graphs
from reel.imports.comfy import workflow as workflows
from reel.imports.comfy.read import read as read_graph
from reel.imports.file import checked, contents, is_json, plain
from reel.imports.found import Entry, Found, Leaf, Source, leaves

KNOWN = (
    "a prompt-travel config, an infotext of the web UI, a settings file of Deforum, or a graph of ComfyUI (API form)"
)
_CHUNKS = ("prompt", "workflow", "parameters")
"""Texts of a PNG that are read, the first that is there: ComfyUI's graph and workflow, the web UI's infotext."""
_OTHERS = {
    "invokeai_metadata": "of InvokeAI",
    "sd-metadata": "of InvokeAI",
    "Comment": "of NovelAI",
    "sui_image_params": "of SwarmUI",
    "fooocus_scheme": "of Fooocus",
}
"""Programs by the texts that they leave in a PNG."""
_JSON_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Source], Found]], ...] = (
    (travel.is_this, travel.read),
    (deforum.is_this, deforum.read),
)


def read(path: Path) -> Found:
    """What a file says.

    Raises:
        UserError: it cannot be read, or is of no tool that is known.
    """
    given = contents(path)
    if isinstance(given, str):
        return read_text(given, str(path), path.parent)
    return _of_picture(given, path)


def read_text(text: str, name: str, folder: Path) -> Found:
    """What a text says.

    Raises:
        UserError: as `read`.
    """
    checked(text, name)
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[", '"')) and (is_json(text) or not webui.is_this(text)):
        twice: list[str] = []
        found = _of_data(plain(text.strip("\ufeff \t\r\n"), name, twice), name, folder)
        if twice:
            shown = ", ".join(dict.fromkeys(twice))[:200]
            found.notes.append(f"written twice in one group, of which the later counts: {shown}")
        return found
    if webui.is_this(text):
        return webui.read(webui.opened(text, name, folder))
    raise UserError(
        f"{name}: no tool is known that writes such a file: {_start(text)}",
        fix=f"{KNOWN}; a prompt or schedule alone: rotoscope schedule convert",
    )


def _of_data(data: Any, name: str, folder: Path) -> Found:
    for fits, reader in _JSON_READERS:
        if fits(data):
            return reader(data, Source(name, folder, leaves(data)))
    inner, around = graphs.unwrapped(data)
    if graphs.is_graph(inner):
        return read_graph(inner, Source(name, folder, _leaves_of(data, inner, around)), around)
    if workflows.is_workflow(data):
        made = workflows.converted(data, name)
        found = read_graph(made.nodes, Source(name, folder, workflows.workflow_leaves(data, made)))
        found.format = "ComfyUI workflow"
        found.entries = [workflows.told(entry.leaf, made) or entry for entry in found.entries]
        return found
    raise UserError(f"{name}: JSON of no tool that is known: {_keys(data)}", fix=KNOWN)


def _leaves_of(data: Mapping[str, Any], inner: Mapping[str, Any], around: tuple[str, ...]) -> Any:
    yield from graphs.graph_leaves(inner, around)
    if around:
        yield from (leaf for leaf in leaves(data) if leaf.path[: len(around)] != around)


def _of_picture(texts: Mapping[str, str], path: Path) -> Found:
    name = next((one for one in _CHUNKS if one in texts), None)
    if name is None:
        other = next((program for key, program in _OTHERS.items() if key in texts), None)
        raise UserError(
            f"{path}: the PNG's texts are {other or ', '.join(sorted(texts))[:100]}, which is not read",
            fix="a PNG of ComfyUI or of the web UI",
        )
    where = f"{path} ({name})"
    text = checked(texts[name], where)
    if name == "parameters" and not text.lstrip().startswith("{") and not webui.is_this(text):
        raise UserError(f"{where}: a prompt without parameters: {_start(text)}", fix="prompt=TEXT")
    found = read_text(text, where, path.parent)
    for key, more in texts.items():
        if key != name:
            why = "of one PNG one text is read" if key in _CHUNKS else "no settings"
            found.entries.append(Entry(Leaf(("PNG", key), f"PNG: {key}", more[:40]), "not mapped", (), why))
    return found


def _start(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return repr(line if len(line) <= 50 else f"{line[:46]}...")


def _keys(data: Any) -> str:
    if not isinstance(data, Mapping):
        return "a list" if isinstance(data, list) else "a single value"
    shown = ", ".join(str(key)[:30] for key in list(data)[:6])
    return f"its keys are {shown}" if shown else "it is empty"
