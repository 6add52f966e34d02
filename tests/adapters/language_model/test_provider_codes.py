"""Which codes of a model's server may be logged."""

import pytest

from adapters.language_model.provider_codes import COMMON_CODES, may_repeat

REQUEST = '{"messages":[{"content":"Is my HIV test content safe? Äiti says so."}]}'.encode()


@pytest.mark.parametrize(
    "code",
    [
        *("blocked_HIV", "HIVBlocked", "blocked-hiv", "blockedcontent", "SafeTopic", "so.what"),
        *("content", "äiti", "quota_messages"),
    ],
)
def test_a_code_with_a_word_of_the_request_may_repeat_it(code: str) -> None:
    assert may_repeat(code, REQUEST)


@pytest.mark.parametrize("code", ["gateway_down", "GatewayDown", "1500", "archived", "E_42"])
def test_a_code_without_a_word_of_the_request_repeats_nothing(code: str) -> None:
    assert not may_repeat(code, REQUEST)


def test_a_common_code_repeats_nothing_even_if_its_words_are_in_the_request() -> None:
    request = f'{{"content":"{" ".join(COMMON_CODES)}"}}'.encode()

    assert [code for code in COMMON_CODES if may_repeat(code, request)] == []


def test_the_bytes_of_images_are_not_words_of_the_request() -> None:
    request = b'{"url":"data:image/png;base64,gateway+down/"}'

    assert not may_repeat("gateway_down", request)
    assert may_repeat("gateway_down", request.replace(b"data:image/", b"data/"))
