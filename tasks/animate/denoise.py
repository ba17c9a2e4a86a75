"""The op `animate.denoise`: noise to the latents of a film, held to pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from reel.op import Context, get, op
from tasks.animate import parts, stored
from tasks.animate.amounts import denoising
from tasks.animate.replay import call
from tasks.animate.replay.journal import Checkpoint, Journal
from tasks.animate.settings import Denoise
from tasks.live.picture import watcher
from tasks.networks.journal import JournalFile
from tasks.networks.kernels import use_kernels
from tasks.networks.offload import placed
from tasks.networks.quiet import quiet
from tasks.networks.retry import retry_offloaded
from tasks.networks.work import LIBRARIES, identity, set_up

log = logging.getLogger(__name__)


@op(
    "animate",
    "denoise",
    version=2,
    config=Denoise,
    inputs=("embeddings", "frames_*", "encoded_*", *stored.DRIVING, "latents", "before", "carried"),
    distributions=LIBRARIES,
    models=lambda cfg: [*parts.sources(cfg), *(lora.source for lora in cfg.loras)],
    gives="latents",
    work=denoising,
)
def denoise(cfg: Denoise, inputs: Mapping[str, str], ctx: Context) -> str:
    """Denoise; a killed run goes on from its last checkpoint and ends in the same bits.

    Inputs: ``embeddings``; ``frames_<n>`` and ``encoded_<n>`` of every key; ``control`` and ``mask`` of a film that is
    driven by maps, with their ``encoded_control``, ``face`` and ``background`` where these drive it, too; ``latents``
    that a second pass refines, or to begin from; of a later segment ``before``, the denoising of the one before, and
    ``carried``, its frames.

    Returns:
        digest of an object of kind ``denoised``.
    """
    given = stored.given(cfg, inputs, ctx)
    less = parts.recipe_of(cfg).smaller("storage=float8")
    fix = f"fewer frames, a smaller size, {less}, or compute.offload=sequential"
    device = set_up(ctx, [*parts.sources(cfg), *(lora.source for lora in cfg.loras)])
    name = identity(get("animate", "denoise"), cfg, inputs, device)
    file = JournalFile(ctx.store.root / "journals" / name, {"identity": name}, run=ctx.run)

    def attempt(offload: str) -> tuple[list[Any], Journal]:
        return _denoised(cfg, given, ctx, file, device, offload)

    results, journal = retry_offloaded(attempt, device, ctx, fix)
    ctx.note(device=device, steps=cfg.steps, forwards=journal.forwards)
    assert journal.end is not None
    digest = stored.put_denoised(
        ctx.store, journal.end, results, **stored.times(cfg.frames, cfg.fps, cfg.width, cfg.height)
    )
    file.clear()
    return digest


def _denoised(
    cfg: Denoise, given: stored.Given, ctx: Context, file: JournalFile, device: str, offload: str
) -> tuple[list[Any], Journal]:
    import torch

    recipe = parts.recipe_of(cfg)
    skipped = given.before.calls if given.before else 0

    def finished(state: Checkpoint) -> int:
        return (state.calls - skipped) // recipe.steps_a_round

    resumed = _resumed(file)
    done = finished(resumed) if resumed else 0
    steps = cfg.steps * (len(recipe.sections(cfg.call, cfg.frames)) if recipe.sections else 1)
    if resumed:
        log.info("going on after step %d of %d", done, steps)
        ctx.note(resumed_at_step=done, work_share=1 - done / steps)
    networks = parts.denoisers(cfg, device, cfg.storage, cfg.loras)
    made = parts.around(cfg, networks, device, cfg)
    arguments = call_arguments(cfg, given, device)
    with (
        placed(list(networks.values()), device, offload),
        use_kernels(networks.values(), cfg.attention, cfg.compile),
        quiet(),
        ctx.progress(steps, "denoise", "step", done) as bar,
    ):

        def stepped(number: int) -> None:
            bar.update((number + 1) % recipe.steps_a_round == 0)

        def due(state: Checkpoint) -> None:
            file.when_due(lambda: _write(file, state, finished(state)))

        generator, start = torch.Generator("cpu").manual_seed(cfg.seed), resumed or given.before
        journal = Journal(generator, start, due, stepped, look(cfg, ctx, made))
        found = call.denoise(parts.stock_of(recipe), made, arguments, journal, given.kept, device, given.segment)
        return found, journal


def look(cfg: Denoise, ctx: Context, made: Mapping[str, Any]) -> Callable[[Callable[[], Any]], None]:
    """Shows the film as it stands, where somebody looks on.

    Args:
        made: the pipeline's parts.
    """
    times = stored.times(cfg.frames, cfg.fps, cfg.width, cfg.height)
    codec = made["vae"].config
    channels = int(codec.get("latent_channels") or codec["z_dim"])  # Wan calls them so
    source = cfg.sources.get("vae") or cfg.sources["vae:config"]
    show = watcher(ctx, cfg.architecture, source, channels, times)

    def shown(clean: Callable[[], Any]) -> None:
        if show is not None:
            show(lambda: cells(clean(), cfg, codec))

    return shown


def cells(latents: Any, cfg: Denoise, codec: Mapping[str, Any]) -> Any:
    """Latents ``(C, F, h, w)`` of those that the loop has: all of the film, or those of a window of it.

    Args:
        codec: settings of the VAE.
    """
    recipe = parts.recipe_of(cfg)
    grid = recipe.grid.of(codec)
    match grid.layout:
        case "cfhw":  # of a film with pictures beside it, these come first
            return latents[0, :, -grid.cells(cfg.frames, cfg.width, cfg.height)[0] :]
        case "fchw":
            return latents[0].movedim(1, 0)
        case _:
            return _of_tokens(latents, *grid.cells(cfg.frames, cfg.width, cfg.height), first=recipe.film_first)


def _of_tokens(tokens: Any, most: int, high: int, wide: int, *, first: bool) -> Any:
    """Latents of tokens ``(1, N, C)``: ``most`` frames of latents, or those of a window of the film.

    Args:
        first: whether the film's tokens come before those of its pictures, or after them.
    """
    count = min(most, tokens.shape[1] // (high * wide))
    film = tokens[0, : count * high * wide] if first else tokens[0, -count * high * wide :]
    return film.unflatten(0, (count, high, wide)).permute(3, 0, 1, 2)


def call_arguments(cfg: Denoise, given: stored.Given, device: str) -> dict[str, Any]:
    """The arguments of the pipeline's call but its generator and what it returns."""
    recipe = parts.recipe_of(cfg)
    found = recipe.arguments(cfg, given.shown)
    if given.texts:
        positive, negative = given.texts[0]
        found |= {"prompt": [one for one, _ in given.texts] if recipe.section_prompts else positive}
        found |= {"negative_prompt": negative} if cfg.guided else {}
    return {**found, **_begun(cfg, given, device)}


def _begun(cfg: Denoise, given: stored.Given, device: str) -> dict[str, Any]:
    """What the call begins from; enlarged latents in the number format in which the stock pipeline hands them on."""
    import torch

    found = {name: latents.to(device) for name, latents in given.latents.items()}
    if found and parts.recipe_of(cfg).upsampler:
        found["latents"] = found["latents"].to(getattr(torch, parts.dtype_of(cfg, "latent_upsampler")))
    return found


def _write(file: JournalFile, state: Checkpoint, done: int) -> None:
    plan, tensors = state.packed()
    file.put(done, tensors, state=json.dumps(plan))


def _resumed(file: JournalFile) -> Checkpoint | None:
    """The last checkpoint, if there is one of these very settings."""
    found = file.take()
    return Checkpoint.unpacked(json.loads(found[1]["state"]), found[0]) if found else None
