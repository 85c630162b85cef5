"""PKCS#12 by Python's cryptography: `write KEY CERTIFICATE CA SCHEME MAC PASSPHRASE` or `read PASSPHRASE`; files through stdin and stdout."""

import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12
from cryptography.x509 import load_pem_x509_certificate


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def write(key, certificate, ca, scheme, mac, passphrase):
    key = serialization.load_pem_private_key(read_file(key), None)
    certificate, ca = (load_pem_x509_certificate(read_file(path)) for path in (certificate, ca))
    algorithm = getattr(pkcs12.PBES, scheme)
    protection = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1000).key_cert_algorithm(algorithm)
    protection = protection.hmac_hash(getattr(hashes, mac)()).build(passphrase.encode())
    return pkcs12.serialize_key_and_certificates("密".encode(), key, certificate, [ca], protection)


def read(passphrase):
    found = pkcs12.load_pkcs12(sys.stdin.buffer.read(), passphrase.encode())
    pem = serialization.Encoding.PEM
    key = found.key.private_bytes(pem, PrivateFormat.PKCS8, serialization.NoEncryption())
    print(found.cert.friendly_name.decode(), file=sys.stderr)
    certificates = [found.cert, *found.additional_certs]
    return key + b"".join(held.certificate.public_bytes(pem) for held in certificates)


verb, *arguments = sys.argv[1:]
sys.stdout.buffer.write({"write": write, "read": read}[verb](*arguments))
