"""Start the Prefect server and the MLflow UI on loopback, in the background."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from flows.commands.common import Parser, settings, store_path
from flows.edge.arguments import whole
from flows.prefect_server import servers
from flows.prefect_server.login import login_path
from flows.prefect_server.pages import renders_page
from reel.files import make_folder


def main(argv: Sequence[str]) -> int:
    """``rotoscope up``: both servers at once; what is up already stays up."""
    parser = Parser("up", f"{__doc__} Runs find them; without them a run still works, only starts 10-16 s slower.")
    for name in servers.NAMES:
        default = f"(default: that it runs on, or {servers.PORTS[name]})"
        parser.add_argument(f"--{name}-port", type=whole(1, 65535), metavar="PORT", help=default)
    parser.add_argument("--only", choices=servers.NAMES, help="start one of them only")
    options = parser.parse_args(list(argv))
    store = store_path(options.store)
    make_folder(servers.folder(store), "paths.store")
    names = [options.only] if options.only else list(servers.NAMES)
    ports = {name: getattr(options, f"{name}_port") for name in names}
    with ThreadPoolExecutor() as pool:
        started = {name: pool.submit(servers.up, store, name, ports[name]) for name in names}
    for name, future in started.items():
        server, new = future.result()
        print(f"{name:8} {server.url}  {'started' if new else 'is up already'}, log {servers.log_path(store, name)}")
        if name == "mlflow" and (page := renders_page(server, str(settings()["tracking"]["experiment"]))):
            print(f"{'':8} renders: {page}")
        if name == "prefect":
            print(f"{'':8} its page asks for a password: paste the line in {login_path(store)}")
    print("stop them with: rotoscope down")
    return 0
