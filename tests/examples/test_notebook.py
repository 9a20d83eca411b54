"""The example notebook runs from its first cell to its last, and shows what is stored in it."""

import json
import re
import subprocess
import sys
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebook" / "orders.ipynb"

# What a kernel does with a cell: run it, and show the value of its last line.
KERNEL = """
import ast, contextlib, io, json, sys

names = {}
for source in json.load(sys.stdin):
    tree, said, value = ast.parse(source), io.StringIO(), None
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(said):
        exec(compile(tree, "cell", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    html = getattr(value, "_repr_html_", None)
    shown = {} if value is None else {"text/plain": repr(value)}
    print(json.dumps({"stdout": said.getvalue(), **shown, **({"text/html": html()} if html else {})}))
"""


def stored(cell) -> dict[str, str]:
    outputs = {"stdout": ""}
    for output in cell["outputs"]:
        found = output["data"] if "data" in output else {output["name"]: output["text"]}
        outputs |= {kind: "".join(lines) for kind, lines in found.items()}
    return outputs


def without_times(outputs: dict[str, str]) -> dict[str, str]:
    """What is the same in each run."""
    html = {"text/html": re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+Z", "TIME", outputs.get("text/html", ""))}
    # Beside a table the text is for terminals, and full of times.
    return {**outputs, **html, "text/plain": "" if html["text/html"] else outputs.get("text/plain", "")}


def test_the_notebook_shows_what_is_stored_in_it():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    sources = json.dumps(["".join(cell["source"]) for cell in cells])
    done = subprocess.run(
        [sys.executable, "-c", KERNEL], input=sources, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert [without_times(outputs) for outputs in shown] == [without_times(stored(cell)) for cell in cells]
    assert sum("text/html" in outputs for outputs in shown) == 3
    assert "stopped\n" in [outputs["stdout"] for outputs in shown]
