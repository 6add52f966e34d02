"""Checks the images that users send, before anything is changed; hides them from other models."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from domain.model.conversation import Conversation
from domain.model.errors import InvalidInput
from domain.model.limits import MAX_IMAGE_BYTES, MAX_MESSAGE_IMAGES
from domain.model.message import ImageDetail, ImagePart, ImageType, Message, Part, TextPart

_BEGINNINGS: Final[Mapping[ImageType, tuple[bytes, ...]]] = MappingProxyType(
    {
        "image/png": (b"\x89PNG\r\n\x1a\n",),
        "image/jpeg": (b"\xff\xd8\xff",),
        "image/gif": (b"GIF87a", b"GIF89a"),
        "image/webp": (b"RIFF",),
    }
)
_WEBP: Final = b"WEBP"
_WEBP_AT: Final = 8
_TYPES: Final[Mapping[str, ImageType]] = MappingProxyType(
    {name: name for name in _BEGINNINGS} | {"image/jpg": "image/jpeg"}
)
ACCEPTED_TYPES: Final = "PNG, JPEG, WebP and GIF"


_HIDDEN: Final = TextPart("[An image that you cannot see]")


@frozen(kw_only=True)
class ImagePolicy:
    """Whether the operator's model takes images."""

    model_takes_images: bool = False


NO_IMAGES: Final = ImagePolicy()


def without_images(conversation: Conversation) -> Conversation:
    """The conversation with a note in place of each image, for a model that takes none."""
    if not any(message.image_bytes for message in conversation.messages):
        return conversation
    messages = tuple(map(without_image_content, conversation.messages))
    return evolve(conversation, messages=messages)


def without_image_content(message: Message) -> Message:
    """The message with a note in place of each image."""
    return evolve(message, parts=tuple(map(_without_content, message.parts)))


def _without_content(part: Part) -> Part:
    return _HIDDEN if isinstance(part, ImagePart) else part


def image_type(name: str) -> ImageType:
    """The type of image with this media type, in lower case; ``image/jpg`` means JPEG.

    Raises:
        InvalidInput: ``image_invalid`` if images of this type are not accepted.
    """
    media_type = _TYPES.get(name)
    if media_type is None:
        raise InvalidInput("image_invalid", f"Images can be {ACCEPTED_TYPES}.", field="image")
    return media_type


def user_image(media_type: ImageType, data: bytes, detail: ImageDetail = "auto") -> ImagePart:
    """An image as a part of a user's message.

    Only its first bytes are checked: nothing here decodes images.

    Raises:
        InvalidInput: ``image_invalid`` if it does not begin as its type does; ``image_too_large``.
    """
    if len(data) > MAX_IMAGE_BYTES:
        why = f"An image has at most {MAX_IMAGE_BYTES:,} bytes."
        raise InvalidInput("image_too_large", why, field="image")
    if not _begins_as(media_type, data):
        raise InvalidInput("image_invalid", "The image is not of its media type.", field="image")
    return ImagePart(media_type=media_type, data=data, detail=detail)


def require_few_images(parts: Iterable[Part]) -> None:
    """Reject a message with too many images.

    Raises:
        InvalidInput: ``too_many_images``.
    """
    if sum(isinstance(part, ImagePart) for part in parts) > MAX_MESSAGE_IMAGES:
        why = f"A message has at most {MAX_MESSAGE_IMAGES} images."
        raise InvalidInput("too_many_images", why, field="image")


def _begins_as(media_type: ImageType, data: bytes) -> bool:
    if media_type == "image/webp" and data[_WEBP_AT : _WEBP_AT + len(_WEBP)] != _WEBP:
        return False
    return data.startswith(_BEGINNINGS[media_type])
