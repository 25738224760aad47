"""TLS in front of a plain HTTP server on loopback, with a certificate authority of its own."""

import pathlib
import socket
import ssl
import subprocess
import threading


class TLSFront:
    """Accepts TLS at `url` and passes every byte on to a port of this machine. `authority` is the file to trust."""

    def __init__(self, folder: pathlib.Path, target_port: int):
        self._target = ("127.0.0.1", target_port)
        self.authority = folder / "authority.pem"
        key, certificate = folder / "server.key", folder / "server.pem"
        request, extensions = folder / "server.csr", folder / "server.ext"
        extensions.write_text("subjectAltName = IP:127.0.0.1\n")
        authority_key = folder / "authority.key"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                "-keyout", authority_key, "-out", self.authority)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", authority_key, "-CAcreateserial",
                "-days", "2", "-extfile", extensions, "-out", certificate)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            with self._context.wrap_socket(client, server_side=True) as outer, socket.create_connection(
                self._target
            ) as inner:
                back = threading.Thread(target=copy, args=(inner, outer), daemon=True)
                back.start()
                copy(outer, inner)
                back.join()
        except OSError:
            pass  # a client that does not trust us hangs up


def copy(source, sink):
    """Passes bytes on until one side ends."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
