"""The networks of the hub, on random weights of the very classes and in the very files that the hub serves.

What is tested is the loading (a hub cache, tensors only, names of the parameters), the path from frame to map and its
size, and what a user is told where the weights are absent. What the maps look like with trained weights is not tested.
"""

from __future__ import annotations

import functools
import json
import logging

import cv2
import numpy as np
import pytest

from benchmarks.pose_figures import figures
from reel.clip import Clip
from reel.compute import Compute
from reel.models.source import ModelSource
from reel.op import Context, get
from reel.pose import Poses
from tasks.preprocess import annotators, depth
from tasks.preprocess.detect import Found, pack
from tasks.weights.files import ModelAbsent
from tests.tasks.preprocess_people import standing, store_clip

WIDTH, HEIGHT = 100, 76  # neither side is what the networks work at


def frames_of(store) -> str:
    pictures = [cv2.resize(d.rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for _, d in figures(3)]
    return store_clip(store, pictures)


def check_maps(store, name: str, **settings) -> Clip:
    """Runs an op twice: maps of the frames' size, not all black, the second time from the cache of single frames."""
    op = get("preprocess", name)
    cfg = op.config(**settings)
    first, again = Context(store, Compute(device="cpu")), Context(store, Compute(device="cpu", batch=1))
    frames = frames_of(store)
    digest = op.fn(cfg, {"frames": frames}, first)
    assert op.fn(cfg, {"frames": frames}, again) == digest
    assert first.facts["frames_computed"] == 3
    assert again.facts["frames_computed"] == 0
    assert first.facts["provider"] == "torch (cpu)"
    clip = Clip.open(store, digest)
    assert (clip.kind, clip.width, clip.height, clip.count) == ("map", WIDTH, HEIGHT, 3)
    assert clip.array().std() > 0
    return clip


def half(state: dict) -> dict:
    """The same tensors in half the bytes, to spare the disk; loading copies them into float32 parameters."""
    return {
        name: half(t) if isinstance(t, dict) else t.half() if t.is_floating_point() else t for name, t in state.items()
    }


def build_hed():
    from controlnet_aux.hed import ControlNetHED_Apache2

    return "ControlNetHED.pth", ControlNetHED_Apache2().state_dict()


def build_pidinet():
    from controlnet_aux.pidi.model import pidinet

    return "table5_pidinet.pth", {"state_dict": {f"module.{k}": v for k, v in pidinet().state_dict().items()}}


def build_lineart():
    from controlnet_aux.lineart import Generator

    return "sk_model.pth", Generator(3, 1, 3).state_dict()


def build_lineart_anime():
    import torch
    from controlnet_aux.lineart_anime import UnetGenerator

    norm = functools.partial(torch.nn.InstanceNorm2d, affine=False, track_running_stats=False)
    network = UnetGenerator(3, 1, 8, 64, norm_layer=norm, use_dropout=False)
    return "netG.pth", {f"module.{k}": v for k, v in network.state_dict().items()}


def build_midas():
    import torch
    from controlnet_aux.midas.midas.dpt_depth import DPTDepthModel

    with torch.device("meta"):  # its own initialisation takes a minute; the shapes are all that is wanted
        shapes = DPTDepthModel(None, backbone="vitb_rn50_384", non_negative=True).state_dict()
    random = {n: torch.randn(t.shape) * 0.02 if t.ndim > 1 else torch.ones(t.shape) for n, t in shapes.items()}
    return "dpt_hybrid-midas-501f0c75.pt", random


@pytest.mark.slow
@pytest.mark.parametrize("build", [build_hed, build_pidinet, build_lineart, build_lineart_anime, build_midas])
def test_annotators_load_from_the_hubs_files_and_draw_maps_of_the_frames_size(build, hub, store):
    import torch

    with annotators.quiet():
        torch.manual_seed(0)
        file, state = build()
    hub("lllyasviel/Annotators", lambda folder: torch.save(half(state), folder / file))
    check_maps(store, build.__name__.removeprefix("build_"), detect_resolution=64)


@pytest.mark.slow
def test_depth_anything_loads_as_transformers_does(hub, store):
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=70, patch_size=14,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16, head_hidden_size=8, patch_size=14,
    )  # fmt: skip
    network = DepthAnythingForDepthEstimation(config)
    hub("depth-anything/Depth-Anything-V2-Small-hf", lambda folder: network.save_pretrained(folder))
    check_maps(store, "depth_anything", detect_resolution=70)


@pytest.mark.slow
def test_openpose_loads_and_stores_poses(hub, store):
    """Random weights see no people; that the frames are named and the outlines empty is all there is to check."""
    import torch

    with annotators.quiet():
        from controlnet_aux.open_pose.model import bodypose_model

        torch.manual_seed(0)
        state = {name.split(".", 1)[1]: tensor for name, tensor in bodypose_model().state_dict().items()}
    hub("lllyasviel/Annotators", lambda folder: torch.save(half(state), folder / "body_pose_model.pth"))
    op = get("preprocess", "openpose")
    ctx = Context(store, Compute(device="cpu"))
    poses = Poses.open(store, op.fn(op.config(detect_resolution=64), {"frames": frames_of(store)}, ctx))
    assert (poses.width, poses.height, poses.count, poses.detector) == (WIDTH, HEIGHT, 3, "openpose")
    assert ctx.facts["frames_without_people"] == "0-2"


# COCO's 17 points in BODY18's order; the neck, which COCO has not, is the middle of the shoulders (5 and 6).
COCO_OF = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)


def constant_onnx(path, inputs: tuple, outputs: dict[str, np.ndarray]) -> None:
    """A network that answers the same whatever it sees, with the interface of the real one."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("Constant", [], [n], value=numpy_helper.from_array(v)) for n, v in outputs.items()]
    graph = helper.make_graph(
        nodes, "constant",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in outputs.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_dwpose_takes_people_only_and_gives_each_point_its_own_place(hub, store):
    """rtmlib and onnxruntime for real, on networks that always see a ball and one person with known points."""
    pytest.importorskip("onnx")
    boxes = np.zeros((1, 8400, 85), np.float32)
    for anchor, kind in ((80 * 40 + 40, 0), (80 * 10 + 10, 32)):  # the cells at (320, 320) and (80, 80) of stride 8
        boxes[0, anchor, 2:4] = np.log([320 / 8, 400 / 8])
        boxes[0, anchor, 4] = boxes[0, anchor, 5 + kind] = 0.9
    x, y = np.zeros((1, 133, 576), np.float32), np.zeros((1, 133, 768), np.float32)
    for point in range(133):
        x[0, point, 100 + 20 * (point % 17)] = y[0, point, 100 + 30 * (point % 17)] = 0.8

    def save(folder) -> None:
        constant_onnx(folder / "yolox_l.onnx", (1, 3, 640, 640), {"output": boxes})
        constant_onnx(folder / "dw-ll_ucoco_384.onnx", (1, 3, 384, 288), {"simcc_x": x, "simcc_y": y})

    hub("yzd-v/DWPose", save)
    op = get("preprocess", "dwpose")
    ctx = Context(store, Compute(device="cpu"))
    frames = store_clip(store, [np.zeros((640, 640, 3), np.uint8)])
    poses = Poses.open(store, op.fn(op.config(), {"frames": frames}, ctx))
    assert len(poses.frames[0]) == 1
    person = poses.frames[0][0]
    order = np.array([5.5 if coco is None else coco for coco in COCO_OF])  # points lie on a line in COCO's order
    assert np.abs(np.corrcoef(person[:, 0], order)[0, 1] - 1) < 1e-4
    assert np.abs(np.corrcoef(person[:, 1], order)[0, 1] - 1) < 1e-4
    assert 160 < person[:, 0].min() < person[:, 0].max() < 500
    assert np.allclose(person[:, 3], 0.8, atol=0.01)
    assert poses.mask(0).any()
    assert ctx.facts["provider"] == "onnxruntime (CPUExecutionProvider)"


def test_dwpose_on_a_slower_provider_says_so(hub, store, caplog):
    import onnxruntime

    from tasks.preprocess import dwpose

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA is there")
    ctx = Context(store, Compute(device="cuda"))
    assert dwpose.provider(ctx) == "cpu"
    with caplog.at_level(logging.WARNING):
        annotators.report_provider(ctx, "onnxruntime (CPUExecutionProvider)", "CUDAExecutionProvider")
    assert ctx.facts["provider_wanted"] == "CUDAExecutionProvider"
    assert "slower" in caplog.text


HUB_OPS = ["depth_anything", "dwpose", "hed", "lineart", "lineart_anime", "midas", "openpose", "pidinet"]


@pytest.mark.parametrize("name", HUB_OPS)
def test_absent_weights_name_the_model_and_an_embedded_way_out(name, hub, store, monkeypatch):
    from tasks.weights import files as weights_files

    monkeypatch.setattr(weights_files.time, "sleep", lambda seconds: None)
    op = get("preprocess", name)
    sources = op.models(op.config())
    assert all(isinstance(source, ModelSource) and source.kind == "hub" for source in sources)
    with pytest.raises(ModelAbsent) as caught:
        op.fn(op.config(), {"frames": frames_of(store)}, Context(store))
    assert sources[0].id in str(caught.value)
    assert sources[0].instead in str(caught.value)
    assert any(known in sources[0].instead for known in ("blazepose", "figure_depth", "lineart_standard", "canny"))


def test_a_device_that_is_not_there_is_replaced_aloud(store, caplog):
    import torch

    missing = "mps" if not torch.backends.mps.is_available() else "cuda"
    ctx = Context(store, Compute(device=missing))
    with caplog.at_level(logging.WARNING):
        assert annotators.device(ctx) == "cpu"
    assert ctx.facts == {"provider": "torch (cpu)", "provider_wanted": missing}
    assert missing in caplog.text
    quiet = Context(store, Compute(device="cpu"))
    caplog.clear()
    annotators.device(quiet)
    assert not caplog.text


def test_raw_depth_survives_its_packing():
    raw = np.random.default_rng(0).normal(3, 40, (37, 51)).astype(np.float32)
    back = depth.unpack(depth.pack(raw))
    assert np.abs(back - raw).max() <= (raw.max() - raw.min()) / 131070 * 1.01
    assert (depth.unpack(depth.pack(np.full((4, 4), 7.0))) == 7).all()


def test_depth_over_a_clip_is_steady_and_over_a_frame_uses_the_whole_range(store):
    """A network that gives the frame's own brightness: frames of 50, 100 and 150 at most."""
    frames = [np.linspace(0, top, 64, dtype=np.float32) for top in (50, 100, 150)]
    pictures = [np.repeat(np.tile(row, (32, 1))[..., None], 3, axis=2).astype(np.uint8) for row in frames]
    digest = store_clip(store, pictures)
    tops = {}
    for normalise in ("clip", "frame"):
        ctx = Context(store)
        made = depth.depth_maps(
            depth.Depth(normalise=normalise), digest, ctx, store.per_frame("brightness"),
            lambda: lambda frame: frame[..., 0].astype(np.float32), "brightness",
        )  # fmt: skip
        tops[normalise] = Clip.open(store, made).array().max(axis=(1, 2, 3)).tolist()
    assert tops == {"clip": [85, 170, 255], "frame": [255, 255, 255]}


def test_a_frames_result_is_people_in_a_line_and_their_outlines_after_it():
    line, _, png = pack(Found.certain([], [], (4, 6))).partition(b"\n")
    assert line == b'{"confidence":[],"people":[]}'
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED).shape == (4, 6)
    small, large = standing(3, 2, 2), standing(3, 2, 4)
    left = np.zeros((4, 6), bool)
    left[:, :3] = True
    line, _, png = pack(Found([small, large], [0.3, 0.9], [left, ~left], (4, 6), sure=0.5)).partition(b"\n")
    assert json.loads(line)["confidence"] == [0.9, 0.3]  # the largest first
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)[0].tolist() == [2, 2, 2, 1, 1, 1]
