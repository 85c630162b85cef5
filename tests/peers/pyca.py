"""Python's `cryptography` as a peer, with its own PKCS #7: it signs, encrypts and decrypts DER."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7

import jobs

DER = serialization.Encoding.DER
SMIME = serialization.Encoding.SMIME


def private(pem):
    return serialization.load_pem_private_key(pem, None)


def options(job):
    return [pkcs7.PKCS7Options.Binary] + [getattr(pkcs7.PKCS7Options, name) for name in job.all("option")]


def sign(job, encoding=DER):
    """A signer signs `DIGEST` or `DIGEST pss`."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(job.bytes("in"))
    for certificate, key, how in job.triples("signer"):
        digest = getattr(hashes, how.split()[0])()
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size) if how.endswith("pss") else None
        builder = builder.add_signer(x509.load_pem_x509_certificate(certificate), private(key), digest, rsa_padding=pss)
    return builder.sign(encoding, options(job))


def encrypt(job, encoding=DER):
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(job.bytes("in"))
    for certificate, _, _ in job.triples("recipient"):
        builder = builder.add_recipient(x509.load_pem_x509_certificate(certificate))
    builder = builder.set_content_encryption_algorithm(getattr(algorithms, job.get("cipher")))
    return builder.encrypt(encoding, [pkcs7.PKCS7Options.Binary])


def reader(job):
    ((certificate, key, _),) = job.triples("reader")
    return x509.load_pem_x509_certificate(certificate), private(key), []


def listed(job):
    return b"".join(one.public_bytes(DER) for one in pkcs7.load_der_pkcs7_certificates(job.bytes("in")))


def bundle(job):
    certificates = [x509.load_pem_x509_certificate(jobs.read(path)) for path in job.all("certificate")]
    return pkcs7.serialize_certificates(certificates, DER)


jobs.run(
    {
        "sign": sign,
        "encrypt": encrypt,
        "decrypt": lambda job: pkcs7.pkcs7_decrypt_der(job.bytes("in"), *reader(job)),
        "verify": listed,
        "certificates": bundle,
        "mail-sign": lambda job: sign(job, SMIME),
        "mail-encrypt": lambda job: encrypt(job, SMIME),
        "mail-decrypt": lambda job: pkcs7.pkcs7_decrypt_smime(job.bytes("in"), *reader(job)),
    }
)
