"""Files that a graph's nodes made: which they are, and fetching them under names of ours.

What a server calls a file is no name here: files are numbered, and of their names only a known suffix is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from reel.comfy.graph import Graph
from reel.errors import UserError
from reel.op import Context
from tasks.comfyui.server import Fetched, Server

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
FILMS = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".gif", ".webp", ".apng")
MOST_FILES = 100_000


def named(outputs: Mapping[str, Any], node: str, graph: Graph) -> list[Fetched]:
    """The pictures, or the film, that a node made.

    Raises:
        UserError: none, several films, films beside pictures, or more than `MOST_FILES`.
    """
    found = list(dict.fromkeys(_files(outputs.get(node))))
    name = graph.nodes[node].name
    if not found:
        others = [graph.nodes[id].name for id in outputs if id in graph.nodes and list(_files(outputs[id]))]
        raise UserError(
            f"output: node {name} made no picture and no film",
            fix=f"output=<one of {', '.join(others)}>" if others else "give the graph a node that saves",
        )
    if len(found) > MOST_FILES:
        raise UserError(f"output: node {name} made {len(found)} files, at most {MOST_FILES} are fetched")
    films = [one for one in found if suffix(one) not in PICTURES]
    if films and len(found) > 1:
        raise UserError(
            f"output: node {name} made {len(found)} files, {len(films)} of them films: one film is a render",
            fix="a graph that saves one film, or pictures",
        )
    return found


def suffix(one: Fetched) -> str:
    return PurePosixPath(one.name).suffix.lower()


def _files(found: Any) -> Iterator[Fetched]:
    """Every file of a kind that is read here, whatever the node calls its list: ``images``, ``gifs``, ``video``."""
    for files in found.values() if isinstance(found, Mapping) else ():
        for one in files if isinstance(files, Sequence) and not isinstance(files, str) else ():
            if not isinstance(one, Mapping) or not isinstance(one.get("filename"), str):
                continue
            folder, subfolder = one.get("type", "output"), one.get("subfolder", "")
            fetched = Fetched(one["filename"], str(subfolder), str(folder))
            if suffix(fetched) in (*PICTURES, *FILMS):
                yield fetched


def fetch(server: Server, files: Sequence[Fetched], ctx: Context) -> str:
    """Take files into the store.

    Returns:
        digest of an object of kind ``comfyui``: ``files/000000.png`` and so on.

    Raises:
        Gone, Unreachable, UserError: see `Server.fetch`.
    """
    with ctx.store.draft("comfyui") as draft, ctx.progress(len(files), "fetch", "file") as bar:
        for number, one in enumerate(files):
            name = f"files/{number:06d}{suffix(one)}"
            (target := draft.dir / name).parent.mkdir(exist_ok=True)
            server.fetch(one, target)
            draft.add(name, target)
            bar.update(1)
        return draft.commit(count=len(files), suffix=suffix(files[0]))
