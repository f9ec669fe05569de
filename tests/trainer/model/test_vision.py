"""The cameras' networks, against independent computations. ResNet18 was found equal to torchvision's to the bit."""

import numpy as np
import pytest
import torch

from shared.errors import ConfigError
from trainer.model.observation import Camera, cameras_of
from trainer.model.vision import CameraEncoder, PictureEncoder, ResNet18, spatial_softmax


def test_a_camera_has_the_papers_parameters() -> None:
    assert sum(value.numel() for value in CameraEncoder().parameters()) == 11_197_088
    assert sum(value.numel() for value in ResNet18().parameters()) == 11_176_512


@pytest.mark.parametrize(("size", "maps"), [((76, 76), (3, 3)), ((33, 64), (2, 2)), ((116, 130), (4, 5))])
def test_the_last_map_is_a_thirty_second_of_the_picture(size: tuple[int, int], maps: tuple[int, int]) -> None:
    assert ResNet18()(torch.zeros(1, 3, *size)).shape == (1, 512, *maps)


def test_the_groups_have_sixteen_channels() -> None:
    norms = [part for part in ResNet18().modules() if isinstance(part, torch.nn.GroupNorm)]
    assert len(norms) == 20
    assert {norm.num_channels // norm.num_groups for norm in norms} == {16}


def test_spatial_softmax_is_the_mean_place() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 3, 4, 5)) * 3
    found = spatial_softmax(torch.from_numpy(maps)).numpy().reshape(2, 3, 2)
    for n in range(2):
        for k in range(3):
            weights = np.exp(maps[n, k]) / np.exp(maps[n, k]).sum()
            x = sum(weights[i, j] * (-1 + 2 * j / 4) for i in range(4) for j in range(5))
            y = sum(weights[i, j] * (-1 + 2 * i / 3) for i in range(4) for j in range(5))
            assert np.abs(found[n, k] - [x, y]).max() < 1e-6


def test_features_stand_before_the_low_dimensional_part_of_their_step() -> None:
    torch.manual_seed(0)
    encoder = PictureEncoder(2, 3).eval()
    pictures = [torch.randint(0, 256, (4, 3, *size, 3), dtype=torch.uint8) for size in ((40, 40), (33, 50))]
    low_dim = torch.randn(4, 3 * 5)
    with torch.no_grad():
        joined = encoder(low_dim, pictures).view(4, 3, 2 * 64 + 5)
        for camera, seen in enumerate(pictures):
            alone = encoder.cameras[camera](seen[2, 1:2])
            assert (joined[2, 1, 64 * camera : 64 * camera + 64] - alone[0]).abs().max() < 1e-5
        assert torch.equal(joined[..., 128:], low_dim.view(4, 3, 5))
        assert encoder(torch.empty(4, 0), pictures).shape == (4, 3 * 128)


def test_black_is_minus_one_and_white_one() -> None:
    encoder = CameraEncoder().eval()
    with torch.no_grad():
        for colour, pixel in ((0, -1.0), (255, 1.0)):
            maps = encoder.keypoints(encoder.network(torch.full((1, 3, 40, 40), pixel)))
            wanted = encoder.output(spatial_softmax(maps))
            found = encoder(torch.full((1, 40, 40, 3), colour, dtype=torch.uint8))
            assert (found - wanted.relu()).abs().max() < 1e-5


def test_crops_are_a_share_of_the_picture() -> None:
    assert cameras_of({"front": (84, 84)}, 0.9) == {"front": Camera((84, 84), (76, 76))}
    assert Camera((84, 100), (76, 90)).middle() == (4, 5)
    pictures = np.arange(84 * 100 * 3).reshape(1, 84, 100, 3).astype(np.uint8)
    assert np.array_equal(Camera((84, 100), (76, 90)).center(pictures), pictures[:, 4:80, 5:95])
    with pytest.raises(
        ConfigError, match=r"'front' has pictures of 32 x 84, of which crops of 29 x 76 are seen; at least"
    ):
        cameras_of({"front": (32, 84)}, 0.9)
