//! A directory of OpenLDAP with the cast in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use sealpost::asn1::pem;
use sealpost::ca::{Authority, ServerProfile};
use sealpost::crypto::algorithm::KeyAlgorithm;
use sealpost::crypto::random::OsRandom;
use sealpost::time::Timestamp;

use super::{Running, await_port, certs};
use crate::support;

/// slapd on this machine's own addresses, with a certificate for `localhost` and for no other name.
pub(crate) struct Slapd {
    folder: tempfile::TempDir,
    plain: u16,
    secure: u16,
    _running: Running,
}

/// Whether it has a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    Tls,
    NoTls,
}

impl Slapd {
    /// Starts it; `None` where it is not installed.
    pub(crate) fn start(has: Has) -> Option<Self> {
        for program in ["slapd", "ldapadd", "openssl"] {
            // Debian has servers in a folder that people have no path to
            let is_there = Path::new("/usr/sbin").join(program).is_file() || support::peer(program);
            if !is_there {
                return None;
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir(path("db")).expect("made");
        let mut config = String::new();
        for schema in ["core", "cosine", "inetorgperson"] {
            config.push_str(&format!("include /etc/ldap/schema/{schema}.schema\n"));
        }
        config.push_str("attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch ");
        config.push_str("SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n");
        config.push_str("objectclass ( 1.3.6.1.4.1.55555.1 NAME 'moved' SUP top AUXILIARY MAY proxyAddresses )\n");
        config.push_str(&format!("modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {}\n", path("pid")));
        if has == Has::Tls {
            certificate(folder.path());
            let (cert, key) = (path("server.pem"), path("server.key"));
            config.push_str(&format!("TLSCertificateFile {cert}\nTLSCertificateKeyFile {key}\nTLSVerifyClient never\n"));
        }
        config.push_str(&format!(
            "database mdb\nsuffix dc=example\nrootdn cn=admin,dc=example\nrootpw geheim\ndirectory {}\n\
             access to dn.subtree=ou=closed,dc=example by anonymous auth by * none\naccess to * by * read\n",
            path("db")
        ));
        fs::write(path("slapd.conf"), config).expect("written");
        let (plain, secure) = (support::free_port(), support::free_port());
        let urls = format!("ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{secure}/");
        let urls = if has == Has::Tls { urls } else { format!("ldap://127.0.0.1:{plain}/") };
        let program = if Path::new("/usr/sbin/slapd").is_file() { "/usr/sbin/slapd" } else { "slapd" };
        let log = fs::File::create(path("log")).expect("made");
        let child = Command::new(program)
            .args(["-d", "0", "-h", &urls, "-f", &path("slapd.conf")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("slapd starts");
        let mut running = Running(child);
        await_port(&mut running, plain);
        let slapd = Self { folder, plain, secure, _running: running };
        slapd.load(&slapd.cast());
        Some(slapd)
    }

    /// The URL of everything, without TLS at once.
    pub(crate) fn url(&self) -> String {
        format!("ldap://localhost:{}/dc=example", self.plain)
    }

    /// The same under another name of the host.
    pub(crate) fn url_at(&self, host: &str) -> String {
        format!("ldap://{host}:{}/dc=example", self.plain)
    }

    /// With TLS at once.
    pub(crate) fn secure_url_at(&self, host: &str) -> String {
        format!("ldaps://{host}:{}/dc=example", self.secure)
    }

    /// The file of the root above its certificate.
    pub(crate) fn root(&self) -> String {
        self.path("root.pem")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Adds entries with OpenLDAP's own client.
    pub(crate) fn load(&self, entries: &str) {
        let url = format!("ldap://127.0.0.1:{}", self.plain);
        let args = ["-x", "-H", &url, "-D", "cn=admin,dc=example", "-w", "geheim"];
        let (code, _, talk) = support::run("ldapadd", &args, entries.as_bytes());
        assert_eq!(code, 0, "{talk}");
    }

    /// The cast: alice with her certificate and one that only says it is hers, bob in a PKCS#7 bundle, the others with one each.
    fn cast(&self) -> String {
        let mut ldif = "dn: dc=example\nobjectClass: domain\ndc: example\n\n".to_owned();
        for unit in ["people", "closed"] {
            ldif.push_str(&format!("dn: ou={unit},dc=example\nobjectClass: organizationalUnit\nou: {unit}\n\n"));
        }
        ldif.push_str(&person("alice", "people", "alice@example.com", &[&der("alice"), &der("stranger")]));
        ldif.push_str(&person("expired", "people", "expired@example.com", &[&der("expired")]));
        ldif.push_str(&person("revoked", "people", "revoked@example.com", &[&der("revoked")]));
        ldif.push_str(&person("liar", "people", "liar@example.com", &[&der("mallory")]));
        ldif.push_str(&person("none", "people", "none@example.com", &[]));
        ldif.push_str(&person("carol", "closed", "carol@example.org", &[&der("carol")]));
        let bundle = self.path("bundle.der");
        let made = ["crl2pkcs7", "-nocrl", "-certfile", &certs("bob.pem"), "-certfile", &certs("issuing.pem")];
        let (code, _, talk) = support::run("openssl", &[&made[..], &["-outform", "DER", "-out", &bundle]].concat(), b"");
        assert_eq!(code, 0, "{talk}");
        let bundle = base64(&fs::read(bundle).expect("written"));
        ldif.push_str(&format!(
            "dn: cn=bob,ou=people,dc=example\nobjectClass: inetOrgPerson\nobjectClass: moved\ncn: bob\nsn: bob\nmail: other@example.org\n\
             proxyAddresses: SMTP:bob@example.org\nuserSMIMECertificate:: {bundle}\n\n"
        ));
        ldif
    }
}

/// An entry of a person.
pub(crate) fn person(name: &str, unit: &str, mail: &str, certificates: &[&[u8]]) -> String {
    let mut ldif =
        format!("dn: cn={name},ou={unit},dc=example\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\nmail: {mail}\n");
    for certificate in certificates {
        ldif.push_str(&format!("userCertificate;binary:: {}\n", base64(certificate)));
    }
    ldif.push('\n');
    ldif
}

/// The certificate of one of the cast.
pub(crate) fn der(name: &str) -> Vec<u8> {
    let text = fs::read(certs(&format!("{name}.pem"))).expect("one of the cast");
    pem::parse_all(&text).expect("PEM").remove(0).der
}

fn base64(bytes: &[u8]) -> String {
    pem::encode("X", bytes).lines().filter(|line| !line.starts_with('-')).collect()
}

/// Writes a key and a certificate for `localhost`, what stands between, and the root.
fn certificate(folder: &Path) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let now = Timestamp::from_unix(i64::try_from(seconds).expect("a time"));
    let random = &mut OsRandom;
    let (authority, _) = Authority::create("Directory", &["a.example"], KeyAlgorithm::P256, now, random).expect("made");
    let profile = ServerProfile { hosts: vec!["localhost".to_owned()], days: 30 };
    let server = authority.new_server(&profile, KeyAlgorithm::P256, now, random).expect("made");
    let chain = [server.certificate(), authority.servers()].map(|c| pem::encode("CERTIFICATE", c.der())).concat();
    fs::write(folder.join("server.pem"), chain).expect("written");
    fs::write(
        folder.join("server.key"),
        pem::encode("PRIVATE KEY", server.private_key().to_pkcs8().expect("a key here").expose()),
    )
    .expect("written");
    fs::write(folder.join("root.pem"), pem::encode("CERTIFICATE", authority.root().der())).expect("written");
}
