"""Whom an uplink believes, and how it proves who it is, over TLS."""

import ssl

from edge_agent.settings.uplink import Uplink


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as in ssl
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def context(settings: Uplink) -> ssl.SSLContext:
    """Return what TLS needs of an uplink's ``ca``, ``cert`` and ``key``; without ``ca`` the system's own.

    Raises:
        OSError: a file cannot be used. The text says what to do.
    """
    try:
        made = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
        made.sslsocket_class = _Socket
        if settings.cert is not None:
            # without a password OpenSSL would ask for one on the terminal, and wait
            made.load_cert_chain(settings.cert, settings.key, password="")
    except OSError as error:
        raise OSError(
            f"ca, cert or key cannot be used ({error.strerror or error}); "
            "write PEM files, a key that belongs to cert, and no passphrase"
        ) from None
    return made
