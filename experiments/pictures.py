"""A picture as the bytes of its files: a PNG for the screen and a PDF for a paper."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # half a second that --no-plot need not wait for
    from matplotlib.figure import Figure

DPI = 150


@dataclass(frozen=True)
class Picture:
    """The same picture as a PNG and as a PDF with embedded fonts; neither holds a date."""

    png: bytes
    pdf: bytes


def picture_files(stem: str, picture: Picture | None) -> dict[str, bytes | None]:
    """The files of a picture, content by name, as ``write_files`` takes them; None: no picture."""
    return {
        f"{stem}.png": picture.png if picture else None,
        f"{stem}.pdf": picture.pdf if picture else None,
    }


@contextmanager
def drawing(style: dict[Any, Any] | None = None) -> Iterator[None]:
    """matplotlib's defaults and ``style``, whatever the user's own settings of matplotlib are."""
    import matplotlib

    settings = {**matplotlib.rcParamsDefault, "backend": "agg", "pdf.fonttype": 42}
    with matplotlib.rc_context({**settings, **(style or {})}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # of a user's names
        yield


def picture_of(figure: Figure, dpi: int = DPI) -> Picture:
    """The figure as a Picture. Call it inside ``drawing``, which sets how fonts are embedded."""
    png = rendered(figure, "png", dpi)
    figure.set_layout_engine("none")  # the PNG has placed everything
    return Picture(png, rendered(figure, "pdf", dpi))


def rendered(figure: Figure, kind: str, dpi: int = DPI) -> bytes:
    """The figure as a file of the kind "png" or "pdf", without the date that PDFs carry."""
    metadata = {"CreationDate": None} if kind == "pdf" else None
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
