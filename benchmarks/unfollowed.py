"""A server that writes no change feed and follows none: the floor of ``follower_ingest``."""

from __future__ import annotations

from prefactor_server import app
from prefactor_server.cli.main import main
from prefactor_server.storage.sqlite import write

if __name__ == "__main__":
    vars(app)["consumers"] = lambda *_: ()
    vars(write)["feed_rows"] = lambda *_: []
    main()
