#!/usr/bin/env python3
"""Lints files with pkilint, as its programs lint_cabf_smime_cert, lint_pkix_cert, lint_cabf_serverauth_cert, lint_crl and
lint_ocsp_response do, in one process: starting one takes longer than a hundred files.

Standard input: one file a line, as LINTER<tab>PATH; LINTER is smime, pkix, serverauth, crl, arl or ocsp. A file is DER or PEM.
Standard output: one finding a line, as PATH<tab>LINTER<tab>SEVERITY<tab>CODE<tab>MESSAGE; then the line "done N" with the number of files.
"""

import sys

from pkilint import finding_filter, loader, pkix
from pkilint.cabf import cabf_crl, serverauth, smime
from pkilint.pkix import certificate, crl, extension, name, ocsp


def read_certificate(path):
    with open(path, "rb") as file:
        data = file.read()
    if data.startswith(b"-----"):
        return loader.load_pem_certificate(data.decode("ascii"), path)
    return loader.load_certificate(data, path)


def lint_smime(path):
    cert = read_certificate(path)
    kind = smime.determine_validation_level_and_generation(cert)
    if kind is None:
        return [("ERROR", "no-reserved-policy", "the kind of certificate cannot be told by its policy")]
    validator = certificate.create_pkix_certificate_validator_container(
        smime.create_decoding_validators(), smime.create_subscriber_validators(*kind)
    )
    return findings(validator.validate(cert.root))


def lint_pkix(path):
    cert = read_certificate(path)
    return findings(PKIX.validate(cert.root))


PKIX = certificate.create_pkix_certificate_validator_container(
    certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
    [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ],
)


def lint_serverauth(path):
    cert = read_certificate(path)
    kind = serverauth.determine_certificate_type(cert)
    validator = certificate.create_pkix_certificate_validator_container(
        serverauth.create_decoding_validators(), serverauth.create_validators(kind)
    )
    results = validator.validate(cert.root)
    results, _ = finding_filter.filter_results(serverauth.create_serverauth_finding_filters(kind), results)
    return [(severity, code, f"{kind.name}: {text}") for severity, code, text in findings(results)]


def lint_list(kind):
    kind = crl.CertificateRevocationListType[kind]
    # both profiles: the one of the Baseline Requirements adds to the one of RFC 5280
    validator = crl.create_pkix_crl_validator_container(
        [pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS), pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS)],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([cabf_crl.create_validity_period_validator(kind)]),
            crl.create_extensions_validator_container([]),
            cabf_crl.CabfCrlReasonCodeAllowlistValidator(kind),
        ],
    )

    def lint(path):
        with open(path, "rb") as file:
            data = file.read()
        read = loader.RFC5280CertificateListDocumentLoader()
        load = read.load_pem_document if data.startswith(b"-----") else read.load_der_document
        data = data.decode("ascii") if data.startswith(b"-----") else data
        return findings(validator.validate(load(data, path).root))

    return lint


def lint_ocsp(path):
    with open(path, "rb") as file:
        response = loader.RFC6960OCSPResponseDocumentLoader().load_der_document(file.read(), path)
    validator = ocsp.create_pkix_ocsp_response_validator_container(
        [
            ocsp.create_response_decoder(),
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [],
    )
    return findings(validator.validate(response.root))


def findings(results):
    found = []
    for result in results:
        for finding in result.finding_descriptions:
            severity = finding.finding.severity.name
            found.append((severity, finding.finding.code, f"{result.node.path}: {finding.message or ''}"))
    return found


LINTERS = {
    "smime": lint_smime,
    "pkix": lint_pkix,
    "serverauth": lint_serverauth,
    "crl": lint_list("CRL"),
    "arl": lint_list("ARL"),
    "ocsp": lint_ocsp,
}


def main():
    files = 0
    for line in sys.stdin:
        linter, path = line.rstrip("\n").split("\t")
        try:
            found = LINTERS[linter](path)
        except ValueError as error:
            found = [("ERROR", "unreadable", str(error))]
        for severity, code, text in found:
            print("\t".join([path, linter, severity, code, " ".join(text.split())]))
        files += 1
    print(f"done {files}")


main()
