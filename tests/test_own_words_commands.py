"""Each script is given a table of each kind of fault: one line of ours, and exit code 2."""

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pytest

import compare
import explore
import label
import main_llm
from tests.helpers import error_of, main
from tests.helpers.foreign_words import foreign_words


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def excel(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_excel(buffer, index=False)
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("a.txt", "no sheet")
    return buffer.getvalue()


Y = ["yes", "no"] * 20
LISTS = pd.DataFrame({"text": [[1.0] * (1 + k % 3) for k in range(40)], "y": Y})
FAULTS = {
    "nothing": ("csv", b""),
    "a header alone": ("csv", b"text,y\n"),
    "no text": ("csv", bytes(range(256)) * 9),
    "a long row": ("csv", b"text,y\na b,yes\nc,d,no\n"),
    "a short row": ("csv", b"text,z,y\na b,1,yes\nc,no\n"),
    "an open quotation mark": ("csv", b'text,y\n"a b,yes\nc,no\n'),
    "a comment among the rows": ("csv", b"text,y\na b,yes\n# c\nd,no\n"),
    "a title": ("csv", b"My table\ntext,y\na b,yes\nc,no\n"),
    "a name twice": ("csv", b"text,text,y\na,b,yes\nc,d,no\n"),
    "latin-1": ("csv", "text,y\ngrün,yes\nrot,no\n".encode("latin-1")),
    "another separator": ("csv", b"text~y\na b~yes\nc~no\n"),
    "a damaged gzip": ("csv.gz", gzip.compress(b"text,y\na,yes\n")[:-5]),
    "no gzip": ("csv.gz", b"text,y\na,yes\n"),
    "no Parquet": ("parquet", b"PAR1 and no more"),
    "ragged lists": ("parquet", parquet(LISTS)),
    "no Excel": ("xlsx", archive()),
    "an empty sheet": ("xlsx", excel(pd.DataFrame())),
    "no JSON": ("jsonl", b'{"text": "a", "y": "yes"}\nnot this\n'),
    "JSON, but no object": ("jsonl", b"[1, 2]\n"),
    "one class": ("csv", b"text,y\n" + b"a b,yes\n" * 30),
    "fractions for classes": ("csv", b"text,y\n" + b"a,0.5\nb,1.5\n" * 20),
    "two spellings": ("csv", b"text,y\n" + b"a,yes\nb,YES\nc,no\n" * 20),
    "marks for classes": ("csv", b"text,y\n" + b"a,yes\nb,NA\nc,no\n" * 20),
    "a number in two forms": ("csv", b"text;y\n" + b"1,5;yes\n1.5;no\n2.5;no\n3,5;no\n" * 9),
    "an infinite number": ("csv", b"text,y\n" + b"1,yes\n2,no\n" * 20 + b"inf,no\n"),
    "no such column": ("csv", b"text,z\na b,yes\nc d,no\n"),
    "objects in an array": ("npy", None),
}
SCRIPTS = {
    "main_binary.py": lambda given: main("binary", given),
    "main_multi.py": lambda given: main("multi", given),
    "compare.py": compare.main,
    "explore.py": explore.main,
    "label.py": label.main,
    "main_llm.py": main_llm.main,
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_fault_of_a_table_is_told_in_our_words(script, tmp_path, capsys):
    for name, (ending, content) in FAULTS.items():
        path = tmp_path / f"mine.{ending}"
        if content is None:
            np.save(path, np.array([{}, []], dtype=object), allow_pickle=True)
        else:
            path.write_bytes(content)
        given = {
            "compare.py": ["--datasets", str(path), "--methods=random", "--seeds=0"],
            "explore.py": ["share", "--dataset", str(path)],
            "label.py": ["--labeled", str(path), "--unlabeled", str(path), "--dry-run"],
            "main_llm.py": ["--dataset", str(path), "--text-column=text", "--rounds=1"],
        }.get(script, ["--dataset", str(path), "--methods=random", "--rounds=1", "--no-plot"])
        out = [] if script == "label.py" else [f"--out={tmp_path / 'out'}"]
        taken_as_text = script == "main_llm.py" and name in (
            "ragged lists", "a number in two forms", "an infinite number"
        )  # fmt: skip
        if taken_as_text or (script == "main_multi.py" and ending == "none"):
            continue
        assert SCRIPTS[script]([*given, *out, "--target=y", "--quiet"]) == 2, name
        error = error_of(capsys)
        assert not foreign_words(error.replace(str(path), "")), name
        assert str(path) in error or "--" in error or "'y'" in error, (name, error)
