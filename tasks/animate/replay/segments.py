"""A film that its pipeline makes in segments within one call: the call is cut to one of them.

Wan-Animate decodes each segment and begins the next with the last frames of that, inside one call for the whole film.
An op makes the call for two segments: the one before its own, of which nothing is computed, and its own. What the own
one needs of the one before are the frames that its decoder gave last, the random state after it, and the number of
steps; so memory is that of two segments, however long the film is, and the bits are those of the call for all of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.animate.replay.seams import PICTURE, SeamMoved, replaced
from tasks.animate.replay.shell import Stop

if TYPE_CHECKING:
    import torch


@dataclass
class Segment:
    """One segment of a call.

    Attributes:
        carried: the last frames ``(1, 3, n, H, W)`` of the one before, as its decoder gave them; None: it is the first.
        latents: what its own decoder is handed; known after the last step.
        frames: what that gives ``(1, 3, F, H, W)`` in -1 to 1, without those that repeat ``carried``.
    """

    carried: torch.Tensor | None = None
    latents: torch.Tensor | None = None
    frames: torch.Tensor | None = None
    _begun: bool = False

    @contextlib.contextmanager
    def alone(self, pipe: Any, *, decoding: bool) -> Iterator[None]:
        """Inside the block a call does this segment's work and no other, and ends with `Stop` where that is done.

        Args:
            decoding: whether its latents become frames; else the call ends before.
        """
        self._begun = self.carried is None
        encode, decode = pipe.vae.encode, pipe.vae.decode

        def encoded(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if self._begun or x.shape[2] == 1:  # a picture is the film's, and not a segment's
                return encode(x, *args, **kwargs)
            return _nothing(pipe, x)

        def decoded(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if not self._begun:
                self._begun = True
                assert self.carried is not None
                return (self.carried.to(latents.device),)
            self.latents = latents
            if decoding:
                repeated = 0 if self.carried is None else self.carried.shape[2]
                self.frames = decode(latents, *args, **kwargs)[0][:, :, repeated:]
            raise Stop

        with replaced(pipe.vae, "encode", encoded), replaced(pipe.vae, "decode", decoded):
            yield

    @contextlib.contextmanager
    def passed(self, pipe: Any, denoisers: Sequence[str]) -> Iterator[None]:
        """Inside the block the denoisers answer with zeros until the call has come to this segment."""
        with contextlib.ExitStack() as stack:
            for name in denoisers:
                model = getattr(pipe, name)
                stack.enter_context(replaced(model, "forward", self._idle(model.forward, pipe.vae.config.z_dim)))
            yield

    def _idle(self, real: Callable[..., Any], channels: int) -> Callable[..., Any]:
        def forward(hidden_states: torch.Tensor, **kwargs: Any) -> Any:
            if self._begun:
                return real(hidden_states, **kwargs)
            return (hidden_states.new_zeros(hidden_states[:, :channels].shape),)

        return forward

    def denoised(self, pipe: Any, arguments: Mapping[str, Any]) -> torch.Tensor:
        """The latents that a call inside `alone` comes to.

        Raises:
            SeamMoved: it ended without this segment.
        """
        self._run(pipe, arguments)
        assert self.latents is not None
        return self.latents

    def decoded(self, pipe: Any, arguments: Mapping[str, Any]) -> Any:
        """The frames ``(1, F, H, W, 3)`` in 0 to 1, likewise."""
        self._run(pipe, arguments)
        return pipe.video_processor.postprocess_video(self.frames, output_type="np")

    def _run(self, pipe: Any, arguments: Mapping[str, Any]) -> None:
        try:
            pipe(**arguments)
        except Stop:
            return
        raise SeamMoved("vae.decode", pipe, "the call ended without the segment that it was made for")


def _nothing(pipe: Any, x: torch.Tensor) -> Any:
    """What the VAE gives of a clip ``(1, 3, F, H, W)`` that nothing is made of: its shape, and no values."""
    side, time = pipe.vae_scale_factor_spatial, pipe.vae_scale_factor_temporal
    frames, height, width = x.shape[2:]
    shape = (len(x), 2 * pipe.vae.config.z_dim, (frames - 1) // time + 1, height // side, width // side)
    return PICTURE.give([x.new_zeros(shape)])
