"""Which models a file means: families of conf/model/, hub ids and files where they are known, else asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from reel.imports.draft import ASK, OWN_CHECKPOINT, Draft, Refused, here, number
from reel.imports.found import Fact, Found, Group
from reel.imports.names import CHECKPOINTS, LORAS, MOTION_LORAS, MOTIONS, VAES, Known, known, stem, video

NAMES = ("checkpoint", "motion", "vae", "film_model")
"""Facts that are settled here."""
_OWN = ("", "none", "automatic", "auto", "baked vae", "default")


def animatediff(found: Found, draft: Draft, families: Collection[str]) -> None:
    """Checkpoint, motion module and VAE of a render by AnimateDiff."""
    checkpoint, motion = _only(found, draft, "checkpoint"), _only(found, draft, "motion")
    for fact in [fact for fact in found.facts if fact.name == "film_model"]:
        draft.left(fact, "it is not a model of AnimateDiff")
    module = known(MOTIONS, str(motion.value)) if motion is not None else None
    base = known(CHECKPOINTS, str(checkpoint.value)) if checkpoint is not None else None
    if base is not None and checkpoint is not None and base.family in families:
        both = module is not None and module.family == f"{base.family}_v2" and module.family in families
        draft.choices["model"] = module.family if both and module is not None else base.family
        draft.note_key("model", checkpoint, base.how)
    else:
        draft.choices["model"] = OWN_CHECKPOINT
        _weights("model.base.id", checkpoint, draft, "the SD 1.5 checkpoint, a .safetensors file")
    if motion is not None:
        _motion(motion, module, draft)
    else:
        draft.notes.append("no motion module is named: the family's own is used (rotoscope models)")
    if (vae := _only(found, draft, "vae")) is not None:
        _vae(vae, draft)


def _only(found: Found, draft: Draft, name: str) -> Fact | None:
    facts = [fact for fact in found.facts if fact.name == name]
    for fact in facts[1:]:
        draft.left(fact, "another one is taken")
    return facts[0] if facts else None


def _motion(fact: Fact, row: Known | None, draft: Draft) -> None:
    if row is not None and row.family and row.family == draft.choices["model"]:
        return draft.note_key("model", fact)
    if row is None:
        what = "the hub id of a motion module of diffusers' form (guoyww/animatediff-motion-adapter-v1-5-2, ...)"
        return draft.ask("model.motion.id", fact, what)
    for key, value in row.values.items():
        draft.put(key, value, fact)
    return None


def _vae(fact: Fact, draft: Draft) -> None:
    if str(fact.value).strip().lower() in _OWN:
        return draft.note_key("model", Fact("vae", fact.value, fact.leaves), "")
    row = known(VAES, str(fact.value))
    if row is not None:
        for key, value in row.values.items():
            draft.put(key, value, fact, row.how)
        return None
    draft.values["stylize.vae.kind"] = "file"
    return _weights("stylize.vae.id", fact, draft, "the VAE, a .safetensors file; or leave stylize.vae out")


def _weights(key: str, fact: Fact | None, draft: Draft, what: str) -> None:
    """A file of weights that is there, else asked for."""
    if fact is None:
        return draft.ask(key, None, f"{what}: the file names none")
    path = here(fact.value, draft.source.folder)
    if path is None or path.suffix != ".safetensors":
        return draft.ask(key, fact, what)
    return draft.put(key, str(path), fact)


def film_model(found: Found, draft: Draft, families: Collection[str]) -> None:
    """The model that brings a picture to life."""
    for name in ("motion", "checkpoint", "vae"):
        for fact in [fact for fact in found.facts if fact.name == name]:
            if name == "checkpoint" and found.get("film_model") is None and fact is found.get("checkpoint"):
                found.facts[found.facts.index(fact)] = Fact("film_model", fact.value, fact.leaves, fact.how)
            else:
                draft.left(fact, "the family's own parts are used")
    named = _only(found, draft, "film_model")
    row, how = video(str(named.value)) if named is not None else (None, "")
    if named is not None and row is not None and row.family in families:
        draft.choices["model"] = row.family
        draft.note_key("model", named, how)
        _distilled(found, draft)
        return
    draft.choices["model"] = ASK
    where = f", or a file in conf/model/ for {row.values['hub']}" if row is not None and "hub" in row.values else ""
    draft.ask_in("model", named, f"a family that animates pictures (rotoscope models){where}")


def _distilled(found: Found, draft: Draft) -> None:
    """A distilled model's steps are the times that it was trained at, whatever their number in the file."""
    steps = found.get("steps")
    if steps is not None and draft.choices["model"] in ("ltx_distilled", "ltx_long"):
        found.facts.remove(steps)
        draft.note_key("animate.timesteps", steps, "the family's own list of times takes the place of the steps")


def loras(found: Found, draft: Draft, more: list[Group]) -> None:
    """LoRAs of the file and of the tags in its prompts; those of motion modules apart."""
    if draft.takes == "vace":
        return _no_loras(found, draft, more)
    at = "animate" if draft.flow == "animate" else "stylize"
    rows: dict[str, list[dict[str, Any]]] = {}
    for group in [*found.of("lora"), *found.of("motion_lora"), *more]:
        key = f"{at}.{'motion_loras' if group.kind == 'motion_lora' else 'loras'}"
        if at == "animate" and group.kind == "motion_lora":
            for fact in group.facts:
                draft.left(fact, "`animate` has no motion modules")
            continue
        _lora(group, key, rows.setdefault(key, []), draft)
    draft.values |= {key: found_ for key, found_ in rows.items() if found_}
    return None


def _no_loras(found: Found, draft: Draft, more: list[Group]) -> None:
    for fact in [fact for kind in ("lora", "motion_lora") for group in found.of(kind) for fact in group.facts]:
        draft.left(fact, f"`{draft.called}` takes no LoRAs")
    draft.notes += [f"<lora:{group.value('file')}> of {group.place}: `{draft.called}` takes no LoRAs" for group in more]


def _lora(group: Group, key: str, rows: list[dict[str, Any]], draft: Draft) -> None:
    file, weight = group.get("file"), group.get("weight")
    if file is None or str(file.value).strip().lower() in ("", "none"):
        for fact in group.facts:
            draft.left(fact, "no LoRA is named")
        return
    try:
        factor = number(weight.value)[0] if weight is not None else 1.0
    except Refused as error:
        factor = 1.0
        if weight is not None:
            draft.left(weight, str(error))
        weight = None
    if factor == 0:
        for fact in group.facts:
            draft.note_key(key, fact, "")
        return
    at = f"{key}[{len(rows)}]"
    row = known(MOTION_LORAS if group.kind == "motion_lora" else LORAS, str(file.value))
    path = here(file.value, draft.source.folder)
    if row is not None:
        source = dict(row.values["source"])
        draft.note_key(f"{at}.source", file, row.how)
    elif path is not None and path.suffix == ".safetensors":
        source = {"kind": "file", "id": str(path)}
        draft.note_key(f"{at}.source", file)
    else:
        source = {"kind": "file", "id": ASK}
        named = file if file.leaves else None
        where = "" if file.leaves else f" <lora:{file.value}> of {group.place or 'the prompt'}"
        draft.ask_in(f"{at}.source.id", named, f"the LoRA{where} ({stem(str(file.value))}), a .safetensors file")
    if weight is not None:
        draft.note_key(f"{at}.weight", weight)
    rows.append({"source": source, "weight": factor})
