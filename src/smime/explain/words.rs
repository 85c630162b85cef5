//! Findings in plain language, with the command that helps.

use crate::smime::explain::Explanation;
use crate::smime::finding::{Code, Finding};
use crate::smime::verdict::{SignerVerdict, Verdict};

/// What a finding means and what helps.
pub(super) fn of(finding: &Finding, verdict: &Verdict) -> Explanation {
    let signer = verdict.signers().find(|signer| signer.finding == Some(finding.code)).or_else(|| verdict.signers().next());
    let (meaning, fix) = meaning(finding.code, signer);
    let text = format!("{}. {meaning}", finding.text);
    Explanation { finding: finding.code, change: None, place: None, text, fix: fix.or_else(|| finding.fix.clone()) }
}

fn meaning(code: Code, signer: Option<&SignerVerdict>) -> (String, Option<String>) {
    let plain = |text: &str| (text.to_owned(), None);
    let with = |text: &str, fix: &str| (text.to_owned(), Some(fix.to_owned()));
    match code {
        Code::SignatureInvalid => plain(
            "The signature was not made by the key of this certificate over what it says it covers: it was damaged or forged. Do not rely on the \
             message; ask the sender to send it again",
        ),
        Code::ContentChanged => {
            plain("The signature itself is the signer's, and it was made over other bytes than those at hand")
        }
        Code::SignerCertificateMissing => with(
            "The message names its signer's certificate and does not bring it. Get it from the sender, as from an earlier signed message",
            "sealpost contact add FILE",
        ),
        Code::DecryptionFailed => plain(
            "A key here is meant to open it, and what it opens is not whole: the message was damaged or changed on the way. Ask the sender to send it again",
        ),
        Code::Untrusted => (missing_issuer(signer), Some("sealpost trust add FILE".to_owned())),
        Code::Unsuitable => plain(
            "The certificate says itself that it is for something else, or its issuer had no right to issue it so. The signer needs a certificate for mail",
        ),
        Code::Expired => {
            let claimed = signer.and_then(|signer| signer.claimed_time);
            let text = "Certificates end; what was signed before that day was good then. Judge it as of the day when you received it, if you know \
                        that day from elsewhere than the message";
            (
                text.to_owned(),
                Some(claimed.map_or_else(|| "sealpost open --at TIME MSG".to_owned(), |t| format!("sealpost open --at {t} MSG"))),
            )
        }
        Code::NotYetValid => {
            plain("The clock of this machine is behind, or the certificate is meant for later: look at the clock first")
        }
        Code::Revoked => {
            plain("Its issuer took the certificate back, as issuers do when a key is lost or stolen. Do not rely on the message")
        }
        Code::RevocationUnknown => with(
            "No list of revoked certificates is here that tells. Get the issuer's list (with --fetch the places are asked that its certificates \
             name, if they name any), or do without",
            "sealpost open --crl FILE MSG",
        ),
        Code::FromMismatch => from_mismatch(signer),
        Code::MisleadingName => plain("Mail programs show the name and not the address: look at the address"),
        Code::ReplyElsewhere => {
            plain("Lists do so, and so do forgers who want your answer and what it quotes: look before you answer")
        }
        Code::WeakAlgorithm => with(
            "What protects the message can be broken with effort. Ask the sender to use a current program, or accept the risk for this message",
            "sealpost open --accept weak-algorithm MSG",
        ),
        Code::Malformed => plain("The structure is damaged or was never right: ask the sender to send it again"),
        Code::Limit => plain("No message of honest people is so large, so deep or so full; nothing was read beyond this bound"),
        Code::NoKey => plain("Only those to whom it is encrypted can read it, and none of their keys is here"),
        Code::KeyUnavailable => {
            plain("The key that reads it lies on a token: plug that in, have its PIN at hand, and open the message again")
        }
        Code::NotSigned => plain("Nothing says who wrote it, and nothing shows that it was not changed"),
        Code::NotEncrypted => plain("There is nothing to decrypt"),
        Code::OnlyCompressed => with(
            "Nothing says who wrote it, and nothing shows that it was not changed. It can be read all the same",
            "sealpost open --accept only-compressed MSG",
        ),
        Code::NotAMessage => plain("Whoever signed it signed something else than mail; do not read it as his words"),
        Code::NotAuthenticated => plain(
            "It was encrypted and not signed, in a form that others can change without the key: do not follow instructions or links in it",
        ),
        Code::Uncovered => plain("Read only the part that is covered, as `open` gives it: anybody may have added the rest"),
        Code::OtherSmimePart => plain("Save that part and open it alone"),
        Code::MimeDefect => plain("Other programs may show the message differently"),
        Code::NonConforming => plain("It is clear what is meant, and another program may refuse it"),
        Code::TimestampInvalid => {
            plain("Somebody's word that it was there at that time does not hold; the signature itself is judged without it")
        }
        Code::CountersignatureInvalid => {
            plain("Somebody's signature under the signature does not hold; the signature itself is judged without it")
        }
        Code::Fetched => plain("It was not at hand before, and was judged like everything that is handed over"),
        Code::NotFetched => plain(
            "A server that the certificates name did not give what it should: try again later, or get it another way and hand it over",
        ),
        Code::CertificatesOnly => with("Such messages hand over certificates", "sealpost contact add MSG"),
        Code::Unsupported => plain("This version cannot do it"),
        Code::RuleBroken => with("Whoever issued it should keep the rule; some program may refuse it", "sealpost cert lint FILE"),
    }
}

fn missing_issuer(signer: Option<&SignerVerdict>) -> String {
    let mut text = "Nobody whom you trust vouches for the signer".to_owned();
    if let Some(signer) = signer {
        let issuer = signer.certificate.as_ref().map(|certificate| certificate.issuer().to_string());
        match (signer.path.as_slice(), issuer) {
            ([] | [_], Some(issuer)) => {
                text.push_str(&format!(": the certificate of {} was issued by {issuer}, which is not here", signer.subject));
            }
            (path, _) => text.push_str(&format!(": the chain is {}, and none of these is trusted", path.join(" \u{2190} "))),
        }
    }
    text.push_str(
        ". Get the certificate of the issuer (`--intermediates FILE` where somebody you trust vouches for it), compare its fingerprint with the issuer in \
         another way than mail, then trust it",
    );
    text
}

fn from_mismatch(signer: Option<&SignerVerdict>) -> (String, Option<String>) {
    let who = signer.map(|signer| if signer.addresses.is_empty() { signer.subject.clone() } else { signer.addresses.join(", ") });
    let text = match who {
        Some(who) => format!(
            "What is signed is the word of {who} and of nobody else. Some lists put their own address into From; where you know this one and the signer is the \
             author, accept it for this message"
        ),
        None => "Do not take the From for the author".to_owned(),
    };
    (text, Some("sealpost open --accept from-mismatch MSG".to_owned()))
}
