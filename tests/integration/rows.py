"""Bad input over raw sockets: the rows A, B, C, F and G of the threat tables, as data.

A case is bytes for an outbound HTTP/1.1 listener of parley and what must come of them. The control
application behind the mesh records every request it receives, so that a smuggled one shows, and
answers as badly as the C rows ask for. After each case a clean request on a new connection must get
its own answer (`marker`). Used by run_rows.py, which boots the mesh.
"""

from rows_app import App
from rows_case import marker
from rows_mesh import plaintext_to_mesh, rows_c, rows_f, rows_g, tls_to_plain
from rows_request import rows_a, rows_b

__all__ = ["App", "marker", "plaintext_to_mesh", "table", "tls_to_plain"]


def table():
    for rows in (rows_a, rows_b, rows_c, rows_f, rows_g):
        yield from rows()
