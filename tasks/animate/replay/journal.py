"""A denoising that can be broken off: the pipeline's own loop, watched at its scheduler and its denoisers.

Nothing of the loop is written anew. To go on from a checkpoint the same call is made again from its start; until the
checkpoint's last step the denoisers answer with zeros and the scheduler with what it was given, both without work.
There the stored result of that step, the scheduler's state and the states of the random generators are put in, and from
there on everything is computed. Noise, masks and positions before it were made again by the pipeline itself, from the
same seed: hence the very same bits.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from tasks.animate.replay.seams import replaced
from tasks.live.clean import of_flow
from tasks.networks.packing import pack, unpack
from tasks.networks.state import restore_state, scheduler_state

if TYPE_CHECKING:
    import torch

Shapes = list[list[tuple[list[int], str]]]
"""Of every run of a denoiser the shapes and number formats of what it gave."""


@dataclass(frozen=True)
class Step:
    """What one call of a scheduler's ``step`` came to.

    Attributes:
        call: its number, counted over all schedulers of the call.
        out: what it gave.
        state: the scheduler's, afterwards.
        generator: state of the generator that it was handed, afterwards; None: it was handed none.
    """

    call: int
    out: tuple[torch.Tensor, ...]
    state: Mapping[str, Any]
    generator: torch.Tensor | None


@dataclass(frozen=True)
class Checkpoint:
    """All that it takes to go on after ``calls`` steps.

    Attributes:
        generator, common: states of the seed's generator and of PyTorch's common one, from which schedulers draw that
            are handed none.
        last: the last step of each scheduler, by the order in which they came up.
        ends: the last steps of windows that are finished, by number, for pipelines that denoise a clip in several.
        shapes: of all runs of the denoisers so far.
    """

    calls: int
    generator: torch.Tensor
    common: torch.Tensor
    last: Mapping[int, Step]
    ends: Mapping[int, Step]
    shapes: Shapes

    def behind(self, calls: int) -> Checkpoint:
        """The end of a call as that of one whose only segment so far was this one's last, of so many steps."""
        before = self.calls - calls
        runs = len(self.shapes) * before // self.calls
        last = {who: replace(step, call=step.call - before) for who, step in self.last.items()}
        return replace(self, calls=calls, last=last, ends={}, shapes=self.shapes[runs:])

    def packed(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """As a JSON plan and tensors by name."""
        tensors: dict[str, Any] = {}
        steps = {"last": self.last, "ends": self.ends}
        plain = {name: {str(key): dict(vars(step)) for key, step in some.items()} for name, some in steps.items()}
        whole = {"generator": self.generator, "common": self.common, "shapes": self.shapes, **plain}
        plan = pack({"calls": self.calls, **whole}, tensors)
        return plan, tensors

    @classmethod
    def unpacked(cls, plan: Mapping[str, Any], tensors: Mapping[str, Any]) -> Checkpoint:
        """The inverse of `packed`."""
        found = unpack(plan, dict(tensors))
        for name in ("last", "ends"):
            found[name] = {int(key): Step(**step) for key, step in found[name].items()}
        return cls(**found)


def _nothing(*args: Any) -> None:
    pass


@dataclass
class Journal:
    """Watches one call of a pipeline.

    Attributes:
        generator: the seed's, as the pipeline is handed it; on the CPU, so that it draws the same everywhere.
        resumed: where to go on; None: from the start.
        due: called between two rounds with what makes a checkpoint of the state there.
        stepped: called after every step that was computed, with its number.
        look: called after such a step of the picture with what gives the clean latents that the model expects there, as
            the pipeline's loop holds them.
        forwards: how often a denoiser ran.
        end: the state after the last step of a whole call.
    """

    generator: torch.Generator
    resumed: Checkpoint | None = None
    due: Callable[[Checkpoint], None] = _nothing
    stepped: Callable[[int], None] = _nothing
    look: Callable[[Callable[[], torch.Tensor]], None] = _nothing
    calls: int = 0
    forwards: int = 0
    end: Checkpoint | None = None
    _schedulers: list[Any] = field(default_factory=list)
    _last: dict[int, Step] = field(default_factory=dict)
    _ends: dict[int, Step] = field(default_factory=dict)
    _shapes: Shapes = field(default_factory=list)
    _pending: Checkpoint | None = None

    def state(self) -> Checkpoint:
        """What it takes to go on from here."""
        import torch

        states = (self.generator.get_state(), torch.random.get_rng_state())
        return Checkpoint(self.calls, *states, dict(self._last), dict(self._ends), list(self._shapes))

    @property
    def skipping(self) -> bool:
        """Whether what comes next was computed before the checkpoint."""
        return self.resumed is not None and self.calls < self.resumed.calls

    def watched(self, scheduler: Any) -> Any:
        """The scheduler, its steps told to this journal; also those of copies that the pipeline makes of it."""
        journal, real = self, cast(Any, type(scheduler))

        class Watched(real):  # type: ignore[misc, valid-type]
            @functools.wraps(real.step)  # pipelines look at what it takes
            def step(self, *args: Any, **kwargs: Any) -> Any:
                return journal._step(self, real, args, kwargs)

            @functools.wraps(real.set_timesteps)
            def set_timesteps(self, *args: Any, **kwargs: Any) -> Any:
                journal._ends |= {step.call: step for step in journal._last.values()}
                return real.set_timesteps(self, *args, **kwargs)

            def __deepcopy__(self, memo: dict[int, Any]) -> Any:
                other = memo[id(self)] = real.__new__(type(self))
                vars(other).update({name: copy.deepcopy(value, memo) for name, value in vars(self).items()})
                journal._schedulers.append(other)
                return other

        Watched.__name__, Watched.__qualname__, Watched.__module__ = real.__name__, real.__qualname__, real.__module__
        found = Watched.from_config(scheduler.config)
        self._schedulers.append(found)
        return found

    @contextmanager
    def denoising(self, model: Any) -> Iterator[None]:
        """Inside the block the model runs only where something is left to do."""
        real = model.forward

        @functools.wraps(real)
        def forward(*args: Any, **kwargs: Any) -> Any:
            if self.skipping:
                return self._zeros(model)
            if self._pending is not None:  # as it was after the last step, told here: LTX-2 makes two steps a round
                self.due(self._pending)
                self._pending = None
            self.forwards += 1
            out = real(*args, **kwargs)
            self._shapes.append([(list(one.shape), str(one.dtype).removeprefix("torch.")) for one in _tensors(out)])
            return out

        with replaced(model, "forward", forward):
            yield

    def _zeros(self, model: Any) -> tuple[torch.Tensor, ...]:
        import torch

        assert self.resumed is not None
        shapes = self.resumed.shapes[len(self._shapes)]
        self._shapes.append(shapes)
        return tuple(torch.zeros(shape, dtype=getattr(torch, dtype), device=model.device) for shape, dtype in shapes)

    def _step(self, scheduler: Any, real: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        number, who = self.calls, self._schedulers.index(scheduler)
        skipped = self.skipping
        self.calls += 1
        if skipped:
            return self._step_again(number, who, scheduler, real, args, kwargs)
        out = real.step(scheduler, *args, **kwargs)  # type: ignore[attr-defined]
        given = kwargs.get("generator")
        kept = tuple(one.detach().clone() for one in _tensors(out))
        self._last[who] = Step(
            number, kept, copy.deepcopy(scheduler_state(scheduler)), None if given is None else given.get_state()
        )
        self._pending = self.state()
        self.stepped(number)
        if who == 0:  # the picture's scheduler; that of the sound is a copy of it
            bound = inspect.signature(real.step).bind(scheduler, *args, **kwargs)  # type: ignore[attr-defined]
            self.look(functools.partial(_clean, scheduler, bound.arguments, kept))
        return out

    def _step_again(
        self, number: int, who: int, scheduler: Any, real: type, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A step from before the checkpoint: what it came to, if anything after it needs that, else its input."""
        import torch

        assert self.resumed is not None
        given = inspect.signature(real.step).bind(scheduler, *args, **kwargs).arguments  # type: ignore[attr-defined]
        sample, out = given["sample"], (given["sample"], None)
        last = self.resumed.last[who]
        kept = last if number == last.call else self.resumed.ends.get(number)
        if kept is not None:
            restore_state(scheduler, kept.state, sample.device)
            out = tuple(one.to(sample.device, copy=True) for one in kept.out)
            if kept.generator is not None:
                kwargs["generator"].set_state(kept.generator)
            self._last[who] = kept
        if not self.skipping:
            self.generator.set_state(self.resumed.generator)
            torch.random.set_rng_state(self.resumed.common)
        return out if given.get("return_dict") is False else Stepped(out)


def _clean(scheduler: Any, given: Mapping[str, Any], out: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The clean latents that the model expects, by what a step was given and gave: some schedulers give them, too."""
    after = out[0]
    if len(out) > 1:
        return out[1]
    sigma, sigma_after = (float(scheduler.sigmas[scheduler.step_index - back]) for back in (1, 0))
    velocity = given["model_output"]
    if given.get("per_token_timesteps") is not None:  # handed over with the other sign, and 0 where nothing moves
        velocity = (after.float() - given["sample"].float()) / (sigma_after - sigma)
    return of_flow(given["sample"], velocity, sigma)


class Stepped:
    """A step's result as pipelines read it that do not ask for a tuple."""

    def __init__(self, out: tuple[Any, ...]) -> None:
        self._out = out
        self.prev_sample = out[0]

    def __getitem__(self, index: int) -> Any:
        return self._out[index]


def _tensors(out: Any) -> list[torch.Tensor]:
    """The tensors of a result, a tuple or an output object."""
    import torch

    if isinstance(out, torch.Tensor):
        return [out]
    values = out.values() if isinstance(out, Mapping) else out
    return [one for one in values if isinstance(one, torch.Tensor)]
