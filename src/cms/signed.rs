//! SignedData (RFC 5652 5): read in one pass, hashing the content as it goes by.

use std::io::{Read, Write};

use crate::asn1::reader::{Octets, Reader};
use crate::asn1::{Cursor, Oid, Tag};
use crate::cms::reader::{end, read_oid, read_version};
use crate::cms::{ContentHash, Error, Hashed, Material, Signer};
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm};
use crate::limits::{Budget, Limits};
use crate::pki::Certificate;

/// A SignedData whose content is still to be read.
#[derive(Debug)]
pub struct SignedReader<R> {
    reader: Reader<R>,
    limits: Limits,
    declared: Vec<AlgorithmIdentifier>,
    content_type: Oid,
    content: ContentState,
    given: Vec<u8>,
}

/// How far the content inside was read.
#[derive(Debug)]
enum ContentState {
    Before,
    Octets(Octets),
    /// PKCS#7 allows any type, whose content octets are hashed (RFC 2315 9.3).
    Value(Vec<u8>),
    Done,
    Absent,
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
    content: Option<Vec<u8>>,
    hashed: Hashed,
}

impl<R: Read> SignedReader<R> {
    pub(in crate::cms) fn new(mut reader: Reader<R>, limits: &Limits) -> Result<Self, Error> {
        reader.enter(Tag::SEQUENCE)?;
        read_version(&mut reader, 5)?;
        let set = reader.raw()?;
        let mut set = Cursor::new(&set).set()?;
        let mut declared = Vec::new();
        while !set.is_empty() {
            declared.push(AlgorithmIdentifier::from_cursor(&mut set)?);
        }
        reader.enter(Tag::SEQUENCE)?;
        let content_type = read_oid(&mut reader)?;
        Ok(Self { reader, limits: limits.clone(), declared, content_type, content: ContentState::Before, given: Vec::new() })
    }

    /// The type of the content.
    pub fn content_type(&self) -> Oid {
        self.content_type
    }

    /// Whether content is inside, of which nothing was read yet, or only certificates are.
    pub(in crate::cms) fn carries_content(&mut self) -> Result<bool, Error> {
        Ok(self.declared.is_empty() || self.reader.peek()?.is_some())
    }

    /// The digests to compute: those declared; where none is declared or known, the usual ones, so that no second pass is needed.
    pub fn digests(&self) -> Vec<DigestAlgorithm> {
        let mut wanted: Vec<DigestAlgorithm> = Vec::new();
        for declared in &self.declared {
            if let Ok(algorithm) = DigestAlgorithm::from_identifier(declared)
                && !wanted.contains(&algorithm)
            {
                wanted.push(algorithm);
            }
        }
        if wanted.is_empty() {
            wanted = vec![DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512, DigestAlgorithm::Sha1];
        }
        wanted
    }

    /// The next piece of the content inside; `None` at its end, or where there is none.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>, Error> {
        if matches!(self.content, ContentState::Before) {
            self.content = self.begin()?;
        }
        match &mut self.content {
            ContentState::Octets(octets) => match self.reader.next_piece(octets)? {
                // the borrow checker sees one loan only where the piece is given at once
                Some(piece) => Ok(Some(piece)),
                None => {
                    self.content = ContentState::Done;
                    Ok(None)
                }
            },
            ContentState::Value(_) => {
                let ContentState::Value(value) = std::mem::replace(&mut self.content, ContentState::Value(Vec::new())) else {
                    return Ok(None);
                };
                if value.is_empty() {
                    self.content = ContentState::Done;
                    return Ok(None);
                }
                self.given = value;
                Ok(Some(&self.given))
            }
            _ => Ok(None),
        }
    }

    fn begin(&mut self) -> Result<ContentState, Error> {
        if self.reader.peek()?.is_none() {
            return Ok(ContentState::Absent);
        }
        self.reader.enter(Tag::context_constructed(0))?;
        if self.reader.peek()?.is_some_and(|tag| tag.same_type(Tag::OCTET_STRING)) {
            return Ok(ContentState::Octets(self.reader.octets(Tag::OCTET_STRING)?));
        }
        let raw = self.reader.raw()?;
        Ok(ContentState::Value(Cursor::new(&raw).any()?.content.to_vec()))
    }

    /// Reads to the end; content that was not taken is passed over. `hashed` is what is known of the content, inside or outside.
    pub fn finish(mut self, hashed: Hashed) -> Result<SignedData, Error> {
        while self.next_piece()?.is_some() {}
        let has_content = !matches!(self.content, ContentState::Absent);
        if has_content {
            self.reader.leave()?;
        }
        self.reader.leave()?;
        let mut data = SignedData {
            content_type: self.content_type,
            has_content,
            certificates: Vec::new(),
            odd_certificates: Vec::new(),
            crls: Vec::new(),
            ocsp_responses: Vec::new(),
            signers: Vec::new(),
            oddities: Vec::new(),
            content: None,
            hashed,
        };
        if self.declared.is_empty() {
            data.oddities.push("the set of digest algorithms is empty".to_owned());
        }
        let mut held = Budget::new("structure bytes", self.limits.structure_bytes);
        self.read_certificates(&mut data, &mut held)?;
        self.read_signers(&mut data, &mut held)?;
        for algorithm in data.used_digests() {
            let is_declared =
                |declared: &AlgorithmIdentifier| DigestAlgorithm::from_identifier(declared).is_ok_and(|d| d == algorithm);
            if !self.declared.is_empty() && !self.declared.iter().any(is_declared) {
                data.oddities.push(format!("a signer uses {}, which the message does not declare", algorithm.name()));
            }
        }
        if end(self.reader)? {
            data.oddities.push("bytes follow the SignedData".to_owned());
        }
        Ok(data)
    }

    /// Reads to the end, with content inside going to `sink`, or content that stands elsewhere hashed.
    pub fn read(mut self, detached: Option<&[u8]>, sink: &mut dyn Write) -> Result<SignedData, Error> {
        let mut hash = ContentHash::new(self.digests());
        match detached {
            Some(content) => hash.update(content),
            None => {
                while let Some(piece) = self.next_piece()? {
                    hash.update(piece);
                    sink.write_all(piece)?;
                }
            }
        }
        let mut data = self.finish(hash.finish())?;
        if detached.is_some() && data.has_content {
            data.oddities.push("a signature beside its content holds content too".to_owned());
        }
        Ok(data)
    }

    fn read_certificates(&mut self, data: &mut SignedData, held: &mut Budget) -> Result<(), Error> {
        let mut budget = Budget::new("certificates", self.limits.certificates);
        let mut material = Material::default();
        if self.reader.peek()? == Some(Tag::context_constructed(0)) {
            self.reader.enter(Tag::context_constructed(0))?;
            while self.reader.peek()?.is_some() {
                budget.spend(1u64)?;
                let raw = self.reader.raw()?;
                held.spend(raw.len())?;
                material.add_certificate(raw);
            }
            self.reader.leave()?;
        }
        if self.reader.peek()? == Some(Tag::context_constructed(1)) {
            self.reader.enter(Tag::context_constructed(1))?;
            while self.reader.peek()?.is_some() {
                budget.spend(1u64)?;
                let raw = self.reader.raw()?;
                held.spend(raw.len())?;
                material.add_revocation(raw);
            }
            self.reader.leave()?;
        }
        data.certificates = material.certificates;
        data.odd_certificates = material.odd_certificates;
        data.crls = material.crls;
        data.ocsp_responses = material.ocsp_responses;
        Ok(())
    }

    fn read_signers(&mut self, data: &mut SignedData, held: &mut Budget) -> Result<(), Error> {
        let mut budget = Budget::new("signers", self.limits.signers);
        self.reader.enter(Tag::SET)?;
        while self.reader.peek()?.is_some() {
            budget.spend(1u64)?;
            let raw = self.reader.raw()?;
            held.spend(raw.len())?;
            data.signers.push(Signer::from_der(&raw, &self.limits)?);
        }
        self.reader.leave()?;
        Ok(())
    }
}

impl SignedData {
    /// Whether the content could be the signed attributes of another message (see [`Signer::verify`]).
    pub(in crate::cms) fn looks_like_attributes(&self) -> bool {
        self.hashed.looks_like_attributes()
    }

    /// The digest of the content, where it was computed.
    pub fn digest(&self, algorithm: DigestAlgorithm) -> Option<&[u8]> {
        self.hashed.digest(algorithm)
    }

    /// Computes the digests that are missing, from content at hand.
    pub fn supply_digests(&mut self, content: &[u8]) {
        let mut hash = ContentHash::new(self.missing_digests());
        hash.update(content);
        self.hashed.add(hash.finish());
    }

    /// Gives the content to signers whose algorithm signs it whole and not by its digest (see [`Signer::needs_content`]).
    pub fn supply_content(&mut self, content: Vec<u8>) {
        self.content = Some(content);
    }

    /// The content, where it was supplied.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// The digests that signers use.
    fn used_digests(&self) -> Vec<DigestAlgorithm> {
        let mut used: Vec<DigestAlgorithm> = Vec::new();
        for algorithm in self.signers.iter().filter_map(Signer::digest_algorithm) {
            if !used.contains(&algorithm) {
                used.push(algorithm);
            }
        }
        used
    }

    /// The digests that signers use and that were not computed: the content must go by once more.
    pub fn missing_digests(&self) -> Vec<DigestAlgorithm> {
        self.used_digests().into_iter().filter(|algorithm| self.digest(*algorithm).is_none()).collect()
    }
}
