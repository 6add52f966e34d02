"""What a model that takes no images gets of a conversation with images."""

import pytest

from domain.model.message import TextPart
from domain.service.user_images import ImagePolicy
from tests.support.builders import ID, OWNER, a_conversation, an_image, with_user_message
from tests.support.fake_model import InstantModel
from tests.support.harness import a_harness


@pytest.mark.parametrize("takes_images", [True, False])
async def test_images_are_only_sent_to_a_model_that_takes_them(*, takes_images: bool) -> None:
    model = InstantModel("Hi!")
    harness = a_harness(model)
    policy = ImagePolicy(model_takes_images=takes_images)
    harness.container.register(ImagePolicy, instance=policy)
    parts = (TextPart("What is this?"), an_image())
    await harness.store.create(OWNER, with_user_message(a_conversation(), parts=parts))
    await harness.whole_turn(await harness.send("And now?", session_id=ID))

    hidden = (TextPart("What is this?"), TextPart("[An image that you cannot see]"))
    assert model.prompts[0].messages[0].parts == (parts if takes_images else hidden)
    assert (await harness.stored(ID)).messages[0].parts == parts
