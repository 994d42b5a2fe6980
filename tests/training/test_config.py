"""Settings: typed, checked, with a suggestion for every slip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoca_tf.errors import UserError
from training.config import Config, from_json, load_recipe, recipe_names, with_settings


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_says_its_command(name: str) -> None:
    config, module = load_recipe(name)
    assert isinstance(config, Config)
    assert f"python training/train.py {name}" in (module.__doc__ or "")


def test_settings_are_typed() -> None:
    config = with_settings(
        Config(), ["batch_size=16", "weights.emotion=0", "shake=no", "init=a,b", "learning_rate=1e-3", "steps=10_000"]
    )
    assert (config.batch_size, config.weights.emotion, config.shake, config.init) == (16, 0.0, False, ("a", "b"))
    assert (config.learning_rate, config.steps) == (1e-3, 10_000)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batchsize=4", "did you mean batch_size"),
        ("weights.emotoin=4", "did you mean emotion"),
        ("batch_size=four", "number of type int"),
        ("shake=maybe", "true or false"),
        ("batch_size", "key=value"),
        ("stage=corse", "did you mean coarse"),
        ("family=resnet", "did you mean resnet50"),
        ("batch_size=0", "at least 1"),
        ("ema=1.5", "decay"),
        ("ring=5", "not a multiple"),
        ("weights=3", "unknown setting"),
    ],
)
def test_wrong_settings_get_one_clear_line(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        with_settings(Config(), [setting])
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_no_recipe_name_reaches_outside_the_folder(name: str) -> None:
    if name.removesuffix(".py").replace("-", "_") not in recipe_names():
        with pytest.raises(UserError, match="no recipe"):
            load_recipe(name)


@pytest.mark.parametrize("name", ["../train", "os", "training.train", "__init__"])
def test_only_recipes_are_imported(name: str) -> None:
    with pytest.raises(UserError, match="no recipe"):
        load_recipe(name)


def test_json_round_trip_and_damage() -> None:
    config = with_settings(Config(), ["weights.photometric=3", "init=x"])
    assert from_json(config.to_json()) == config
    for text in ("", "{}", config.to_json().replace("batch_size", "batch_sise")):
        with pytest.raises(UserError, match=r"config\.json"):
            from_json(text)


def test_a_correlation_needs_more_than_one_picture() -> None:
    with pytest.raises(UserError, match="batch_size=2 or more"):
        Config(emotion_distance="correlation", batch_size=1)
    with pytest.raises(UserError, match="calm is a factor"):
        Config(calm=0.0)
