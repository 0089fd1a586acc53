"""explore.py by its command line: which studies are made, their files, and mistakes."""

from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.image import imread

import explore
from studies import progress
from studies.drawing import DPI, WIDTH
from studies.registry import STUDIES

PIXELS = round(WIDTH * DPI)


def test_all_writes_pictures_for_light_and_dark_pages_and_papers_and_a_table_of_each(
    explored,
):
    assert list(STUDIES) == [
        "truth", "budget", "share", "validation", "l2", "retrain", "hessian", "gallery", "boundary",
        "why",
    ]  # fmt: skip
    ends = (".png", "-dark.png", ".pdf", ".csv")
    names = {f"{study}{end}" for study in STUDIES for end in ends}
    assert {path.name for path in explored.iterdir()} == names | {"index.html"}
    for study in STUDIES:
        light, dark = imread(explored / f"{study}.png"), imread(explored / f"{study}-dark.png")
        assert light.shape == dark.shape
        assert light.shape[1] == PIXELS
        assert light[0, 0, :3].min() == 1
        assert dark[0, 0, :3].max() < 0.2
        assert (explored / f"{study}.pdf").read_bytes().startswith(b"%PDF")
        assert light[..., :3].std() > 0.03  # something is drawn
        table = pd.read_csv(explored / f"{study}.csv")
        assert len(table) >= 2
        one_seed = STUDIES[study].one_seed
        assert any(column.endswith("_sd") for column in table) != one_seed


@pytest.mark.slow
def test_the_same_command_gives_the_same_bytes_with_one_process_or_two(small, explored, tmp_path):
    quick = ["truth", "boundary", *small, "--quiet", "--jobs", "2", "--out", str(tmp_path)]
    assert explore.main(quick) == 0
    written = sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 8  # and no page: that is for all
    for name in written:
        assert (tmp_path / name).read_bytes() == (explored / name).read_bytes(), name


def test_a_study_is_saved_before_its_table_and_two_sentences_are_printed(
    small, tmp_path, monkeypatch
):
    printed = []  # every text, and the files that were there when it was printed

    def watched_print(text):
        printed.append((text, {path.name for path in tmp_path.iterdir()}))

    monkeypatch.setattr("builtins.print", watched_print)
    assert explore.main(["boundary", *small, "--jobs", "1", "--out", str(tmp_path)]) == 0
    whole = "\n".join(text for text, _ in printed)
    for text in ("2 principal components", "| accuracy before |", "Salutary: the picks lie",
                 "Salutary plus: the picks lie",
                 "boundary.png, boundary.pdf, boundary.csv in"):  # fmt: skip
        assert text in whole
    (files,) = [files for text, files in printed if "Salutary: the picks lie" in text]
    assert files == {"boundary.png", "boundary-dark.png", "boundary.pdf", "boundary.csv"}


def test_list_names_every_study_with_its_data_set(capsys):
    assert explore.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[s.name, s.dataset] for s in STUDIES.values()]


def test_a_study_takes_more_labeled_rows_if_its_own_few_leave_out_a_class(tmp_path, capsys):
    small = "boundary --dataset wine --seed 0 --rounds 1 --budget 1 --jobs 1 --out".split()
    assert explore.main([*small, str(tmp_path)]) == 0
    assert "300 labeled rows" in capsys.readouterr().out
    assert explore.main([*small, str(tmp_path), "--init", "30"]) == 2
    assert "give a larger --init" in capsys.readouterr().err


def test_ctrl_c_keeps_finished_studies_and_names_them(small, tmp_path, capsys, monkeypatch):
    def stopped(bench):
        raise KeyboardInterrupt

    monkeypatch.setitem(STUDIES, "why", replace(STUDIES["why"], make=stopped))
    out = ["--jobs", "1", "--out", str(tmp_path)]
    assert explore.main(["why", *small, *out]) == 130
    assert capsys.readouterr().err.endswith("stopped by Ctrl-C; no result was changed\n")
    assert explore.main(["boundary", "why", *small, *out]) == 130
    told = capsys.readouterr()
    kept = f"stopped by Ctrl-C; the finished studies are kept in {tmp_path}: boundary\n"
    assert told.err.endswith(kept)
    assert "2 studies: boundary, why" in told.out
    assert {p.name for p in tmp_path.iterdir()} == {
        "boundary.png", "boundary-dark.png", "boundary.pdf", "boundary.csv",
    }  # fmt: skip


def test_the_time_left_is_that_of_the_other_studies_at_the_pace_so_far(monkeypatch):
    studies = [STUDIES[name] for name in ("truth", "l2", "why")]
    monkeypatch.setattr(progress, "SECONDS", {"truth": 10, "l2": 30, "why": 2})
    clock = iter([100.0, 300.0, 420.0])
    monkeypatch.setattr(progress, "perf_counter", lambda: next(clock))
    made = progress.Progress(studies, jobs=2, start=0.0)
    assert "took 42 s of processor time" in made.announcement()
    assert "2 processes share the work" in made.announcement()
    assert made.after(1) == "study 1 of 3 done after 1 min 40 s, about 5 min 20 s left"
    assert made.after(2) == "study 2 of 3 done after 5 min 0 s, about 15 s left"
    assert made.after(3) == "study 3 of 3 done after 7 min 0 s, all are done"


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("thruth", "unknown study 'thruth': did you mean 'truth'? choose from truth, budget"),
        ("", "name a study: truth, budget"),
        ("truth --dataset bnak", "unknown data set 'bnak': did you mean 'bank'?"),
        ("truth --dataset bank:pca:x", "'pca:x' is neither efficientnet nor pca:N"),
        ("truth --dataset mnist:efficientnet", "makes pca:N features, not efficientnet"),
        ("truth --dataset bank:pca:900", "at most 48 components are to be had here"),
        ("truth --dataset missing.csv --target y", "missing.csv does not exist"),
        (
            "truth --dataset breast_cancer --budget 90",
            "give a smaller --budget, --rounds or --init",
        ),
        ("budget --dataset breast_cancer --rounds 200", "too few here"),
        ("share --dataset breast_cancer --rounds 60", "too few for 60 rounds"),
        ("gallery --dataset bank", "gallery shows images, bank has none"),
        ("retrain --dataset mnist", "this one has 7,850: give principal components"),
        ("truth --seeds 5-3", "the range '5-3' runs backwards"),
        ("truth --protocol lax", "invalid choice: 'lax'"),
        ("truth --data-dir nowhere", "--data-dir nowhere is not a folder"),
        ("truth --l2 3", "unrecognized arguments: --l2 3"),
        ("truth --round 2", "--round is for the study why: name it, or leave --round out"),
        ("budget --picks 2", "--picks is for the study why"),
        ("why --method full_pool", "full_pool is a reference, which picks nothing"),
        ("why --method salutry", "unknown --method 'salutry': did you mean 'salutary'?"),
        ("why --rounds 2 --round 3", "--round 3 comes after the last of --rounds 2"),
        ("why --budget 2 --picks 3", "--picks 3 is more than a round has: --budget is 2"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(arguments, message, tmp_path, capsys):
    given = [*arguments.split(), "--quiet", "--jobs", "1", "--out", str(tmp_path)]
    assert explore.main([*given, *([] if "--seeds" in given else ["--seeds", "0"])]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_computed(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert explore.main(["all", "--quiet", "--out", str(tmp_path / "file" / "explore")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "cannot write to" in error
