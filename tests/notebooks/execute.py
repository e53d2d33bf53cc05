"""Executes a notebook: `execute.py IN OUT`. Exit code 1 and the error of the cell where one fails."""

import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

notebook = nbformat.read(sys.argv[1], 4)
try:
    NotebookClient(notebook, timeout=120, kernel_name="python3", record_timing=False).execute()
except CellExecutionError as error:
    sys.exit(str(error))
for cell in notebook.cells:
    # What a library warns of is for whoever executes it, not for readers.
    if cell.cell_type == "code":
        cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
notebook.metadata.pop("language_info", None)
nbformat.write(notebook, sys.argv[2])
