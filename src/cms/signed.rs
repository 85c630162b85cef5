//! SignedData (RFC 5652 5): read in one pass, hashing the content as it goes by.

use std::io::{Read, Write};

use crate::asn1::reader::Reader;
use crate::asn1::{Cursor, Oid, Tag};
use crate::cms::reader::{end, read_oid};
use crate::cms::{Error, Material, Signer};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};
use crate::crypto::digest::{self, Digest};
use crate::limits::{Budget, Limits};
use crate::pki::Certificate;

/// A SignedData whose content is still to be read.
#[derive(Debug)]
pub struct SignedReader<R> {
    reader: Reader<R>,
    limits: Limits,
    declared: Vec<AlgorithmIdentifier>,
    content_type: Oid,
}

/// A SignedData that was read.
#[derive(Debug, Clone)]
pub struct SignedData {
    /// The type of the content, as data.
    pub content_type: Oid,
    /// Whether the content was inside.
    pub has_content: bool,
    /// The certificates.
    pub certificates: Vec<Certificate>,
    /// Certificates of kinds that cannot be read; kept apart, never fatal.
    pub odd_certificates: Vec<Vec<u8>>,
    /// Revocation lists, encoded.
    pub crls: Vec<Vec<u8>>,
    /// OCSP responses, encoded (RFC 5940 3).
    pub ocsp_responses: Vec<Vec<u8>>,
    /// The signers.
    pub signers: Vec<Signer>,
    /// What is not as the standard has it and yet is clear.
    pub oddities: Vec<String>,
    digests: Vec<(DigestAlgorithm, Vec<u8>)>,
    content: Option<Vec<u8>>,
    looks_like_attributes: bool,
}

/// The digests of content that passes by, and what else is to be known of it.
struct Hashes {
    list: Vec<Digest>,
    head: Vec<u8>,
    length: u64,
}

impl<R: Read> SignedReader<R> {
    pub(in crate::cms) fn new(mut reader: Reader<R>, limits: &Limits) -> Result<Self, Error> {
        reader.enter(Tag::SEQUENCE)?;
        reader.raw()?;
        let set = reader.raw()?;
        let mut set = Cursor::new(&set).set()?;
        let mut declared = Vec::new();
        while !set.is_empty() {
            declared.push(AlgorithmIdentifier::from_cursor(&mut set)?);
        }
        reader.enter(Tag::SEQUENCE)?;
        let content_type = read_oid(&mut reader)?;
        Ok(Self { reader, limits: limits.clone(), declared, content_type })
    }

    /// The type of the content.
    pub fn content_type(&self) -> Oid {
        self.content_type
    }

    /// Reads to the end. Content inside goes to `sink`; with `detached`, that is hashed, and content inside – which does not belong
    /// there (RFC 8551 3.5.3) – is passed over, so that what is checked is always what the caller holds.
    pub fn read(mut self, detached: Option<&[u8]>, sink: &mut dyn Write) -> Result<SignedData, Error> {
        let mut oddities = Vec::new();
        let mut hashes = Hashes::new(self.digests(&mut oddities));
        let has_content = self.reader.peek()?.is_some();
        if has_content {
            self.reader.enter(Tag::context_constructed(0))?;
            match detached {
                None => self.read_content(&mut hashes, sink)?,
                Some(_) => {
                    oddities.push("a signature beside its content holds content too".to_owned());
                    self.read_content(&mut Hashes::new(Vec::new()), &mut std::io::sink())?;
                }
            }
            self.reader.leave()?;
        }
        if let Some(content) = detached {
            hashes.update(content);
        }
        self.reader.leave()?;
        let looks_like_attributes = hashes.looks_like_attributes();
        let mut data = SignedData {
            content_type: self.content_type,
            has_content,
            certificates: Vec::new(),
            odd_certificates: Vec::new(),
            crls: Vec::new(),
            ocsp_responses: Vec::new(),
            signers: Vec::new(),
            oddities,
            looks_like_attributes,
            digests: hashes.finish(),
            content: None,
        };
        self.read_certificates(&mut data)?;
        self.read_signers(&mut data)?;
        if end(self.reader, 3)? {
            data.oddities.push("bytes follow the SignedData".to_owned());
        }
        Ok(data)
    }

    /// The digests to compute: those declared; where none is declared or known, the usual ones, so that no second pass is needed.
    fn digests(&self, oddities: &mut Vec<String>) -> Vec<DigestAlgorithm> {
        let mut wanted: Vec<DigestAlgorithm> = Vec::new();
        for declared in &self.declared {
            if let Ok(algorithm) = DigestAlgorithm::from_identifier(declared)
                && !wanted.contains(&algorithm)
            {
                wanted.push(algorithm);
            }
        }
        if self.declared.is_empty() {
            oddities.push("the set of digest algorithms is empty".to_owned());
        }
        if wanted.is_empty() {
            wanted = vec![DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512, DigestAlgorithm::Sha1];
        }
        wanted
    }

    /// The content is an OCTET STRING in CMS; PKCS#7 allows any type, whose content octets are hashed (RFC 2315 9.3).
    fn read_content(&mut self, hashes: &mut Hashes, sink: &mut dyn Write) -> Result<(), Error> {
        if self.reader.peek()?.is_some_and(|tag| tag.same_type(Tag::OCTET_STRING)) {
            let mut octets = self.reader.octets(Tag::OCTET_STRING)?;
            while let Some(piece) = self.reader.next_piece(&mut octets)? {
                hashes.update(piece);
                sink.write_all(piece)?;
            }
            return Ok(());
        }
        let raw = self.reader.raw()?;
        let content = Cursor::new(&raw).any()?.content;
        hashes.update(content);
        sink.write_all(content)?;
        Ok(())
    }

    fn read_certificates(&mut self, data: &mut SignedData) -> Result<(), Error> {
        let mut budget = Budget::new("certificates", self.limits.certificates);
        let mut material = Material::default();
        if self.reader.peek()? == Some(Tag::context_constructed(0)) {
            self.reader.enter(Tag::context_constructed(0))?;
            while self.reader.peek()?.is_some() {
                budget.spend(1u64)?;
                material.add_certificate(self.reader.raw()?);
            }
            self.reader.leave()?;
        }
        if self.reader.peek()? == Some(Tag::context_constructed(1)) {
            self.reader.enter(Tag::context_constructed(1))?;
            while self.reader.peek()?.is_some() {
                budget.spend(1u64)?;
                material.add_revocation(self.reader.raw()?);
            }
            self.reader.leave()?;
        }
        data.certificates = material.certificates;
        data.odd_certificates = material.odd_certificates;
        data.crls = material.crls;
        data.ocsp_responses = material.ocsp_responses;
        Ok(())
    }

    fn read_signers(&mut self, data: &mut SignedData) -> Result<(), Error> {
        let mut budget = Budget::new("signers", self.limits.signers);
        self.reader.enter(Tag::SET)?;
        while self.reader.peek()?.is_some() {
            budget.spend(1u64)?;
            data.signers.push(Signer::from_der(&self.reader.raw()?, &self.limits)?);
        }
        self.reader.leave()?;
        Ok(())
    }
}

impl Hashes {
    fn new(algorithms: Vec<DigestAlgorithm>) -> Self {
        Self { list: algorithms.into_iter().map(Digest::new).collect(), head: Vec::new(), length: 0 }
    }

    fn update(&mut self, content: &[u8]) {
        let missing = HEAD.saturating_sub(self.head.len()).min(content.len());
        self.head.extend_from_slice(content.get(..missing).unwrap_or_default());
        self.length = self.length.saturating_add(u64::try_from(content.len()).unwrap_or(u64::MAX));
        self.list.iter_mut().for_each(|hash| hash.update(content));
    }

    /// Whether the content is a DER SET that begins with a SEQUENCE and fills it to the last byte, as signed attributes are.
    fn looks_like_attributes(&self) -> bool {
        let Some((&[tag, first], rest)) = self.head.split_first_chunk::<2>() else { return false };
        let more = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let Some((octets, inside)) = rest.split_at_checked(more) else { return false };
        let mut length = u64::from(if first < 0x80 { first } else { 0 });
        for octet in octets {
            length = length.wrapping_shl(8) | u64::from(*octet);
        }
        let header = u64::try_from(more).unwrap_or(0).saturating_add(2);
        tag == 0x31 && inside.first() == Some(&0x30) && length.saturating_add(header) == self.length
    }

    fn finish(self) -> Vec<(DigestAlgorithm, Vec<u8>)> {
        self.list.into_iter().map(|hash| (hash.algorithm(), hash.finish())).collect()
    }
}

/// Bytes that the longest header of a SET of 64-bit length takes, and one more.
const HEAD: usize = 11;

impl SignedData {
    /// Whether the content could be the signed attributes of another message (see [`Signer::verify`]).
    pub(in crate::cms) fn looks_like_attributes(&self) -> bool {
        self.looks_like_attributes
    }

    /// The digest of the content, where it was computed.
    pub fn digest(&self, algorithm: DigestAlgorithm) -> Option<&[u8]> {
        self.digests.iter().find(|(known, _)| *known == algorithm).map(|(_, digest)| digest.as_slice())
    }

    /// Gives the content to signers whose algorithm signs it whole and not by its digest (see [`Signer::needs_content`]).
    pub fn supply_content(&mut self, content: Vec<u8>) {
        self.content = Some(content);
    }

    /// The content, where it was supplied.
    pub(in crate::cms) fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// Computes the digests that signers use and the message did not declare, from the content at hand.
    pub fn supply_digests(&mut self, content: &[u8]) {
        let used: Vec<DigestAlgorithm> = self.signers.iter().filter_map(Signer::digest_algorithm).collect();
        for algorithm in used {
            if self.digest(algorithm).is_none() {
                self.oddities.push(format!("a signer uses {}, which the message does not declare", algorithm.name()));
                self.digests.push((algorithm, digest::of(algorithm, content)));
            }
        }
    }
}
