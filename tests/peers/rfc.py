"""What no program at hand can, put together from the primitives of Python's `cryptography` and the words of the RFCs.

Recipients with X25519 and X448 (RFC 8418, 5753) and every EC curve, ciphers with a tag (RFC 5083, 5084, 8103), Ed25519 and Ed448
(RFC 8419), PSS with two digests (RFC 4056).
"""

import hashlib
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

import jobs

# BER and DER


def tlv(tag, *parts):
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def sequence(*parts):
    return tlv(0x30, *parts)


def set_of(*parts):
    return tlv(0x31, *sorted(parts))


def integer(value):
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(value):
    return tlv(0x04, value)


def oid(dotted):
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for arc in [first * 40 + second, *rest]:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        content += bytes(reversed(groups))
    return tlv(0x06, content)


class Node:
    """An element: its tag, its content (of a primitive one) or its children."""

    def __init__(self, data, at=0):
        self.start, self.tag = at, data[at]
        length, at = data[at + 1], at + 2
        end = None if length == 0x80 else at + length
        if length > 0x80:
            size = length & 0x7F
            at += size
            end = at + int.from_bytes(data[at - size : at], "big")
        self.children, self.content = [], b""
        if self.tag & 0x20:
            while at != end and not (end is None and data[at : at + 2] == b"\0\0"):
                self.children.append(Node(data, at))
                at = self.children[-1].end
            self.end = at if end is not None else at + 2
        else:
            self.content, self.end = data[at:end], end
        self.raw = data[self.start : self.end]

    def octets(self):
        """A string in one piece or in several."""
        return b"".join(child.octets() for child in self.children) if self.tag & 0x20 else self.content

    def __getitem__(self, at):
        return self.children[at]


# identifiers

DATA = oid("1.2.840.113549.1.7.1")
SIGNED, ENVELOPED = oid("1.2.840.113549.1.7.2"), oid("1.2.840.113549.1.7.3")
AUTH_ENVELOPED = oid("1.2.840.113549.1.9.16.1.23")
NIST = "2.16.840.1.101.3.4."
HASHES = {"sha1": hashes.SHA1, "sha224": hashes.SHA224, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
CIPHERS = {
    **{f"aes{bits}-{mode}": oid(f"{NIST}1.{base + at}") for bits, base in [(128, 0), (192, 20), (256, 40)] for mode, at in [("cbc", 2), ("gcm", 6), ("ccm", 7)]},
    "chacha20-poly1305": oid("1.2.840.113549.1.9.16.3.18"),
}
WRAPS = {"128": oid(f"{NIST}1.5"), "192": oid(f"{NIST}1.25"), "256": oid(f"{NIST}1.45")}
AGREEMENTS = {
    ("x963", "sha1"): oid("1.3.133.16.840.63.0.2"),
    **{("x963", name): oid(f"1.3.132.1.11.{at}") for at, name in enumerate(["sha224", "sha256", "sha384", "sha512"])},
    **{("hkdf", name): oid(f"1.2.840.113549.1.9.16.3.{at}") for name, at in [("sha256", 19), ("sha384", 20), ("sha512", 21)]},
}


def name_of(table, raw):
    return next(name for name, known in table.items() if known == raw)


# key agreement


def key_encryption_key(kdf, digest, wrap, secret, ukm):
    """ECC-CMS-SharedInfo (RFC 5753 7.2), then X9.63, or HKDF with the keying material as salt (RFC 8418 2.2)."""
    bits = int(wrap)
    entity = tlv(0xA0, octets(ukm)) if ukm is not None else b""
    info = sequence(sequence(WRAPS[wrap]), entity, tlv(0xA2, octets(bits.to_bytes(4, "big"))))
    if kdf == "x963":
        return X963KDF(HASHES[digest](), bits // 8, info).derive(secret)
    return HKDF(HASHES[digest](), bits // 8, ukm, info).derive(secret)


def agree(private, public):
    return private.exchange(ec.ECDH(), public) if isinstance(private, ec.EllipticCurvePrivateKey) else private.exchange(public)


def fresh(public):
    if isinstance(public, ec.EllipticCurvePublicKey):
        return ec.generate_private_key(public.curve)
    return (x25519.X25519PrivateKey if isinstance(public, x25519.X25519PublicKey) else x448.X448PrivateKey).generate()


def point(public):
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return public.public_bytes_raw()


def point_key(data, private):
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return ec.EllipticCurvePublicKey.from_encoded_point(private.curve, data)
    kind = x25519.X25519PublicKey if isinstance(private, x25519.X25519PrivateKey) else x448.X448PublicKey
    return kind.from_public_bytes(data)


def issuer_and_serial(certificate):
    return sequence(certificate.issuer.public_bytes(), integer(certificate.serial_number))


def recipient(job, pem, how, key):
    """`KDF DIGEST WRAP`, or `pkcs1`."""
    certificate = x509.load_pem_x509_certificate(pem)
    public, name = certificate.public_key(), issuer_and_serial(certificate)
    if how == "pkcs1":
        algorithm = sequence(oid("1.2.840.113549.1.1.1"), tlv(0x05))
        return sequence(integer(0), name, algorithm, octets(public.encrypt(key, padding.PKCS1v15())))
    kdf, digest, wrap = how.split()
    ukm = bytes.fromhex(job.get("ukm")) if job.has("ukm") else None
    own = fresh(public)
    kek = key_encryption_key(kdf, digest, wrap, agree(own, public), ukm)
    spki = Node(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    originator = tlv(0xA1, sequence(spki[0][0].raw), tlv(0x03, b"\0", point(own.public_key())))
    material = tlv(0xA1, octets(ukm)) if ukm is not None else b""
    algorithm = sequence(AGREEMENTS[kdf, digest], sequence(WRAPS[wrap]))
    keys = sequence(sequence(name, octets(keywrap.aes_key_wrap(kek, key))))
    return tlv(0xA1, integer(3), tlv(0xA0, originator), material, algorithm, keys)


# encryption


def encrypt(job):
    cipher, content = job.get("cipher"), job.bytes("in")
    key = os.urandom(32 if "chacha" in cipher else int(cipher[3:6]) // 8)
    recipients = set_of(*(recipient(job, pem, how, key) for pem, _, how in job.triples("recipient")))
    if cipher.endswith("cbc"):
        iv, pad = os.urandom(16), 16 - len(content) % 16
        worker = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        sealed = worker.update(content + bytes([pad]) * pad) + worker.finalize()
        info = sequence(DATA, sequence(CIPHERS[cipher], octets(iv)), tlv(0x80, sealed))
        return sequence(ENVELOPED, tlv(0xA0, sequence(integer(2), recipients, info)))
    tag_length = int(job.get("tag", "16"))
    nonce = os.urandom(12)
    # RFC 5083 2.2: the attributes are authenticated as a SET OF
    attribute = sequence(oid("1.2.840.113549.1.9.3"), set_of(DATA))
    attributes = set_of(attribute) if job.has("attributes") else b""
    sealed = aead(cipher, key, tag_length).encrypt(nonce, content, attributes)
    parameters = octets(nonce)
    if "chacha" not in cipher:
        # RFC 5084 3: 12 is the default
        parameters = sequence(parameters, b"" if tag_length == 12 else integer(tag_length))
    info = sequence(DATA, sequence(CIPHERS[cipher], parameters), tlv(0x80, sealed[:-tag_length]))
    carried = b"\xa1" + attributes[1:] if attributes else b""
    return sequence(AUTH_ENVELOPED, tlv(0xA0, sequence(integer(0), recipients, info, carried, octets(sealed[-tag_length:]))))


def aead(cipher, key, tag_length):
    if "chacha" in cipher:
        return ChaCha20Poly1305(key)
    if cipher.endswith("ccm"):
        return AESCCM(key, tag_length)
    if tag_length != 16:
        raise ValueError("tags of GCM are whole here")
    return AESGCM(key)


def decrypt(job):
    kind, body = Node(job.bytes("in"))
    (data,) = body
    ((pem, key_pem, _),) = job.triples("reader")
    private = serialization.load_pem_private_key(key_pem, None)
    name = issuer_and_serial(x509.load_pem_x509_certificate(pem))
    infos = next(at for at, node in enumerate(data) if node.tag == 0x31)
    key = next(filter(None, (content_key(info, name, private) for info in data[infos])), None)
    if key is None:
        raise ValueError("no recipient of this certificate")
    content = data[infos + 1]
    cipher, sealed = name_of(CIPHERS, content[1][0].raw), content[2].octets()
    if (kind.raw == AUTH_ENVELOPED) == cipher.endswith("cbc"):
        raise ValueError("this cipher does not go with this structure")
    if cipher.endswith("cbc"):
        worker = Cipher(algorithms.AES(key), modes.CBC(content[1][1].content)).decryptor()
        plain = worker.update(sealed) + worker.finalize()
        return plain[: -plain[-1]]
    rest = data.children[infos + 2 :]
    attributes = b"\x31" + rest[0].raw[1:] if rest[0].tag == 0xA1 else b""
    tag = next(node for node in rest if node.tag == 0x04).content
    nonce = content[1][1].octets() if "chacha" in cipher else content[1][1][0].content
    return aead(cipher, key, len(tag)).decrypt(nonce, sealed + tag, attributes)


def content_key(info, name, private):
    if info.tag != 0xA1:
        rsa = info.tag == 0x30 and info[1].raw == name and hasattr(private, "decrypt")
        return private.decrypt(info[3].content, padding.PKCS1v15()) if rsa else None
    fields = info.children[1:]
    originator, fields = fields[0][0], fields[1:]
    ukm = fields.pop(0)[0].content if fields[0].tag == 0xA1 else None
    algorithm, keys = fields
    wrapped = next((one[1].content for one in keys if one[0].raw == name), None)
    if wrapped is None:
        return None
    kdf, digest = name_of(AGREEMENTS, algorithm[0].raw)
    wrap = name_of(WRAPS, algorithm[1][0].raw)
    public = point_key(originator[1].content[1:], private)
    return keywrap.aes_key_unwrap(key_encryption_key(kdf, digest, wrap, agree(private, public), ukm), wrapped)


# signatures

SHA512 = sequence(oid(f"{NIST}2.3"))


def hash_id(name):
    return sequence(oid(NIST + {"sha256": "2.1", "sha384": "2.2", "sha512": "2.3"}[name]), tlv(0x05))


def sign(job):
    """A signer signs `eddsa`, or `pss DIGEST MGF-DIGEST SALT`."""
    content, direct = job.bytes("in"), job.has("direct")
    ((pem, key_pem, how),) = job.triples("signer")
    certificate, key = x509.load_pem_x509_certificate(pem), serialization.load_pem_private_key(key_pem, None)
    if how.startswith("pss"):
        _, digest, mask, salt = how.split()
        parameters = [hash_id(digest), sequence(oid("1.2.840.113549.1.1.8"), hash_id(mask)), integer(int(salt))]
        algorithm = sequence(oid("1.2.840.113549.1.1.10"), sequence(*(tlv(0xA0 + at, one) for at, one in enumerate(parameters))))
        digest_id, hashed = hash_id(digest), hashlib.new(digest, content).digest()
        how_pss = padding.PSS(padding.MGF1(HASHES[mask]()), int(salt))
        by = lambda signed: key.sign(signed, how_pss, HASHES[digest]())
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm, digest_id, hashed, by = sequence(oid("1.3.101.112")), SHA512, hashlib.sha512(content).digest(), key.sign
    else:
        assert isinstance(key, ed448.Ed448PrivateKey)
        # RFC 8419 3.1, 3.2: with its length where there are attributes
        digest_id = sequence(oid(f"{NIST}2.12")) if direct else sequence(oid(f"{NIST}2.18"), integer(512))
        algorithm, hashed, by = sequence(oid("1.3.101.113")), hashlib.shake_256(content).digest(64), key.sign
    attributes = set_of(
        sequence(oid("1.2.840.113549.1.9.3"), set_of(DATA)), sequence(oid("1.2.840.113549.1.9.4"), set_of(octets(hashed)))
    )
    signature = octets(by(content if direct else attributes))
    carried = b"" if direct else b"\xa0" + attributes[1:]
    signer = sequence(integer(1), issuer_and_serial(certificate), digest_id, carried, algorithm, signature)
    inside = tlv(0xA0, octets(content)) if job.get("form") == "opaque" else b""
    certificates = tlv(0xA0, certificate.public_bytes(serialization.Encoding.DER))
    return sequence(SIGNED, tlv(0xA0, sequence(integer(1), set_of(digest_id), sequence(DATA, inside), certificates, set_of(signer))))


jobs.run({"encrypt": encrypt, "decrypt": decrypt, "sign": sign})
