"""What the project uses of Hydra beside its documented API, all of it: names that a new Hydra may move or change.

tests/flows/test_hydra_private.py holds each name against the installed Hydra, so that an upgrade fails there, with the
name, and not somewhere in a sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.config import ranges

IN_PROCESS = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Class path of the launcher that runs points in this process."""


def running_hydra() -> Any:
    """Hydra's engine between `hydra.initialize_config_dir` and its end.

    Used of it: ``config_loader``, ``compose_config``, ``multirun``, ``show_cfg`` and ``show_info``.
    """
    from hydra.core.global_hydra import GlobalHydra

    return GlobalHydra.instance().hydra


def running_point() -> Any:
    """Hydra's own part of the config of the point that runs."""
    from hydra.core.hydra_config import HydraConfig

    return HydraConfig.get()


def apply_overrides(values: Sequence[Any], config: Any) -> None:
    """Set values on a composed config, as Hydra itself does after composing.

    Raises:
        ConfigCompositionException: a key that is not there, or a value that does not fit.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    ConfigLoaderImpl._apply_overrides_to_config(list(values), config)


def overrides_dirname(overrides: Sequence[Any], names: Mapping[str, Any]) -> str:
    """What ``hydra.job.override_dirname`` is for a point."""
    from hydra._internal.config_loader_impl import get_overrides_dirname

    return str(get_overrides_dirname(list(overrides), **names))


def names(loader: Any, group: str, *, folders: bool = False) -> list[str]:
    """Names of the config files of a group, or of the folders in it.

    The loader's own ``get_group_options`` copies all that it knows of the files at each call.
    """
    from hydra.core.object_type import ObjectType

    kind = ObjectType.GROUP if folders else ObjectType.CONFIG
    return list(loader.repository.get_group_options(group, results_filter=kind))


def is_group(loader: Any, name: str) -> bool:
    """Whether a folder of that name holds config files."""
    return bool(loader.repository.group_exists(name))


def parser(loader: Any) -> Any:
    """Hydra's parser of overrides, with our ``range`` in the place of its own: see `flows.config.ranges`.

    A range is the choice of its values, so that sort, shuffle, casts and tags take it as they take any choice.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
    from hydra.core.override_parser.types import ChoiceSweep

    functions = create_functions()
    functions.functions["range"] = lambda *args, **named: ChoiceSweep(list=list(ranges.values(*args, **named)))
    return OverridesParser(functions=functions, config_loader=loader)


def split(override: Any) -> list[tuple[str, Any]]:
    """The values of an override: each as an override of its own, and as the grammar read it."""
    from hydra.core.override_parser.types import Transformer

    if not override.is_sweep_override():
        return [(f"{override.get_key_element()}={override.get_value_element_as_str()}", override.value())]
    found = list(override.sweep_iterator())  # once: a shuffled choice has another order at each call
    return [(f"{override.get_key_element()}={Transformer.str(value)}", value) for value in found]


def quoted_text(value: Any) -> str | None:
    """The text of a value of the override grammar that was quoted; None for any other value."""
    from hydra.core.override_parser.types import QuotedString

    return value.text if isinstance(value, QuotedString) else None


def raised(done: Any) -> Exception | None:
    """What a job raised (`hydra.core.utils.JobReturn`); None for one that did not fail."""
    from hydra.core.utils import JobStatus

    found = done._return_value if done.status == JobStatus.FAILED else None
    return found if isinstance(found, Exception) else None
