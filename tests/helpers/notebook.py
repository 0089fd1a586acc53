"""Run the notebook of examples/. `python -m tests.helpers.notebook` makes its outputs again."""

import os
import tempfile
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient

WALKTHROUGH = Path(__file__).resolve().parent.parent.parent / "examples" / "walkthrough.ipynb"


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a fresh kernel of this Python.

    Raises nbclient's CellExecutionError if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    client = NotebookClient(
        notebook,
        timeout=300,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # it warns of its own connections
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory() as home:
        # no kernel, profile or history of the user
        own = {name: home for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
        with mock.patch.dict(os.environ, own | {"JUPYTER_PREFER_ENV_PATH": "1"}):
            os.environ.pop("MPLBACKEND", None)  # the kernel's own draws into the notebook
            client.execute()
    notebook.metadata = metadata  # without the version of this Python
    return notebook


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """What each code cell shows, as text: of a picture only its size."""
    return [
        "\n".join(out.get("text") or out["data"]["text/plain"] for out in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


if __name__ == "__main__":
    nbformat.write(executed(WALKTHROUGH), WALKTHROUGH)
