"""Reports: the records of an experiment as a printed table, CSV files, a picture and a manifest."""

import io
import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from prettytable import PrettyTable

from sources import UserError

CURVE_COLUMNS = (
    "dataset,protocol,method,seed,round,test_accuracy,validation_accuracy,validation_loss,"
    "labels_bought,seconds,labels_initial,labels_validation,wrong_share,pick_norm,gap,condition"
).split(",")
PICK_COLUMNS = "method,seed,round,row,label,true_label,score,norm".split(",")
MOST_ROUNDS = 11  # columns of the printed table; curves.csv holds every round


def curves_frame(records: Sequence[Mapping], dataset: str, protocol: str) -> pd.DataFrame:
    """A row per method, seed and round, accuracies as fractions."""
    return pd.DataFrame(records).assign(dataset=dataset, protocol=protocol)[CURVE_COLUMNS]


def picks_frame(records: Sequence[Mapping]) -> pd.DataFrame:
    """A row per picked sample; ``row`` is its row number in the source file."""
    return pd.DataFrame(records, columns=PICK_COLUMNS)  # references alone pick nothing


def table(
    curves: pd.DataFrame, title: str, names: Mapping[str, str], references: Collection[str] = ()
) -> str:
    """Methods × rounds, test accuracy in %, the best value of each column marked with a star.

    ``gain`` is the last round less round 0, ``mean`` the mean over all rounds with round 0; both
    with their standard deviation over seeds, where there are several. Human labels are counted by
    what they were for: the start, the picks, and the validation set where the method reads it.
    ``references`` show what could be had, and get no star.
    """
    accuracy = curves.pivot(index=["method", "seed"], columns="round", values="test_accuracy") * 100
    last, seeds = accuracy.columns[-1], accuracy.index.unique("seed")
    shown = np.unique(np.linspace(0, last, min(last + 1, MOST_ROUNDS)).round().astype(int))
    columns = {str(r): (accuracy[r], "{:.1f}", max) for r in shown}
    columns["gain"] = accuracy[last] - accuracy[0], "{:+.1f}", max
    columns["mean"] = accuracy.mean(axis=1), "{:.1f}", max
    sums = curves.groupby(["method", "seed"])
    columns["initial"] = sums["labels_initial"].max(), "{:.0f}", None
    columns["bought"] = sums["labels_bought"].max(), "{:.0f}", min
    columns["valid."] = sums["labels_validation"].max(), "{:.0f}", None
    columns["seconds"] = sums["seconds"].sum(), "{:.2f}", min

    methods = list(dict.fromkeys(curves["method"]))
    out = PrettyTable(title=title, padding_width=0, left_padding_width=1)
    out.add_column("method", [names[method] for method in methods], align="l")
    for name, (values, form, best_of) in columns.items():
        by_method = values.groupby("method")
        means, spread = by_method.mean()[methods], by_method.std()[methods]
        texts = [form.format(mean) for mean in means]
        rivals = means.drop(references, errors="ignore")
        best = form.format(best_of(rivals)) if best_of and len(rivals) else None
        starred = [
            text == best and method not in references
            for method, text in zip(methods, texts, strict=True)
        ]
        cells = [
            text + "*" * (star and len(set(texts)) > 1)
            for text, star in zip(texts, starred, strict=True)
        ]
        if len(seeds) > 1 and name in ("gain", "mean"):
            cells = [f"{cell} ± {s:.1f}" for cell, s in zip(cells, spread, strict=True)]
        out.add_column(name, cells, align="r")
    return out.get_string()


MARK = {"better": " ▲", "worse": " ▼", "": ""}
LEGEND = (
    "AULC: area under the learning curve; p: paired Wilcoxon test of it against the best other "
    "method, Holm-corrected; ▲, ▼: significantly above, below that"
)


def statistics(summary: pd.DataFrame, names: Mapping[str, str], pm: str = " ± ") -> pd.DataFrame:
    """What ``stats.summary`` says, as text: means, deviations, the verdict's mark, human labels."""
    counts = summary[["labels_initial", "labels_bought", "labels_validation"]].to_numpy()
    return pd.DataFrame(
        {
            "final": [spread(m, s, 1, pm) for m, s in summary[["final", "final_sd"]].to_numpy()],
            "AULC": [
                spread(m, s, 2, pm) + MARK[v]
                for m, s, v in summary[["aulc", "aulc_sd", "verdict"]].itertuples(index=False)
            ],
            "p": ["" if np.isnan(p) else f"{p:.3f}" for p in summary["p"]],
            "against": [names[a] if a else "" for a in summary["against"]],
            "labels: initial + bought + valid.": [" + ".join(f"{c:,}" for c in n) for n in counts],
        },
        index=[names[m] for m in summary.index],
    )


def spread(mean: float, deviation: float, digits: int, pm: str) -> str:
    """Mean and deviation; the mean alone for a single seed, which has no deviation."""
    shown = "" if np.isnan(deviation) else f"{pm}{deviation:.{digits}f}"
    return f"{mean:.{digits}f}{shown}"


def statistics_table(summary: pd.DataFrame, names: Mapping[str, str]) -> str:
    return grid(statistics(summary, names))


def grid(cells: pd.DataFrame, title: str | None = None) -> str:
    """A frame of texts, a row per method, as a printed table."""
    out = PrettyTable(["method", *cells.columns], title=title, align="l")
    out.add_rows([[name, *row] for name, row in cells.iterrows()])
    return out.get_string()


# Okabe-Ito for the paper's seven, Tol's muted colours for the others, in the registry's order.
PALETTE = (
    "#000000 #E69F00 #56B4E9 #009E73 #CC79A7 #D55E00 #0072B2 #882255 #44AA99 #AA4499 "
    "#117733 #999933 #661100 #6699CC #DDCC77 #CC6677 #332288 #88CCEE"
).split()


def picture(
    curves: pd.DataFrame,
    title: str,
    names: Mapping[str, str],
    own: Collection[str],
    references: Collection[str] = (),
) -> bytes:
    """The curves as a PNG: a line per method, a band of 95 % confidence in its mean over seeds.

    Methods in ``own`` buy no labels and are drawn solid, ``references`` dotted, the others dashed.
    """
    from matplotlib.figure import Figure  # half a second that --no-plot need not pay

    accuracy = curves.pivot(index="round", columns=["method", "seed"], values="test_accuracy") * 100
    methods = sorted(
        dict.fromkeys(curves["method"]), key=lambda m: -accuracy[m].iloc[-1].mean()
    )  # the legend then lists them as the lines end, from top to bottom
    figure = Figure(figsize=(8.5, max(4.8, 1.2 + 0.3 * len(methods))), layout="constrained")
    axes = figure.subplots()
    colours = {method: PALETTE[i % len(PALETTE)] for i, method in enumerate(names)}
    for i, method in enumerate(methods):
        seeds = accuracy[method].shape[1]
        mean, spread = accuracy[method].mean(axis=1), accuracy[method].std(axis=1)
        colour = "#808080" if method in references else colours[method]
        style = ":" if method in references else "-" if method in own else (0, (4, 1.5))
        axes.plot(
            mean,
            color=colour,
            # curves can coincide: later ones are thinner, so that both are seen
            linewidth=4.0 - 2.5 * i / max(len(methods) - 1, 1),
            linestyle=style,
            label=names[method] + (" (buys no label)" if method in own else ""),
        )
        if seeds > 1:
            half = 1.96 * spread / np.sqrt(seeds)
            axes.fill_between(mean.index, mean - half, mean + half, color=colour, alpha=0.12, lw=0)
    figure.suptitle(title, fontsize=10)
    axes.set(xlabel="round", ylabel="test accuracy (%)")
    axes.set_xlim(0, accuracy.index[-1])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def as_csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode()


def as_json(manifest: Mapping) -> bytes:
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()


def open_folder(folder: Path) -> None:
    """Make ``folder`` and see that files can be written there, before anything is computed."""
    probe = folder / f".probe.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from error


def write(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Write ``files`` into ``folder``: all of them whole, or none. None removes an old file.

    Every file is written beside its place first, and only when all are there are they renamed; what
    was there before stays until then. Raises UserError where the disk does not take them.
    """
    parts = {name: folder / f".{name}.{os.getpid()}.part" for name in files}
    try:
        for name, content in files.items():
            if content is not None:
                with parts[name].open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        for name, content in files.items():
            if content is None:
                (folder / name).unlink(missing_ok=True)
            else:
                parts[name].replace(folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write to {folder}: {error.strerror}; nothing there was changed, "
        "make room or name another folder with --out"
    )
