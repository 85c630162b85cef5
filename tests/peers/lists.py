"""Writes chains with revocation lists of many kinds, by Python's `cryptography`: `lists.py FOLDER`.

Each case is a folder with root.pem, pool.pem, leaf.pem and lists.pem; cases.txt says what is known of the leaf by the lists.
"""

import datetime
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

FOLDER = sys.argv[1]
NOW = datetime.datetime(2026, 6, 1)
DAY = datetime.timedelta(days=1)
F = x509.ReasonFlags
PEM = serialization.Encoding.PEM


def name(*cns):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn) for cn in cns])


def key():
    return ec.generate_private_key(ec.SECP256R1())


def usage(cert_sign=False, crl_sign=False, sign=False):
    return x509.KeyUsage(sign, False, False, False, False, cert_sign, crl_sign, False, False)


class Entity:
    def __init__(self, subject, issuer=None, ca=True, crl_sign=True, serial=None, dps=None, own_key=None):
        self.name, self.key = subject, own_key or key()
        issuer = issuer or self
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.name).public_key(self.key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(NOW - 300 * DAY).not_valid_after(NOW + 300 * DAY)
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(usage(ca, crl_sign, not ca), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False))
        if dps:
            builder = builder.add_extension(x509.CRLDistributionPoints(dps), False)
        self.cert = builder.sign(issuer.key, hashes.SHA256())


def entry(serial, reason=None, issuer=None, critical=None):
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - 20 * DAY)
    if reason:
        builder = builder.add_extension(x509.CRLReason(reason), False)
    if issuer:
        builder = builder.add_extension(x509.CertificateIssuer([x509.DirectoryName(issuer.name)]), True)
    if critical:
        builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(critical), b"\x05\x00"), True)
    return builder.build()


def lst(signer, entries=(), number=5, base=None, idp=None, made=-5, due=5, critical=None, own_name=None):
    builder = (
        x509.CertificateRevocationListBuilder().issuer_name(own_name or signer.name)
        .last_update(NOW + made * DAY).next_update(NOW + due * DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), False)
        .add_extension(x509.CRLNumber(number), False))
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), True)
    else:
        # without it OpenSSL looks for no delta list
        builder = builder.add_extension(x509.FreshestCRL([point("http://lists.example/delta.crl")]), False)
    if idp:
        builder = builder.add_extension(idp, True)
    if critical:
        builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(critical), b"\x05\x00"), True)
    for one in entries:
        builder = builder.add_revoked_certificate(one)
    return builder.sign(signer.key, hashes.SHA256())


def uri(place):
    return [x509.UniformResourceIdentifier(place)]


def idp(place=None, relative=None, users=False, cas=False, reasons=None, indirect=False, attributes=False):
    return x509.IssuingDistributionPoint(uri(place) if place else None, relative, users, cas, reasons, indirect, attributes)


def point(place=None, relative=None, reasons=None, issuer=None):
    return x509.DistributionPoint(
        uri(place) if place else None, relative, reasons, [x509.DirectoryName(issuer.name)] if issuer else None)


cases = []


def case(title, known, lists, leaf, pool=()):
    folder = os.path.join(FOLDER, title)
    os.mkdir(folder)
    for file, all_of_it in [("root", [root.cert]), ("leaf", [leaf.cert]), ("pool", [e.cert for e in pool]),
                            ("lists", lists)]:
        with open(os.path.join(folder, file + ".pem"), "wb") as out:
            out.write(b"".join(one.public_bytes(PEM) for one in all_of_it))
    cases.append(f"{title} {known}")


root = Entity(name("Root"))
ca = Entity(name("CA"), root)
other = Entity(name("Other CA"), root)
lister = Entity(name("Lister"), root)
top = lst(root)
HERE, THERE = "http://lists.example/1.crl", "http://lists.example/2.crl"
SOME = frozenset([F.key_compromise, F.ca_compromise])
REST = frozenset([F.affiliation_changed, F.superseded, F.cessation_of_operation, F.certificate_hold, F.privilege_withdrawn,
                  F.aa_compromise])
N = 0x1234567890


def plain(**more):
    return Entity(name("Jane"), ca, ca=False, crl_sign=False, serial=N, **more)


def simple(title, known, *lists, leaf=None, pool=()):
    case(title, known, [top, *lists], leaf or plain(), [ca, *pool])


jane = plain()
simple("complete-good", "good", lst(ca))
simple("complete-revoked", "revoked", lst(ca, [entry(7), entry(N, F.key_compromise), entry(N + 1)]))
simple("complete-too-old", "unknown", lst(ca, made=-9, due=-2))
simple("complete-not-yet-made", "unknown", lst(ca, made=1, due=9))
simple("none", "unknown")
simple("unknown-critical-of-list", "unknown", lst(ca, critical="1.2.3.4"))
simple("unknown-critical-of-entry", "unknown", lst(ca, [entry(7, critical="1.2.3.4")]))
forger = Entity(name("CA"))
simple("forged", "unknown", lst(forger))
simple("forged-signer-in-pool", "unknown", lst(forger), pool=[forger])

simple("delta-good", "good", lst(ca, number=5), lst(ca, number=6, base=5))
simple("delta-revokes", "revoked", lst(ca, number=5), lst(ca, [entry(N, F.superseded)], number=6, base=5))
simple("delta-holds", "revoked", lst(ca, number=5), lst(ca, [entry(N, F.certificate_hold)], number=6, base=4))
simple("delta-removes-hold", "good", lst(ca, [entry(N, F.certificate_hold)]),
       lst(ca, [entry(N, F.remove_from_crl)], number=6, base=5))
simple("delta-of-a-later-base-does-not-remove", "revoked", lst(ca, [entry(N, F.certificate_hold)]),
       lst(ca, [entry(N, F.remove_from_crl)], number=9, base=8))
simple("delta-of-an-earlier-time-does-not-remove", "revoked", lst(ca, [entry(N, F.certificate_hold)]),
       lst(ca, [entry(N, F.remove_from_crl)], number=4, base=3))
simple("delta-alone", "unknown", lst(ca, number=6, base=5))
simple("delta-makes-an-old-list-current", "good", lst(ca, made=-9, due=-2), lst(ca, number=6, base=5))
simple("delta-too-old-and-list-current", "good", lst(ca), lst(ca, number=6, base=5, made=-4, due=-2))
simple("hold-and-then-released", "good", lst(ca, [entry(N, F.certificate_hold)], made=-6), lst(ca, number=6))

named = plain(dps=[point(HERE)])
simple("place-same", "good", lst(ca, idp=idp(HERE)), leaf=named)
simple("place-other", "unknown", lst(ca, idp=idp(THERE)), leaf=named)
simple("place-of-no-one", "unknown", lst(ca, idp=idp(THERE)))
simple("place-other-revokes", "revoked", lst(ca, idp=idp(HERE)), lst(ca, [entry(N)], idp=idp(THERE)), leaf=named)
rdn = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "Shard 1")])
rdn2 = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "Shard 2")])
simple("place-relative-same", "good", lst(ca, idp=idp(relative=rdn)), leaf=plain(dps=[point(relative=rdn)]))
simple("place-relative-other", "unknown", lst(ca, idp=idp(relative=rdn2)), leaf=plain(dps=[point(relative=rdn)]))
full = x509.DistributionPoint([x509.DirectoryName(name("CA", "Shard 1"))], None, None, None)
simple("place-relative-is-the-full-name", "good", lst(ca, idp=idp(relative=rdn)), leaf=plain(dps=[full]))

simple("users-only", "good", lst(ca, idp=idp(users=True)))
simple("authorities-only", "unknown", lst(ca, idp=idp(cas=True)))
simple("attributes-only", "unknown", lst(ca, idp=idp(attributes=True)))
simple("reasons-all", "good", lst(ca, idp=idp(reasons=SOME)), lst(ca, idp=idp(reasons=REST)))
simple("reasons-some", "unknown", lst(ca, idp=idp(reasons=SOME)))
simple("reasons-some-twice", "unknown", lst(ca, idp=idp(reasons=SOME)), lst(ca, number=6, idp=idp(reasons=SOME)))
simple("reasons-revoked-in-one", "revoked", lst(ca, idp=idp(reasons=SOME)),
       lst(ca, [entry(N, F.superseded)], idp=idp(reasons=REST)))
by_reason = plain(dps=[point(HERE, reasons=SOME), point(THERE, reasons=REST)])
simple("reasons-of-places-all", "good", lst(ca, idp=idp(HERE)), lst(ca, idp=idp(THERE)), leaf=by_reason)
simple("reasons-of-places-some", "unknown", lst(ca, idp=idp(HERE)), leaf=by_reason)

sent = plain(dps=[point(HERE, issuer=lister)])
INDIRECT = idp(HERE, indirect=True)
simple("indirect-good", "good", lst(lister, idp=INDIRECT), leaf=sent, pool=[lister])
simple("indirect-revoked", "revoked", lst(lister, [entry(N, issuer=ca)], idp=INDIRECT), leaf=sent, pool=[lister])
simple("indirect-carried-over", "revoked", lst(lister, [entry(7, issuer=ca), entry(8), entry(N)], idp=INDIRECT), leaf=sent,
       pool=[lister])
simple("indirect-same-serial-of-another", "good",
       lst(lister, [entry(N), entry(7, issuer=ca), entry(8, issuer=other), entry(N)], idp=INDIRECT), leaf=sent, pool=[lister])
simple("indirect-back-again", "revoked", lst(lister, [entry(N, issuer=other), entry(N, issuer=ca)], idp=INDIRECT), leaf=sent,
       pool=[lister])
simple("indirect-nobody-named-it", "unknown", lst(lister, idp=INDIRECT), leaf=named, pool=[lister])
simple("indirect-nobody-named-it-revokes-not", "good", lst(ca), lst(lister, [entry(N, issuer=ca)], idp=INDIRECT), leaf=named,
       pool=[lister])
simple("indirect-does-not-say-so", "unknown", lst(lister, idp=idp(HERE)), leaf=sent, pool=[lister])
simple("indirect-place-other", "unknown", lst(lister, idp=idp(THERE, indirect=True)), leaf=sent, pool=[lister])
simple("indirect-signer-missing", "unknown", lst(lister, idp=INDIRECT), leaf=sent)
mute = Entity(name("Lister"), root, crl_sign=False)
simple("indirect-signer-may-not", "unknown", lst(mute, idp=INDIRECT), leaf=sent, pool=[mute])
alone = Entity(name("Lister"))
simple("indirect-signer-of-another-anchor", "unknown", lst(alone, idp=INDIRECT), leaf=sent, pool=[alone])
case("indirect-signer-revoked", "unknown", [lst(root, [entry(lister.cert.serial_number)]), lst(lister, idp=INDIRECT)], sent,
     [ca, lister])

newer = Entity(name("CA"), root)
simple("another-key-of-the-authority", "good", lst(newer), pool=[newer])
simple("another-key-revokes", "revoked", lst(newer, [entry(N)]), pool=[newer])
case("another-key-revoked", "unknown", [lst(root, [entry(newer.cert.serial_number)]), lst(newer)], jane, [ca, newer])
own = Entity(name("CA"), ca, ca=False)
simple("key-for-lists-only-on-its-own-list", "good", lst(own), pool=[own])
simple("key-for-lists-only-names-itself", "unknown", lst(own, [entry(own.cert.serial_number)]), pool=[own])

with open(os.path.join(FOLDER, "cases.txt"), "w") as out:
    out.write("\n".join(cases) + "\n")
