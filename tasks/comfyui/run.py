"""The op `comfyui.run`: a graph made by a ComfyUI server, and the files that it saved.

The key holds what can be known: the graph, the files it is given by their content, and the versions that the server
states. The code of custom nodes and the content of model files it does not state: these are in the facts as unknown.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

from reel.comfy.definitions import is_model_file
from reel.comfy.graph import Graph
from reel.comfy.node import Node
from reel.errors import UserError
from reel.files import canonical_json, sha256_bytes, sha256_file
from reel.op import Context, op
from reel.work import Extent, Work
from tasks.comfyui import follow, outputs
from tasks.comfyui.address import Address
from tasks.comfyui.server import Server
from tasks.comfyui.settings import Run, Version

SERVER = "comfyui"
"""Under which name `Context.addresses` has the server."""


def _work(cfg: Run, given: Mapping[str, Extent], ctx: Context) -> Work:
    """One graph; those of the same nodes are taken to last as long."""
    kinds = sorted(str(one.get("class_type")) for one in cfg.graph.values())
    return Work({"graphs": 1.0}, {"nodes": sha256_bytes(canonical_json(kinds)), "server": cfg.server.model_dump()})


@op("comfyui", "run", version=1, config=Run, inputs=("file_*",), gives="files", work=_work)
def run(cfg: Run, inputs: Mapping[str, str], ctx: Context) -> str:
    """Upload, queue, wait, fetch.

    Returns:
        digest of an object of kind ``comfyui`` with the pictures or the film that the output node saved.

    Raises:
        UserError: an upload changed meanwhile; the server is gone, another, refuses the graph or fails at it.
    """
    server = Server(Address(ctx.addresses[SERVER]))
    if (now := version(server.system())) != cfg.server:
        raise UserError(
            f"server: {server.address.base} was another one a moment ago: ComfyUI {cfg.server.comfyui} on "
            f"{cfg.server.device}, now {now.comfyui} on {now.device}",
            fix="run the same command again",
        )
    for name, digest in inputs.items():
        path = ctx.files[name]
        if sha256_file(path) != digest:
            raise UserError(f"files: {path.name} changed while the render was prepared", fix="run it again")
        server.upload(path, cfg.uploads[name])
    graph = of_plain(cfg.graph)
    ticket = json.dumps([socket.gethostname(), str(ctx.store.root), cfg.model_dump(mode="json")], sort_keys=True)
    ended = follow.run(server, graph, ticket, ctx)
    files = outputs.named(ended.outputs, cfg.output, graph)
    missing = unknown(cfg)
    if missing and ctx.say is not None:
        ctx.say("unknown", "; ".join(missing))
    ctx.note(
        server=cfg.server.model_dump(),
        prompt_id=ended.prompt,
        taken_over=ended.found,
        files=len(files),
        unknown=missing,
    )
    return outputs.fetch(server, files, ctx)


def version(system: Mapping[str, Any]) -> Version:
    """What ``/system_stats`` states; older servers state no version of their own."""
    about, devices = system["system"], system.get("devices")
    first = devices[0] if isinstance(devices, list) and devices and isinstance(devices[0], dict) else {}
    return Version(
        comfyui=str(about.get("comfyui_version", "unknown")),
        pytorch=str(about.get("pytorch_version", "unknown")),
        device=str(first.get("type", "unknown")),
    )


def of_plain(data: Mapping[str, Any]) -> Graph:
    """A graph out of an op's settings."""
    return Graph({id: Node.of(id, one) for id, one in data.items()})


def unknown(cfg: Run) -> list[str]:
    """What of a result's origin cannot be known of the server, in words."""
    packs = sorted({module.removeprefix("custom_nodes.") for module in cfg.packs.values()})
    values = (value for one in cfg.graph.values() for value in one["inputs"].values())
    files = sorted({value for value in values if is_model_file(value)})
    return [*(f"code of the custom nodes in {one}" for one in packs), *(f"content of {one}" for one in files)]
