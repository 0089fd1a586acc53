"""All studies, in the order of --list and of the page.

To add a study, write its function in a file of this package and its name into the list here.
"""

from common.registry import Registry
from studies.base import Study
from studies.boundary import boundary
from studies.budget import budget
from studies.gallery import gallery
from studies.hessian import hessian
from studies.l2 import l2
from studies.retrain import retrain
from studies.share import share
from studies.truth import truth
from studies.validation import validation
from studies.why import why

STUDIES: Registry[Study] = Registry(
    "STUDIES",
    (
        truth,
        budget,
        share,
        validation,
        l2,
        retrain,
        hessian,
        gallery,
        boundary,
        why,
    ),
)
