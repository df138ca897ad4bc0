"""The explorer: a study in the browser, to be turned, walked, cut and compared.

- `serve`: show a study at an address of this machine, until interrupted (`thalweg open study.zarr`).
- `application`: the same as an ASGI application.

It reads datasets and draws them with `figures`; nothing is computed and nothing in the study is changed. Python makes
the pictures of a quantity when they are asked for; the page walks, cuts and reads values by itself.
"""

from thalweg.apps.explorer.entry import application, serve

__all__ = ["application", "serve"]
