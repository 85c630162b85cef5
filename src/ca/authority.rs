//! The authority: its own certificates and keys, and what it signs with them.

use crate::asn1::oid;
use crate::ca::profile::{
    Draft, MailProfile, ServerProfile, authority_constraints, extended_key_usage, host_names, key_usage, mail_constraints,
    mail_names, mail_usage, places, smime_capabilities,
};
use crate::ca::{Error, Revoked, revoke};
use crate::crypto::algorithm::KeyAlgorithm;
use crate::crypto::key::{PrivateKey, PublicKey};
use crate::crypto::random::Random;
use crate::keys::Identity;
use crate::pki::{Certificate, Crl, Name, email};
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
        let domains: Vec<String> = domains.iter().map(|domain| domain.as_ref().to_ascii_lowercase()).collect();
        if let Some(bad) = domains.iter().find(|domain| !is_domain(domain)) {
            return Err(Error::Refused(format!("{bad} is not a domain")));
        }
        let host = domains.first().map_or("localhost", String::as_str);
        let base_url = format!("http://pki.{host}");
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
                not_after: at.plus_days(1826),
                extensions,
            };
            let certificate = draft.sign(&serial(random), random)?;
            Ok(Identity::new(key, certificate, vec![root.clone()])?)
        };
        let mut for_mail = vec![extended_key_usage(&[oid::EMAIL_PROTECTION])];
        if !domains.is_empty() {
            for_mail.push(mail_constraints(&domains));
        }
        let issuing = below("Mail CA", for_mail)?;
        let servers = below("Server CA", vec![extended_key_usage(&[oid::SERVER_AUTH])])?;
        Ok((Self { root, issuing, servers, base_url }, root_key))
    }

    /// Puts an authority together from what was stored.
    pub(in crate::ca) fn from_parts(root: Certificate, issuing: Identity, servers: Identity, base_url: String) -> Self {
        Self { root, issuing, servers, base_url }
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
        Ok(Identity::new(key, certificate, vec![self.servers().clone(), self.root.clone()])?)
    }

    /// Signs a list of everything that the issuing CA revoked.
    pub fn crl(&self, revoked: &[Revoked], number: u64, at: Timestamp, days: i64, random: &mut dyn Random) -> Result<Crl, Error> {
        revoke::sign_list(self.issuing(), self.issuing.private_key(), revoked, number, (at, at.plus_days(days)), random)
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
        use crate::pki::{ChainStatus, Judgement, Purpose, Revocation, TrustAnchors, judge};
        let verdict = judge(&Judgement {
            leaf: certificate,
            pool: &[self.issuing().clone()],
            anchors: &TrustAnchors::from_iter([self.root.clone()]),
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
