"""Free text as features: words of any language, odd texts, the encoder, and the options."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

from common.errors import UserError
from data_prep import text_columns, text_encoder
from data_prep.columns import Columns
from data_prep.features import weigh_texts
from data_prep.places import SHIPPED
from data_prep.reading import TableReading
from data_prep.text_columns import WORD, TextRules, embeddings, filled_texts
from data_prep.text_encoder import WHEEL

AS_DECIDED = TableReading()
TFIDF = TableReading(text_features="tfidf")
ENCODER = TableReading(text_features="encoder")
N = 60
NUMBERS = np.random.default_rng(0).normal(size=N)
with_encoder = pytest.mark.skipif(
    not (find_spec("transformers") and find_spec(WHEEL)), reason="make llm was not run"
)


def movies(count=N):
    return pd.read_csv(SHIPPED / "text/movies.csv.gz")["text"].head(count)


def fitted(cells, reading=TFIDF, rules=None):
    frame = pd.DataFrame({"t": cells, "x": NUMBERS[: len(cells)]})
    columns = Columns(reading, rules or TextRules()).fit(("t.csv", frame))
    return columns, columns.transform(frame)


def test_tfidf_distances_are_those_of_weights_made_by_hand():
    """With as many components as texts, the SVD keeps all inner products of the weights."""
    texts = movies()
    _, X = fitted(texts)
    words = texts.str.lower().str.findall(r"[^\W_]+")  # these are in English
    terms = [[*w, *map(" ".join, zip(w[:-1], w[1:], strict=True))] for w in words]
    counts = pd.DataFrame([pd.Series(t).value_counts() for t in terms]).fillna(0)
    counts = counts.loc[:, (counts > 0).sum() >= 2]
    idf = np.log((1 + N) / (1 + (counts > 0).sum())) + 1
    W = np.where(counts > 0, 1 + np.log(counts.where(counts > 0, 1)), 0) * idf.to_numpy()
    W /= np.maximum(np.linalg.norm(W, axis=1, keepdims=True), 1e-300)
    np.testing.assert_allclose(X[:, :-1] @ X[:, :-1].T, W @ W.T, atol=1e-8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Größe, naïve!", ["größe", "naïve"]),
        ("это плохо", ["это", "плохо"]),
        ("很好 看", ["很", "好", "看"]),
        ("बहुत अच्छी", ["बहुत", "अच्छी"]),  # the vowel signs belong to the words
        ("good😀film", ["good", "😀", "film"]),
        ("a\0b\x1f\u200bc「d」", ["a", "b", "c", "d"]),
    ],
)
def test_words_are_found_in_any_language(text, words):
    assert TfidfVectorizer(token_pattern=WORD).build_tokenizer()(text.lower()) == words


@pytest.mark.parametrize("words", [1, 10_000])
def test_texts_of_one_word_and_of_ten_thousand_are_read(words):
    rng = np.random.default_rng(0)
    cells = [" ".join(rng.choice(["good", "bad", "film", "\0odd\x1f"], words)) for _ in range(20)]
    columns, X = fitted(cells, TableReading(text=("t",), text_features="tfidf"))
    assert columns.decisions[0].read_as == "text"
    assert np.isfinite(X).all()
    assert 2 <= columns.decisions[0].features <= 4 + 16  # words, and pairs of them


def test_components_that_are_rounding_errors_are_left_out():
    """Three texts that differ span three dimensions, however often they come."""
    columns, _ = fitted(
        ["one two three", "four five six", "seven eight nine"] * (N // 3),
        TableReading(text=("t",), text_features="tfidf"),
    )
    assert columns.decisions[0].features == 3


def test_missing_texts_are_empty_and_counted_and_later_texts_may_be_all_new():
    cells = movies().mask(np.arange(N) % 6 == 0)
    columns, X = fitted(cells)
    decision = columns.decisions[0]
    assert decision.missing == 10
    assert "missing ones count as empty texts" in decision.why
    assert not X[::6, :-1].any()
    assert not np.isnan(X).any()
    later = columns.transform(pd.DataFrame({"t": ["", "qqq zzz", None], "x": [1.0, 2.0, 3.0]}))
    assert not later[:, :-1].any()
    assert columns.transform(pd.DataFrame({"t": [], "x": []})).shape == (0, X.shape[1])


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([None] * N, "it is empty"),
        (["the same text here"] * N, "it is constant"),
        ([f"{'! ' * k}- – ?!" for k in range(N)], "free text without a word"),
    ],
)
def test_texts_that_say_nothing_are_left_out(cells, why, monkeypatch):
    monkeypatch.setattr(text_columns, "is_installed", lambda: False)
    columns, X = fitted(cells, TableReading(text=("t",)))
    assert (columns.decisions[0].read_as, columns.decisions[0].why) == ("left out", why)
    assert X.shape == (N, 1)


def test_sentences_without_blanks_are_text_and_names_are_not(monkeypatch):
    monkeypatch.setattr(text_columns, "is_installed", lambda: False)
    letters = [chr(0x4E00 + k) for k in range(N)]
    sentences = ["这部电影非常好看我喜欢" + letter for letter in letters]
    assert fitted(sentences, AS_DECIDED)[0].decisions[0].read_as == "text"
    names = ["王小" + letter for letter in letters]
    assert fitted(names, AS_DECIDED)[0].decisions[0].why.startswith("an id")


def test_a_text_has_a_part_in_the_variance_and_does_not_drown_the_others():
    """By NumPy: one scale for the block, and a sum of variances of √k."""
    columns, X = fitted(movies())
    scaled = weigh_texts(StandardScaler().fit(X), columns.decisions).transform(X)
    k = columns.decisions[0].features
    np.testing.assert_allclose(scaled.var(0).sum(), np.sqrt(k) + 1)
    np.testing.assert_allclose(scaled[:, -1].std(), 1)
    ratios = X[:, :-1].std(0) / scaled[:, :-1].std(0)
    np.testing.assert_allclose(ratios, ratios[0])


def test_options_for_text_that_cannot_be_followed_end_in_one_line(monkeypatch):
    numbers = pd.DataFrame({"x": NUMBERS})
    with pytest.raises(UserError, match="--text-features tfidf: t.csv has no column of free text"):
        Columns(TFIDF).fit(("t.csv", numbers))
    with pytest.raises(UserError, match="--text-features"):
        fitted(movies(), TableReading(text_features="bow"))
    with pytest.raises(UserError, match="tfidf is for label.py, .* fitted to texts of the test"):
        fitted(movies(), rules=TextRules(fits=False))
    with pytest.raises(UserError, match=r"column 't': an encoder .* add --text-features tfidf"):
        fitted(movies(), ENCODER, TextRules(portable=True))
    text_columns.the_encoder.cache_clear()
    monkeypatch.setattr(text_encoder, "WHEEL", "no_such_wheel")
    with pytest.raises(UserError, match="no-such-wheel is missing: make llm .* tfidf needs no enc"):
        fitted(movies(), ENCODER)
    text_columns.the_encoder.cache_clear()


def test_without_the_encoder_tfidf_is_used_and_said_or_the_column_is_left_out(monkeypatch):
    monkeypatch.setattr(text_columns, "is_installed", lambda: False)
    columns, _ = fitted(movies(), AS_DECIDED)
    assert "TF-IDF" in columns.decisions[0].why
    assert "make llm installs an encoder" in columns.decisions[0].why
    left = fitted(movies(), AS_DECIDED, TextRules(fits=False))[0].decisions[0]
    assert (left.read_as, left.features) == ("left out", 0)
    assert "make llm installs one" in left.why


@with_encoder
def test_the_encoder_is_used_if_it_is_installed_and_texts_are_encoded_once(monkeypatch, tmp_path):
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    monkeypatch.setattr(text_columns, "_remembered", {})
    cells = [*movies(20), "word " * 300, "", "\0 \x07", "日本語のとても長い文章です" * 3]
    columns, X = fitted(cells, AS_DECIDED, TextRules(fits=False))
    told = columns.decisions[0].why
    assert "384 numbers of the encoder all-MiniLM-L6-v2" in told
    assert "1 of 24 texts are cut to 256 tokens" in told
    assert X.shape == (24, 385)
    assert np.isfinite(X).all()
    encoder = text_encoder.open_encoder(most_tokens=256)
    own = text_encoder.embed(encoder, encoder.tokens([np.array(cells[:5], object)]))
    np.testing.assert_allclose(X[:5, :-1], own, atol=1e-6)

    monkeypatch.setattr(text_encoder.Encoder, "body", lambda self: pytest.fail("encoded again"))
    again = embeddings(filled_texts(pd.Series(cells[::-1])))
    np.testing.assert_array_equal(again[::-1], X[:, :-1])  # remembered
    monkeypatch.setattr(text_columns, "_remembered", {})
    np.testing.assert_array_equal(fitted(cells, AS_DECIDED)[1], X)  # from the cache's file
