"""What the fine-tuned encoders say: a table, how far the stand-in can be trusted, and a gallery.

The stand-in is useful as far as what helps it helps the encoder: how often both give a test text
the same class, and how their gains over no added labels go together from strategy to strategy.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

import job
import report
from comparison import markdown_table
from models import LogisticRegression
from splits import Split
from strategies import STRATEGIES
from texts import Texts
from tuning import training_set

NONE = "No added labels"
SHOWN, MOST_SIGNS = 20, 240  # texts in the gallery, and signs of each in report.md


def titles(names: Mapping[str, str]) -> dict[str, str]:
    return {"none": NONE, **names}


def table(tuned: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """A row per method, as text: accuracies of stand-in and encoder in %, mean ± deviation."""
    methods = list(dict.fromkeys(tuned["method"]))
    rounds = sorted(set(tuned["round"]) - {0})
    final = last(tuned)

    def cells(values: pd.Series, form: str = "", scale: float = 100.0) -> list[str]:
        grouped = (scale * values).groupby(level="method", sort=False)
        out = []
        for mean, deviation in zip(grouped.mean(), grouped.std(), strict=True):
            out.append(
                ("+" if form and mean >= 0 else "") + report.spread(mean, deviation, 1, " ± ")
            )
        return out

    human = "labels_initial labels_bought labels_validation".split()
    counts = final.groupby(level="method", sort=False)[human].max().to_numpy()
    wrong = final.groupby(level="method", sort=False)["wrong_share"].mean()
    columns = {
        "labels: initial + bought + valid.": [" + ".join(f"{c:,}" for c in n) for n in counts],
        "wrong": ["" if np.isnan(w) else f"{100 * w:.0f} %" for w in wrong],
        "stand-in": cells(final["stand_in"]),
    }
    for number in rounds[:-1]:
        at = tuned[(tuned["round"] == number) | (tuned["method"] == "none")]
        columns[f"round {number}"] = cells(at.set_index(["method", "seed"])["tuned"])
    columns["fine-tuned"] = cells(final["tuned"])
    columns["gain"] = cells(gains(tuned, "tuned"), "+")
    columns["agree"] = cells(final["agreement"])
    columns["seconds"] = cells(final["seconds"], scale=1.0)
    return pd.DataFrame(columns, index=[titles(names)[method] for method in methods])


def last(tuned: pd.DataFrame) -> pd.DataFrame:
    """The trainings after the last round, and those without added labels, by method and seed."""
    final = tuned[(tuned["round"] == tuned["round"].max()) | (tuned["method"] == "none")]
    return final.set_index(["method", "seed"])


def gains(tuned: pd.DataFrame, of: str) -> pd.Series:
    """Accuracy (column ``of``) after the last round less that of no added labels, same seed."""
    values = last(tuned)[of]
    return values - values["none"].reindex(values.index, level="seed")


def fidelity(tuned: pd.DataFrame) -> dict:
    """Agreement of stand-in and encoder, and the correlation of their mean gains over strategies.

    References are no strategies. NaN for fewer than three strategies, or where all gain alike.
    """
    left_out = {"none", *job.REFERENCES}
    means = pd.DataFrame({of: gains(tuned, of) for of in ("stand_in", "tuned")})
    means = means[~means.index.get_level_values("method").isin(left_out)]
    means = means.groupby(level="method").mean()
    defined = len(means) > 2 and (means.nunique() > 1).all()
    return {
        "agreement": float(tuned["agreement"].mean()),
        "strategies": len(means),
        "pearson": float(pearsonr(*means.T.to_numpy()).statistic) if defined else np.nan,
        "spearman": float(spearmanr(*means.T.to_numpy()).statistic) if defined else np.nan,
    }


def sentence(tuned: pd.DataFrame) -> str:
    found = fidelity(tuned)
    start = f"stand-in and encoder agree on {100 * found['agreement']:.1f} % of the test texts"
    if np.isnan(found["pearson"]):
        return f"{start}; the correlation of their gains needs three strategies that differ"
    return (
        f"{start}; their mean gains over no added labels correlate over {found['strategies']} "
        f"strategies: Pearson {found['pearson']:.2f}, Spearman {found['spearman']:.2f}"
    )


# --- the gallery ---------------------------------------------------------------------------------


def gallery(texts: Texts, split_for: Callable[[int], Split], result: job.Result) -> pd.DataFrame:
    """The SHOWN texts of highest benefit of each method that gives labels by benefit.

    Columns: method, seed, round, row, benefit, label (as given), true_label, own_label (what the
    stand-in said before that round), text. A text that several seeds picked is shown once.
    """
    own = [m for m in result.options.methods if by_benefit(m)]
    best = result.picks[result.picks["method"].isin(own)]
    best = best.sort_values("score", ascending=False, kind="stable")
    best = best.drop_duplicates(["method", "row"]).groupby("method").head(SHOWN)
    best = best.sort_values("method", key=lambda m: m.map(own.index), kind="stable")
    position = pd.Series(np.arange(len(texts.rows)), index=texts.rows)
    records = []
    for pick in best.itertuples():
        split = split_for(pick.seed)
        picks = result.picks[
            (result.picks["method"] == pick.method) & (result.picks["seed"] == pick.seed)
        ]
        rows, labels = training_set(split, pick.method, picks, pick.round - 1)
        options = result.options
        model = LogisticRegression(options.l2, options.intercept, device=options.device)
        model.fit(split.X[rows], labels)
        at = int(position[pick.row])
        records.append(
            {
                "method": pick.method,
                "seed": pick.seed,
                "round": pick.round,
                "row": pick.row,
                "benefit": pick.score,
                "label": pick.label,
                "true_label": pick.true_label,
                "own_label": model.predict(split.X[[at]])[0],
                "text": " | ".join(column[at] for column in texts.columns),
            }
        )
    columns = "method seed round row benefit label true_label own_label text".split()
    return pd.DataFrame(records, columns=columns)


def by_benefit(method: str) -> bool:
    return STRATEGIES[method].labels == "own" and STRATEGIES[method].reads_validation


# --- files ---------------------------------------------------------------------------------------


def files(
    result: job.Result, tuned: pd.DataFrame, shown: pd.DataFrame, says: str
) -> dict[str, bytes | None]:
    """tuned.csv, gallery.csv, report.md and the pictures, by name; None where none is wanted."""
    several = tuned["round"].nunique() > 2
    return {
        "tuned.csv": report.as_csv(tuned),
        "gallery.csv": report.as_csv(shown),
        "report.md": markdown(result, tuned, shown, says, several).encode(),
        "fidelity.png": scatter(tuned, result.names) if result.options.plot else None,
        "tuned.png": curves(result, tuned, says) if result.options.plot and several else None,
    }


def markdown(result: job.Result, tuned: pd.DataFrame, shown: pd.DataFrame, says, several) -> str:
    plot = result.options.plot
    lines = [
        f"# {result.table.dataset.title}",
        "",
        f"{result.source}; {job.describe(result.options, result.explicit)}.",
        "",
        f"## {says}: test accuracy in %",
        "",
        *markdown_table(table(tuned, result.names)),
        "",
        f"{sentence(tuned)}.",
        "",
        *(["![gains of stand-in and encoder](fidelity.png)", ""] if plot else []),
        *(["![fine-tuned, by round](tuned.png)", ""] if plot and several else []),
        "## The stand-in",
        "",
        *(["![the stand-in, by round](curves.png)", ""] if plot else []),
        "```",
        report.table(result.curves, "test accuracy in %", result.names, job.REFERENCES),
        "```",
        "",
        "## The texts of highest benefit",
        "",
        "benefit: the score a text was picked for, an expected fall of the summed validation "
        "loss; own: what the stand-in itself said before that round.",
        "",
    ]
    for method, rows in shown.groupby("method", sort=False):
        cells = pd.DataFrame(
            {
                "benefit": rows["benefit"].map("{:.2f}".format),
                "given": rows["label"],
                "true": rows["true_label"],
                "own": rows["own_label"],
                "text": rows["text"].map(in_a_cell),
            }
        ).set_axis(range(1, len(rows) + 1))
        wrong = int((rows["label"] != rows["true_label"]).sum())
        lines += [
            f"### {result.names[method]}: {wrong} of {len(rows)} labels are not the true ones",
            "",
            *markdown_table(cells),
            "",
        ]
    if shown.empty:
        lines += ["No method of this run gives labels by benefit.", ""]
    return "\n".join(lines)


def in_a_cell(text: str) -> str:
    """A text that can break neither the row of a Markdown table nor the page."""
    line = " ".join(text.split())
    short = line if len(line) <= MOST_SIGNS else line[:MOST_SIGNS] + " …"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def scatter(tuned: pd.DataFrame, names: Mapping[str, str]) -> bytes:
    """Gain of the stand-in against gain of the encoder as a PNG: a point per method and seed, a
    large one for each method's mean."""
    from matplotlib.figure import Figure  # half a second that --no-plot need not pay

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    x, y = 100 * gains(tuned, "stand_in"), 100 * gains(tuned, "tuned")
    order = list(names)
    for method in (m for m in dict.fromkeys(tuned["method"]) if m != "none"):
        colour = report.PALETTE[order.index(method) % len(report.PALETTE)]
        axes.scatter(x[method], y[method], 18, color=colour, alpha=0.45, lw=0)
        axes.scatter(x[method].mean(), y[method].mean(), 90, color=colour, label=names[method])
    axes.axhline(0, color="#808080", lw=0.8)
    axes.axvline(0, color="#808080", lw=0.8)
    axes.set(
        xlabel="gain of the stand-in (points of test accuracy)",
        ylabel="gain of the fine-tuned encoder (points)",
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def curves(result: job.Result, tuned: pd.DataFrame, says: str) -> bytes:
    """The encoder's accuracy by round, drawn as the stand-in's is."""
    start = tuned[tuned["method"] == "none"]
    rest = tuned[tuned["method"] != "none"]
    starts = [start.assign(method=method) for method in dict.fromkeys(rest["method"])]
    frame = pd.concat([*starts, rest]).rename(columns={"tuned": "test_accuracy"})
    own = {name for name, strategy in STRATEGIES.items() if strategy.labels == "own"}
    return report.picture(frame, says, result.names, own, job.REFERENCES)
