"""What a `comfyui` will do, looked over whole before anything is queued: graph, names, files, the server."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.comfyui import asked
from flows.comfyui.settings import ComfyUI
from flows.comfyui.stages import ComfyPlan, Upload
from flows.flow import Source
from flows.render import finishing, measures
from reel.comfy.definitions import Definition, Problem, definitions, look
from reel.comfy.graph import Graph, listed, load
from reel.errors import UserError
from reel.files import sha256_file
from reel.store import Store
from tasks.assemble import Assemble
from tasks.comfyui.address import Address
from tasks.comfyui.run import version
from tasks.comfyui.server import Server, Unreachable, uploaded_name
from tasks.comfyui.settings import Frames, Run
from tasks.stylize.settings.compute import check_compute

log = logging.getLogger(__name__)

MOST_PROBLEMS = 8
"""Of a graph that are told at once."""


@dataclass(frozen=True)
class Filled:
    """A graph with the settings' values and files in it.

    Attributes:
        uploads: files, by node and input.
        named: the settings that say so, by node and input.
    """

    graph: Graph
    uploads: Mapping[tuple[str, str], Upload]
    named: Mapping[tuple[str, str], str]

    def setting(self, problem: Problem) -> str:
        """The setting that a problem is about; empty: none, it is the file's own."""
        return self.named.get((problem.node.id, problem.input), "")


def plan(cfg: ComfyUI, store: Store) -> ComfyPlan:
    """Check everything that can be checked without queueing anything.

    Raises:
        UserError: what would make the render fail; of a graph all that is wrong.
    """
    check_compute(cfg.compute)
    if cfg.workflow is None:
        raise UserError(
            "workflow: none is given",
            fix="workflow=graph.json, a graph in API format; or experiment=comfyui/pyramid_flow, comfyui/videocrafter",
        )
    graph = load(cfg.workflow)
    filled = fill(graph, cfg)
    named = graph.find(cfg.output, "output").id if cfg.output else ""
    run = _run(cfg, filled, named, store)
    return ComfyPlan(
        workflow=Source(cfg.workflow, sha256_file(cfg.workflow)),
        run=run,
        uploads=[one for one in filled.uploads.values() if one.input in run.uploads],
        address=cfg.server,
        frames=Frames(fps=cfg.fps),
        assembly=_assembly(cfg, cfg.workflow.name),
        embed_facts=cfg.embed_facts,
        finish=finishing.plan(cfg.finish),
        measures=measures.plan(cfg.measure, measures.Subject(cfg.prompt, model="comfyui", reference=cfg.reference,
                                                             original=False)),
    )  # fmt: skip


def _run(cfg: ComfyUI, filled: Filled, named: str, store: Store) -> Run:
    """What is run, by what the server says of itself now; while it does not answer, by what it said last.

    Args:
        named: id of the node whose files are taken; empty: the one that saves.

    Raises:
        Unreachable: the server does not answer, and the store does not have what it would make.
        UserError: as `plan`.
    """
    files = {one.input: one.source.digest for one in filled.uploads.values()}
    names = {one.input: one.name for one in filled.uploads.values()}
    request = {"graph": filled.graph.plain, "uploads": names, "output": named, "server": cfg.server}
    try:
        run = _asked(cfg, filled, named)
    except Unreachable as error:
        if (known := asked.recalled(store, request, files)) is None:
            raise
        about = f"ComfyUI {known.server.comfyui} on {known.server.device}"
        log.warning("%s; what it made of this graph when it last answered (%s) is in the store", error.message, about)
        return known
    asked.note(store, request, run, {name: files[name] for name in run.uploads})
    return run


def _asked(cfg: ComfyUI, filled: Filled, named: str) -> Run:
    """What is run, the server asked.

    Raises:
        UserError: the graph does not fit the server.
    """
    assert cfg.workflow is not None
    server = Server(Address(cfg.server))
    about = version(server.system())
    known = definitions(server.object_info())
    output = _output(filled.graph, named, known)
    part = filled.graph.only(filled.graph.behind([output]))
    part = _looked(part, known, filled, f"workflow: {cfg.workflow.name}")
    return Run(
        graph=part.plain,
        uploads={one.input: one.name for (node, _), one in filled.uploads.items() if node in part.nodes},
        output=output,
        packs={node.kind: known[node.kind].module for node in part.nodes.values() if known[node.kind].custom},
        server=about,
    )


def fill(graph: Graph, cfg: ComfyUI) -> Filled:
    """Put values and files into a graph.

    Raises:
        UserError: a node that is not there or not one alone, an input that is given twice, a file that cannot be sent.
    """
    uploads: dict[tuple[str, str], Upload] = {}
    named: dict[tuple[str, str], str] = {}
    for group in ("inputs", "files"):
        for name, given in getattr(cfg, group).items():
            node = graph.find(name, f"{group}.{name}")
            for key, value in given.items():
                place, setting = (node.id, key), f"{group}.{name}.{key}"
                if place in named:
                    raise UserError(f"{setting}: {named[place]} sets the same input", fix="leave one of them out")
                named[place] = setting
                if group == "files":
                    value = uploads[place] = _upload(value, setting, len(uploads))
                graph = graph.changed(node.id, key, value if group == "inputs" else uploaded_name(value.name))
    return Filled(graph, uploads, named)


def _upload(path: Path, setting: str, number: int) -> Upload:
    if not path.exists():
        raise UserError(f"{setting}: there is no file {path}", fix="check the name; a file on the server's own disk is "
                        f"inputs{setting.removeprefix('files')}=<its name there>")  # fmt: skip
    if not path.is_file():
        raise UserError(f"{setting}: {path} is not a regular file", fix="give a picture, a clip or a sound file")
    if not path.stat().st_size:
        raise UserError(f"{setting}: {path} is empty")
    try:
        digest = sha256_file(path)
    except OSError as error:
        raise UserError(f"{setting}: {path} cannot be read ({(error.strerror or str(error)).lower()})") from None
    ending = path.suffix.lower() if re.fullmatch(r"\.[a-z0-9]{1,8}", path.suffix.lower()) else ""
    return Upload(f"file_{number}", setting, Source(path, digest), f"{digest[:32]}{ending}")


def _output(graph: Graph, named: str, known: Mapping[str, Definition]) -> str:
    """Id of the node whose files are taken.

    Args:
        named: id of the one that is named; empty: none is.

    Raises:
        UserError: the named one saves nothing; or none, or several do, and none is named.
    """
    saving = [node for node in graph.nodes.values() if (of := known.get(node.kind)) and of.saves]
    names = [node.name for node in saving]
    if named:
        chosen = graph.nodes[named]
        if chosen.kind in known and chosen not in saving:
            raise UserError(f"output: node {chosen.name} saves nothing", fix=f"nodes that save: {listed(names)}")
        return chosen.id
    kept = [node for node in saving if not node.kind.startswith("Preview")] or saving
    if len(kept) == 1:
        return kept[0].id
    if kept:
        raise UserError(
            f"output: {len(kept)} nodes of the graph save something: {listed([node.name for node in kept])}",
            fix=f"name one: output={kept[0].id}",
        )
    missing = [node.id for node in graph.nodes.values() if node.kind not in known]
    if missing:  # one of them may be it; which they are is told with what else is wrong
        return missing[-1]
    raise UserError(
        "output: no node of the graph saves anything", fix="add SaveImage, SaveAnimatedWEBP or SaveVideo, and export it"
    )


def _looked(graph: Graph, known: Mapping[str, Definition], filled: Filled, file: str) -> Graph:
    """The graph as the server takes it, values in their types.

    Args:
        file: that it is from, for messages.

    Raises:
        UserError: it would not take it, or would pass something over that was set here.
    """
    looked = look(graph, known, filled.uploads, filled.named)
    for one in looked.ignored:
        log.warning("%s: %s: %s: the server passes it over", file, _place(one, filled), one.message)
    if not looked.problems:
        return looked.graph
    lines = [f"{_place(one, filled)}: {one.message}" for one in looked.problems]
    fixes = list(dict.fromkeys(one.fix for one in looked.problems if one.fix))
    if len(lines) == 1:
        said = lines[0] if filled.setting(looked.problems[0]) else f"{file}: {lines[0]}"
    else:
        more = [f"and {len(lines) - MOST_PROBLEMS} more"] if len(lines) > MOST_PROBLEMS else []
        said = "\n  ".join([f"{file} does not fit the server:", *lines[:MOST_PROBLEMS], *more])
    raise UserError(said, fix="; ".join(fixes[:3]) or None)


def _place(problem: Problem, filled: Filled) -> str:
    """Where a problem is: at a setting, or at a node of the file."""
    inside = f": {problem.input}" if problem.input else ""
    return filled.setting(problem) or f"node {problem.node.name}{inside}"


def _assembly(cfg: ComfyUI, workflow: str) -> Assemble:
    """The settings of the last stage, with the facts of the render for the movie's metadata."""
    facts = {"prompt": cfg.prompt, "workflow": workflow, "model": "comfyui"} if cfg.embed_facts else {}
    return cfg.assemble.model_copy(update={"metadata": {**facts, **cfg.assemble.metadata}})
