"""Record what a real ComfyUI says, for tests where none is: ``python -m tests.comfyui.record http://127.0.0.1:8188``.

The server needs `probe_nodes.py` among its custom nodes. Answers and messages are kept as they are, in their order; ids
become ``$prompt`` and ``$client``, times 0, and what tells of the machine (paths, memory, tracebacks) is left out.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

RECORDED = Path(__file__).with_name("recorded.json")
NODES = (
    *("RotoscopeProbe", "ImageScale", "ImageInvert", "EmptyImage", "LoadImage", "LoadVideo", "LoadAudio", "SaveImage"),
    *(
        "PreviewImage",
        "SaveAnimatedWEBP",
        "SaveVideo",
        "CreateVideo",
        "KSampler",
        "CheckpointLoaderSimple",
        "SaveLatent",
    ),
    *("EmptyLatentImage", "CLIPTextEncode", "VAEDecode", "ResizeImageMaskNode", "BatchImagesNode"),
)
LEFT_OUT = (
    *("traceback", "current_inputs", "current_outputs", "argv", "python_version", "tooltip", "ram_total", "ram_free"),
    *("vram_total", "vram_free", "torch_vram_total", "torch_vram_free"),
)


def graph(**probe: Any) -> dict[str, Any]:
    """Three grey frames, scaled and saved."""
    drawn = {"steps": 3, "seconds": 0.05, "seed": 1, "fail": False, **probe}
    scaled = {"image": ["1", 0], "upscale_method": "nearest-exact", "width": 64, "height": 48, "crop": "disabled"}
    saved = {"images": ["2", 0], "filename_prefix": "rotoscope/probe"}
    return {
        "1": {"class_type": "RotoscopeProbe", "inputs": drawn},
        "2": {"class_type": "ImageScale", "inputs": scaled},
        "3": {"class_type": "SaveImage", "inputs": saved},
    }


class Recorder:
    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path).json()

    def run(self, nodes: dict[str, Any], *, interrupt: bool = False) -> dict[str, Any]:
        """A graph queued and followed: the answer, messages and bytes in their order, the history."""
        prompt, client, messages = str(uuid.uuid4()), uuid.uuid4().hex, []
        with connect(f"ws{self.url.removeprefix('http')}/ws?clientId={client}", max_size=None) as socket:
            socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
            body = {"prompt": nodes, "client_id": client, "prompt_id": prompt}
            answer = httpx.post(f"{self.url}/prompt", json=body)
            while answer.status_code == 200:
                raw = socket.recv(timeout=60)
                messages.append(preview(raw) if isinstance(raw, bytes) else json.loads(raw))
                kind = messages[-1]["type"]
                if interrupt and kind == "progress":
                    httpx.post(f"{self.url}/interrupt", json={"prompt_id": prompt})
                if kind in ("execution_success", "execution_error", "execution_interrupted"):
                    break
        time.sleep(1)
        found = {"answer": answer.json(), "messages": messages, "history": self.get(f"/history/{prompt}")}
        text = json.dumps(reduced(found)).replace(prompt, "$prompt").replace(client, "$client")
        return json.loads(text)

    def refusal(self, nodes: dict[str, Any]) -> dict[str, Any]:
        response = httpx.post(f"{self.url}/prompt", json={"prompt": nodes})
        return {"status": response.status_code, "answer": reduced(response.json())}


def preview(raw: bytes) -> dict[str, Any]:
    """A picture with its facts, taken apart."""
    event, length = struct.unpack_from(">II", raw)
    facts, picture = json.loads(raw[8 : 8 + length]), base64.b64encode(raw[8 + length :]).decode()
    return {"type": "preview", "event": event, "facts": facts, "picture": picture}


def reduced(found: Any) -> Any:
    """Without what tells of the machine, the time or the person."""
    if isinstance(found, dict):
        return {
            name: 0 if name in ("timestamp", "create_time") else reduced(value)
            for name, value in found.items()
            if name not in LEFT_OUT
        }
    return [reduced(one) for one in found] if isinstance(found, list) else found


def main() -> None:
    server = Recorder(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8188")
    seed = 256 * (uuid.uuid4().int % 2**24) + 1  # the server runs nothing twice; the grey is that of seed 1
    made = server.run(graph(seed=seed))
    images = made["history"]["$prompt"]["outputs"]["3"]["images"]
    files = {}
    for one in images:
        query = {"filename": one["filename"], "subfolder": one["subfolder"], "type": one["type"]}
        response = httpx.get(f"{server.url}/view", params=query)
        files[one["filename"]] = base64.b64encode(response.content).decode()
    info = server.get("/object_info")
    recorded = {
        "system_stats": reduced(server.get("/system_stats")),
        "object_info": {name: reduced(info[name]) for name in NODES},
        "made": made,
        "cached": server.run(graph(seed=seed)),
        "failed": server.run(graph(seed=seed + 1, fail=True)),
        "interrupted": server.run(graph(seed=seed + 2, steps=30, seconds=0.1), interrupt=True),
        "refused_class": server.refusal({"1": {"class_type": "Nope", "inputs": {}}}),
        "refused_value": server.refusal(graph(steps=5000)),
        "files": files,
    }
    text = json.dumps(recorded, indent=1)
    for number in range(3):
        text = text.replace(str(seed + number), str(number + 1))
    RECORDED.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
