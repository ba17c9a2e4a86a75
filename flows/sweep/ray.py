"""Hydra's launcher for the points of a sweep on a Ray cluster: each is a Prefect task that prefect-ray runs on a node.

Nodes share the store, where the results and the sweep's manifest are. A node that dies loses its points' progress and
nothing else: the kernel frees their locks, so that they are pending, and Ray runs them on another node.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flows.config import hydra_private
from flows.prefect_server.login import CLIENT
from reel.errors import UserError
from reel.history.sweep import DEATHS
from reel.masking import is_secret

_HANDED_ON = ("ROTOSCOPE_", "PREFECT_", "MLFLOW_", "AWS_", "HF_", "DO_NOT_TRACK", "OMP_")
"""Beginnings of the environment variables that a point's process gets from here: with Ray's runtime environment, which
Ray writes to its logs, or, those that hold a secret, with the point itself."""


class RayLauncher(Launcher):
    """Its settings are those of conf/hydra/launcher/ray.yaml."""

    def __init__(
        self,
        address: str | None = None,
        num_cpus: float = 1,
        num_gpus: float = 0,
        resources: dict[str, float] | None = None,
        init: dict[str, Any] | None = None,
    ) -> None:
        self.address = address
        self.custom = dict(resources or {})
        self.needs: dict[str, Any] = {"num_cpus": num_cpus, "num_gpus": num_gpus, "resources": self.custom}
        self.init = dict(init or {})
        self.config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs and wait for all of them.

        Raises:
            UserError: Ray is not installed, no cluster answers, or none of its nodes has what a point needs.
        """
        import cloudpickle
        from hydra.core.singleton import Singleton

        _installed()
        state = (self.hydra_context, self.config, self.task_function, Singleton.get_state(), _handed_on(secret=True))
        payload = cloudpickle.dumps(state)
        with _connected(self.address, self.init), _one_server():
            self._check_resources()
            return _submitted(payload, job_overrides, initial_job_idx, self.needs)

    def _check_resources(self) -> None:
        import ray

        wanted: dict[str, float] = {"CPU": self.needs["num_cpus"], "GPU": self.needs["num_gpus"], **self.custom}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= count for name, count in wanted.items()) for node in nodes):
            told = ", ".join(f"{name} {count:g}" for name, count in wanted.items() if count)
            raise UserError(
                f"hydra.launcher: a point needs {told}, and no node of the Ray cluster has that",
                fix="start nodes with it: ray start --address=... --resources='{\"gpu_slot\": 1}'; or ask for less",
            )


def _handed_on(*, secret: bool) -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name.startswith(_HANDED_ON) and is_secret(name) is secret
    }


def _installed() -> None:
    try:
        import prefect_ray  # noqa: F401
    except ImportError:
        raise UserError(
            "hydra/launcher=ray: prefect-ray is not installed", fix="pip install -c constraints.txt -e '.[ray]'"
        ) from None


@contextlib.contextmanager
def _connected(address: str | None, init: dict[str, Any]) -> Iterator[None]:
    """Ray, connected to a running cluster or to one of this machine that ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage data is sent
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    space = _handed_on(secret=False)
    own: dict[str, Any] = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(address or "local", runtime_env={"env_vars": space}, **{**own, **init})
    except ConnectionError as error:
        raise UserError(
            f"hydra.launcher.address: no Ray cluster answers at {address} ({str(error).splitlines()[0]})",
            fix="start one: ray start --head; hydra.launcher.address=null uses this machine alone",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _one_server() -> Iterator[None]:
    """The Prefect server of this process for the points, too: settings travel with a Prefect task."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    reach = {PREFECT_API_URL: os.environ["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: os.environ.get(CLIENT)}
    with temporary_settings(reach):
        yield


def _submitted(
    payload: bytes, job_overrides: Sequence[Sequence[str]], first: int, needs: dict[str, Any]
) -> list[JobReturn]:
    from prefect import flow, task
    from prefect_ray import RayTaskRunner
    from prefect_ray.context import remote_options

    point = task(_execute, name="point", persist_result=False)

    def sweep() -> list[JobReturn]:
        with remote_options(**needs, max_retries=DEATHS):
            futures = [
                point.submit(payload, list(overrides), first + number) for number, overrides in enumerate(job_overrides)
            ]
        return [_returned(future) for future in futures]

    return flow(sweep, name="sweep", task_runner=RayTaskRunner(), persist_result=False)()


def _returned(future: Any) -> JobReturn:
    try:
        error = future.result(raise_on_failure=True)
    except Exception as lost:  # the node or the worker died, and too often
        error = lost
    status = JobStatus.FAILED if error is not None else JobStatus.COMPLETED
    return JobReturn(_return_value=error, status=status)


def _execute(payload: bytes, overrides: list[str], number: int) -> Exception | None:
    """Run one point in a process of a node, as Hydra's own launchers do; gives its error."""
    import cloudpickle
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.singleton import Singleton
    from hydra.core.utils import run_job, setup_globals
    from omegaconf import open_dict

    setup_globals()
    context, config, function, state, secrets = cloudpickle.loads(payload)
    os.environ.update(secrets)
    Singleton.set_state(state)
    job = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = f"{job.hydra.job.name}_{number}"
        job.hydra.job.num = number
    HydraConfig.instance().set_config(job)
    done = run_job(
        hydra_context=context,
        config=job,
        task_function=function,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    return hydra_private.raised(done)
