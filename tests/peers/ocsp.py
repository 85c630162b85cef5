"""Reads an OCSP response by Python's `cryptography` and checks who signed it: `ocsp.py ISSUER CERTIFICATE HASH`, the response on standard
input. With no response it writes a request instead, with a nonce where HASH is followed by one in hexadecimal.
"""

import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

issuer, certificate = (x509.load_pem_x509_certificate(open(file, "rb").read()) for file in sys.argv[1:3])
digest = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384}[sys.argv[3]]()
data = sys.stdin.buffer.read()
builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, digest)
if not data:
    if len(sys.argv) > 4:
        builder = builder.add_extension(x509.OCSPNonce(bytes.fromhex(sys.argv[4])), critical=False)
    sys.stdout.buffer.write(builder.build().public_bytes(Encoding.DER))
    sys.exit()
request = builder.build()
response = ocsp.load_der_ocsp_response(data)
print("status", response.response_status.name)
if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
    sys.exit()
(responder,) = response.certificates
responder.verify_directly_issued_by(issuer)
responder.public_key().verify(response.signature, response.tbs_response_bytes, ec.ECDSA(response.signature_hash_algorithm))
same = ["serial_number", "issuer_name_hash", "issuer_key_hash"]
assert all(getattr(response, field) == getattr(request, field) for field in same)
assert isinstance(response.hash_algorithm, type(digest))
assert response.responder_name is None
assert response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(responder.public_key()).digest
usages = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
assert list(usages) == [x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING]
responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
assert not responder.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
print("certificate", response.certificate_status.name)
print("produced", response.produced_at_utc.isoformat())
print("this", response.this_update_utc.isoformat(), "next", response.next_update_utc.isoformat())
if response.revocation_time_utc:
    print("revoked", response.revocation_time_utc.isoformat(), response.revocation_reason and response.revocation_reason.name)
for extension in response.extensions:
    print("nonce", extension.value.nonce.hex())
