"""What several tests of the chat page say."""

from playwright.async_api import expect

from tests.browser.visiting import Chat
from tests.e2e.puppet import Puppet, Speaking

SAY = """(message) => {
    const sessionId = localStorage.getItem("privity.session");
    const headers = {"content-type": "application/json"};
    const body = JSON.stringify({message, sessionId});
    return fetch("api/chat", {method: "POST", headers, body}).then(() => true);
}"""
SAY_AND_WAIT = SAY.replace(".then(() => true)", ".then((answer) => answer.text())")


async def half_said(chat: Chat, puppet: Puppet) -> Speaking:
    """A reply in the middle."""
    await chat.say("Hello")
    speaking = await puppet.asked()
    speaking.say("The first half,")
    await expect(chat.replies.last).to_have_text("The first half,")
    return speaking
