"""Images in requests, as data URLs (RFC 2397). No image is ever fetched from another server.

All protocols read their images with ``read_image``, so that they refuse the same ones.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from domain.model.errors import InvalidInput
from domain.model.limits import MAX_CONVERSATION_IMAGE_BYTES, MAX_IMAGE_BYTES
from domain.model.message import ImageDetail, ImagePart, Part
from domain.service.user_images import (
    ACCEPTED_TYPES,
    ImagePolicy,
    image_type,
    require_few_images,
    user_image,
)
from entrypoints.http.problems import BadRequest

IMAGES_BODY_BYTES: Final = MAX_CONVERSATION_IMAGE_BYTES // 3 * 4
"""How much larger a body may be where images are accepted: all images of a conversation, because
some clients repeat the whole conversation in each request."""

_DATA_URL: Final = re.compile(r"data:(image/[a-z0-9.+-]{1,32});base64,", re.IGNORECASE)
_IMAGE_MEMBER: Final = re.compile(rb'"data:image[^"]*"?')
_MAX_BASE64: Final = MAX_IMAGE_BYTES // 3 * 4
_NOT_A_DATA_URL: Final = (
    "An image has to be a data URL: `data:image/png;base64,` and the image. Images are not fetched "
    "from other servers."
)


def read_image(
    url: str, policy: ImagePolicy, *, field: str, detail: ImageDetail = "auto"
) -> ImagePart:
    """The image in a data URL.

    ``field`` names the part of the request.

    Raises:
        BadRequest: ``images_not_supported`` if the model takes none; ``image_invalid``;
            ``image_too_large``.
    """
    require_images(policy, field=field)
    beginning = _DATA_URL.match(url)
    if beginning is None:
        raise BadRequest("image_invalid", _NOT_A_DATA_URL, field=field)
    base64 = url[beginning.end() :]
    try:
        media_type = image_type(beginning[1].lower())
        if len(base64) > _MAX_BASE64:
            raise _too_large(field)
        return user_image(media_type, _decoded(base64, field), detail)
    except InvalidInput as error:
        raise BadRequest(error.problem, str(error), field=field) from None


def require_images(policy: ImagePolicy, *, field: str) -> None:
    """Refuse an image if the model takes none.

    Raises:
        BadRequest: ``images_not_supported``.
    """
    if not policy.model_takes_images:
        raise BadRequest("images_not_supported", field=field)


def check_image_count(parts: Sequence[Part], *, field: str) -> None:
    """Refuse a message with too many images.

    Raises:
        BadRequest: ``too_many_images``.
    """
    try:
        require_few_images(parts)
    except InvalidInput as error:
        raise BadRequest(error.problem, str(error), field=field) from None


def body_limit(text_limit: int, policy: ImagePolicy, beginning: bytes) -> int:
    """The size limit of a body that has at most ``text_limit`` bytes besides its images.

    ``beginning`` is the beginning of the body. If it contains an image, the body may be large even
    if the model takes no images, so that the image is refused by its name.
    """
    may_have_images = policy.model_takes_images or _IMAGE_MEMBER.search(beginning)
    return text_limit + IMAGES_BODY_BYTES if may_have_images else text_limit


def check_text_size(raw: bytes, text_limit: int) -> None:
    """Refuse a body with more than ``text_limit`` bytes besides its images.

    Images cost little to parse, but as many bytes of anything else may cost much.

    Raises:
        BadRequest: ``body_too_large``.
    """
    if len(raw) <= text_limit:
        return
    images = sum(len(image[0]) for image in _IMAGE_MEMBER.finditer(raw))
    if len(raw) - images > text_limit:
        why = f"The body can have at most {text_limit:,} bytes besides its images."
        raise BadRequest("body_too_large", why)


def _decoded(base64: str, field: str) -> bytes:
    try:
        # Stricter than the standard library's decoder, and many times as fast.
        return msgspec.convert(base64, bytes)
    except msgspec.ValidationError:
        why = f"The image is not valid base64. Images can be {ACCEPTED_TYPES}."
        raise BadRequest("image_invalid", why, field=field) from None


def _too_large(field: str) -> BadRequest:
    return BadRequest(
        "image_too_large", f"An image has at most {MAX_IMAGE_BYTES:,} bytes.", field=field
    )
