#!/usr/bin/env bash
# diffusers 0.42.1, AnimateDiff for SDXL: has a motion UNet all of its base's weights?
#
# Guess: `UNetMotionModel.from_unet2d(unet, adapter)`, by which `AnimateDiffSDXLPipeline` joins the two, takes over every
# layer that both have; one seed then gives one film.
# Seen 2026-12-01: `add_embedding`, by which SDXL reads sizes, crop and pooled text, keeps the random numbers that it was
# built with. All else is the base's. Two pipelines of the same files in one process compute different noise.
# Way out: `motion.add_embedding.load_state_dict(unet.add_embedding.state_dict())` before the pipeline is built, with the
# joined UNet handed to it.
#
#     bash findings/diffusers_sdxl_motion_sizes.sh       # exit 0: as described; 1: it has changed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install diffusers==0.42.1 torch==2.14.1 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata

import torch
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

print("diffusers", importlib.metadata.version("diffusers"), "torch", torch.__version__)
torch.manual_seed(0)
unet = UNet2DConditionModel(
    sample_size=8, block_out_channels=(32, 64), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), layers_per_block=1, norm_num_groups=8, cross_attention_dim=32,
    attention_head_dim=8, addition_embed_type="text_time", addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=6 * 8 + 32,
)
adapter = MotionAdapter(
    block_out_channels=(32, 64), motion_layers_per_block=1, motion_norm_num_groups=8, motion_num_attention_heads=4,
    use_motion_mid_block=False,
)
first, second = (UNetMotionModel.from_unet2d(unet, adapter).eval() for _ in range(2))
base, joined = unet.state_dict(), first.state_dict()
same = {name for name in base.keys() & joined.keys() if torch.equal(base[name], joined[name])}
other = sorted(base.keys() & joined.keys() - same)
print("in both:", len(base.keys() & joined.keys()), "the base's:", len(same), "others:", other)
sizes = {"text_embeds": torch.zeros(1, 32), "time_ids": torch.ones(1, 6)}
given = (torch.ones(1, 4, 4, 8, 8), 10, torch.zeros(4, 3, 32))
with torch.no_grad():
    apart = float((first(*given, added_cond_kwargs=sizes).sample - second(*given, added_cond_kwargs=sizes).sample).abs().max())
print(f"two joins of the same weights give results {apart:.3f} apart")
as_seen = bool(other) and all(name.startswith("add_embedding.") for name in other) and apart > 1e-4
print("as described" if as_seen else "CHANGED")
raise SystemExit(not as_seen)
PYTHON
