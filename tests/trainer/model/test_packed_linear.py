import copy

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.example import HEADS
from trainer.device import computes_bf16
from trainer.model.backbones import build_backbone
from trainer.model.backbones.perceptron import Perceptron
from trainer.model.packed_linear import PackedLinear, pack_linear


class Plain(Perceptron):
    """Nothing but the two layers."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.activation(self.up(x)))
        return out


class Sparing(nn.Module):
    """One GELU for two layers, and one that is declared after a layer whose result it does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.second = nn.Linear(24, 24), nn.GELU(), nn.Linear(24, 24)
        self.last = nn.Linear(24, 24)
        self.before_all = nn.GELU()
        self.layers = nn.Sequential(nn.Linear(24, 24), nn.GELU())
        self.attention = nn.TransformerEncoderLayer(24, 2, 48, activation="gelu", batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.last(self.shared(self.second(self.shared(self.first(self.before_all(x))))))
        out: Tensor = self.attention(self.layers[0](x))
        return out


def packed_copy(module: nn.Module) -> nn.Module:
    copied = copy.deepcopy(module)
    pack_linear(copied, 16)
    return copied


def count(module: nn.Module, kind: type[nn.Module]) -> int:
    return [type(part) for part in module.modules()].count(kind)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_layers_give_what_linear_gives_for_any_number_of_rows(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(Plain(24, 96, 0.0), nn.Sequential(nn.Linear(24, 24, bias=False))).to(dtype)
    packed = packed_copy(layers)
    if dtype == torch.float32 or computes_bf16(torch.device("cpu")):
        assert (count(packed, PackedLinear), count(packed, nn.GELU)) == (3, 0)
    for shape in ((1, 24), (1, 16, 24), (7, 16, 24)):
        x = torch.randn(shape)
        with torch.inference_mode():
            expected, given = layers(x.to(dtype)), packed(x.to(dtype))
        assert given.shape == expected.shape
        assert (given.float() - expected.float()).abs().max() < (1e-5 if dtype == torch.float32 else 2e-2)


def test_where_bf16_is_emulated_it_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True})
    half = packed_copy(Plain(24, 96, 0.0).to(torch.bfloat16))
    assert (count(half, PackedLinear), count(half, nn.GELU)) == (0, 1)
    assert count(packed_copy(Plain(24, 96, 0.0)), PackedLinear) == 2


def test_a_gelu_that_no_perceptron_declares_stays_where_it_is_used() -> None:
    torch.manual_seed(0)
    module = Sparing().eval()
    packed = packed_copy(module)
    assert count(packed, PackedLinear) == 6
    x = torch.randn(2, 16, 24)
    with torch.inference_mode():
        assert (packed(x) - module(x)).abs().max() < 1e-5


def test_every_backbone_can_be_packed() -> None:
    for name, config in HEADS.items():
        backbone = build_backbone(config, 10).eval()
        packed = packed_copy(backbone)
        # The blocks' GELUs are all taken into the layer before them; dp_c has none.
        assert count(packed, nn.GELU) == 0, name
        noisy = torch.randn(2, config.horizon, 10)
        tokens = [3] if config.attends_to_tokens else []
        signals = [torch.randn(2, *tokens, width) for width in backbone.signal_widths]
        with torch.inference_mode():
            assert (packed(noisy, signals) - backbone(noisy, signals)).abs().max() < 1e-4, name
