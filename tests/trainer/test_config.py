import json

import pytest

from shared.errors import ConfigError
from trainer.config import AdaptConfig, HeadConfig, PretrainConfig, TrainingConfig, from_json, to_json


def test_json_makes_an_equal_config() -> None:
    for config in (
        PretrainConfig(head=HeadConfig(size="paper", conditioning="film", paper_film=True), condition="none"),
        AdaptConfig(mode="random_body", training=TrainingConfig(betas=(0.95, 0.99), seed=3)),
    ):
        assert from_json(type(config), json.loads(json.dumps(to_json(config)))) == config


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"HeadConfig has no setting \['sise'\]"):
        from_json(HeadConfig, {"sise": "small"})


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (HeadConfig, {"size": "large"}, "size is 'large'; it must be one of tiny, small, paper"),
        (HeadConfig, {"n_obs_steps": 17}, "must be 1 to the horizon, 16"),
        (HeadConfig, {"n_action_steps": 16}, "at most 15 after 2 observation steps"),
        (HeadConfig, {"dropout": 1.0}, "dropout is 1.0"),
        (
            HeadConfig,
            {"conditioning": "prefix"},
            "dp_mlp can't be conditioned by prefix; pass --cond",
        ),
        (
            HeadConfig,
            {"head": "dp_t_film", "conditioning": "adaln"},
            "dp_t_film can't be conditioned by adaln",
        ),
        (HeadConfig, {"paper_film": True}, "paper_film is a form of film; the conditioning is adaln_zero"),
        (HeadConfig, {"head": "dp_t", "paper_key_values": True}, "paper_key_values is for cross_attn and prefix; the"),
        (HeadConfig, {"head": "dp_c", "horizon": 10}, "dp_c halves it twice, so it must be a multiple of 4"),
        (HeadConfig, {"head": "dp_c", "dropout": 0.1}, "dp_c has none"),
        (TrainingConfig, {"steps": 0}, "steps is 0; it must be at least 1"),
        (TrainingConfig, {"learning_rate": -1.0}, "must be positive"),
        (TrainingConfig, {"seed": -1}, "seed is -1"),
        (AdaptConfig, {"mode": "frozen"}, "mode is 'frozen'; it must be one of normal, decoupled"),
        (PretrainConfig, {"validation_share": 1.0}, "validation_share is 1.0"),
        (PretrainConfig, {"windows_per_row": 0}, "windows_per_row is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: type, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**settings)
