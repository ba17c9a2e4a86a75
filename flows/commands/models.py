"""List the model families: licence, memory need, and whether their weights are on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from flows.commands.common import Parser
from flows.config.compose import plain_settings
from flows.config.root import Root, project_root
from flows.edge.text import table
from reel.config import parse
from reel.models import ModelConfig, ModelSource


def main(argv: Sequence[str]) -> int:
    """``rotoscope models [NAME]``: the catalogue, or all about one family."""
    parser = Parser("models", f"{__doc__} Choose one with: rotoscope FLOW model=NAME")
    parser.add_argument("name", nargs="?", help="show the sources of this family")
    options = parser.parse_args(list(argv))
    if options.name:
        print(described(family(options.name)))
    else:
        found = [family(name) for name in names()]
        header = ("model", "here", "GPU memory", "window", "licence", "what")
        print(table([_row(model) for model in found], header))
        print("\nmore on one: rotoscope models NAME; use it: rotoscope FLOW model=NAME")
    return 0


def names() -> list[str]:
    """Families of the catalogue, the embedded one first."""
    stems = sorted(path.stem for path in (project_root() / "conf" / "model").glob("*.yaml"))
    return sorted(stems, key=lambda stem: stem != "sprite")


def family(name: str) -> ModelConfig:
    """A family of the catalogue, ``conf/model/<name>.yaml``.

    Raises:
        UserError: no such file, or one with wrong keys.
    """
    data = plain_settings(Root(f"model/{name}", ModelConfig))
    return parse(ModelConfig, data.get("model", data), f"model={name}")


def missing(model: ModelConfig) -> list[ModelSource]:
    """Sources of a family that would have to be fetched before it renders (ControlNets included)."""
    from tasks.weights.fetch import present

    return [source for source in model.sources() if not present(source)]


def described(model: ModelConfig) -> str:
    """All about a family: notes, advice, and every source with its licence, size and whether it is here."""
    from tasks.weights.fetch import present

    lines = [f"{model.name}: {model.title}", *([model.notes.strip()] if model.notes else []), ""]
    facts = {
        "licence": model.license or "not stated",
        "GPU memory": f"{model.memory_gb:g} GB" if model.memory_gb is not None else "not measured",
        "motion window": f"{model.motion_window} frames",
        "sides": f"multiples of {model.multiple_of} px",
        "verified": "this project has rendered with these weights"
        if model.verified
        else "not rendered by this project",
    }
    advice = model.advice.model_dump(exclude_none=True, exclude_defaults=True, mode="json")
    if sizes := advice.pop("sizes", None):
        advice["sizes"] = ", ".join(f"{one['width']}x{one['height']}" for one in sizes)
    facts |= {f"advised {name}": str(value) for name, value in advice.items()}
    lines += [f"  {name:28}{value}" for name, value in facts.items()] + [""]
    rows = [
        (role, "yes" if present(source) else "no", source.size or "", source.license or "", source.label)
        for role, source in roles(model)
    ]
    return "\n".join([*lines, table(rows, ("part", "here", "size", "licence", "source"))])


def roles(model: ModelConfig) -> list[tuple[str, ModelSource]]:
    """Every source of a family with the part it plays."""
    parts = ("base", "base_config", "motion", "motion_config", "vae", "ip_adapter", "ip_image_encoder")
    found = [(name, getattr(model, name)) for name in parts]
    found += [(f"controlnet {kind}", source) for kind, source in model.controlnets.items()]
    found += [(f"lora {number}", lora.source) for number, lora in enumerate(model.loras)]
    return [(name, source) for name, source in found if source is not None]


def _row(model: ModelConfig) -> tuple[str, ...]:
    absent = len(missing(model))
    total = len(model.sources())
    here = "yes" if not absent else "no" if absent == total else f"{total - absent} of {total}"
    memory = f"{model.memory_gb:g} GB" if model.memory_gb is not None else "?"
    return (model.name, here, memory, f"{model.motion_window} frames", model.license or "?", model.title)
