"""What is wrong with a remote is said in words, from failures of a real server; secrets are refused and never shown."""

import base64
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from azurite import ACCOUNT, KEY, Azurite
from clones import World, local_config, world
from repositories import commit, dvc

from remote import check, push
from remote.clone import masked
from remote.diagnosis import diagnosis
from runtime.errors import RemoteError

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path, azurite: Azurite) -> Iterator[World]:
    with world(tmp_path, azurite, pictures=1) as made:
        yield made


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["remote"])


def sas(container: str, ended: bool = False, **rights: bool) -> str:
    now = datetime.now(UTC)
    token = generate_container_sas(
        ACCOUNT,
        container,
        account_key=KEY,
        permission=ContainerSasPermissions(**rights),
        start=now - timedelta(hours=2),
        expiry=now + timedelta(hours=-1 if ended else 1),
    )
    return f"SharedAccessSignature={token}"


def use(connection: str) -> None:
    Path(".dvc/config.local").write_text(f'[\'remote "cloud"\']\n    connection_string = "{connection}"\n')


def refusal() -> str:
    with pytest.raises(RemoteError) as refused:
        check.main()
    return str(refused.value)


def test_a_remote_that_works_is_left_as_it_was(clone: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    check.main()
    assert "lets us list, write, read, delete." in caplog.text
    assert list(clone.container.list_blobs()) == []


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        ("AccountKey=" + base64.b64encode(b"another").decode(), "not let us list: the credential is not believed"),
        ("AccountKey=abc", "not let us list: the account key is no key"),
        ("Nothing=here", "no credential: neither AccountKey nor SharedAccessSignature is in the connection string"),
    ],
)
def test_a_wrong_key_or_none_is_told(clone: World, azurite: Azurite, credential: str, words: str) -> None:
    use(azurite.connection(credential))
    told = refusal()
    assert words in told
    assert credential.split("=", 1)[1] not in told.split("(")[-1]


def test_an_account_that_is_not_there_is_told(clone: World, azurite: Azurite) -> None:
    use(azurite.connection(account="nobody"))
    assert "not let us list: there is no such account" in refusal()


def test_a_container_that_is_not_there_is_told(clone: World) -> None:
    clone.container.delete_container()
    assert "not let us list: the account has no such container" in refusal()
    with pytest.raises(RemoteError, match="no such container|No such container"):
        push.main()


def test_a_credential_without_the_right_to_list_or_write_is_told(clone: World, azurite: Azurite) -> None:
    name = clone.container.container_name
    use(azurite.connection(sas(name, read=True, write=True, create=True)))
    assert "not let us list: the credential is good, but has no right to do this" in refusal()
    use(azurite.connection(sas(name, read=True, list=True)))
    assert "not let us write: the credential is good, but has no right to do this" in refusal()
    with pytest.raises(RemoteError, match=r"lacks 3 of 3 objects still: the credential is good, but has no right"):
        push.main()
    use(azurite.connection(sas(name, read=True, list=True, ended=True)))
    assert "not let us list: the credential is not believed" in refusal()


def test_without_the_right_to_delete_it_works_and_says_what_does_not(
    clone: World, azurite: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    use(azurite.connection(sas(clone.container.container_name, read=True, list=True, write=True, create=True)))
    check.main()
    check.main()
    assert "`make gc` cannot work" in caplog.text
    assert [blob.name for blob in clone.container.list_blobs()] == ["dvc/retrain-remote-check"]


def test_a_server_that_does_not_answer_is_told_at_once(clone: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    use(f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{port}/a;")
    assert f"127.0.0.1 port {port} does not answer" in refusal()


def test_a_host_that_is_not_there_is_told_at_once(clone: World) -> None:
    use(f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={KEY};BlobEndpoint=https://a.blob.invalid;")
    assert "there is no host a.blob.invalid" in refusal()


def test_no_remote_no_account_and_no_verification_are_told(clone: World) -> None:
    config, local = Path(".dvc/config"), Path(".dvc/config.local")
    written = config.read_text()
    config.write_text(written.replace("verify = true", "verify = false"))
    assert "`dvc remote modify cloud verify true`" in refusal()
    config.write_text(written)
    local.unlink()
    assert "neither account_name nor connection_string is given" in refusal()
    config.write_text("[core]\n    analytics = false\n")
    assert "no DVC remote is configured" in refusal()


def test_what_no_server_here_can_answer_is_told_too() -> None:
    assert "no identity" in str(diagnosis(ClientAuthenticationError("DefaultAzureCredential failed")))
    assert "cannot be reached" in str(diagnosis(ServiceRequestError("Name or service not known")))
    assert diagnosis(ValueError("something else")) is None


@pytest.mark.parametrize("option", ["connection_string", "account_key", "sas_token", "client_secret"])
def test_a_secret_in_the_tracked_configuration_is_refused_and_not_shown(clone: World, option: str) -> None:
    dvc("remote", "modify", "cloud", option, "a-secret-of-ours")
    told = refusal()
    assert f".dvc/config, which git tracks, has a secret: {option}." in told
    assert "a-secret-of-ours" not in told


def test_a_key_or_a_sas_in_any_tracked_file_is_refused_and_an_old_one_remembered(
    clone: World, azurite: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    Path("job.yaml").write_text(f"value: {azurite.connection()}\n")
    assert "there is a key or a SAS in job.yaml" in refusal()
    Path("job.yaml").write_text(f"https://a.example/c?{sas('c', read=True).removeprefix('SharedAccessSignature=')}\n")
    assert "there is a key or a SAS in job.yaml" in refusal()
    Path("job.yaml").unlink()
    kept = Path(".dvc/config").read_text()
    dvc("remote", "modify", "cloud", "account_key", "x")
    commit("A mistake")
    Path(".dvc/config").write_text(kept)
    commit("Mended")
    check.main()
    assert "had a secret near commit" in caplog.text


def test_masking_takes_out_what_is_known_and_what_looks_like_it() -> None:
    text = f"{local_config}?sv=1&sig=abc%2B&se=2 AccountKey=xyz==;EndpointSuffix=core hunter2"
    assert masked(text, {"hunter2"}).endswith("?sv=1&sig=***&se=2 AccountKey=***;EndpointSuffix=core ***")
