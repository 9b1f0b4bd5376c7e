"""Docker's health check: whether the worker in this container is alive, by the port that its variables name.

Where the port asks for a certificate (observe.http_client_ca) there is none to show: that it listens is all that is known then.
"""

import os
import socket
import ssl
import urllib.request

TIMEOUT_S = 2


def setting(name: str) -> str:
    """A setting, where it is given as a variable."""
    return os.environ.get(f"TEXTSTREAM_OBSERVE_{name}", "")


port = int(setting("HTTP_PORT") or 9464)
if setting("HTTP_CLIENT_CA"):
    socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()
else:
    scheme = "https" if setting("HTTP_CERTIFICATE") else "http"
    # To ourselves: no proxy of this network is on the way, and the certificate names the outside.
    direct = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    urllib.request.build_opener(*direct).open(f"{scheme}://127.0.0.1:{port}/livez", timeout=TIMEOUT_S)
