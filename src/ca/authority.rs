//! The authority: its own certificates and keys, and what it signs with them.

use crate::asn1::oid;
use crate::ca::profile::{
    Draft, MailProfile, ServerProfile, authority_constraints, extended_key_usage, extension, host_names, key_usage,
    mail_constraints, mail_names, mail_usage, places, smime_capabilities,
};
use crate::ca::revoke::{self, List};
use crate::ca::{Error, Issuer, Revoked};
use crate::crypto::algorithm::KeyAlgorithm;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::pki::{Certificate, Crl, Name, TrustAnchors, email};
use crate::time::Timestamp;

/// A root, an issuing CA for mail, and one for TLS servers.
///
/// Two issuing CAs, because a mail constraint on an issuer makes TLS clients that do not know such constraints refuse all below it.
#[derive(Debug, Clone)]
pub struct Authority {
    root: Certificate,
    issuing: Identity,
    servers: Identity,
    base_url: String,
    /// The root alone; it remembers which signatures of CAs stood.
    anchors: TrustAnchors,
}

/// What an authority shall be.
#[derive(Debug, Clone)]
pub struct Plan {
    name: String,
    domains: Vec<String>,
    algorithm: KeyAlgorithm,
    base_url: Option<String>,
}

impl Plan {
    /// An authority of this name, with keys of this kind.
    pub fn new(name: &str, algorithm: KeyAlgorithm) -> Self {
        Self { name: name.to_owned(), domains: Vec::new(), algorithm, base_url: None }
    }

    /// It vouches for mail of these domains (and of hosts below them) only.
    #[must_use]
    pub fn domains(mut self, domains: &[impl AsRef<str>]) -> Self {
        self.domains = domains.iter().map(|domain| domain.as_ref().to_ascii_lowercase()).collect();
        self
    }

    /// Where its certificates and lists will be: `http://pki.example.org`; without it, `http://pki.` before the first domain.
    #[must_use]
    pub fn base_url(mut self, url: &str) -> Self {
        self.base_url = Some(url.trim_end_matches('/').to_owned());
        self
    }

    pub(in crate::ca) fn name(&self) -> &str {
        &self.name
    }

    fn url(&self) -> Result<String, Error> {
        let Some(url) = &self.base_url else {
            return Ok(format!("http://pki.{}", self.domains.first().map_or("localhost", String::as_str)));
        };
        // RFC 5280 4.2.1.13: readers need not know https, and could not check a certificate with a list that needs one
        let rest = url.strip_prefix("http://").unwrap_or_default();
        let is_clean = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}?#".contains(c);
        if rest.is_empty() || rest.starts_with(['/', ':']) || !rest.chars().all(is_clean) {
            return Err(Error::Refused(format!("{url} is not a place for lists – write it as http://pki.example.org")));
        }
        Ok(url.clone())
    }
}

impl Authority {
    /// Makes an authority. With domains, the issuing CA may vouch for mail of these (and of hosts below them) only.
    pub fn create(
        name: &str,
        domains: &[impl AsRef<str>],
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(Self, PrivateKey), Error> {
        Self::make(&Plan::new(name, algorithm).domains(domains), at, random)
    }

    /// Makes an authority after a plan; gives the key of the root beside.
    pub fn make(plan: &Plan, at: Timestamp, random: &mut dyn Random) -> Result<(Self, PrivateKey), Error> {
        let Plan { name, domains, algorithm, .. } = plan;
        let (domains, algorithm) = (domains.as_slice(), *algorithm);
        if let Some(bad) = domains.iter().find(|domain| !is_domain(domain)) {
            return Err(Error::Refused(format!("{bad} is not a domain")));
        }
        let base_url = plan.url()?;
        let root_key = PrivateKey::generate(algorithm, random)?;
        let root_name = Name::from_attributes(&[(oid::ORGANIZATION, name), (oid::COMMON_NAME, &format!("{name} Root CA"))]);
        // a few minutes back: clocks differ
        let not_before = at.plus_seconds(-600);
        let root = Draft {
            issuer: &root_name,
            issuer_key: &root_key,
            subject: root_name.clone(),
            public: root_key.public_key(),
            not_before,
            not_after: at.plus_days(3653),
            extensions: vec![authority_constraints(None), key_usage(&[5, 6])],
        };
        let root = root.sign(&serial(random), random)?;
        root.verify_signature(root_key.public_key())?;
        let mut below = |title: &str, mut extensions: Vec<Vec<u8>>| -> Result<Identity, Error> {
            let key = PrivateKey::generate(algorithm, random)?;
            extensions.extend([authority_constraints(Some(0)), key_usage(&[5, 6])]);
            extensions.extend(places(&base_url, "root"));
            let draft = Draft {
                issuer: root.subject(),
                issuer_key: &root_key,
                subject: Name::from_attributes(&[(oid::ORGANIZATION, name), (oid::COMMON_NAME, &format!("{name} {title}"))]),
                public: key.public_key(),
                not_before,
                not_after: at.plus_days(ISSUING_DAYS),
                extensions,
            };
            let certificate = draft.sign(&serial(random), random)?;
            certificate.verify_signature(root_key.public_key())?;
            Ok(Identity::new(key, certificate, vec![root.clone()])?)
        };
        let mut for_mail = vec![extended_key_usage(&[oid::EMAIL_PROTECTION])];
        if !domains.is_empty() {
            for_mail.push(mail_constraints(domains));
        }
        let issuing = below("Mail CA", for_mail)?;
        let servers = below("Server CA", vec![extended_key_usage(&[oid::SERVER_AUTH])])?;
        Ok((Self::from_parts(root, issuing, servers, base_url), root_key))
    }

    /// Puts an authority together from what was stored.
    pub(in crate::ca) fn from_parts(root: Certificate, issuing: Identity, servers: Identity, base_url: String) -> Self {
        let anchors = TrustAnchors::from_iter([root.clone()]);
        Self { root, issuing, servers, base_url, anchors }
    }

    /// The root certificate, which people trust.
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    /// The certificate that signs mail certificates.
    pub fn issuing(&self) -> &Certificate {
        self.issuing.certificate()
    }

    /// The certificate that signs servers' certificates.
    pub fn servers(&self) -> &Certificate {
        self.servers.certificate()
    }

    pub(in crate::ca) fn issuing_identity(&self) -> &Identity {
        &self.issuing
    }

    /// The certificate and the key of a CA; the root's key is not here.
    pub(in crate::ca) fn identity(&self, by: Issuer) -> Option<&Identity> {
        match by {
            Issuer::Mail => Some(&self.issuing),
            Issuer::Servers => Some(&self.servers),
            Issuer::Root => None,
        }
    }

    pub(in crate::ca) fn servers_identity(&self) -> &Identity {
        &self.servers
    }

    /// Where its files are said to be.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Issues a mail certificate for a key.
    pub fn issue(
        &self,
        profile: &MailProfile,
        public: &PublicKey,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Certificate, Error> {
        let first = profile.addresses.first().ok_or_else(|| Error::Refused("a mail certificate needs an address".to_owned()))?;
        if let Some(bad) = profile.addresses.iter().find(|address| !is_address(address)) {
            return Err(Error::Refused(format!("{bad} is not a mail address")));
        }
        if let KeyAlgorithm::Rsa(bits) = public.algorithm()
            && bits < 2048
        {
            return Err(Error::Refused(format!("an RSA key of {bits} bits is too short – at least 2048")));
        }
        if profile.days == 0 || profile.days > 825 {
            return Err(Error::Refused(format!("{} days are not possible – 1 to 825", profile.days)));
        }
        let mut extensions = vec![
            key_usage(&mail_usage(public.algorithm(), profile.uses)?),
            extended_key_usage(&[oid::EMAIL_PROTECTION]),
            mail_names(&profile.addresses),
        ];
        extensions.extend(places(&self.base_url, "issuing"));
        if public.algorithm().encrypts() {
            extensions.push(smime_capabilities(public.algorithm()));
        }
        let subject = Name::from_attributes(&[(oid::COMMON_NAME, profile.name.as_deref().unwrap_or(first))]);
        let certificate = self.leaf(&self.issuing, subject, public, profile.days, extensions, at, random)?;
        // read back: it must speak for what was asked, and nothing else
        let speaks = certificate.addresses();
        if speaks.len() != profile.addresses.len() || !profile.addresses.iter().all(|address| email::find(&speaks, address)) {
            return Err(Error::Refused("the certificate does not say what was asked".to_owned()));
        }
        self.check_reaches_root(&certificate, at)?;
        Ok(certificate)
    }

    /// Makes a key and a mail certificate for it.
    pub fn new_identity(
        &self,
        address: &str,
        name: &str,
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Identity, Error> {
        let key = PrivateKey::generate(algorithm, random)?;
        let profile =
            MailProfile { addresses: vec![address.to_owned()], name: Some(name.to_owned()), uses: Uses::Dual, days: 825 };
        let certificate = self.issue(&profile, key.public_key(), at, random)?;
        Ok(Identity::new(key, certificate, vec![self.issuing().clone(), self.root.clone()])?)
    }

    /// Makes a key and a TLS server's certificate for it.
    pub fn new_server(
        &self,
        profile: &ServerProfile,
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Identity, Error> {
        let first = profile.hosts.first().ok_or_else(|| Error::Refused("a server certificate needs a host".to_owned()))?;
        if profile.days == 0 || profile.days > 397 {
            return Err(Error::Refused(format!("{} days are not possible – 1 to 397", profile.days)));
        }
        let is_host = |host: &String| host.parse::<std::net::IpAddr>().is_ok() || is_domain(host);
        if let Some(bad) = profile.hosts.iter().find(|host| !is_host(host)) {
            return Err(Error::Refused(format!("{bad} is not a host")));
        }
        let key = PrivateKey::generate(algorithm, random)?;
        let usage: &[u32] = if algorithm.is_rsa() { &[0, 2] } else { &[0] };
        let mut extensions = vec![key_usage(usage), extended_key_usage(&[oid::SERVER_AUTH]), host_names(&profile.hosts)];
        extensions.extend(places(&self.base_url, "servers"));
        let subject = Name::from_attributes(&[(oid::COMMON_NAME, first)]);
        let certificate = self.leaf(&self.servers, subject, key.public_key(), profile.days, extensions, at, random)?;
        self.check_reaches_root(&certificate, at)?;
        Ok(Identity::new(key, certificate, vec![self.servers().clone(), self.root.clone()])?)
    }

    /// Signs a list of everything that the issuing CA revoked.
    pub fn crl(&self, revoked: &[Revoked], number: u64, at: Timestamp, days: i64, random: &mut dyn Random) -> Result<Crl, Error> {
        let entries = revoked.iter().map(Revoked::entry).collect();
        let list = List { entries, number, dates: (at, at.plus_days(days)), place: None, base: None, deltas: None };
        revoke::sign_list(&self.issuing, &list, random)
    }

    /// The CA that signed a certificate: that for mail, or that for servers.
    pub fn issuer_of(&self, certificate: &Certificate) -> &Certificate {
        if certificate.issuer().matches(self.servers().subject()) { self.servers() } else { self.issuing() }
    }

    /// Certifies the keys of the issuing CAs once more, with the same content, from now on.
    pub(in crate::ca) fn renew_issuing(
        &self,
        root_key: &PrivateKey,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Self, Error> {
        let not_after = at.plus_days(ISSUING_DAYS).min(self.root.not_after());
        if not_after <= at {
            return Err(Error::Refused(format!("the root ended on {} – make a new authority", self.root.not_after())));
        }
        let mut again = |identity: &Identity| -> Result<Identity, Error> {
            let old = identity.certificate();
            let draft = Draft {
                issuer: self.root.subject(),
                issuer_key: root_key,
                subject: old.subject().clone(),
                public: identity.private_key().public_key(),
                not_before: at.plus_seconds(-600),
                not_after,
                extensions: content_of(old),
            };
            let certificate = draft.sign(&serial(random), random)?;
            certificate.verify_signature(&self.root.public_key()?)?;
            Ok(Identity::new(identity.private_key().clone(), certificate, vec![self.root.clone()])?)
        };
        let (issuing, servers) = (again(&self.issuing)?, again(&self.servers)?);
        Ok(Self::from_parts(self.root.clone(), issuing, servers, self.base_url.clone()))
    }

    /// Issues a certificate with the content of an older one, for its key or for another, that ends some days from now.
    pub(in crate::ca) fn renew(
        &self,
        (old, by): (&Certificate, Issuer),
        public: &PublicKey,
        days: u32,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Certificate, Error> {
        let issuer = self.identity(by).ok_or_else(|| Error::Refused("a CA is not renewed so".to_owned()))?;
        let certificate = self.leaf(issuer, old.subject().clone(), public, days, content_of(old), at, random)?;
        self.check_reaches_root(&certificate, at)?;
        Ok(certificate)
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one certificate")]
    fn leaf(
        &self,
        issuer: &Identity,
        subject: Name,
        public: &PublicKey,
        days: u32,
        extensions: Vec<Vec<u8>>,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Certificate, Error> {
        let not_after = at.plus_days(i64::from(days)).min(issuer.certificate().not_after());
        if not_after <= at {
            return Err(Error::Refused(format!("the issuing CA ended on {} – make a new one", issuer.certificate().not_after())));
        }
        let draft = Draft {
            issuer: issuer.certificate().subject(),
            issuer_key: issuer.private_key(),
            subject,
            public,
            not_before: at.plus_seconds(-600).max(issuer.certificate().not_before()),
            not_after,
            extensions,
        };
        draft.sign(&serial(random), random)
    }

    /// A certificate that our own validator refuses is not given out: an address outside of the domains, for one.
    fn check_reaches_root(&self, certificate: &Certificate, at: Timestamp) -> Result<(), Error> {
        use crate::pki::{ChainStatus, Judgement, Purpose, Revocation, judge};
        let verdict = judge(&Judgement {
            leaf: certificate,
            pool: &[self.issuing().clone(), self.servers().clone()],
            anchors: &self.anchors,
            crls: &[],
            ocsp: &[],
            purpose: Purpose::Any,
            at,
            revocation: Revocation::Off,
            limits: &crate::limits::Limits::default(),
        });
        match (verdict.status, verdict.reasons.into_iter().next()) {
            (ChainStatus::Trusted, _) => Ok(()),
            (_, Some(reason)) => Err(Error::Refused(reason.text)),
            (_, None) => Err(Error::Refused("the certificate does not reach the root".to_owned())),
        }
    }
}

use crate::ca::profile::Uses;

/// Five years: half of the root's.
const ISSUING_DAYS: i64 = 1826;

/// The extensions of a certificate, without those that name its key and its issuer's.
fn content_of(certificate: &Certificate) -> Vec<Vec<u8>> {
    let own = [oid::SUBJECT_KEY_IDENTIFIER, oid::AUTHORITY_KEY_IDENTIFIER];
    let kept = certificate.extensions().iter().filter(|extension| !own.contains(&extension.oid));
    kept.map(|kept| extension(kept.oid, kept.critical, &kept.value)).collect()
}

/// 127 random bits, never zero at the front: positive, and of a constant length (RFC 5280 4.1.2.2 allows 20 bytes).
fn serial(random: &mut dyn Random) -> [u8; 16] {
    let mut serial = [0; 16];
    random.fill(&mut serial);
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

fn is_domain(text: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_clean = |c: char| !c.is_control() && !c.is_whitespace() && !"<>()[]\\,;:@\"".contains(c);
    !local.is_empty() && local.len() <= 64 && local.chars().all(is_clean) && is_domain(domain)
}
