"""Settings that lie beside a dropped clip: ``walk.txt`` holds the prompt of ``walk.mp4``, ``walk.yaml`` any settings.

Whoever may drop a clip may drop these, and no more: what they set passes the same rules as a run's overrides
(`flows.serve.allow`). Texts in them are literal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.config.past import hydra_value
from flows.config.quoting import typed
from flows.serve.allow import Rules
from flows.serve.settings import Deployment, Serve, load_yaml
from reel.config import Config
from reel.errors import UserError
from reel.nested import flat
from reel.reading import read_small
from reel.values import MOST_CHARACTERS

ENDINGS = (".txt", ".yaml", ".yml")
PROMPT = "prompt"


def files(clip: Path) -> list[Path]:
    """The files beside a clip that hold settings for it."""
    return [path for ending in ENDINGS if (path := clip.with_suffix(ending)) != clip and path.is_file()]


def overrides(settings: Serve, deployment: Deployment, cls: type[Config], clip: Path) -> list[str]:
    """What the files beside a clip set, as overrides; none where there are no files.

    Args:
        cls: settings of the deployment's flow.

    Raises:
        UserError: one cannot be read, is a link out of the folder or sets what a deployment may not; two say the same.
    """
    rules = Rules(settings, deployment, cls)
    found: dict[str, Path] = {}
    for path in files(clip):
        if not path.resolve().is_relative_to(clip.parent.resolve()):
            raise UserError(f"{path.name} is a link out of the folder")
        for override in _read(path, rules):
            key = override.partition("=")[0]
            if any(one.partition("=")[0] == key for one in found):
                raise UserError(f"{path.name}: {key} is set in another file beside the clip, too", fix="say it once")
            try:
                rules.check(override)
            except UserError as error:
                raise UserError(f"{path.name}: {error.message}", fix=error.fix) from None
            found[override] = path
    return list(found)


def _read(path: Path, rules: Rules) -> list[str]:
    if path.suffix == ".txt":
        return [f"{PROMPT}={typed(_text(path).strip())}"]
    data = load_yaml(path)
    if not isinstance(data, Mapping):
        raise UserError(f"{path.name}: must be a group of keys, each with its value", fix="prompt: a girl in a red top")
    return [_override(str(key), value, rules) for key, value in flat(data)]


def _override(key: str, value: Any, rules: Rules) -> str:
    text = next((one for one in rules.literal if one.matches(key)), None)
    if text is not None and isinstance(value, str):
        return f"{key}={typed(value)}"
    plain = isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum()
    return f"{key}={value if plain else hydra_value(value)}"


def _text(path: Path) -> str:
    try:
        return read_small(path, 4 * MOST_CHARACTERS).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name}: not UTF-8 at byte {error.start}", fix="save the file as UTF-8") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path.name}: {error}") from None
