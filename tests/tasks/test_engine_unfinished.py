"""Work that was broken off counts for the very same render alone, and nothing that keeps it may end a render."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reel import keys, op
from reel.compute import Compute
from reel.store import Store
from tasks.networks import work
from tasks.stylize import decode, denoise, encode
from tasks.stylize.engine import codec
from tasks.stylize.job.journal import Journal
from tests.tasks.tiny_render import COUNT, Rendered, make_clip
from tests.tasks.tiny_settings import engine_settings as settings

pytestmark = pytest.mark.filterwarnings("ignore")
Patch = Callable[[pytest.MonkeyPatch], None]


def _other_version(library: str) -> Patch:
    real = keys.library_version
    return lambda patch: patch.setattr(keys, "library_version", lambda name: "9.9" if name == library else real(name))


def _other_code(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(keys, "namespace", lambda *_: "dev-0123456789abcdef")


def _other_device(patch: pytest.MonkeyPatch) -> None:
    """The same processor under another name: what was computed on `cpu` is of another device."""
    for module in (encode, denoise, decode):
        patch.setattr(module, "set_up", lambda ctx, sources: "cpu:0")


def _nothing(patch: pytest.MonkeyPatch) -> None:
    pass


class BrokenOff:
    """A render in chunks of two frames, of which each op was broken off once: after a chunk, after two steps."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.ctx = op.Context(store, Compute(device="cpu", threads=1))
        self.stages = settings(encode_chunk_size=2, decode_chunk_size=2)
        frames, pose = make_clip(store, "rgb", COUNT, 0), make_clip(store, "map", COUNT, 1)
        self.inputs = {"encode": {"frames": frames}, "decode": {}, "denoise": {"map_pose": pose}}
        embeddings = op.get("stylize", "embed").fn(self.stages.embed, {}, self.ctx)
        for name in ("encode", "denoise", "decode"):
            self._break(name, patch)
            if name == "encode":
                self.inputs["denoise"] |= {"latents": self.run("encode"), "embeddings": embeddings}
                self._break("encode", patch)  # its chunks went when it was finished
            if name == "denoise":
                self.inputs["decode"]["latents"] = self.run("denoise")
                self._break("denoise", patch)

    def run(self, name: str) -> str:
        return op.get("stylize", name).fn(getattr(self.stages, name), self.inputs[name], self.ctx)

    def _break(self, name: str, patch: pytest.MonkeyPatch) -> None:
        calls: list[int] = []
        with patch.context() as inner:
            if name == "denoise":

                def save(journal: Journal, step: int, *state: Any) -> None:
                    journal.write(step, *state)
                    if step == 2:
                        raise KeyboardInterrupt

                inner.setattr(Journal, "save", save)
            else:
                real = getattr(codec, f"{name}_chunk")

                def breaking(*arguments: Any) -> Any:
                    calls.append(1)
                    if len(calls) == 2:
                        raise KeyboardInterrupt
                    return real(*arguments)

                inner.setattr(codec, f"{name}_chunk", breaking)
            with pytest.raises(KeyboardInterrupt):
                self.run(name)

    def taken_up(self, patch: pytest.MonkeyPatch) -> dict[str, bool]:
        """Run each op again; whether it went on from what was kept."""
        found = {}
        for name in ("encode", "decode"):
            calls: list[int] = []
            real = getattr(codec, f"{name}_chunk")
            with patch.context() as inner:
                inner.setattr(codec, f"{name}_chunk", lambda *a, real=real, calls=calls: (calls.append(1), real(*a))[1])
                self.run(name)
            found[name] = len(calls) == 2
            assert len(calls) in (2, 3)
        self.ctx.facts.clear()
        self.run("denoise")
        return {**found, "denoise": "resumed_at_step" in self.ctx.facts}


@pytest.mark.parametrize(
    ("change", "counts"),
    [(_nothing, True), (_other_code, False), (_other_version("opencv-python-headless"), False), (_other_device, False)],
)
def test_what_is_kept_counts_for_the_same_code_libraries_and_device_alone(world, monkeypatch, change, counts):
    broken = BrokenOff(world, monkeypatch)
    with monkeypatch.context() as patch:
        change(patch)
        assert broken.taken_up(monkeypatch) == dict.fromkeys(("encode", "decode", "denoise"), counts)


@pytest.mark.parametrize("library", work.LIBRARIES)
@pytest.mark.parametrize("name", ["encode", "denoise", "decode"])
def test_unfinished_work_is_named_after_every_listed_library(world, monkeypatch, library, name):
    known, cfg = op.get("stylize", name), getattr(settings(), name)
    before = work.identity(known, cfg, {}, "cpu")
    _other_version(library)(monkeypatch)
    assert work.identity(known, cfg, {}, "cpu") != before


@pytest.mark.parametrize("error", [OSError(errno.EIO, "the disk is broken"), OSError(errno.ENOSPC, "full")])
def test_what_cannot_be_kept_is_said_once_and_the_render_goes_on(world, tmp_path, monkeypatch, caplog, error):
    """A disk that refuses checkpoints and chunks, and nothing else."""
    cfg = settings(encode_chunk_size=2, decode_chunk_size=2)
    whole = Rendered(world, cfg)
    real = type(tmp_path).replace

    def replace(path: Any, target: Any) -> Any:
        if any(Path(target).is_relative_to(tmp_path / "other" / part) for part in ("journals", "frames")):
            raise error
        return real(path, target)

    monkeypatch.setattr(type(tmp_path), "replace", replace)
    other = Store(tmp_path / "other")
    assert Rendered(other, cfg).clip == whole.clip
    said = [record.message for record in caplog.records if "the render goes on" in record.message]
    assert len(said) == 3, "once each in encoding, denoising and decoding"
    assert not [path for part in ("journals", "frames") for path in (other.root / part).rglob("*") if path.is_file()]
