// node-forge as a peer: RSA only.
"use strict";
const path = require("node:path");
const run = require("./jobs.cjs");
const forge = require(path.join(process.env.SEALPOST_NODE_MODULES, "node-forge"));
const { pkcs7, pki, asn1, md } = forge;

const binary = (bytes) => Buffer.from(bytes).toString("latin1");
const bytes = (text) => Buffer.from(text, "latin1");
const der = (message) => bytes(asn1.toDer(message.toAsn1()).getBytes());
const parse = (job) => pkcs7.messageFromAsn1(asn1.fromDer(binary(job.bytes("in")), { parseAllBytes: true }));

run({
  sign(job) {
    const message = pkcs7.createSignedData();
    message.content = forge.util.createBuffer(binary(job.bytes("in")));
    for (const signer of job.triples("signer")) {
      message.addCertificate(signer.certificate);
      const attributes = [
        { type: pki.oids.contentType, value: pki.oids.data },
        { type: pki.oids.messageDigest },
        { type: pki.oids.signingTime, value: new Date(1700000000000) },
      ];
      message.addSigner({
        key: pki.privateKeyFromPem(signer.key),
        certificate: pki.certificateFromPem(signer.certificate),
        digestAlgorithm: pki.oids[signer.how],
        authenticatedAttributes: job.has("direct") ? [] : attributes,
      });
    }
    message.sign({ detached: job.get("form") === "detached" });
    return der(message);
  },

  // it parses signed messages and leaves the verification to its user
  verify(job) {
    const message = parse(job);
    const captured = message.rawCapture;
    const content = job.has("content") ? binary(job.bytes("content")) : octets(captured.content.value[0]);
    const signers = captured.signerInfos;
    if (signers.length !== Number(job.get("signers"))) throw new Error(`${signers.length} signers`);
    const issuer = pki.certificateFromPem(require("node:fs").readFileSync(job.get("issuer"), "latin1"));
    const digests = new Map(["sha256", "sha384", "sha512"].map((name) => [pki.oids[name], name]));
    for (const signer of signers) {
      const [, id, algorithm, attributes, , signature] = signer.value;
      const serial = forge.util.bytesToHex(id.value[1].value);
      const certificate = message.certificates.find((one) => one.serialNumber === serial);
      if (!certificate || !issuer.verify(certificate)) throw new Error("no certificate of the issuer");
      const name = digests.get(asn1.derToOid(algorithm.value[0].value));
      if (!name) throw new Error("unknown digest");
      const digest = md[name].create().update(content).digest().getBytes();
      const set = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, attributes.value);
      const found = attributes.value.find((one) => asn1.derToOid(one.value[0].value) === pki.oids.messageDigest);
      if (found.value[1].value[0].value !== digest) throw new Error("the content was changed");
      const signed = md[name].create().update(asn1.toDer(set).getBytes()).digest().getBytes();
      if (!certificate.publicKey.verify(signed, signature.value)) throw new Error("a signature does not fit");
    }
    return bytes(content);
  },

  encrypt(job) {
    const message = pkcs7.createEnvelopedData();
    for (const to of job.triples("recipient")) message.addRecipient(pki.certificateFromPem(to.certificate));
    message.content = forge.util.createBuffer(binary(job.bytes("in")));
    message.encrypt(undefined, pki.oids[job.get("cipher")]);
    return der(message);
  },

  decrypt(job) {
    const message = parse(job);
    const [reader] = job.triples("reader");
    const recipient = message.findRecipient(pki.certificateFromPem(reader.certificate));
    if (!recipient) throw new Error("no recipient of this certificate");
    message.decrypt(recipient, pki.privateKeyFromPem(reader.key));
    if (!message.content) throw new Error("no content");
    return bytes(message.content.getBytes());
  },
});

/** An OCTET STRING in one piece or in several. */
function octets(value) {
  return Array.isArray(value.value) ? value.value.map(octets).join("") : value.value;
}
