"""Show all renders on one page: films as tiles, what changed, numbers, stars and notes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flows.commands.common import Parser, open_store
from flows.edge.arguments import path, whole
from reel.errors import UserError
from reel.store import Store


def main(argv: Sequence[str]) -> int:
    """``rotoscope gallery``: served on loopback until Ctrl-C, or written as files."""
    from flows.gallery.server import PORT

    parser = Parser("gallery", f"{__doc__} It renders nothing, and writes stars and notes alone.")
    parser.add_argument("--port", type=whole(0, 65535), default=PORT, help=f"(default: {PORT}; 0: any that is free)")
    parser.add_argument("--export", type=path, metavar="FOLDER", help="write it as files that open from disk, and end")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    options = parser.parse_args(list(argv))
    store = open_store(options.store)
    if options.export:
        from flows.gallery.page import export

        count = export(store, options.export.absolute())
        print(f"{count} renders: {options.export.absolute() / 'index.html'}")
        return 0
    return _serve(store, options.port, show=options.open)


def _serve(store: Store, port: int, *, show: bool) -> int:
    import webbrowser

    from flows.gallery.server import Gallery

    try:
        server = Gallery(store, port)
    except OSError as error:
        raise UserError(f"port {port}: {error.strerror}", fix="--port 0 takes one that is free") from None
    with server:
        print(f"gallery  {server.url}  (Ctrl-C ends it)", flush=True)
        if show:
            webbrowser.open(server.url)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print(file=sys.stderr)
    return 0
