"""Whom an uplink believes, how it proves who it is over TLS, and what a failure means for a person."""

import ssl
from contextlib import suppress
from typing import Any

from edge_agent import clock
from edge_agent.settings.field_types import Server
from edge_agent.settings.uplink import Uplink
from edge_agent.uplink.session_error import SessionError, unreachable

# OpenSSL's X509_V_ERR_..., openssl-verification-options(1)
_NOT_YET_VALID = 9
_EXPIRED = 10
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21, 27})
_WRONG_NAME = frozenset({62, 64})

_REASONS = {  # by a piece of OpenSSL's reason; ALERT: it is the broker who refuses
    "CERTIFICATE_REQUIRED": "the broker asks for a client certificate; set cert and key",
    "ALERT_UNKNOWN_CA": "the broker does not know the authority of our certificate; set a cert that it knows",
    "ALERT_CERTIFICATE_EXPIRED": "the broker says that our certificate has expired; renew cert",
    "ALERT_CERTIFICATE_REVOKED": "the broker says that our certificate was revoked; set another cert and key",
    "ALERT_BAD_CERTIFICATE": "the broker refuses our certificate; set cert and key that were made for it",
    "ALERT_CERTIFICATE_UNKNOWN": "the broker refuses our certificate; set cert and key that were made for it",
    "UNRECOGNIZED_NAME": "the broker does not go by that name; correct servers or server_name",
    "NO_APPLICATION_PROTOCOL": "the broker speaks none of alpn; correct it, or remove it",
    "PROTOCOL_VERSION": "the broker does not speak TLS 1.2 or newer; have it updated",
    "UNSUPPORTED_PROTOCOL": "the broker does not speak TLS 1.2 or newer; have it updated",
    "WRONG_VERSION_NUMBER": "this port does not speak TLS; write its TLS port, or mqtt:// without TLS",
    "UNEXPECTED_EOF": "the other side hung up; write the broker's TLS port, or mqtt:// without TLS",
    "HANDSHAKE_FAILURE": "the broker refuses; it may ask for a client certificate, which cert and key give",
}


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails, as paho does not; and keeps what paho swallows."""

    context: "Context"

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as in ssl
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        """Send; a broker that has hung up may have said why, which is to be read now."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            with suppress(OSError):
                self.recv()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive; under TLS 1.3 a broker refuses a certificate only after the handshake, here."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            if "ALERT" in (error.reason or ""):
                self.context.refusal = error
            raise


class Context(ssl.SSLContext):
    """What TLS needs for one connection. ``refusal`` is what it broke with after the handshake, if it did."""

    sslsocket_class = _Socket
    refusal: ssl.SSLError | None = None
    server_name: str | None = None

    def wrap_socket(self, *args: Any, **more: Any) -> ssl.SSLSocket:
        """Ask for the name of the configuration, and accept only that, where it has one."""
        if self.server_name is not None:
            more["server_hostname"] = self.server_name
        return super().wrap_socket(*args, **more)


def context(settings: Uplink) -> Context:
    """Return what TLS needs of an uplink: with ``ca`` only that file is believed, without it the system.

    Made for each connection, so that files that were renewed count from the next one on.

    Raises:
        OSError: a file cannot be used. The text says what to do.
    """
    made = Context(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # the same from Python 3.11 to 3.14: ca may name a broker's own certificate or an authority between, and
    # an authority made by hand may leave out what a strict reader of RFC 5280 asks for
    made.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    made.server_name = settings.server_name
    if settings.alpn:
        made.set_alpn_protocols(list(settings.alpn))
    try:
        if settings.ca is None:
            made.load_default_certs()
        else:
            made.load_verify_locations(settings.ca)
    except OSError as error:
        raise OSError(
            f"ca cannot be used ({error.strerror or error}); write a PEM file with certificates"
        ) from None
    if settings.cert is not None:
        try:
            # without a password OpenSSL would ask for one on the terminal, and wait
            made.load_cert_chain(settings.cert, settings.key, password="")
        except OSError as error:
            if "KEY_VALUES_MISMATCH" in (getattr(error, "reason", None) or ""):
                raise OSError("key does not belong to cert; set the two that were made together") from None
            raise OSError(
                f"cert or key cannot be used ({error.strerror or error}); write PEM files, and no passphrase"
            ) from None
    return made


def no_connection(error: Exception, server: Server) -> SessionError:
    """Say why a server cannot be connected to, with TLS or without."""
    of_tls = server.tls and isinstance(error, ssl.SSLError | ConnectionResetError)
    return (failed if of_tls else unreachable)(error, server)


def failed(error: Exception, server: object) -> SessionError:
    """Say what a failure of TLS with a server means, and whose move it is."""
    code = getattr(error, "verify_code", 0)
    problem, wrong_time = _explained(error, code), code in {_NOT_YET_VALID, _EXPIRED}
    return SessionError(f"{server}: TLS failed: {problem}", clock=wrong_time)


def _explained(error: Exception, code: int) -> str:
    hung_up = isinstance(error, ConnectionResetError)
    reason = "UNEXPECTED_EOF" if hung_up else getattr(error, "reason", None) or ""
    detail = getattr(error, "verify_message", "") or reason or str(error)
    if code == _NOT_YET_VALID:
        return (
            "the broker's certificate is not yet valid by this gateway's clock, which says "
            f"{clock.today()}; set the clock"
        )
    if code == _EXPIRED:
        return (
            "the broker's certificate has expired by this gateway's clock, which says "
            f"{clock.today()}; renew it, or set the clock"
        )
    if code in _UNKNOWN_CA:
        return f"the broker's certificate is of an authority not known here ({detail}); set ca to its file"
    if code in _WRONG_NAME:
        return (
            f"the broker's certificate is for another name ({detail.rstrip('.')}); "
            "write that name in servers, or as server_name"
        )
    for piece, explanation in _REASONS.items():
        if piece in reason:
            return explanation
    return f"{detail}; see what the broker's log says of it"
