"""Which features a data set is used with: its columns, principal components, or an image encoder's.

Standard library only: options are parsed before anything heavy is loaded.
"""

import re
from argparse import ArgumentTypeError
from dataclasses import dataclass

from common.errors import UserError


@dataclass(frozen=True)
class FeatureChoice:
    """components : so many principal components; 0 for the columns as they are.

    image_encoder : the output of a pretrained image network in place of pixels.
    """

    components: int = 0
    image_encoder: bool = False

    def __str__(self) -> str:
        """As --features takes it; "" for the columns as they are."""
        if self.image_encoder:
            return "efficientnet"
        return f"pca:{self.components}" if self.components else ""


AS_THEY_ARE = FeatureChoice()


def feature_choice(text: str) -> FeatureChoice:
    """The value of --features: efficientnet, or pca:N."""
    kind, _, number = text.partition(":")
    if text == "efficientnet":
        return FeatureChoice(image_encoder=True)
    if kind == "pca" and number.isdecimal() and int(number) > 0:
        return FeatureChoice(components=int(number))
    raise ArgumentTypeError(f"{text!r} is neither efficientnet nor pca:N")


def split_token(token: str, option: str) -> tuple[str, FeatureChoice]:
    """A data set or a path, and its features, as in mnist:pca:50, mnist, or my:table.csv:pca:5.

    A colon in a path belongs to the path, unless features follow it.
    Raises UserError, with the ``option`` that the token was given to, for unknown features.
    """
    is_path = "/" in token or "." in token
    pattern = r"(.+?)(?::(pca:.*|efficientnet))?" if is_path else r"([^:]*)(?::(.*))?"
    name, features = re.fullmatch(pattern, token, re.S).groups()  # type: ignore[union-attr]
    try:
        return name, feature_choice(features) if features else AS_THEY_ARE
    except ArgumentTypeError as error:
        raise UserError(f"{option} {token}: {error}") from error
