"""Crops of demonstrations' pictures, in batches."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.philox import philox_uint64
from trainer.data.demonstrations.episode import Episode
from trainer.model.observation import Camera

IntArray = NDArray[np.int64]
Pictures = NDArray[np.uint8]

# Crops are drawn from streams that nothing else of Stage 2 uses: this and the sample's place in the order.
_CROP_STREAM = 2**61


class EpisodePictures:
    """A camera's pictures of every step of some episodes, one after the other."""

    def __init__(self, episodes: Sequence[Episode], name: str, camera: Camera) -> None:
        self._camera = camera
        self._frames = [episode.images[name].frames for episode in episodes]
        self._rows = np.concatenate([episode.images[name].rows for episode in episodes])
        lengths = [len(episode.images[name].rows) for episode in episodes]
        self._episodes = np.repeat(np.arange(len(episodes)), lengths)

    def random_crops(self, steps: IntArray, seed: int, places: IntArray, camera_index: int) -> Pictures:
        """A random crop of each of (n, n_picture_steps) steps: (n, n_picture_steps, height, width, 3).

        A function of the seed, the sample's place in the order (n,), the camera and the step in the window alone.
        """
        (height, width), (crop_height, crop_width) = self._camera.size, self._camera.crop
        words = philox_uint64(seed, _CROP_STREAM + places, camera_index, 2 * steps.shape[1])
        room = np.array([height - crop_height + 1, width - crop_width + 1], np.uint64)
        corners = (words.reshape(*steps.shape, 2) % room).astype(np.int64)
        return self._gather(steps, corners)

    def center_crops(self, steps: IntArray) -> Pictures:
        """The middle of each of (n, n_picture_steps) steps: (n, n_picture_steps, height, width, 3)."""
        return self._gather(steps, np.broadcast_to(np.array(self._camera.middle()), (*steps.shape, 2)))

    def _gather(self, steps: IntArray, corners: IntArray) -> Pictures:
        height, width = self._camera.crop
        crops = np.empty((steps.size, height, width, 3), np.uint8)
        flat = steps.reshape(-1)
        places = zip(self._episodes[flat], self._rows[flat], corners.reshape(-1, 2), strict=True)
        for crop, (episode, row, (top, left)) in zip(crops, places, strict=True):
            crop[:] = self._frames[episode][row, top : top + height, left : left + width]
        return crops.reshape(*steps.shape, height, width, 3)
