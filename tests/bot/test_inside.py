"""With private addresses refused, the real bot asks none of them, however a link leads there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bot.inside import INNER

ROOT = Path(__file__).parents[2]
OWN_NETWORK = ("unshare", "-rn", "sh", "-c")


def _can_have_a_network() -> bool:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run([*OWN_NETWORK, "ip link set lo up"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_have_a_network(), reason="no network namespace can be made here")
def test_no_link_and_no_redirect_leads_the_bot_inside() -> None:
    command = f"ip link set lo up && exec {sys.executable} -m tests.bot.inside"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([*OWN_NETWORK, command], capture_output=True, text=True, check=True, env=environment)
    told = json.loads(ran.stdout)
    assert told["said"].pop("good").startswith("rassstp.sys holds"), "the public address of the same machine works"
    assert len(told["said"]) == 2 * len(INNER)
    for name, text in told["said"].items():
        assert "is a private or reserved address, which links may not point to." in text, (name, text)
    assert "/secret.dmp" not in told["asked"]
    assert len(told["asked"]) == 1 + len(INNER)
