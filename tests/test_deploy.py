"""The files under ``deploy`` have the form that their readers want, and speak of settings and commands that exist."""

import re
import shutil
import sqlite3
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bot.cli import app
from bot.settings import Settings, variable
from storage.store import Store
from tests.storage.samples import report

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = tuple(sorted((DEPLOY / "systemd").glob("*.service")))
MANIFESTS = tuple(sorted((DEPLOY / "kubernetes").glob("*.yaml")))
FILES = (*UNITS, *MANIFESTS, DEPLOY / "compose.yaml", DEPLOY / "Containerfile", DEPLOY / "pileup.env.example")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group

yaml = pytest.importorskip("yaml")


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


@pytest.mark.parametrize("path", [*FILES, DEPLOY / "README.md"], ids=lambda path: path.name)
def test_only_settings_that_exist_are_set(path: Path) -> None:
    known = {variable(name) for name in Settings.model_fields}
    named = set(re.findall(r"PILEUP_[A-Z][A-Z_]*[A-Z]", path.read_text("utf-8")))
    assert named <= known


def test_every_process_is_a_command() -> None:
    started = [re.search(r"^ExecStart=/opt/pileup/bin/pileup (\w+)$", unit.read_text(), re.MULTILINE) for unit in UNITS]
    names = [match[1] for match in started if match]
    for manifest in MANIFESTS:
        for document in documents(manifest):
            if document["kind"] == "Deployment":
                names += [one["args"][0] for one in document["spec"]["template"]["spec"]["containers"]]
    compose = documents(DEPLOY / "compose.yaml")[0]
    names += [service["command"][0] for service in compose["services"].values() if "command" in service]
    assert sorted(set(names)) == ["serve", "worker"]
    assert len(names) == 6
    assert set(names) <= set(COMMANDS)


def test_what_is_posted_to_the_bot_lies_where_workers_read_it() -> None:
    # Of a unit, a service, a pod: where it looks for uploads, and what is mounted there.
    for unit in UNITS:
        assert "Environment=PILEUP_UPLOADS=/var/lib/pileup-uploads\n" in unit.read_text()
        assert re.search(r"^StateDirectory=\S+ pileup-uploads$", unit.read_text(), re.MULTILINE)
    (compose,) = documents(DEPLOY / "compose.yaml")
    for name in ("bot", "worker"):
        service = compose["services"][name]
        assert f"uploads:{service['environment']['PILEUP_UPLOADS']}" in service["volumes"]
    every = [document for path in MANIFESTS for document in documents(path)]
    (place,) = {one["data"]["PILEUP_UPLOADS"] for one in every if one["kind"] == "ConfigMap"}
    for pod in [document["spec"]["template"]["spec"] for document in every if document["kind"] == "Deployment"]:
        (name,) = {mount["name"] for mount in pod["containers"][0]["volumeMounts"] if mount["mountPath"] == place}
        claim = next(volume["persistentVolumeClaim"] for volume in pod["volumes"] if volume["name"] == name)
        assert claim == {"claimName": "pileup-uploads"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_sound_and_give_little_away(unit: Path, tmp_path: Path) -> None:
    def checked(text: str, *command: str) -> subprocess.CompletedProcess[str]:
        copy = tmp_path / unit.name
        copy.write_text(text.replace("/opt/pileup/bin/pileup ", "/bin/true "))
        return subprocess.run(["systemd-analyze", *command, str(copy)], check=False, capture_output=True, text=True)

    text = unit.read_text()
    verified = checked(text, "verify")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "Unknown key" in checked(text.replace("ProtectHome=yes", "ProtectHomes=yes"), "verify").stderr
    assert checked(text, "security", "--offline=yes", "--threshold=30").returncode == 0
    bare = re.sub(r"(?m)^(?:Protect|Private|Restrict|SystemCall|Capability|NoNew).*\n", "", text)
    assert checked(bare, "security", "--offline=yes", "--threshold=30").returncode != 0


@pytest.mark.parametrize("version", ["1.30", "1.33"])
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_keep_the_schemas_of_kubernetes(path: Path, version: str) -> None:
    kubernetes = pytest.importorskip("kubernetes_validate")
    for document in documents(path):
        kubernetes.validate(document, version, strict=True)
        with pytest.raises(kubernetes.ValidationError):
            kubernetes.validate({**document, "metadata": {"name": 7}}, version, strict=True)


def test_what_manifests_name_is_there_and_nothing_runs_as_root() -> None:
    every = [document for path in MANIFESTS for document in documents(path)]
    names = {(document["kind"], document["metadata"]["name"]) for document in every}
    pods = [document["spec"]["template"]["spec"] for document in every if document["kind"] == "Deployment"]
    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        for source in container["envFrom"]:
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            assert (kind, next(iter(source.values()))["name"]) in names
        mounted = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == mounted
        for volume in pod["volumes"]:
            claim = volume.get("persistentVolumeClaim")
            assert claim is None or ("PersistentVolumeClaim", claim["claimName"]) in names
    service = next(document for document in every if document["kind"] == "Service")
    bot = next(one for one in every if one["metadata"]["name"] == "pileup-bot")
    labels = bot["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_the_compose_file_keeps_its_specification() -> None:
    compose = pytest.importorskip("compose_spec.compose_spec").PyCompose
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    parsed = compose.from_dict(yaml.safe_load(text))
    parsed.validate()
    assert sorted(parsed.service_names()) == ["bot", "db", "worker"]
    for good, bad in (("restart: unless-stopped", "restart: sometimes"), ("    command:", "    comand:")):
        with pytest.raises(ValueError, match=r"unknown variant|comand"):
            compose.from_dict(yaml.safe_load(text.replace(good, bad)))
    whole = yaml.safe_load(text)
    named = {volume.partition(":")[0] for one in whole["services"].values() for volume in one.get("volumes", ())}
    assert named == set(whole["volumes"])
    assert (DEPLOY / whole["x-pileup"]["build"]["context"] / whole["x-pileup"]["build"]["dockerfile"]).is_file()


def test_the_image_is_not_root_s_and_copies_what_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    steps = [(words[0], words[1]) for words in lines]
    assert {word for word, _ in steps} <= {
        "FROM", "WORKDIR", "RUN", "COPY", "LABEL", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    bases = [rest for word, rest in steps if word == "FROM"]
    assert all(re.match(r"[\w./-]+:[\d.]+[\w.-]*( AS \w+)?$", base) for base in bases), "a base without a version"
    last = steps[max(n for n, (word, _) in enumerate(steps) if word == "FROM") :]
    users = [rest for word, rest in last if word == "USER"]
    assert users == ["10001:10001"]
    for word, rest in steps:
        if word == "COPY" and not rest.startswith("--from"):
            assert all((ROOT / source).exists() for source in rest.split()[:-1])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = re.search(r'"\.\[([\w,]+)\]"', text)
    assert wanted is not None
    assert set(wanted[1].split(",")) <= set(extras)


def test_a_backup_of_a_running_history_is_whole(tmp_path: Path) -> None:
    # As the document says: by SQLite's own copy, which the command-line tool's .backup makes.
    with Store.open(tmp_path / "live.sqlite") as store:
        for number in range(5):
            store.remember(report(f"{number}"))
        with sqlite3.connect(tmp_path / "live.sqlite") as live, sqlite3.connect(tmp_path / "copy.sqlite") as copy:
            live.backup(copy)
        live.close()
        copy.close()
        store.remember(report("later"))
    with Store.open(tmp_path / "copy.sqlite") as restored:
        assert restored.reports.count() == 5
        assert restored.reports.report(5) == report("4")
