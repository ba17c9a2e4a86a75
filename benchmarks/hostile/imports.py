"""Bad inputs of `import`: files that are none, of other tools, broken, or that no experiment can be made of."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.hostile.case import Case, case
from benchmarks.hostile.made import fifo, file, folder

PNG = b"\x89PNG\r\n\x1a\n"


def bad(content: bytes | str, *said: str, name: str = "a.json", flags: str = "") -> Case:
    """A file that is refused, and what is said of it."""
    return case(f"import {name} {flags} --print", name, *said, make=file(name, content))


def _workflow(**more: Any) -> str:
    node = {"id": 1, "type": "KSampler", "inputs": [], "widgets_values": [1, "fixed", 20], "mode": 0}
    return json.dumps({"nodes": [node], "links": [], "version": 0.4} | more)


IMPORTS = [
    case("import", "required: FILE"),
    case("import nowhere.json", "nowhere.json: there is no such file"),
    case("import ''", "is empty"),
    case(f"import {'a' * 5000}", "a name in the path has 5000 bytes"),
    case("import here", "here is a folder", make=folder("here")),
    case("import pipe", "pipe is not a regular file", make=fifo("pipe")),
    case("import a.json --flow danse", "invalid choice: 'danse'", "dance"),
    case("import a.json --name ../x", "--name", "must be letters, digits"),
    case("import a.json --name ''", "--name", "must be letters, digits"),
    case("import a.json --format xml", "invalid choice: 'xml'"),
    case("import a.json --nmae x", "--nmae"),
    case("import a.json b.json", "unrecognized arguments: b.json"),
    bad("", "the file is empty"),
    bad("  \n\t", "the file is empty"),
    bad("hello", "no tool is known that writes such a file", "'hello'"),
    bad("{", "a.json:1:2: this is not JSON"),
    bad('{"prompt_map": {"0": "a",}}', "this is not JSON", "put that line right"),
    bad('{"steps": 20}\n# why', "a.json:2:1: this is not JSON"),
    bad("{}", "JSON of no tool that is known: it is empty"),
    bad("[]", "JSON of no tool that is known: a list"),
    bad("[1, 2]", "JSON of no tool that is known: a list"),
    bad('"a girl"', "JSON of no tool that is known: a single value"),
    bad('{"a": 1, "b": 2}', "its keys are a, b"),
    bad("[" * 5000 + "]" * 5000, "nested too deeply"),
    bad('{"a":' * 80 + "1" + "}" * 80, "nested too deeply, at most 60 levels"),
    bad('{"prompt_map": {"0": ' + "9" * 6000 + "}}", "a.json: cannot be read"),
    bad('{"prompt_map": {"0": "\\ud800"}}', "holds half a character"),
    bad('{"prompt_map": {"0": "a\\u0000"}}', "holds a NUL"),
    bad("a girl\0", "holds a NUL"),
    bad(b"Steps: 20, Sampler: \xff\xfe", "byte 0xff is not UTF-8"),
    bad("a" * 4_000_001, "4000001 characters, at most 4000000"),
    bad(json.dumps({"prompt_map": {str(at): "" for at in range(100_001)}}), "more than 100000 values"),
    bad(PNG, "no settings are saved in this PNG", name="a.png"),
    bad(PNG + b"\0\0", "the PNG breaks off after 10 bytes", name="a.png"),
    bad(PNG + b"\xff\xff\xff\xfftEXtparameters\0x", "the PNG breaks off", name="a.png"),
    bad(PNG + b"\0\0\0\x0atEXtComment\0{}\0\0\0\0", "the PNG's texts are of NovelAI", name="a.png"),
    bad(PNG + b"\0\0\0\x11tEXtparameters\0a girl\0\0\0\0", "a prompt without parameters", name="a.png"),
    bad(PNG + b"\0\0\0\x07tEXtprompt\0\0\0\0\0", "the file is empty", name="a.png"),
    bad(b"\xff\xd8\xff\xe0jpeg", "this is a JPEG", "the PNG that the tool saved", name="a.jpg"),
    bad(b"RIFF....WEBP", "this is a WebP", name="a.webp"),
    bad(b"GIF89a", "this is a GIF", name="a.gif"),
    bad(b"\0\0\0\x20ftypisom", "this is a movie", name="a.mp4"),
    bad(_workflow(), "node 1 KSampler does not say which value is which widget's", "Export (API)"),
    bad(_workflow(nodes=[]), "it has no nodes", "Export (API)"),
    bad(_workflow(definitions={"subgraphs": [{"id": "x"}]}), "it holds subgraphs", "Export (API)"),
    bad(_workflow(nodes=[1, "x", {"id": []}]), "it has no nodes"),
    case(
        "text2video 'prompt=<to be given>'",
        "prompt: to be given before anything runs",
        "prompt=VALUE, or write it in the place of <to be given>",
    ),
    case("dance 'clip=<to be given>'", "clip: to be given before anything runs"),
]
