"""The JSON schema of storyboard files, for editors.

``python -m reel.story.schema`` prints docs/storyboard.schema.json.
"""

from __future__ import annotations

import json
from typing import Any

from reel.descriptions import descriptions
from reel.story.model import Storyboard


def schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a storyboard, with the help of each key."""
    found = Storyboard.model_json_schema()
    for name, part in {"Storyboard": found, **found["$defs"]}.items():
        told = descriptions(_classes()[name])
        for key, one in part.get("properties", {}).items():
            one.pop("title", None)
            if key in told:
                one["description"] = told[key]
    transition = found["$defs"]["Transition"]
    kinds = transition["properties"]["kind"]["enum"]
    found["$defs"]["Transition"] = {"anyOf": [{"type": "string", "enum": kinds}, transition]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _classes() -> dict[str, type]:
    from reel.story import model

    return {name: getattr(model, name) for name in ("Storyboard", "Character", "Shot", "Transition")}


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
