"""Symbol servers behind TLS with a CA of one's own, and behind a proxy: real connections on loopback."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.symbols.names import PdbIdentity
from bot.symbols.fetching import Answer, Limits, SymbolServers
from bot.symbols.paths import Tiers
from bot.symbols.reach import Reach
from tests.bot.symbol_store import Store, proxying, serving
from tests.symbols.pdbs import GUID, Pdb

WANTED = PdbIdentity("probe.pdb", GUID, 0x1A)
PLACE = f"/probe.pdb/{GUID}1A/probe.pdb"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def openssl(directory: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ca.pem, and server.pem signed by it for 127.0.0.1."""
    directory = tmp_path_factory.mktemp("ca")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(directory, "req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=o")
    openssl(directory, "req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=s")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl(directory, "x509", "-req", "-in", "server.csr", "-out", "server.pem", *signing)
    return directory


@pytest.fixture
def server(authority: Path) -> Iterator[Store]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority / "server.pem", authority / "server.key")
    with serving(tls) as found:
        found.files[PLACE] = Pdb(age=0x1A).build()
        yield found


def fetch(url: str, cache: Path, reach: Reach) -> Answer:
    servers = SymbolServers((Tiers((cache, url)),), cache, Limits(total_seconds=5), reach)
    try:
        return servers.fetch(WANTED)
    finally:
        servers.close()


def test_a_server_is_believed_by_the_ca_that_the_operator_names(server: Store, authority: Path, tmp_path: Path) -> None:
    found = fetch(server.url, tmp_path, Reach(idle_seconds=2, certificates=authority / "ca.pem"))
    assert found.path == tmp_path / PLACE[1:]


def test_a_server_of_an_unknown_ca_is_not_asked(server: Store, tmp_path: Path) -> None:
    answer = fetch(server.url, tmp_path, Reach(idle_seconds=2))
    assert (answer.path, server.asked) == (None, [])
    assert "could not be asked" in answer.reason


def test_a_tunnel_through_the_proxy_leads_to_the_server(server: Store, authority: Path, tmp_path: Path) -> None:
    with proxying(server) as proxy:
        reach = Reach(idle_seconds=2, proxy=proxy.url, certificates=authority / "ca.pem")
        assert fetch(server.url, tmp_path, reach).path is not None
        assert set(proxy.asked) == {server.url.removeprefix("https://")}
    assert PLACE in server.asked


def test_a_plain_request_goes_to_the_proxy_with_its_whole_address(server: Store, tmp_path: Path) -> None:
    with proxying(server) as proxy:
        reach = Reach(idle_seconds=2, proxy=proxy.url)
        assert fetch("http://symbols.invalid/store", tmp_path, reach).path is None
        server.files[f"/store{PLACE}"] = server.files[PLACE]
        assert fetch("http://symbols.invalid/store", tmp_path / "again", reach).path is not None
        assert f"http://symbols.invalid/store{PLACE}" in proxy.asked
    assert server.asked == []


def test_a_proxy_that_is_down_is_the_reason(server: Store, authority: Path, tmp_path: Path) -> None:
    reach = Reach(idle_seconds=2, proxy="http://127.0.0.1:9", certificates=authority / "ca.pem")
    answer = fetch(server.url, tmp_path, reach)
    assert (answer.path, server.asked) == (None, [])
    assert "could not be asked" in answer.reason


@pytest.mark.parametrize(
    ("reach", "reason"),
    [
        (Reach(certificates=Path("/gone/ca.pem")), "the CA certificates in ca.pem cannot be used (FileNotFoundError)"),
        (Reach(certificates=Path(__file__)), "the CA certificates in test_symbol_reach.py cannot be used (SSLError)"),
        (
            Reach(proxy="odd://anna:s3cret@x"),
            "the proxy for symbol servers is not given as an address that can be used",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_the_reason(server: Store, tmp_path: Path, reach: Reach, reason: str) -> None:
    assert fetch(server.url, tmp_path, reach).reason == reason
    assert server.asked == []
