"""What the tests of language models share: no hub, the real encoder, texts, and one whole run."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from data_prep.places import SHIPPED
from data_prep.text_encoder import WHEEL, open_encoder
from llm.options import TuningMode
from llm.texts import load
from llm.training import RATES, Recipe
from tests.helpers import shell

NOWHERE = "http://127.0.0.1:9"  # no test may ask a real hub


@pytest.fixture(scope="session")
def no_hub(tmp_path_factory) -> dict[str, str]:
    """The environment of a process that asks no hub, and has empty caches of its own."""
    # Found, not imported: Hugging Face's libraries read this environment when they are imported.
    if not (find_spec("peft") and find_spec(WHEEL)):
        pytest.skip("make llm was not run")
    return {
        "HF_ENDPOINT": NOWHERE,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path_factory.mktemp("hub")),
        "SALUTARY_CACHE": str(tmp_path_factory.mktemp("cache")),
    }


@pytest.fixture(autouse=True, scope="package")
def _ask_no_hub(no_hub):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in no_hub.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="package")
def minilm():
    """The encoder of the wheel."""
    return open_encoder()


@pytest.fixture(scope="package")
def tweets(minilm):
    """200 tweets, and these as the encoder reads them."""
    some = load("tweets", most=200)
    return some, minilm.tokens(some.columns)


@pytest.fixture
def quick() -> list[str]:
    """The options of a short run."""
    return "--init 20 --rounds 1 --budget 2 --epochs 1 --methods salutary --no-plot --quiet".split()


@pytest.fixture(scope="session")
def whole_run() -> list[str]:
    """The command of a run that writes every file, up to the folder."""
    return (
        "main_llm.py --task tweets --texts 200 --init 40 --rounds 2 --budget 8 --epochs 1 "
        "--seeds 0 --methods random,salutary,salutary_plus,labeled_plus_validation --tune-at 1,2 "
        "--out"
    ).split()


@pytest.fixture(scope="session")
def result_files() -> set[str]:
    """The names of the files that ``whole_run`` writes."""
    return {
        "curves.csv", "picks.csv", "run.json", "curves.png", "curves.pdf", "tuned.csv", "tuned.png",
        "tuned.pdf", "fidelity.png", "fidelity.pdf", "gallery.csv", "report.md", "runs",
    }  # fmt: skip


@pytest.fixture(scope="session")
def done(tmp_path_factory, no_hub, no_network, whole_run):
    """``whole_run`` with a network that refuses every connection: what it printed, its folder."""
    out = tmp_path_factory.mktemp("out")
    environment = no_hub | {"PYTHONPATH": no_network, "HF_HUB_OFFLINE": None}
    ran = shell(*whole_run, str(out), **environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, out / "tweets-tuned"


@pytest.fixture
def recipe_of():
    """A function: the recipe of a mode of fine-tuning with its default learning rate."""

    def recipe(mode: str, epochs: int) -> Recipe:
        return Recipe(TuningMode(mode), epochs=epochs, batch=16, rate=RATES[TuningMode(mode)])

    return recipe


@pytest.fixture
def glue(tmp_path):
    """A small GLUE in the hub's own layout: movie snippets as sst2, pairs of them as mrpc."""
    from datasets import ClassLabel, Dataset, Features, Value

    some = load("movies", most=300)
    for task, columns in (("sst2", ["sentence"]), ("mrpc", ["sentence1", "sentence2"])):
        names = ["no", "yes"]
        schema = Features(
            dict.fromkeys(columns, Value("string"))
            | {"label": ClassLabel(names=names), "idx": Value("int32")}
        )
        for part, rows in (("train", range(0, 240)), ("validation", range(240, 300))):
            data = {c: [some.columns[0][r - i] for r in rows] for i, c in enumerate(columns)}
            data |= {"label": [int(some.y[r] == "positive") for r in rows], "idx": list(rows)}
            path = tmp_path / task / f"{part}-00000-of-00001.parquet"
            Dataset.from_dict(data, schema).to_parquet(path)
    return tmp_path


@pytest.fixture
def table(tmp_path):
    """Tweets as a person may keep them, and the options that name its columns."""
    frame = pd.read_csv(SHIPPED / "text/tweets.csv.gz", keep_default_na=False).head(120)
    frame["mood"] = np.where(frame["rating"] > 0, "up", "down")

    def write(**changes):
        frame.assign(**changes).to_csv(tmp_path / "mine.csv", index=False)
        return ["--dataset", str(tmp_path / "mine.csv"), "--text-column", "text"]

    write.texts = frame["text"]
    return write
