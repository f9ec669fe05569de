import json
from typing import get_type_hints

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
        (
            AdaptConfig,
            {"n_picture_steps": 17},
            "n_picture_steps is 17; it must be an integer, at least 1 and at most 16",
        ),
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
        (TrainingConfig, {"steps": 0}, "steps is 0; it must be an integer, at least 1 and at most 99,999,999"),
        (
            TrainingConfig,
            {"learning_rate": -1.0},
            "it must be a finite number, at least 1e-08 and at",
        ),
        (TrainingConfig, {"seed": -1}, "seed is -1"),
        (AdaptConfig, {"mode": "frozen"}, "mode is 'frozen'; it must be one of normal, decoupled"),
        (PretrainConfig, {"validation_share": 1.0}, "validation_share is 1.0"),
        (PretrainConfig, {"windows_per_row": 0}, "windows_per_row is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: type, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**settings)


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (HeadConfig, "horizon", (3, -16, 16.0, True)),
        (HeadConfig, "n_obs_steps", (0, -1)),
        (HeadConfig, "n_action_steps", (0, -8)),
        (HeadConfig, "dropout", (-0.1, 1.0, NAN)),
        (TrainingConfig, "steps", (0, -1, 10**8, 2.5)),
        (TrainingConfig, "batch_size", (0, -4)),
        (TrainingConfig, "accumulate", (0, -1, 1.5)),
        (TrainingConfig, "vision_learning_rate", (0.0, -1e-3, 2.0, NAN, INFINITE)),
        (TrainingConfig, "learning_rate", (0.0, -1e-3, 1e-30, 2.0, NAN, INFINITE)),
        (TrainingConfig, "warmup_steps", (-1,)),
        (TrainingConfig, "betas", ((1.0, 1.0), (0.9, 1.0), (-0.1, 0.999), (0.9, NAN), (0.9,))),
        (TrainingConfig, "weight_decay", (-1e-3, 1.0, NAN, INFINITE)),
        (TrainingConfig, "clip_norm", (0.0, -1.0, 1e-30, NAN, INFINITE)),
        (TrainingConfig, "average_power", (-1.0, 1.5, NAN, INFINITE)),
        (TrainingConfig, "seed", (-1, 2**32)),
        (TrainingConfig, "threads", (0, -2)),
        (TrainingConfig, "log_every", (0,)),
        (TrainingConfig, "checkpoint_every", (0, -500)),
        (TrainingConfig, "save_minutes", (0.0, -1.0, NAN, INFINITE)),
        (TrainingConfig, "saving_share", (0.0, -0.1, 1.1, NAN)),
        (TrainingConfig, "keep", (0, -1)),
        (PretrainConfig, "windows_per_row", (0, -1)),
        (PretrainConfig, "validation_share", (-0.1, 1.0, NAN)),
        (PretrainConfig, "validation_windows", (-1,)),
        (PretrainConfig, "max_wait", (0.0, -1.0, NAN, INFINITE)),
        (PretrainConfig, "directions", (-1, 17)),
        (AdaptConfig, "validation_windows", (-1,)),
        (AdaptConfig, "observation_noise", (-0.1, 1.0, NAN)),
        (AdaptConfig, "n_picture_steps", (0, -1, 17, 1.5)),
        (AdaptConfig, "crop", (0.0, 1.1, NAN)),
        (AdaptConfig, "color_jitter", ((0.1,), (-0.1, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, NAN, 0.0, 0.0))),
        (AdaptConfig, "copies_share", (0.0, 1.0, NAN)),
        (AdaptConfig, "directions", (-1, 17)),
    ],
)
def test_every_number_is_checked_by_name(kind: type, name: str, values: tuple[object, ...]) -> None:
    for value in values:
        with pytest.raises(ConfigError, match=f"{name} is "):
            kind(**{name: value})


def test_no_number_is_forgotten() -> None:
    marks = test_every_number_is_checked_by_name.pytestmark  # type: ignore[attr-defined]
    tested = {name for mark in marks for _, name, _ in mark.args[1]}
    numbers = {
        name
        for kind in (HeadConfig, TrainingConfig, PretrainConfig, AdaptConfig)
        for name, hint in get_type_hints(kind).items()
        if hint in (int, float, int | None, float | None, tuple[float, float], tuple[float, float, float, float])
    }
    assert numbers == tested
