"""The crop against the official one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers_flame import GOLDEN

from emoca_tf.faces.crop import CropTransform, crop_from_box, crop_from_landmarks


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "crop.npz") as stored:
        return {name: stored[name] for name in stored.files}


def crop_of(golden: dict[str, np.ndarray], case: int) -> CropTransform:
    left, top, right, bottom = golden["left_top_right_bottom"][case]
    scale = float(golden["scale"][case])
    if golden["kind"][case] == "bbox":
        return crop_from_box((left, top, right, bottom), scale)
    return crop_from_landmarks(np.array([[left, top], [right, bottom]]), scale)


@pytest.mark.parametrize("case", range(8))
def test_trap_3_the_crop_is_the_official_one(case: int, golden: dict[str, np.ndarray]) -> None:
    crop = crop_of(golden, case)
    np.testing.assert_allclose(crop.matrix, golden["tform"][case], atol=1e-6)
    np.testing.assert_allclose(crop.apply(golden["image_u8"])[::7, ::7], golden["crops_probe"][case], atol=1e-4)
    bicubic = crop.apply(golden["image_u8"], order=3)[::7, ::7]
    np.testing.assert_allclose(bicubic, golden["crops_bicubic_probe"][case], atol=1e-3)


def test_points_go_to_the_crop_and_back(golden: dict[str, np.ndarray]) -> None:
    crop, points = crop_of(golden, 0), golden["kpt68"]
    np.testing.assert_allclose(crop.points_to_crop(points), golden["kpt68_in_crop_px"][0], atol=1e-6)
    np.testing.assert_allclose(crop.points_to_source(crop.points_to_crop(points)), points, atol=1e-9)


def test_numbers_of_the_specification() -> None:
    box = np.array([[100.0, 50.0], [200.0, 170.0]])
    m = crop_from_landmarks(box).matrix
    np.testing.assert_allclose([m[0, 0], m[0, 2], m[1, 2]], [1.4768212, -110.0231788, -50.9503311], atol=1e-6)
    m = crop_from_box((100.0, 50.0, 200.0, 170.0)).matrix
    np.testing.assert_allclose([m[0, 0], m[0, 2], m[1, 2]], [1.6277372, -132.6605839, -89.0372263], atol=1e-6)


def test_a_resized_crop_shows_the_same_square() -> None:
    crop = crop_from_box((100.0, 50.0, 200.0, 170.0))
    corners = crop.points_to_source(np.array([[0.0, 0.0], [223.0, 223.0]]))
    np.testing.assert_allclose(crop.resized(448).points_to_crop(corners), [[0, 0], [447, 447]], atol=1e-9)


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 pixel"):
        crop_from_box((10.0, 10.0, 10.0, 10.0))


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("box", [(20.0, 10.0, 60.0, 50.0), (-30.0, -20.0, 40.0, 30.0), (70.0, 60.0, 160.0, 150.0)])
def test_the_crop_equals_scikit_images_warp(order: int, box: tuple[float, float, float, float]) -> None:
    from skimage.transform import warp

    image = np.random.default_rng(0).integers(20, 240, (90, 120, 3), np.uint8)
    crop = crop_from_box(box, size=96)
    wanted = warp(image / 255.0, np.linalg.inv(crop.matrix), output_shape=(96, 96), order=order, clip=order == 3)
    np.testing.assert_allclose(crop.apply(image, order), wanted, atol=1e-6)


def test_the_crop_of_a_big_picture_costs_little_memory() -> None:
    image = np.zeros((6000, 8000, 3), np.uint8)
    crop = crop_from_box((500.0, 500.0, 5500.0, 5500.0))
    tracemalloc.start()
    crop.apply(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20  # the picture itself is 137 MiB
