"""The example runs as it stands."""

import subprocess
import sys

from tests.architecture.sources import ROOT


def test_the_example_chats_and_cleans_up(service_url: str, api_key: str) -> None:
    done = subprocess.run(  # noqa: S603 - a file of ours
        [sys.executable, str(ROOT / "examples" / "openai_python.py")],
        env={"PRIVITY_URL": service_url, "PRIVITY_CLIENT_KEY": api_key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "My favourite colour is teal. / What did I tell you? " in done.stdout
    assert "4 items are kept" in done.stdout
    assert done.stdout.endswith("True\n")


def test_without_a_key_it_asks_for_one(service_url: str) -> None:
    done = subprocess.run(  # noqa: S603 - a file of ours
        [sys.executable, str(ROOT / "examples" / "openai_python.py")],
        env={"PRIVITY_URL": service_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
