"""Exchanges on a page, for tests."""

from tests.clients.pages import Page, State
from tests.e2e.puppet import Puppet, Speaking


async def exchange(page: Page, puppet: Puppet, said: str, *reply: str) -> Speaking:
    """Something said on the page, and the whole reply to it."""
    await page.send(said)
    return await replied(page, puppet, *reply)


async def replied(page: Page, puppet: Puppet, *reply: str) -> Speaking:
    """The whole reply to what was just asked on the page."""
    speaking = await puppet.asked()
    speaking.say(*reply)
    speaking.finish()
    await page.until(status="ready", text=reply[-1])
    return speaking


async def begun(page: Page, puppet: Puppet, said: str, *reply: str) -> Speaking:
    """Something said on the page, and a reply that goes on after these words."""
    await page.send(said)
    speaking = await puppet.asked()
    speaking.say(*reply)
    await page.until(status="streaming", text=reply[-1])
    return speaking


async def kept(page: Page) -> State:
    """The conversation of this page as the service keeps it, for the client to start from."""
    answer = await page.fetch(f"/api/chat/{(await page.state())['id']}")
    assert answer["status"] == 200, answer
    body: State = answer["body"]
    return body


def heard(speaking: Speaking) -> list[tuple[str, str]]:
    """What the model was told."""
    return [(said.role.value, said.text) for said in speaking.prompt.messages]
