"""A broker that asks who one is, over TLS: by librdkafka's own properties, with no secret in any log."""

import subprocess

import pytest
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

import support

ADMIN, SECRET = "admin", "admin-5ecret-word"
USER, PASSWORD = "tarn", "user-pa55 word; with = signs"


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def certificates(folder):
    """An authority, and a broker's certificate that it signed."""
    folder.mkdir(parents=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=Test authority",
            "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", f"{folder}/broker.key",
            "-out", f"{folder}/broker.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-days", "30", "-in", f"{folder}/broker.csr", "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key",
            "-CAcreateserial", "-extfile", f"{folder}/names", "-out", f"{folder}/broker.pem")
    # Kafka takes PEM: the key first, then the certificate.
    (folder / "store.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text())
    return folder


@pytest.fixture(scope="module")
def secure(session_folder):
    folder = certificates(session_folder / "certificates")
    login = (f'org.apache.kafka.common.security.plain.PlainLoginModule required username="{ADMIN}" password="{SECRET}" '
             f'user_{ADMIN}="{SECRET}" user_{USER}="{PASSWORD}";')
    settings = f"""
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config={login}
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={folder}/store.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
"""
    server = support.KafkaServer(session_folder / "secure-kafka", settings, "SASL_SSL", security_protocol="sasl_ssl",
                                 sasl_mechanisms="PLAIN", sasl_username=ADMIN, sasl_password=SECRET, ssl_ca_location=f"{folder}/ca.pem")
    server.folder = folder
    yield server
    server.stop()


def properties(secure, **changes):
    given = {"security.protocol": "sasl_ssl", "sasl.mechanisms": "PLAIN", "sasl.username": USER, "sasl.password": "${TARN_TEST_PASSWORD}",
             "ssl.ca.location": str(secure.folder / "ca.pem")}
    return support.FAST_GROUP | given | {k.replace("_", "."): v for k, v in changes.items()}


def lake_of(secure, make_lake, **changes):
    topic = secure.topic(2)
    lake = make_lake("sqlite", secure.address, topic, properties=properties(secure, **changes))
    support.os.environ["TARN_TEST_PASSWORD"] = PASSWORD
    return lake, secure.producer().events(topic, 8, partitions=2)


@pytest.fixture(autouse=True)
def no_password_left():
    yield
    support.os.environ.pop("TARN_TEST_PASSWORD", None)


def assert_silent(process):
    for secret in (PASSWORD, SECRET):
        assert secret not in process.text()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_sasl_over_tls(secure, make_lake, mechanism):
    if mechanism != "PLAIN":
        entry = UserScramCredentialUpsertion(USER, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode())
        secure.admin.alter_user_scram_credentials([entry])[USER].result(30)
    # librdkafka's own debug lines, all of them, tell no secret either.
    lake, seqs = lake_of(secure, make_lake, sasl_mechanisms=mechanism, debug="all")
    process = lake.once()
    lake.assert_exactly_once(seqs)
    assert_silent(process)
    shown = support.tarn("status", str(lake.manifest), folder=lake.folder)
    assert PASSWORD not in shown.stdout + shown.stderr


def test_a_password_in_a_file(secure, make_lake):
    lake, seqs = lake_of(secure, make_lake, sasl_password="file:password.txt")
    (lake.folder / "password.txt").write_text(PASSWORD + "\n")
    assert_silent(lake.once())
    lake.assert_exactly_once(seqs)


def test_a_wrong_password(secure, make_lake):
    lake, seqs = lake_of(secure, make_lake)
    process = lake.start("--once", environment={"TARN_TEST_PASSWORD": "not-the-password"})
    assert process.wait(90) == support.INPUT, process.tail()
    assert "uthentication" in process.text() and "not-the-password" not in process.text(), process.tail()
    lake.once()
    lake.assert_exactly_once(seqs)


def test_a_broker_that_is_not_believed_or_does_not_believe(secure, make_lake, folder):
    """Nobody vouches for its certificate; and no TLS where it asks for TLS. Both are waited for, so both at once."""
    other = certificates(folder / "other")
    lake, _ = lake_of(secure, make_lake, ssl_ca_location=str(other / "ca.pem"))
    stranger = lake.start("--once")
    lake, _ = lake_of(secure, make_lake, security_protocol="plaintext")
    plain = lake.start("--once")
    for process in stranger, plain:
        assert process.wait(90) == support.LATER, process.tail()
    assert "certificate" in stranger.text(), stranger.tail()
