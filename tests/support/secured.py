"""One broker with an address for each way to prove who one is. Whoever it is, it is `worker`, and may do nothing unasked."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import trustme
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.kafka import GuardedKafka, free_ports
from tests.support.reaper import Reaper

REAUTHENTICATE_MS = 2_000
"""How long a connection by SCRAM lasts before it has to prove itself again: so a rotation is seen within a test."""
CLIENT_ID, CLIENT_SECRET = "worker", "canary-client-secret"
TOKEN_LIFE_S = 60


class Authority:
    """A certificate authority of the tests, and what it signed, as PEM files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._authority, self._folder = trustme.CA(), folder
        self.certificate = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(self.certificate)

    def issue(self, name: str, *, file: str = "") -> Path:
        """A key (PKCS#8, as Java reads it) and its certificate in one file."""
        issued = self._authority.issue_cert(name, common_name=name)
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        path = self._folder / f"{file or name}.pem"
        chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain) + chain)
        return path


class Tokens:
    """An identity provider on loopback: client credentials in, a signed token out; its public key for the broker."""

    issuer, audience = "https://issuer.test", "kafka"

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self.granted = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, provider._keys())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
                if self.headers.get("Authorization") != f"Basic {expected}":
                    self._answer(401, {"error": "invalid_client", "error_description": "who are you?"})
                    return
                provider.granted += 1
                self._answer(200, {"access_token": provider.token(), "token_type": "Bearer", "expires_in": TOKEN_LIFE_S})

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, life_s: float = TOKEN_LIFE_S) -> str:
        """For `worker`."""
        now = time.time()
        claims = {"iss": self.issuer, "aud": self.audience, "sub": "worker", "iat": int(now), "exp": int(now + life_s)}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "one"}, claims))
        return f"{signed}.{_base64(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _keys(self) -> dict[str, Any]:
        numbers = self._key.public_key().public_numbers()
        n, e = (_base64(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
        return {"keys": [{"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": n, "e": e}]}


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def token_from_file(path: str) -> tuple[str, float]:
    """A `kafka.token_callback`: what a cloud's would make of an identity, this one reads."""
    token = Path(path).read_text()
    payload = token.split(".")[1]
    return token, float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])


def broken_token(_: str) -> tuple[str, float]:
    """A `kafka.token_callback` that fails, and tells more than it should."""
    raise ValueError("no token for canary-callback")


class SecuredKafka(GuardedKafka):
    """`address` of each mechanism: tls, mtls, plain, scram, oauth. All but the first two are SASL over TLS."""

    password = "canary-plain"

    def __init__(self, reaper: Reaper, authority: Authority, tokens: Tokens) -> None:
        self._authority, self._tokens = authority, tokens
        self.address: dict[str, str] = {}
        self.java_options = (f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={tokens.url}/keys",)
        super().__init__(reaper)

    def set_scram_password(self, password: str) -> None:
        """From now on the broker knows `worker` by this one."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(self.user, info, password.encode())
        for future in self.admin.alter_user_scram_credentials([change]).values():
            future.result(timeout=30)

    def _extended(self, settings: dict[str, str]) -> dict[str, str]:
        settings = super()._extended(settings)
        names = ("tls", "mtls", "plain", "scram", "oauth")
        self.address = {name: f"127.0.0.1:{port}" for name, port in zip(names, free_ports(len(names)), strict=True)}
        for name, address in self.address.items():
            protocol = "SSL" if name in ("tls", "mtls") else "SASL_SSL"
            settings["listeners"] += f",{name.upper()}://{address}"
            settings["advertised.listeners"] += f",{name.upper()}://{address}"
            settings["listener.security.protocol.map"] += f",{name.upper()}:{protocol}"
        modules = "org.apache.kafka.common.security"
        bearer = f"{modules}.oauthbearer.OAuthBearer"
        return settings | {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._authority.issue("127.0.0.1")),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._authority.certificate),
            "ssl.principal.mapping.rules": "RULE:.*CN=([^,]*).*/$1/",
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.plain.plain.sasl.jaas.config": settings["listener.name.guarded.plain.sasl.jaas.config"],
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
            "listener.name.scram.scram-sha-512.connections.max.reauth.ms": str(REAUTHENTICATE_MS),
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config": f"{bearer}LoginModule required;",
            "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class": f"{bearer}ValidatorCallbackHandler",
            "listener.name.oauth.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": f"{self._tokens.url}/keys",
            "listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.audience": self._tokens.audience,
            "listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.issuer": self._tokens.issuer,
            "sasl.oauthbearer.jwks.endpoint.url": f"{self._tokens.url}/keys",
            "sasl.oauthbearer.expected.audience": self._tokens.audience,
            "sasl.oauthbearer.expected.issuer": self._tokens.issuer,
        }
