"""The picture of a verdict: each arm's mean and the interval of its change, as SVG in the page."""

from common.escape import html
from labeling.answer import change_text, percent
from labeling.evidence import Arm, Evidence, Measure

WIDTH, HEAD, ROW = 340, 34, 46  # in pixels: of the picture, of its heading, of an arm
BETTER = {Measure.LOG_LOSS: "lower is better", Measure.ACCURACY: "higher is better"}


def pictures(evidence: Evidence) -> str:
    """An SVG element for the log loss, and one for the accuracy."""
    return "".join(picture(evidence, measure) for measure in BETTER)


def picture(evidence: Evidence, measure: Measure) -> str:
    """One row for each arm: its mean as a dot, the 95 % interval of its change as a line.

    The upright line is at the mean of the labeled rows alone.
    """
    means = {arm: float(evidence.values(measure, arm).mean()) for arm in evidence.arms}
    changes = {arm: evidence.change(measure, arm) for arm in evidence.arms}
    ends = [means[arm] + sign * changes[arm].half for arm in means for sign in (-1, 1)]
    low, span = min(ends), max(max(ends) - min(ends), 1e-9)

    def x(value: float) -> str:
        return f"{12 + (WIDTH - 24) * (value - low) / span:.1f}"

    points, height = measure != Measure.LOG_LOSS, HEAD + ROW * len(means)
    zero, told, drawn = x(means[Arm.LABELED]), [], []
    for number, (arm, mean) in enumerate(means.items()):
        y = HEAD + ROW * number
        value = percent(mean) if points else f"{mean:.3f}"
        if arm != Arm.LABELED:
            half = changes[arm].half
            value += f" ({change_text(changes[arm], points)})"
            left, right = x(mean - half), x(mean + half)
            drawn.append(f'<line class="whisker" x1="{left}" x2="{right}" y1="{y + 26}"'
                         f' y2="{y + 26}"/>')  # fmt: skip
        value = value.replace("-", "\N{MINUS SIGN}")
        told.append(f"{arm}: {value}")
        drawn += [
            f'<line class="zero" x1="{zero}" x2="{zero}" y1="{y + 17}" y2="{y + 35}"/>',
            f'<text class="arm" x="0" y="{y + 10}">{html(arm)}</text>',
            f'<text class="value" x="{WIDTH}" y="{y + 10}" text-anchor="end">{html(value)}</text>',
            f'<circle class="dot{number}" cx="{x(mean)}" cy="{y + 26}" r="5"/>',
        ]
    title = f"{measure}, {BETTER[measure]}"
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {height - 6}" width="{WIDTH}" height="{height - 6}">'
        f"<title>{html(title + '. ' + '; '.join(told))}</title>"
        f'<text class="measure" x="0" y="14">{html(title)}</text>{"".join(drawn)}</svg>'
    )
