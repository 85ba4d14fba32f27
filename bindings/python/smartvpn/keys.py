"""Keys, QR codes, and what this build of the library is."""

from __future__ import annotations

from typing import Union

from . import _native

QR_FORMS = {
    "matrix": _native.QR_MATRIX,
    "text": _native.QR_TEXT,
    "png": _native.QR_PNG,
    "svg": _native.QR_SVG,
}


def generate_key() -> str:
    """A new X25519 private key, base64."""
    return str(_native.key_generate())


def public_key(private_key: str) -> str:
    """The public key of a private key. InvalidError if that is none."""
    return str(_native.key_public(private_key))


def qr(text: str, form: str = "text") -> Union[str, bytes]:
    """A QR code: "text" for a terminal, "svg", "matrix" (lines of 0 and 1), or "png", which is bytes.
    LimitError for more than 2953 bytes."""
    if form not in QR_FORMS:
        raise ValueError(f"form is one of {', '.join(QR_FORMS)}, not {form!r}")
    code: Union[str, bytes] = _native.qr_encode(text, QR_FORMS[form])
    return code


def version() -> str:
    """The library's version, such as "0.1.0"."""
    return str(_native.version())


def abi_version() -> int:
    return int(_native.abi_version())


def has(feature: str) -> bool:
    """Whether this build has a feature, such as "quic". False too for a name that this version has never
    heard of."""
    return bool(_native.has(feature) == 1)
