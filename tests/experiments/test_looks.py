"""Which methods a picture highlights, and whether their colours can be told apart by everyone."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from colorspacious import cspace_convert
from matplotlib.colors import to_rgb

from experiments.looks import COLOURS, MOST, OTHERS, highlighted, looks
from strategies.registry import PAPER, STRATEGIES


@pytest.mark.parametrize("vision", [None, "protanomaly", "deuteranomaly", "tritanomaly"])
def test_colours_differ_also_for_the_colour_blind(vision):
    """Colours as colorspacious simulates them (Machado and others, 2009, full severity), and its
    distance in CAM02-UCS, in which about 2 can just be seen: 15 is far apart."""
    seen = np.array([to_rgb(colour) for colour in (*COLOURS, OTHERS)])
    if vision:
        space = {"name": "sRGB1+CVD", "cvd_type": vision, "severity": 100}
        seen = np.clip(cspace_convert(seen, space, "sRGB1"), 0, 1)
    places = cspace_convert(seen, "sRGB1", "CAM02-UCS")
    for one, other in combinations(places, 2):
        assert np.linalg.norm(one - other) > 15


def test_all_of_six_methods_are_highlighted_and_six_of_many():
    area = pd.Series(np.arange(20.0, 0, -1)[: len(STRATEGIES)], index=list(STRATEGIES))
    few = area[["pseudo", "badge", "random", "salutary", "qbc", "margin"]]
    assert set(highlighted([few])) == set(few.index)
    # The salutary rules and random, the best that buys, then the best of the others.
    many = area.drop("random").sort_values()[::-1]
    many["bald"], many["isal"], many["random"] = 40, 50, -1
    assert highlighted([many])[:4] == ["salutary", "salutary_plus", "random", "bald"]
    assert highlighted([many])[4] == "isal"
    assert len(highlighted([many])) == MOST
    # Over several data sets the mean rank counts, and an undefined area is the last.
    other = many.copy()
    other["isal"] = np.nan
    assert "isal" not in highlighted([many, other])


def test_salutary_rules_keep_their_colours_and_no_two_methods_look_the_same():
    for names in (PAPER[:6], ("badge", "salutary_plus", "qbc", "random", "bald", "salutary")):
        shown = looks(names)
        assert len({look.colour for look in shown.values()}) == len(set(names)) == 6
        assert shown.get("salutary", looks(["salutary"])["salutary"]).colour == COLOURS[0]
    assert shown["salutary_plus"].colour == COLOURS[1]
    assert len(set(looks(list(STRATEGIES)).values())) == len(STRATEGIES)
