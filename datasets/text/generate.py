"""Human-rated texts from the source distribution of vaderSentiment: writes four .csv.gz beside it.

Source: C. J. Hutto & E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
Social Media Text", ICWSM 2014, MIT licence. The texts and their mean ratings, from -4 to 4, are as
published, in the published order; only the form is changed, from tab-separated lines to CSV.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python datasets/text/generate.py vaderSentiment-3.3.2.tar.gz
"""

import csv
import gzip
import io
import sys
import tarfile
from pathlib import Path

INSIDE = "additional_resources/hutto_ICWSM_2014.tar.gz"
FILES = {
    "movies": "movieReviewSnippets_GroundTruth.txt",
    "tweets": "tweets_GroundTruth.txt",
    "reviews": "amazonReviewSnippets_GroundTruth.txt",
    "editorials": "nytEditorialSnippets_GroundTruth.txt",
}


def member(bundle: bytes, ending: str) -> bytes:
    """The contents of the one file in a .tar.gz whose path ends so."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as tar:
        (name,) = (name for name in tar.getnames() if name.endswith(ending))
        return tar.extractfile(name).read()


def as_csv(content: bytes) -> str:
    """Lines of id, rating, text, separated by tabs, as a CSV of rating and text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["rating", "text"])
    for line in content.decode().splitlines():
        _, rating, text = line.split("\t")
        writer.writerow([rating, text])
    return out.getvalue()


def main(source: Path) -> None:
    texts = member(source.read_bytes(), INSIDE)
    for name, file in FILES.items():
        packed = gzip.compress(as_csv(member(texts, file)).encode(), compresslevel=9, mtime=0)
        (Path(__file__).parent / f"{name}.csv.gz").write_bytes(packed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
