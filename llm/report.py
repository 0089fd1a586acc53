"""What main_llm.py prints and writes of its trainings: tables, a page, and two pictures."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from common.escape import markdown, mathtext
from common.files import csv_bytes, text_bytes
from experiments.looks import LEVELS, OTHERS, Look, looks
from experiments.pictures import Picture, drawing, picture_files, picture_of
from experiments.plots import WIDTH, Heading, curves_picture, short_title, wrapped
from experiments.report import markdown_table
from experiments.results import Result
from experiments.tables import printed, rounds_table, with_deviation
from llm.agreement import Agreement, agreement, final_records, gains
from llm.leaders import TITLES, leader_line
from llm.stand_in import NONE
from strategies.registry import REFERENCES, VALIDATION_FORMS

LEGEND = (
    "± is the standard deviation over seeds; agree: the share of test texts to which stand-in and "
    "encoder give the same class; valid.: validation labels that the stand-in read, if only to "
    "choose its l2"
)
MOST_SIGNS = 240  # of each text in report.md


@dataclass(frozen=True)
class LanguageReport:
    """Everything that is reported of a run.

    result : of the stand-in. tuned, gallery : as in tuned.csv and gallery.csv. training : the
    encoder and its fine-tuning in words.
    """

    result: Result
    tuned: pd.DataFrame
    gallery: pd.DataFrame
    training: str

    @cached_property
    def sizes(self) -> dict[int, pd.DataFrame]:
        """By the number of labels given or bought: the rows of ``tuned`` then, and of NONE."""
        rounds = sorted(set(self.tuned["round"]) - {0})
        budget = self.result.settings.loop.budget
        return {n * budget: self.tuned[self.tuned["round"].isin([0, n])] for n in rounds}

    @property
    def has_curve(self) -> bool:
        """Whether the encoder was fine-tuned after several rounds."""
        return len(self.sizes) > 1

    @property
    def tables(self) -> list[str]:
        """The trainings as a printed table for each number of labels."""
        return [
            printed(tuning_cells(part), f"{labels:,} labels given or bought: test accuracy in %")
            for labels, part in self.sizes.items()
        ]

    @property
    def leaders(self) -> list[str]:
        """A sentence for each number of labels: who is ahead."""
        return [leader_line(part, labels) for labels, part in self.sizes.items()]

    @cached_property
    def agreement(self) -> Agreement:
        return agreement(self.tuned)

    def files(self) -> dict[str, bytes | None]:
        """Contents by name; None for a picture that is not wanted."""
        plot = self.result.settings.plot
        curves = plot and self.has_curve
        return {
            "tuned.csv": csv_bytes(self.tuned),
            "gallery.csv": csv_bytes(self.gallery),
            "report.md": text_bytes(markdown_report(self)),
            **picture_files("fidelity", gains_picture(self) if plot else None),
            **picture_files("tuned", tuned_picture(self) if curves else None),
        }


# --- the tables -----------------------------------------------------------------------------------


def tuning_cells(tuned: pd.DataFrame) -> pd.DataFrame:
    """A row per method, as text: accuracies of stand-in and encoder in %, mean ± deviation.

    tuned : as in tuned.csv, of one round and of NONE.
    """
    final = final_records(tuned)
    by_method = final.groupby(level="method", sort=False)
    counts = by_method[["labels_initial", "labels_bought", "labels_validation"]].max().to_numpy()
    columns = {
        "labels: initial + bought + valid.": [" + ".join(f"{c:,}" for c in n) for n in counts],
        "wrong": [_share(mean) for mean in by_method["wrong_share"].mean()],
        "stand-in": _with_deviations(100 * final["stand_in"]),
        "fine-tuned": _with_deviations(100 * final["tuned"]),
        "gain": _with_deviations(100 * gains(tuned, "tuned"), signed=True),
        "agree": _with_deviations(100 * final["agreement"]),
        "seconds": _with_deviations(final["seconds"]),
    }
    return pd.DataFrame(columns, index=[TITLES[m] for m in dict.fromkeys(tuned["method"])])


def _share(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.0f} %"


def _with_deviations(values: pd.Series, signed: bool = False) -> list[str]:
    """A text per method: mean ± deviation over seeds of ``values``, by method and seed."""
    grouped = values.groupby(level="method", sort=False)
    return [
        ("+" if signed and mean >= 0 else "") + with_deviation(mean, deviation, 1)
        for mean, deviation in zip(grouped.mean(), grouped.std(), strict=True)
    ]


# --- report.md ------------------------------------------------------------------------------------


def markdown_report(report: LanguageReport) -> str:
    """The report as a person would want to read it."""
    sections = [_trainings_section(report), _stand_in_section(report), _gallery_section(report)]
    return "\n".join(line for section in sections for line in section)


def _trainings_section(report: LanguageReport) -> list[str]:
    plot = report.result.settings.plot
    lines = [
        f"# {markdown(report.result.table.dataset.title)}",
        "",
        f"{markdown(report.result.heading)}.",
        "",
        f"## {markdown(report.training)}: test accuracy in %",
        "",
    ]
    for labels, part in report.sizes.items():
        lines += [
            f"### {labels:,} labels given or bought",
            "",
            *markdown_table(tuning_cells(part)),
            "",
            f"{leader_line(part, labels)}.",
            "",
        ]
    lines += [f"{report.agreement}.", ""]
    if plot:
        lines += ["![gains of stand-in and encoder](fidelity.png)", ""]
    if plot and report.has_curve:
        lines += ["![fine-tuned, by number of labels](tuned.png)", ""]
    return lines


def _stand_in_section(report: LanguageReport) -> list[str]:
    picture = ["![the stand-in, by round](curves.png)", ""]
    return [
        "## The stand-in",
        "",
        *(picture if report.result.settings.plot else []),
        "```",
        rounds_table(report.result.curves, "the stand-in", report.result.metric),
        "```",
        "",
    ]


def _gallery_section(report: LanguageReport) -> list[str]:
    lines = [
        "## The texts of highest benefit",
        "",
        "benefit: the score that a text was picked for, an estimate of how far the summed "
        "validation loss falls; own: the class that the stand-in predicted before that round.",
        "",
    ]
    for method, rows in report.gallery.groupby("method", sort=False):
        cells = pd.DataFrame(
            {
                "benefit": rows["benefit"].map("{:.2f}".format),
                "given": rows["label"],
                "true": rows["true_label"],
                "own": rows["own_label"],
                "text": rows["text"].map(shortened),
            }
        ).set_axis(range(1, len(rows) + 1))
        wrong = int((rows["label"] != rows["true_label"]).sum())
        lines += [
            f"### {TITLES[method]}: {wrong} of {len(rows)} labels are not the true ones",
            "",
            *markdown_table(cells),
            "",
        ]
    if report.gallery.empty:
        lines += ["No method of this run gives labels by benefit.", ""]
    return lines


def shortened(text: str) -> str:
    """A text on one line, at most MOST_SIGNS signs of it."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_SIGNS else line[:MOST_SIGNS] + " …"


# --- pictures -------------------------------------------------------------------------------------


def gains_picture(report: LanguageReport) -> Picture:
    """Gain of the stand-in against gain of the encoder, and the diagonal of equal gains.

    A small point is a method on a seed, a large one a method's mean.
    """
    from matplotlib.figure import Figure  # half a second that --no-plot need not pay

    methods = [method for method in dict.fromkeys(report.tuned["method"]) if method != NONE]
    shown = looks([method for method in methods if method not in REFERENCES])
    with drawing():
        figure = Figure(figsize=(6.8, 5.2), layout="constrained")
        title = f"{short_title(report.result.table.dataset)}: does the encoder gain as well?"
        figure.suptitle(mathtext(title), x=0.01, ha="left", fontsize=11, weight="bold")
        axes = figure.subplots()
        x, y = 100 * gains(report.tuned, "stand_in"), 100 * gains(report.tuned, "tuned")
        for method in methods:
            colour, marker = vars(shown.get(method, Look(LEVELS, "X"))).values()
            axes.scatter(x[method], y[method], 20, color=colour, marker=marker, alpha=0.45, lw=0)
            axes.scatter(x[method].mean(), y[method].mean(), 90, color=colour, marker=marker,
                         label=TITLES[method])  # fmt: skip
        axes.axhline(0, color=OTHERS, lw=0.8, zorder=0)
        axes.axvline(0, color=OTHERS, lw=0.8, zorder=0)
        axes.axline((0, 0), slope=1, color=LEVELS, lw=0.9, ls=":", zorder=0, label="equal gains")
        setting = wrapped(report.training, 8, 0.7 * WIDTH)
        axes.set_title("\n".join(map(mathtext, setting)), loc="left", fontsize=8)
        axes.set(
            xlabel="gain of the stand-in (points of test accuracy)",
            ylabel="gain of the fine-tuned encoder (points)",
        )
        axes.grid(alpha=0.3)
        figure.legend(loc="outside right center", frameon=False)
        words = "A small point is a method on a seed, a large one its mean over the seeds."
        figure.supxlabel(words, x=0.01, ha="left", fontsize=8)
        return picture_of(figure)


def tuned_picture(report: LanguageReport) -> Picture:
    """The encoder's accuracy by number of labels; a reference is a level line.

    A form that trains on the validation rows does not start at no added labels.
    """
    tuned, budget = report.tuned, report.result.settings.loop.budget
    start, rest = tuned[tuned["method"] == NONE], tuned[tuned["method"] != NONE]
    starts = [
        (rest[(rest["method"] == method) & (rest["round"] == rest["round"].min())]).assign(round=0)
        if method in REFERENCES
        else start.assign(method=method)
        for method in dict.fromkeys(rest["method"])
        if method not in VALIDATION_FORMS
    ]
    frame = pd.concat([*starts, rest]).rename(columns={"tuned": "test_accuracy"})
    frame = frame.assign(round=frame["round"] * budget)
    title = f"{short_title(report.result.table.dataset)}: the fine-tuned encoder"
    return curves_picture(frame, Heading(title, report.training), xlabel="labels given or bought")
