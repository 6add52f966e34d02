"""Which images of a user are accepted."""

import pytest

from domain.model.errors import InvalidInput
from domain.model.limits import MAX_IMAGE_BYTES, MAX_MESSAGE_IMAGES
from domain.model.message import ImagePart, ImageType, TextPart, content_bytes, counted_bytes
from domain.service.user_images import (
    image_type,
    require_few_images,
    user_image,
    without_images,
)
from tests.support.builders import a_conversation, after_turns, with_user_message

BEGINNINGS: dict[ImageType, bytes] = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x00\x01\x00\x00WEBPVP8 ",
}


@pytest.mark.parametrize("media_type", BEGINNINGS)
def test_an_image_keeps_its_type_its_bytes_and_its_detail(media_type: ImageType) -> None:
    data = BEGINNINGS[media_type] + b"rest"

    part = user_image(media_type, data, "low")

    assert part == ImagePart(media_type=media_type, data=data, detail="low")


@pytest.mark.parametrize("media_type", BEGINNINGS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\x00\x01\x00\x00WAVEfmt ",
        b"RIFFWEBP",
        b" \x89PNG\r\n\x1a\n",
        b"\x00GIF89a",
    ],
)
def test_an_image_has_to_begin_as_its_type_does(media_type: ImageType, data: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        user_image(media_type, data)

    assert refused.value.problem == "image_invalid"


def test_one_type_is_not_taken_for_another() -> None:
    for media_type in BEGINNINGS:
        for other, beginning in BEGINNINGS.items():
            if other != media_type:
                with pytest.raises(InvalidInput):
                    user_image(media_type, beginning + b"rest")


@pytest.mark.parametrize(
    "name", ["image/svg+xml", "image/bmp", "image/*", "image/", "", "text/html"]
)
def test_images_of_other_types_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        image_type(name)

    assert refused.value.problem == "image_invalid"


def test_a_common_misnomer_of_jpeg_is_understood() -> None:
    assert image_type("image/jpg") == "image/jpeg"


def test_an_image_is_bounded() -> None:
    largest = BEGINNINGS["image/gif"].ljust(MAX_IMAGE_BYTES, b"x")

    assert user_image("image/gif", largest).data == largest
    with pytest.raises(InvalidInput) as refused:
        user_image("image/gif", largest + b"x")
    assert refused.value.problem == "image_too_large"


def test_a_message_has_a_limited_number_of_images() -> None:
    image = user_image("image/gif", b"GIF89a")
    require_few_images([TextPart("Look!"), *[image] * MAX_MESSAGE_IMAGES])

    with pytest.raises(InvalidInput) as refused:
        require_few_images([image] * (MAX_MESSAGE_IMAGES + 1))
    assert refused.value.problem == "too_many_images"


def test_an_image_counts_with_all_its_bytes() -> None:
    parts = (TextPart("Hi"), user_image("image/gif", b"GIF89a" + bytes(94)))

    assert content_bytes(parts) == 102
    assert counted_bytes(parts) == 102 + 2 * 256


def test_the_text_form_of_an_image_does_not_show_its_content() -> None:
    assert "GIF" not in repr(user_image("image/gif", b"GIF89a secret"))


def test_a_model_that_takes_no_images_gets_a_note_in_their_place() -> None:
    image = user_image("image/gif", b"GIF89a")
    shown = with_user_message(a_conversation(), parts=(TextPart("What is this?"), image))

    assert without_images(shown).messages[0].parts == (
        TextPart("What is this?"),
        TextPart("[An image that you cannot see]"),
    )
    assert without_images(after_turns(2)) == after_turns(2)
