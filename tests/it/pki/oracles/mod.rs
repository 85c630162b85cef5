//! Chains drawn by lot, judged here, by certval and by OpenSSL: every disagreement has its reason.
//!
//! `SEALPOST_CHAINS=10000 cargo test oracles` draws as many; by default there are fewer, since each costs a process.

mod draw;
mod why;

use std::collections::BTreeMap;
use std::sync::Mutex;

use certval::{
    CertificationPath, CertificationPathResults, CertificationPathSettings, PDVCertificate, PDVTrustAnchorChoice, PkiEnvironment,
    TimeOfInterest,
};

use sealpost::asn1::pem;
use sealpost::limits::Limits;
use sealpost::pki::{self, Certificate, ChainStatus, Judgement, Purpose, Revocation, TrustAnchors, Weight};
use sealpost::time::Timestamp;

use crate::support;
use draw::{AT, Chain, Keys};

/// What a judge says: nothing where the chain is good, else why not.
type Said = Result<(), String>;

fn ours(chain: &Chain) -> Said {
    let read = |der: &Vec<u8>| Certificate::from_der(der).map_err(|error| format!("unreadable: {error}"));
    let leaf = read(&chain.leaf)?;
    let pool: Vec<Certificate> = chain.between.iter().filter_map(|der| read(der).ok()).collect();
    let verdict = pki::judge(&Judgement {
        leaf: &leaf,
        pool: &pool,
        anchors: &TrustAnchors::from_iter([read(&chain.anchor)?]),
        crls: &[],
        ocsp: &[],
        purpose: Purpose::MailSign,
        at: Timestamp::from_unix(AT),
        revocation: Revocation::Off,
        limits: &Limits::default(),
    });
    let errors = verdict.reasons.iter().filter(|reason| reason.weight == Weight::Error);
    let texts: Vec<String> = errors.map(|reason| format!("{}: {}", reason.code.code(), reason.text)).collect();
    if verdict.status == ChainStatus::Trusted { Ok(()) } else { Err(texts.join("; ")) }
}

fn certval(chain: &Chain, environment: &PkiEnvironment) -> Said {
    let read = |der: &Vec<u8>| PDVCertificate::try_from(der.as_slice()).map_err(|error| format!("unreadable: {error}"));
    let anchor = PDVTrustAnchorChoice::try_from(chain.anchor.as_slice()).map_err(|error| error.to_string())?;
    let between = chain.between.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut settings = CertificationPathSettings::new();
    settings.set_time_of_interest(TimeOfInterest::from_unix_secs(AT.unsigned_abs()).map_err(|error| error.to_string())?);
    settings.set_require_ta_store(false);
    settings.set_extended_key_usage(vec!["1.3.6.1.5.5.7.3.4".to_owned()]);
    settings.set_extended_key_usage_path(true);
    let path = CertificationPath::new(anchor, between, read(&chain.leaf)?);
    let mut results = CertificationPathResults::new();
    environment.validate_path(environment, &settings, &path, &mut results).map_err(|error| format!("{error:?}"))
}

fn openssl(chain: &Chain, folder: &std::path::Path) -> Said {
    let path = |name: &str| folder.join(name).display().to_string();
    let write = |name: &str, certificates: &[Vec<u8>]| {
        let text: String = certificates.iter().map(|der| pem::encode("CERTIFICATE", der)).collect();
        std::fs::write(path(name), text).unwrap();
    };
    write("root", std::slice::from_ref(&chain.anchor));
    write("leaf", std::slice::from_ref(&chain.leaf));
    write("pool", &chain.between);
    let (at, root, pool, leaf) = (AT.to_string(), path("root"), path("pool"), path("leaf"));
    let mut args =
        vec!["verify", "-attime", &at, "-purpose", "smimesign", "-no-CAfile", "-no-CApath", "-no-CAstore", "-trusted", &root];
    if !chain.between.is_empty() {
        args.extend(["-untrusted", &pool]);
    }
    args.push(&leaf);
    let (code, _, talk) = support::run("openssl", &args, b"");
    if code == 0 {
        return Ok(());
    }
    // `error 24 at 1 depth lookup: invalid CA certificate`, or that a file cannot be read
    let error =
        talk.lines().find_map(|line| line.strip_prefix("error ").and_then(|rest| rest.split_once(": ")).map(|(_, why)| why));
    Err(error.unwrap_or("unreadable").to_owned())
}

/// What the three say of a chain.
struct Opinions {
    seed: u64,
    chain: Chain,
    ours: Said,
    certval: Said,
    openssl: Said,
}

fn opinions(count: u64) -> Vec<Opinions> {
    let keys = Keys::new();
    let next = Mutex::new(0..count);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let folder = tempfile::tempdir().unwrap();
                let mut environment = PkiEnvironment::new();
                environment.populate_5280_pki_environment();
                loop {
                    let Some(seed) = next.lock().unwrap().next() else { break };
                    let chain = draw::chain(seed, &keys);
                    let (ours, certval, openssl) = (ours(&chain), certval(&chain, &environment), openssl(&chain, folder.path()));
                    found.lock().unwrap().push(Opinions { seed, chain, ours, certval, openssl });
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn certval_and_openssl_say_the_same_of_chains_drawn_by_lot() {
    if !support::peer("openssl") {
        return;
    }
    let count = std::env::var("SEALPOST_CHAINS").ok().and_then(|count| count.parse().ok()).unwrap_or(400);
    let all = opinions(count);
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for one in &all {
        for (judge, said) in [("certval", &one.certval), ("openssl", &one.openssl)] {
            if said.is_ok() == one.ours.is_ok() {
                continue;
            }
            match why::reason(judge, said, one) {
                Some(reason) => *reasons.entry((judge, reason)).or_default() += 1,
                None => wrong.push(format!("{} {:?}: {judge} {said:?}, ours {:?}", one.seed, one.chain.broken, one.ours)),
            }
        }
    }
    let good = all.iter().filter(|one| one.ours.is_ok()).count();
    eprintln!("{count} chains by lot, {good} good");
    reasons.iter().for_each(|((judge, reason), count)| eprintln!("{count:6} otherwise by {judge}: {reason}"));
    assert!(wrong.is_empty(), "{} without a reason:\n{}", wrong.len(), wrong.join("\n"));
    assert!(good * 4 > all.len() && good * 4 < all.len() * 3, "{good} of {count} good: both kinds shall be many");
}
