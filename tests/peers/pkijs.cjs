// PKI.js as a peer, on the cryptography of Node.js.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { webcrypto } = require("node:crypto");
const run = require("./jobs.cjs");
const modules = process.env.SEALPOST_NODE_MODULES;
const pkijs = require(path.join(modules, "pkijs"));
const asn1js = require(path.join(modules, "asn1js"));

pkijs.setEngine("node", new pkijs.CryptoEngine({ name: "node", crypto: webcrypto, subtle: webcrypto.subtle }));

const fromPem = (pem) => new Uint8Array(Buffer.from(pem.replace(/-----.*?-----/g, ""), "base64")).buffer;
const certificate = (pem) => pkijs.Certificate.fromBER(fromPem(pem));
const buffer = (bytes) => new Uint8Array(bytes).buffer;
const read = (job) => pkijs.ContentInfo.fromBER(buffer(job.bytes("in")));
const wrap = (contentType, content) => Buffer.from(new pkijs.ContentInfo({ contentType, content }).toSchema().toBER());
const attribute = (type, value) => new pkijs.Attribute({ type, values: [value] });

/** The algorithm in Web Crypto's words: `RSASSA-PKCS1-v1_5`, `RSA-PSS`, `ECDSA P-256`, `Ed25519`. */
function algorithm(words, hash) {
  const [name, namedCurve] = words.split(" ");
  return { name, ...(namedCurve ? { namedCurve } : {}), hash: { name: hash } };
}

run({
  async sign(job) {
    const content = buffer(job.bytes("in"));
    const isDetached = job.get("form") === "detached";
    const signed = new pkijs.SignedData({ version: 1, encapContentInfo: new pkijs.EncapsulatedContentInfo({ eContentType: pkijs.ContentInfo.DATA }) });
    signed.encapContentInfo.eContent = new asn1js.OctetString({ valueHex: content });
    signed.certificates = [];
    signed.signerInfos = [];
    for (const [at, signer] of job.triples("signer").entries()) {
      const [words, hash] = signer.how.split(",");
      const own = certificate(signer.certificate);
      const info = new pkijs.SignerInfo({
        version: 1,
        sid: new pkijs.IssuerAndSerialNumber({ issuer: own.issuer, serialNumber: own.serialNumber }),
      });
      if (!job.has("direct")) {
        const digest = await webcrypto.subtle.digest(hash, content);
        info.signedAttrs = new pkijs.SignedAndUnsignedAttributes({
          type: 0,
          attributes: [
            attribute("1.2.840.113549.1.9.3", new asn1js.ObjectIdentifier({ value: pkijs.ContentInfo.DATA })),
            attribute("1.2.840.113549.1.9.4", new asn1js.OctetString({ valueHex: digest })),
            attribute("1.2.840.113549.1.9.5", new asn1js.UTCTime({ valueDate: new Date(1700000000000) })),
          ],
        });
      }
      signed.certificates.push(own);
      signed.signerInfos.push(info);
      const key = await webcrypto.subtle.importKey("pkcs8", fromPem(signer.key), algorithm(words, hash), false, ["sign"]);
      await signed.sign(key, at, hash, content);
    }
    if (isDetached) delete signed.encapContentInfo.eContent;
    return wrap(pkijs.ContentInfo.SIGNED_DATA, signed.toSchema(true));
  },

  async verify(job) {
    const signed = new pkijs.SignedData({ schema: read(job).content });
    if (signed.signerInfos.length !== Number(job.get("signers"))) throw new Error(`${signed.signerInfos.length} signers`);
    const data = job.has("content") ? buffer(job.bytes("content")) : undefined;
    const trustedCerts = [certificate(fs.readFileSync(job.get("issuer"), "latin1"))];
    for (let signer = 0; signer < signed.signerInfos.length; signer++) {
      const checkDate = new Date(1700000000000);
      const result = await signed.verify({ signer, data, trustedCerts, checkDate, checkChain: true, extendedMode: true });
      if (!result.signatureVerified || !result.signerCertificateVerified) throw new Error(`not verified: ${result.message}`);
    }
    return Buffer.from(data || signed.encapContentInfo.eContent.getValue());
  },

  async encrypt(job) {
    const enveloped = new pkijs.EnvelopedData();
    for (const to of job.triples("recipient")) {
      const [kind, one, two] = to.how.split(" ");
      const parameters = kind === "oaep" ? { oaepHashAlgorithm: one } : { kdfAlgorithm: one, kekEncryptionLength: Number(two) };
      if (!enveloped.addRecipientByCertificate(certificate(to.certificate), parameters)) throw new Error("no such recipient");
    }
    if (job.has("password")) {
      const parameters = { hmacHashAlgorithm: "SHA-256", iterationCount: 2048 };
      enveloped.addRecipientByPreDefinedData(buffer(Buffer.from(job.get("password"))), parameters, 2);
    }
    if (job.has("kek")) {
      const parameters = { keyIdentifier: buffer([1, 2]), kekEncryptionLength: 256 };
      enveloped.addRecipientByPreDefinedData(buffer(Buffer.from(job.get("kek"), "hex")), parameters, 1);
    }
    const [name, length] = job.get("cipher").split(" ");
    await enveloped.encrypt({ name, length: Number(length) }, buffer(job.bytes("in")));
    return wrap(pkijs.ContentInfo.ENVELOPED_DATA, enveloped.toSchema());
  },

  async decrypt(job) {
    const info = read(job);
    if (info.contentType !== pkijs.ContentInfo.ENVELOPED_DATA) throw new Error(`content of type ${info.contentType}`);
    const enveloped = new pkijs.EnvelopedData({ schema: info.content });
    if (job.has("password")) return Buffer.from(await enveloped.decrypt(0, { preDefinedData: buffer(Buffer.from(job.get("password"))) }));
    if (job.has("kek")) return Buffer.from(await enveloped.decrypt(0, { preDefinedData: buffer(Buffer.from(job.get("kek"), "hex")) }));
    const [reader] = job.triples("reader");
    const parameters = { recipientCertificate: certificate(reader.certificate), recipientPrivateKey: fromPem(reader.key) };
    let last = new Error("no recipients");
    // it leaves the choice of the recipient to its user
    for (let at = 0; at < enveloped.recipientInfos.length; at++) {
      try {
        return Buffer.from(await enveloped.decrypt(at, parameters));
      } catch (error) {
        last = error;
      }
    }
    throw last;
  },
});
