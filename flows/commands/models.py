"""List the model families: licence, memory need, and whether their weights are on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser
from flows.config.compose import plain_settings
from flows.config.root import Root, project_root
from flows.edge.text import table
from reel.config import parse
from reel.errors import UserError, suggest
from reel.models.catalogue import class_of
from reel.models.family import Family
from reel.models.painter import Painter
from reel.models.source import ModelSource


def main(argv: Sequence[str]) -> int:
    """``rotoscope models [NAME]``: the catalogue, or all about one family."""
    parser = Parser("models", f"{__doc__} Choose one with: rotoscope FLOW model=NAME, or keyframe=NAME")
    parser.add_argument("name", nargs="?", help="show the sources of this family")
    options = parser.parse_args(list(argv))
    if options.name is not None:
        if options.name not in (known := {*names(), *painters()}):
            raise UserError(
                f"{options.name or repr('')}: no such choice{suggest(options.name, sorted(known))}",
                fix=f"rotoscope models lists all {len(known)}",
            )
        found = [family(options.name)] if options.name in names() else []
        drawing = [painter(options.name)] if options.name in painters() else []
        print("\n\n".join(described(one) for one in [*found, *drawing]))
    else:
        found = [family(name) for name in names()]
        drawing = [painter(name) for name in painters()]
        header = ("model", "architecture", "here", "GPU memory", "licence", "what")
        print(table([_row(model) for model in found], header))
        print("\n" + table([_row(model) for model in drawing], ("keyframe", *header[1:])))
        print("\nmore on one: rotoscope models NAME; use it: rotoscope FLOW model=NAME, keyframe=NAME")
    return 0


def names() -> list[str]:
    """Families of the catalogue, the embedded one first."""
    stems = sorted(path.stem for path in (project_root() / "conf" / "model").glob("*.yaml"))
    return sorted(stems, key=lambda stem: stem != "sprite")


def family(name: str) -> Family:
    """A family of the catalogue, ``conf/model/<name>.yaml``, of the class that its architecture says.

    Raises:
        UserError: no such file, or one with wrong keys or an unknown architecture.
    """
    settings = plain_settings(Root(f"model/{name}", Family))
    settings = settings.get("model", settings)
    return parse(class_of(settings.get("architecture"), f"model={name}.architecture"), settings, f"model={name}")


def painters() -> list[str]:
    """Families of ``conf/keyframe/``, which draw key pictures, the embedded one first."""
    stems = sorted(path.stem for path in (project_root() / "conf" / "keyframe").glob("*.yaml"))
    return sorted(stems, key=lambda stem: stem != "sprite")


def painter(name: str) -> Painter:
    """A family of ``conf/keyframe/<name>.yaml``.

    Raises:
        UserError: a file with wrong keys or an unknown architecture.
    """
    settings = plain_settings(Root(f"keyframe/{name}", Painter))
    return parse(Painter, settings.get("keyframe", settings), f"keyframe={name}")


def missing(model: Family) -> list[ModelSource]:
    """Sources of a family that would have to be fetched before it renders (ControlNets included)."""
    from tasks.weights.fetch import present

    return [source for source in model.sources().values() if not present(source)]


def described(model: Family) -> str:
    """All about a family: notes, advice, and every source with its licence, size and whether it is here."""
    from tasks.weights.fetch import present

    lines = [f"{model.name}: {model.title}", *([model.notes.strip()] if model.notes else []), ""]
    facts = {
        "licence": model.license or "not stated",
        "GPU memory": f"{model.memory_gb:g} GB" if model.memory_gb is not None else "not measured",
        **model.facts(),
        **_draws(model),
        "sides": f"multiples of {model.multiple_of} px",
        "verified": "this project has rendered with these weights"
        if model.verified
        else "not rendered by this project",
    }
    told = {"refine_loras"}  # they stand among the sources
    advice = model.advice.model_dump(exclude=told, exclude_none=True, exclude_defaults=True, mode="json")
    if sizes := advice.pop("sizes", None):
        advice["sizes"] = ", ".join(f"{one['width']}x{one['height']}" for one in sizes)
    facts |= {f"advised {name}": str(value) for name, value in advice.items()}
    lines += [f"  {name:30}{value}" for name, value in facts.items()] + [""]
    rows = [
        (key, "yes" if present(source) else "no", source.size or "", source.license or "", source.label)
        for key, source in model.sources().items()
    ]
    return "\n".join([*lines, table(rows, ("part", "here", "size", "licence", "source"))])


def _draws(model: Family) -> dict[str, str]:
    """What a family draws well, where it says so."""
    from tasks.sprite.ltx import words
    from tasks.sprite.words import described, known

    base = getattr(model, "base", None)
    choices = known(base) if base is not None else None
    motions = {"moves": words.described()} if base is not None and words.knows(base) else {}
    return {
        **motions,
        **({"draws people as": " or ".join(model.framings)} if model.framings else {}),
        **({"draws": described(choices)} if choices is not None else {}),
    }


def _row(model: Family) -> tuple[str, ...]:
    absent = len(missing(model))
    total = len(model.sources())
    here = "-" if not total else "yes" if not absent else "no" if absent == total else f"{total - absent} of {total}"
    memory = f"{model.memory_gb:g} GB" if model.memory_gb is not None else "?"
    return (model.name, model.architecture, here, memory, model.license or "?", model.title)
