//! Where lists are, and what each tells about: distribution points of certificates and of lists (RFC 5280 4.2.1.13, 5.2.5).

use crate::asn1::{Cursor, Element, Tag, encode, oid};
use crate::limits::{Budget, Limits};
use crate::pki::{Certificate, Error, GeneralName, Name};

/// Reasons for which a list tells of certificates, the bits of `ReasonFlags` from the first byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pki) struct Reasons(u16);

impl Reasons {
    /// None.
    pub(in crate::pki) const NONE: Self = Self(0);
    /// Every reason: bits 1 (keyCompromise) to 8 (aACompromise); bit 0 is not used.
    pub(in crate::pki) const ALL: Self = Self(0x7f80);

    /// `ReasonFlags ::= BIT STRING { unused(0), keyCompromise(1), … aACompromise(8) }`
    fn read(field: &Element<'_>) -> Result<Self, Error> {
        let (_, bytes) = field.bits()?;
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        Ok(Self(u16::from_be_bytes([byte(0), byte(1)])).and(Self::ALL))
    }

    /// Those that are in both.
    #[must_use]
    pub(in crate::pki) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in either.
    #[must_use]
    pub(in crate::pki) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    pub(in crate::pki) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A place where a certificate says that lists about it are.
#[derive(Debug, Clone)]
pub(in crate::pki) struct DistributionPoint {
    pub(in crate::pki) names: Vec<GeneralName>,
    pub(in crate::pki) reasons: Reasons,
    /// Who signs the lists there; none where it is the issuer of the certificate.
    pub(in crate::pki) issuers: Vec<GeneralName>,
}

impl DistributionPoint {
    /// The places that a certificate names, and the one that it has without naming it, its issuer's (RFC 5280 6.3.3, last paragraph).
    pub(in crate::pki) fn of(certificate: &Certificate, limits: &Limits) -> Result<Vec<Self>, Error> {
        let own = GeneralName::Directory(certificate.issuer().clone());
        let mut found = vec![Self { names: vec![own], reasons: Reasons::ALL, issuers: Vec::new() }];
        if let Some(extension) = certificate.extension(&oid::CRL_DISTRIBUTION_POINTS) {
            found.extend(Self::list(&extension.value, certificate.issuer(), limits)?);
        }
        Ok(found)
    }

    /// `CRLDistributionPoints ::= SEQUENCE OF DistributionPoint`, and `FreshestCRL`, which is the same.
    pub(in crate::pki) fn list(value: &[u8], issuer: &Name, limits: &Limits) -> Result<Vec<Self>, Error> {
        let mut found = Vec::new();
        let mut budget = Budget::new("distribution points", limits.distribution_points);
        let mut points = Cursor::with_limits(value, limits).sequence()?;
        while !points.is_empty() {
            budget.spend(1u64)?;
            found.push(Self::read(points.sequence()?, issuer, limits)?);
        }
        Ok(found)
    }

    /// `DistributionPoint ::= SEQUENCE { distributionPoint [0] OPTIONAL, reasons [1] OPTIONAL, cRLIssuer [2] OPTIONAL }`
    fn read(mut fields: Cursor<'_>, issuer: &Name, limits: &Limits) -> Result<Self, Error> {
        let place = fields.optional(Tag::context_constructed(0))?;
        let reasons = fields.optional(Tag::context(1))?.map_or(Ok(Reasons::ALL), |field| Reasons::read(&field))?;
        let issuers = match fields.optional(Tag::context_constructed(2))? {
            Some(field) => general_names(field.cursor()?, limits)?,
            None => Vec::new(),
        };
        fields.finish()?;
        // 4.2.1.13: what is relative is so to the issuer of the list
        let base = issuers.iter().find_map(directory).unwrap_or(issuer);
        let names = place.map_or_else(|| Ok(Vec::new()), |place| names_of(&place, base, limits))?;
        Ok(Self { names, reasons, issuers })
    }

    /// Whether its lists are signed by this name.
    pub(in crate::pki) fn is_signed_by(&self, issuer: &Name) -> bool {
        self.issuers.iter().filter_map(directory).any(|name| name.matches(issuer))
    }
}

/// What a list tells about (RFC 5280 5.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pki) struct Scope {
    /// The places that it is for; none where it is for all of its issuer's certificates.
    pub(in crate::pki) names: Vec<GeneralName>,
    /// For which certificates.
    pub(in crate::pki) holders: Holders,
    /// For which reasons.
    pub(in crate::pki) reasons: Reasons,
    /// By whom they were issued.
    pub(in crate::pki) issuers: Issuers,
}

/// The kinds of certificates that a list tells about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pki) enum Holders {
    /// Every certificate.
    All,
    /// Those of people, servers and so on.
    Users,
    /// Those of authorities.
    Authorities,
    /// Attribute certificates.
    Attributes,
    /// It says several of these, which no list may.
    Contradictory,
}

/// Whose certificates a list tells about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pki) enum Issuers {
    /// Those of the issuer of the list.
    Own,
    /// Others', too: an indirect list.
    Any,
}

impl Scope {
    /// What a list without an issuing distribution point tells about.
    pub(in crate::pki) const WHOLE: Self =
        Self { names: Vec::new(), holders: Holders::All, reasons: Reasons::ALL, issuers: Issuers::Own };

    /// Reads `IssuingDistributionPoint`, a SEQUENCE of the fields 0 to 5, all optional.
    pub(in crate::pki) fn read(value: &[u8], issuer: &Name, limits: &Limits) -> Result<Self, Error> {
        let mut outer = Cursor::with_limits(value, limits);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let mut found = Self::WHOLE;
        if let Some(place) = fields.optional(Tag::context_constructed(0))? {
            found.names = names_of(&place, issuer, limits)?;
        }
        let is_for_users = flag(&mut fields, 1)?;
        let is_for_authorities = flag(&mut fields, 2)?;
        if let Some(field) = fields.optional(Tag::context(3))? {
            found.reasons = Reasons::read(&field)?;
        }
        if flag(&mut fields, 4)? {
            found.issuers = Issuers::Any;
        }
        let is_for_attributes = flag(&mut fields, 5)?;
        fields.finish()?;
        found.holders = match (is_for_users, is_for_authorities, is_for_attributes) {
            (false, false, false) => Holders::All,
            (true, false, false) => Holders::Users,
            (false, true, false) => Holders::Authorities,
            (false, false, true) => Holders::Attributes,
            _ => Holders::Contradictory,
        };
        Ok(found)
    }

    /// Whether it is for certificates of this kind.
    pub(in crate::pki) fn holds(&self, certificate: &Certificate) -> bool {
        let is_authority = certificate.basic_constraints().is_some_and(|constraints| constraints.is_ca);
        match self.holders {
            Holders::All => true,
            // a certificate of before version 3 cannot say what it is
            Holders::Users => !is_authority && certificate.version() >= 2,
            Holders::Authorities => is_authority,
            Holders::Attributes | Holders::Contradictory => false,
        }
    }

    /// For which reasons a list of this scope, signed by `issuer`, tells of a certificate that names a place (RFC 5280 6.3.3 (b), (d)).
    pub(in crate::pki) fn reasons_at(&self, point: &DistributionPoint, is_own: IsOwn, issuer: &Name) -> Reasons {
        let is_signer = match point.issuers.is_empty() {
            true => is_own == IsOwn::Yes,
            false => self.issuers == Issuers::Any && point.is_signed_by(issuer),
        };
        let own = if point.names.is_empty() { &point.issuers } else { &point.names };
        let is_place = self.names.is_empty() || self.names.iter().any(|name| own.iter().any(|other| is_same(name, other)));
        if is_signer && is_place { self.reasons.and(point.reasons) } else { Reasons::NONE }
    }
}

/// Whether the issuer of a list is that of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pki) enum IsOwn {
    Yes,
    No,
}

fn is_same(a: &GeneralName, b: &GeneralName) -> bool {
    *a != GeneralName::Other && a == b
}

fn directory(name: &GeneralName) -> Option<&Name> {
    if let GeneralName::Directory(name) = name { Some(name) } else { None }
}

fn flag(fields: &mut Cursor<'_>, number: u32) -> Result<bool, Error> {
    match fields.optional(Tag::context(number))?.map(|field| field.content) {
        None => Ok(false),
        Some([value]) => Ok(*value != 0),
        Some(_) => Err(Error::Malformed("an issuing distribution point with a flag that cannot be read")),
    }
}

/// `DistributionPointName ::= CHOICE { fullName [0] GeneralNames, nameRelativeToCRLIssuer [1] RelativeDistinguishedName }`
fn names_of(place: &Element<'_>, base: &Name, limits: &Limits) -> Result<Vec<GeneralName>, Error> {
    let mut choice = place.cursor()?;
    let field = choice.any()?;
    choice.finish()?;
    if field.tag == Tag::context_constructed(0) {
        let names = general_names(field.cursor()?, limits)?;
        // 5.2.5: a place without a name is none; it must not count as every place
        return if names.is_empty() { Err(Error::Malformed("a distribution point without a name")) } else { Ok(names) };
    }
    if field.tag != Tag::context_constructed(1) {
        return Err(Error::Malformed("a distribution point name of a kind that is not known"));
    }
    let above = Cursor::new(base.der()).expect(Tag::SEQUENCE)?.content;
    let relative = encode::tlv(Tag::SET, field.content);
    let whole = encode::tlv(Tag::SEQUENCE, &[above, &relative].concat());
    Ok(vec![GeneralName::Directory(Name::from_der(&whole)?)])
}

fn general_names(mut list: Cursor<'_>, limits: &Limits) -> Result<Vec<GeneralName>, Error> {
    let mut budget = Budget::new("distribution points", limits.distribution_points);
    let mut names = Vec::new();
    while !list.is_empty() {
        budget.spend(1u64)?;
        names.push(GeneralName::read(&mut list)?);
    }
    Ok(names)
}
