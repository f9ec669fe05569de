import copy

import pytest
import torch
from torch import nn

from tests.trainer.example import HEADS
from trainer.backbones import build_backbone
from trainer.packed_linear import PackedLinear, pack_linear


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_layers_give_what_linear_gives_for_any_number_of_rows(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(24, 96), nn.GELU(), nn.Sequential(nn.Linear(96, 24, bias=False))).to(dtype)
    packed = copy.deepcopy(layers)
    pack_linear(packed, 16)
    assert [type(part) for part in packed.modules()].count(PackedLinear) == 2
    for shape in ((1, 24), (1, 16, 24), (7, 16, 24)):
        x = torch.randn(shape)
        with torch.inference_mode():
            expected, given = layers(x.to(dtype)), packed(x)
        assert given.shape == expected.shape
        assert (given.float() - expected.float()).abs().max() < (1e-5 if dtype == torch.float32 else 2e-2)


def test_every_backbone_can_be_packed() -> None:
    for name, config in HEADS.items():
        backbone = build_backbone(config, 10).eval()
        packed = copy.deepcopy(backbone)
        pack_linear(packed, 16)
        noisy = torch.randn(2, config.horizon, 10)
        tokens = [3] if config.attends_to_tokens else []
        signals = [torch.randn(2, *tokens, width) for width in backbone.signal_widths]
        with torch.inference_mode():
            assert (packed(noisy, signals) - backbone(noisy, signals)).abs().max() < 1e-4, name
