"""Replies are lightly formatted, and can never contain anything but text."""

import pytest
from playwright.async_api import expect

from tests.support.browser import Chat
from tests.support.fake_model import FakeModel

pytestmark = pytest.mark.asyncio(loop_scope="session")
# Renders in the page, with the module that the page uses.
RENDER = """async (text) => {
    const module = new URL("page/markdown.js", location.origin + "/");
    const { splitBlocks, renderBlock } = await import(module);
    const place = document.createElement("div");
    place.append(...splitBlocks(text).map((block) => renderBlock(block)));
    return new XMLSerializer().serializeToString(place)
        .replace(/ xmlns="[^"]*"| dir="(?:auto|ltr)"| class=""| tabindex="0"/g, "")
        .replace(/ target="_blank" rel="noopener noreferrer nofollow"/g, "")
        .slice(5, -6);
}"""
FORMATTED = {
    "One\ntwo\n\nthree": "<p>One<br />two</p><p>three</p>",
    "**a** __b__ *c* _d_": ("<p><strong>a</strong> <strong>b</strong> <em>c</em> <em>d</em></p>"),
    "**a *b* c**": "<p><strong>a <em>b</em> c</strong></p>",
    "a * b * c, snake_case_name, 2*3*4 **": ("<p>a * b * c, snake_case_name, 2<em>3</em>4 **</p>"),
    "`a < b` ``c`d``": "<p><code>a &lt; b</code> <code>c`d</code></p>",
    "- one\n- two\n  - within\n\n  more\n- three": (
        "<ul><li>one</li><li>two<ul><li>within</li></ul><p>more</p></li><li>three</li></ul>"
    ),
    "3. three\n4. four": '<ol start="3"><li>three</li><li>four</li></ol>',
    "Before:\n1. one\n2. two\nAfter": (
        '<p>Before:</p><ol start="1"><li>one</li><li>two<br />After</li></ol>'
    ),
    "## Title\nText": '<p class="heading">Title</p><p>Text</p>',
    "> said\n> so": "<blockquote>said<br />so</blockquote>",
    "```py\n<b> & *c*\n\n- d\n```\nafter": (
        "<pre><code>&lt;b&gt; &amp; *c*\n\n- d</code></pre><p>after</p>"
    ),
    "```\nnot closed": "<pre><code>not closed</code></pre>",
    "[a](https://e.org/b?c=1)": '<p><a href="https://e.org/b?c=1">a</a></p>',
    "See https://e.org/x.": '<p>See <a href="https://e.org/x">https://e.org/x</a>.</p>',
    "<mailto:a@e.org>": '<p><a href="mailto:a@e.org">mailto:a@e.org</a></p>',
    "\\*a\\*": "<p>*a*</p>",
}
HARMLESS = [
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert)",
    "[a](data:text/html,x)",
    "[a](vbscript:x)",
    "[a](/relative)",
    "[a](//e.org)",
    "[a](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "```\n</code></pre><script>alert(1)</script>\n```",
]


async def rendered(chat: Chat, text: str) -> str:
    return str(await chat.evaluate(RENDER, text))


async def test_light_formatting_becomes_elements(chat: Chat) -> None:
    shown = {text: await rendered(chat, text) for text in FORMATTED}

    assert shown == FORMATTED


async def test_dangerous_markup_stays_text(chat: Chat) -> None:
    shown = [await rendered(chat, text) for text in HARMLESS]

    assert not any(tag in html for html in shown for tag in ("<a", "<img", "<script", "href"))


async def test_links_open_in_a_new_tab_and_send_no_referrer(
    chat: Chat, fake_model: FakeModel
) -> None:
    await chat.send("Where?")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("[Here](https://e.org/) or <img src=x onerror=alert(1)>")
    model_reply.finish()
    await chat.expect_reply("Here or <img src=x onerror=alert(1)>")

    link = chat.page.get_by_role("link", name="Here")

    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(link).to_have_attribute("target", "_blank")


@pytest.mark.parametrize(
    "text", ["*" * 8_000, "**a " * 2_000, "[" * 8_000, "- " * 4_000, "`" * 8_000, "_a_" * 2_700]
)
async def test_adversarial_text_renders_quickly(chat: Chat, text: str) -> None:
    rendering, loop = await chat.evaluate(
        f"""async (text) => {{
            const start = performance.now();
            await ({RENDER})(text);
            const end = performance.now();
            let sum = 0;
            for (let i = 0; i < 5e7; i++) sum = (sum + i * 31) % 1000003;
            return [end - start, performance.now() - end + sum * 0];
        }}""",
        text,
    )

    # A ratio, because seconds depend on what else the machine does. The loop takes about 0.6 s.
    assert rendering < 3 * loop


async def test_rendered_paragraphs_are_not_rendered_again(
    chat: Chat, fake_model: FakeModel
) -> None:
    await chat.send("Two paragraphs, please")
    model_reply = await fake_model.next_reply()
    model_reply.send_text("The first.\n\nThe second")
    first = chat.replies.last.get_by_text("The first.")
    await first.evaluate("node => { node.id = 'marked'; }")

    model_reply.send_text(" goes on.")
    model_reply.finish()

    await chat.expect_reply("The first.The second goes on.")
    await expect(first).to_have_attribute("id", "marked")
