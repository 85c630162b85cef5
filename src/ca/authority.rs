//! The authority: its own certificates and keys, and what it signs with them.

use crate::asn1::{Oid, oid};
use crate::ca::draft::{Draft, Linted};
use crate::ca::profile::{
    MailProfile, ServerProfile, authority_constraints, extended_key_usage, extension, host_names, issuer_key_id, key_ids,
    key_usage, mail_constraints, mail_names, mail_usage, places, policies, smime_capabilities,
};
use crate::ca::revoke::{self, List};
use crate::ca::{Error, Issuer, Organization, Person, Request, Revoked, Shape};
use crate::crypto::algorithm::KeyAlgorithm;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::limits::Limits;
use crate::pki::{Certificate, Crl, Name, TrustAnchors, email, forbidden_name};
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
    organization: Organization,
    domains: Vec<String>,
    algorithm: KeyAlgorithm,
    base_url: Option<String>,
}

impl Plan {
    /// An authority of this organisation, with keys of this kind.
    pub fn new(organization: impl Into<Organization>, algorithm: KeyAlgorithm) -> Self {
        Self { organization: organization.into(), domains: Vec::new(), algorithm, base_url: None }
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
        self.organization.name()
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
    /// Makes an authority of an organisation, which may be given by its name alone. With domains, the issuing CA may vouch for mail of these
    /// (and of hosts below them) only.
    pub fn create(
        organization: impl Into<Organization>,
        domains: &[impl AsRef<str>],
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(Self, PrivateKey), Error> {
        Self::make(&Plan::new(organization, algorithm).domains(domains), at, random)
    }

    /// Makes an authority after a plan; gives the key of the root beside.
    pub fn make(plan: &Plan, at: Timestamp, random: &mut dyn Random) -> Result<(Self, PrivateKey), Error> {
        Self::make_with(plan, &[], at, random)
    }

    /// The same with keys of some CAs that are there already; the others are made.
    pub(in crate::ca) fn make_with(
        plan: &Plan,
        keys: &[(Issuer, PrivateKey)],
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<(Self, PrivateKey), Error> {
        let Plan { organization, domains, algorithm, .. } = plan;
        let (domains, algorithm) = (domains.as_slice(), *algorithm);
        organization.check()?;
        if let Some(bad) = domains.iter().find(|domain| !is_domain(domain)) {
            return Err(Error::Refused(format!("{bad} is not a domain")));
        }
        let base_url = plan.url()?;
        let key_of = |by: Issuer, random: &mut dyn Random| match keys.iter().find(|(other, _)| *other == by) {
            Some((_, key)) => Ok(key.clone()),
            None => PrivateKey::generate(algorithm, random),
        };
        let root_key = key_of(Issuer::Root, random)?;
        let called = |title: &str| {
            // a common name has 64 letters at most (RFC 5280 appendix A.1); the organization stands beside it whole
            let room = 63_usize.saturating_sub(title.len());
            let name = format!("{} {title}", organization.name().chars().take(room).collect::<String>());
            // registrations are for mail: the TLS Baseline Requirements do not know them in names of authorities (7.1.2.10.2)
            let is_for_mail = title == MAIL_CA;
            let mut attributes = organization.attributes();
            attributes.retain(|(oid, _)| is_for_mail || *oid != oid::ORGANIZATION_IDENTIFIER);
            attributes.push((oid::COMMON_NAME, &name));
            Name::from_attributes(&attributes)
        };
        let root_name = called("Root CA");
        // a few minutes back: clocks differ
        let not_before = at.plus_seconds(-600);
        let mut extensions = key_ids(root_key.public_key(), root_key.public_key());
        extensions.extend([authority_constraints(None), key_usage(&[5, 6])]);
        let root = Draft {
            issuer: &root_name,
            issuer_key: &root_key,
            subject: root_name.clone(),
            public: root_key.public_key(),
            not_before,
            not_after: at.plus_days(3653),
            extensions,
        };
        let root = root.sign(&serial(random), random)?;
        root.verify_signature(root_key.public_key())?;
        let mut below = |by: Issuer, title: &str, more: Vec<Vec<u8>>| -> Result<Identity, Error> {
            let key = key_of(by, random)?;
            let mut extensions = key_ids(key.public_key(), root_key.public_key());
            extensions.extend(more);
            extensions.extend([authority_constraints(Some(0)), key_usage(&[5, 6])]);
            extensions.extend(places(&base_url, "root"));
            let draft = Draft {
                issuer: root.subject(),
                issuer_key: &root_key,
                subject: called(title),
                public: key.public_key(),
                not_before,
                not_after: at.plus_days(ISSUING_DAYS),
                extensions,
            };
            let certificate = draft.sign(&serial(random), random)?;
            certificate.verify_signature(root_key.public_key())?;
            Ok(Identity::new(key, certificate, vec![root.clone()])?)
        };
        let mut for_mail = vec![extended_key_usage(&[oid::EMAIL_PROTECTION]), policies(&MAIL_POLICIES)];
        if !domains.is_empty() {
            for_mail.push(mail_constraints(domains));
        }
        let issuing = below(Issuer::Mail, MAIL_CA, for_mail)?;
        let for_servers = vec![extended_key_usage(&[oid::SERVER_AUTH]), policies(&[oid::TLS_DOMAIN])];
        let servers = below(Issuer::Servers, "Server CA", for_servers)?;
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

    /// The organisation that its certificates name.
    pub fn organization(&self) -> Option<Organization> {
        Organization::of(self.issuing().subject())
    }

    /// Issues a mail certificate for a key.
    pub fn issue(
        &self,
        profile: &MailProfile,
        public: &PublicKey,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Certificate, Error> {
        let addresses = addresses_of(profile)?;
        let linted = self.linted(&self.mail(profile, &addresses, public, at)?, &serial(random))?;
        self.sign_mail(linted, &addresses, at, random)
    }

    /// Says whether a mail certificate for this key would be issued; nothing is signed.
    pub fn check(&self, profile: &MailProfile, public: &PublicKey, at: Timestamp) -> Result<(), Error> {
        self.linted(&self.mail(profile, &addresses_of(profile)?, public, at)?, &NO_SERIAL).map(drop)
    }

    /// Says whether a mail certificate for this request would be issued; nothing is signed.
    pub fn check_request(&self, profile: &MailProfile, request: &Request, at: Timestamp) -> Result<(), Error> {
        let draft = self.mail(profile, &addresses_of(profile)?, request.key(), at)?;
        request.check(self.linted(&draft, &NO_SERIAL)?.preview())
    }

    /// Whether a certificate of this authority says what one of this profile would: the same names, uses and policy.
    pub fn is_as(&self, profile: &MailProfile, certificate: &Certificate, at: Timestamp) -> bool {
        let Ok(key) = certificate.public_key() else { return false };
        let preview = addresses_of(profile).and_then(|addresses| self.mail(profile, &addresses, &key, at)?.preview(&NO_SERIAL));
        let Ok(preview) = preview else { return false };
        let value = |certificate: &Certificate, oid: Oid| certificate.extension(&oid).map(|extension| extension.value.clone());
        let same = [oid::SUBJECT_ALT_NAME, oid::KEY_USAGE, oid::EXTENDED_KEY_USAGE, oid::CERTIFICATE_POLICIES];
        certificate.issuer().matches(self.issuing().subject())
            && certificate.subject().der() == preview.subject().der()
            && same.into_iter().all(|oid| value(certificate, oid) == value(&preview, oid))
    }

    /// Holds a draft against the rules, and against what the issuing CA may vouch for.
    fn linted<'a>(&self, draft: &Draft<'a>, serial: &[u8]) -> Result<Linted<'a>, Error> {
        let linted = draft.linted(serial)?;
        self.check_names(linted.preview())?;
        Ok(linted)
    }

    fn check_names(&self, certificate: &Certificate) -> Result<(), Error> {
        if let Some(name) = forbidden_name(self.issuing(), certificate, &Limits::default())? {
            let by = self.issuing();
            return Err(Error::Refused(format!("{name} of {certificate} is outside of what {by} may vouch for")));
        }
        Ok(())
    }

    /// Issues a mail certificate for the key of a request that asks for nothing beyond the profile.
    pub fn issue_request(
        &self,
        profile: &MailProfile,
        request: &Request,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Certificate, Error> {
        let addresses = addresses_of(profile)?;
        let linted = self.linted(&self.mail(profile, &addresses, request.key(), at)?, &serial(random))?;
        request.check(linted.preview())?;
        self.sign_mail(linted, &addresses, at, random)
    }

    /// Everything of a mail certificate but its number and signature.
    fn mail<'a>(
        &'a self,
        profile: &MailProfile,
        addresses: &[String],
        public: &'a PublicKey,
        at: Timestamp,
    ) -> Result<Draft<'a>, Error> {
        if let KeyAlgorithm::Rsa(bits) = public.algorithm()
            && bits < 2048
        {
            return Err(Error::Refused(format!("an RSA key of {bits} bits is too short – at least 2048")));
        }
        if profile.days == 0 || profile.days > MOST_DAYS {
            return Err(Error::Refused(format!("{} days are not possible – 1 to {MOST_DAYS}", profile.days)));
        }
        let subject = profile.shape.subject(addresses)?;
        let mut extensions = key_ids(public, self.issuing.private_key().public_key());
        extensions.extend([
            key_usage(&mail_usage(public, profile.uses)?),
            extended_key_usage(&[oid::EMAIL_PROTECTION]),
            mail_names(addresses, &subject),
            policies(&[profile.shape.baseline().policy()]),
        ]);
        extensions.extend(places(&self.base_url, "issuing"));
        if public.encrypts() {
            extensions.push(smime_capabilities(public.algorithm()));
        }
        self.leaf(&self.issuing, subject, public, (profile.days, MOST_DAYS), extensions, at)
    }

    fn sign_mail(
        &self,
        linted: Linted<'_>,
        addresses: &[String],
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Certificate, Error> {
        let certificate = linted.sign(random)?;
        // read back: it must speak for what was asked, and nothing else
        let speaks = certificate.addresses();
        if speaks.len() != addresses.len() || !addresses.iter().all(|address| email::find(&speaks, address)) {
            return Err(Error::Refused("the certificate does not say what was asked".to_owned()));
        }
        self.check_reaches_root(&certificate, at)?;
        Ok(certificate)
    }

    /// Makes a key and a mail certificate for it, which names a person.
    pub fn new_identity(
        &self,
        address: &str,
        name: &str,
        algorithm: KeyAlgorithm,
        at: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Identity, Error> {
        let key = PrivateKey::generate(algorithm, random)?;
        let profile = MailProfile::new(address).shape(Shape::Individual(Person::called(name)));
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
        let most = ServerProfile::longest(at);
        if profile.days == 0 || profile.days > most {
            return Err(Error::Refused(format!("{} days are not possible – 1 to {most}", profile.days)));
        }
        let is_host = |host: &String| host.parse::<std::net::IpAddr>().is_ok() || is_domain(host);
        if let Some(bad) = profile.hosts.iter().find(|host| !is_host(host)) {
            return Err(Error::Refused(format!("{bad} is not a host")));
        }
        let key = PrivateKey::generate(algorithm, random)?;
        // NSS takes no RSA key of a server without keyEncipherment, though TLS 1.3 has no use for it
        let usage: &[u32] = if algorithm.is_rsa() { &[0, 2] } else { &[0] };
        // the TLS Baseline Requirements advise against a common name (7.1.2.7.2), and fetchmail takes no certificate without one
        let called = Some(first).filter(|host| host.len() <= 64).map(|host| (oid::COMMON_NAME, host.as_str()));
        let subject = Name::from_attributes(&called.into_iter().collect::<Vec<_>>());
        let mut extensions = vec![issuer_key_id(self.servers.private_key().public_key()), key_usage(usage)];
        extensions.extend([
            extended_key_usage(&[oid::SERVER_AUTH]),
            host_names(&profile.hosts, &subject),
            policies(&[oid::TLS_DOMAIN]),
        ]);
        extensions.extend(places(&self.base_url, "servers"));
        let draft = self.leaf(&self.servers, subject, key.public_key(), (profile.days, most), extensions, at)?;
        let certificate = draft.sign(&serial(random), random)?;
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
                extensions: with_key_ids(identity.private_key().public_key(), root_key, old),
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
        let most = if by == Issuer::Servers { ServerProfile::longest(at) } else { MOST_DAYS };
        let extensions = with_key_ids(public, issuer.private_key(), old);
        let draft = self.leaf(issuer, old.subject().clone(), public, (days, most), extensions, at)?;
        let certificate = draft.sign(&serial(random), random)?;
        self.check_reaches_root(&certificate, at)?;
        Ok(certificate)
    }

    fn leaf<'a>(
        &self,
        issuer: &'a Identity,
        subject: Name,
        public: &'a PublicKey,
        (days, most): (u32, u32),
        extensions: Vec<Vec<u8>>,
        at: Timestamp,
    ) -> Result<Draft<'a>, Error> {
        let not_before = at.plus_seconds(-600).max(issuer.certificate().not_before());
        // both ends count, and the very most shall not be reached (S/MIME BR 6.3.2)
        let last = not_before.plus_days(i64::from(most)).plus_seconds(-2);
        let not_after = at.plus_days(i64::from(days)).min(last).min(issuer.certificate().not_after());
        if not_after <= at {
            return Err(Error::Refused(format!("the issuing CA ended on {} – make a new one", issuer.certificate().not_after())));
        }
        Ok(Draft {
            issuer: issuer.certificate().subject(),
            issuer_key: issuer.private_key(),
            subject,
            public,
            not_before,
            not_after,
            extensions,
        })
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
            limits: &Limits::default(),
        });
        match (verdict.status, verdict.reasons.into_iter().next()) {
            (ChainStatus::Trusted, _) => Ok(()),
            (_, Some(reason)) => Err(Error::Refused(reason.text)),
            (_, None) => Err(Error::Refused("the certificate does not reach the root".to_owned())),
        }
    }
}

/// How the common name of the CA for mail ends.
const MAIL_CA: &str = "Mail CA";

/// S/MIME BR 6.3.2.
const MOST_DAYS: u32 = 825;

/// What the CA for mail may vouch for: each type of certificate that [`Shape`] has.
const MAIL_POLICIES: [Oid; 4] = [
    oid::SMIME_MAILBOX_MULTIPURPOSE,
    oid::SMIME_ORGANIZATION_MULTIPURPOSE,
    oid::SMIME_SPONSOR_MULTIPURPOSE,
    oid::SMIME_INDIVIDUAL_MULTIPURPOSE,
];

/// The addresses as the certificate has them.
fn addresses_of(profile: &MailProfile) -> Result<Vec<String>, Error> {
    if profile.addresses.is_empty() {
        return Err(Error::Refused("a mail certificate needs an address".to_owned()));
    }
    let written = |address: &String| match email::with_ascii_domain(address) {
        Some(written) if is_address(&written) => Ok(written),
        _ => Err(Error::Refused(format!("{address} is not a mail address"))),
    };
    profile.addresses.iter().map(written).collect()
}

/// Five years: half of the root's.
const ISSUING_DAYS: i64 = 1826;

/// The extensions of an older certificate, with the identifiers of this key and its issuer's, where the older one has them.
fn with_key_ids(public: &PublicKey, issuer: &PrivateKey, old: &Certificate) -> Vec<Vec<u8>> {
    let mut extensions = match old.extension(&oid::SUBJECT_KEY_IDENTIFIER) {
        Some(_) => key_ids(public, issuer.public_key()),
        None => vec![issuer_key_id(issuer.public_key())],
    };
    extensions.extend(content_of(old));
    extensions
}

/// The extensions of a certificate, without those that name its key and its issuer's.
fn content_of(certificate: &Certificate) -> Vec<Vec<u8>> {
    let own = [oid::SUBJECT_KEY_IDENTIFIER, oid::AUTHORITY_KEY_IDENTIFIER];
    let kept = certificate.extensions().iter().filter(|extension| !own.contains(&extension.oid));
    kept.map(|kept| extension(kept.oid, kept.critical, &kept.value)).collect()
}

/// Stands where the number will be that is drawn for the signature.
const NO_SERIAL: [u8; 16] = [0x40; 16];

/// 127 random bits, never zero at the front: positive, and of a constant length (RFC 5280 4.1.2.2 allows 20 bytes).
pub(in crate::ca) fn serial(random: &mut dyn Random) -> [u8; 16] {
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
