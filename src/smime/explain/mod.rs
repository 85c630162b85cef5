//! `explain`: why a message is not valid or not readable, what changed on the way, and the command that helps.
//!
//! Uses: what `open` uses. Never: content; what is undone to find a change is compared with the signed digest and thrown away.
//! Holds always: the verdict is that of `open`; an explanation never makes it better.

mod additions;
mod blanks;
mod encoding;
mod fields;
mod lines;
mod oracle;
mod readers;
mod search;
mod words;

use crate::crypto::random::Random;
use crate::mime::{self, canonical};
use crate::smime::finding::{Code, Severity};
use crate::smime::layer::{Form, Kind, form, kind};
use crate::smime::open::{Open, Opened};
use crate::smime::verdict::Verdict;

/// What a relay did to signed bytes. The word of each (`name()`) is stable: programs may match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Line ends are others.
    LineEnds,
    /// Blanks at the ends of lines were stripped or added.
    TrailingBlanks,
    /// Line breaks at the end were added or taken away.
    FinalLineBreak,
    /// `From ` at the start of a line was quoted.
    FromQuoting,
    /// Dots at the start of lines were doubled or taken away.
    Dots,
    /// Long lines were broken.
    LongLines,
    /// Lines were added: a footer, a banner.
    LinesAdded,
    /// A part was added.
    PartAdded,
    /// A header field of a part was added.
    FieldAdded,
    /// A header field of a part was taken away.
    FieldRemoved,
    /// Header fields of a part stand in another order.
    FieldOrder,
    /// Header fields are folded otherwise.
    FieldFolding,
    /// Header fields are written otherwise: case, quotes, blanks.
    FieldSpelling,
    /// A part was encoded anew.
    TransferEncoding,
    /// A part is in another charset.
    Charset,
}

impl Change {
    /// Every change, in the order of the documentation.
    pub const fn all() -> &'static [Self] {
        &[
            Self::LineEnds,
            Self::TrailingBlanks,
            Self::FinalLineBreak,
            Self::FromQuoting,
            Self::Dots,
            Self::LongLines,
            Self::LinesAdded,
            Self::PartAdded,
            Self::FieldAdded,
            Self::FieldRemoved,
            Self::FieldOrder,
            Self::FieldFolding,
            Self::FieldSpelling,
            Self::TransferEncoding,
            Self::Charset,
        ]
    }

    /// The stable word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LineEnds => "line-ends",
            Self::TrailingBlanks => "trailing-blanks",
            Self::FinalLineBreak => "final-line-break",
            Self::FromQuoting => "from-quoting",
            Self::Dots => "dots",
            Self::LongLines => "long-lines",
            Self::LinesAdded => "lines-added",
            Self::PartAdded => "part-added",
            Self::FieldAdded => "field-added",
            Self::FieldRemoved => "field-removed",
            Self::FieldOrder => "field-order",
            Self::FieldFolding => "field-folding",
            Self::FieldSpelling => "field-spelling",
            Self::TransferEncoding => "transfer-encoding",
            Self::Charset => "charset",
        }
    }
}

/// One thing worth knowing about a message that is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The finding that it explains.
    pub finding: Code,
    /// What was done on the way, where that is known.
    pub change: Option<Change>,
    /// Where, as `part 1.2`.
    pub place: Option<String>,
    /// In words.
    pub text: String,
    /// A command that helps, if there is one.
    pub fix: Option<String>,
}

/// A verdict and its explanations. It holds no content.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The verdict of `open`.
    pub verdict: Verdict,
    /// What explains its findings.
    pub explanations: Vec<Explanation>,
}

impl Open<'_> {
    /// Opens a message and explains what is found.
    ///
    /// Where signed content was changed, what relays do is undone, alone and in most pairs, until the digest is the signed one; the
    /// work is bounded (`docs/findings.md` says what is not tried), and messages over 64 MiB are not tried. The verdict stays what it is.
    ///
    /// ```
    /// # use sealpost::{pki::TrustAnchors, smime::{Code, Open, Trust}, time::Timestamp, crypto::random::OsRandom};
    /// let trust = Trust::new(TrustAnchors::new(), Timestamp::from_unix(0));
    /// let explained = Open::new(&trust).explain(b"From: jane@a.example\r\n\r\nhello\r\n", &mut OsRandom);
    /// assert_eq!(explained.explanations[0].finding, Code::NotSigned);
    /// ```
    pub fn explain(&self, message: &[u8], random: &mut dyn Random) -> Explained {
        let opened = self.run(message, random);
        let signed = if opened.verdict().has_error(Code::ContentChanged) || opened.verdict().has_error(Code::SignatureInvalid) {
            self.clear_signed_part(message)
        } else {
            None
        };
        self.explained(&opened, signed)
    }

    /// Checks a detached signature over a file, and explains what is found.
    pub fn explain_detached(&self, content: &[u8], signature: &[u8]) -> Explained {
        let opened = self.verify_detached(content, signature);
        let is_bad = opened.verdict().has_error(Code::ContentChanged) || opened.verdict().has_error(Code::SignatureInvalid);
        let signed =
            is_bad.then(|| Signed { received: content.to_vec(), signature: signature.to_vec(), place: "the file".to_owned() });
        self.explained(&opened, signed)
    }

    fn explained(&self, opened: &Opened, signed: Option<Signed>) -> Explained {
        let verdict = opened.verdict().clone();
        let mut explanations: Vec<Explanation> = Vec::new();
        for finding in verdict.findings.iter().filter(|finding| finding.severity != Severity::Info) {
            let known = explanations.iter().any(|explanation| explanation.finding == finding.code);
            if !known || finding.severity == Severity::Error {
                explanations.push(words::of(finding, &verdict));
            }
        }
        if verdict.has_error(Code::NoKey) || verdict.has_error(Code::DecryptionFailed) {
            explanations.extend(readers::explain(self, &verdict));
        }
        if let Some(signed) = signed {
            explanations.extend(self.changes(&signed));
        }
        Explained { verdict, explanations }
    }

    /// The first multipart/signed of a message, as `open` takes it.
    fn clear_signed_part(&self, message: &[u8]) -> Option<Signed> {
        if form(message) != Form::Message {
            return None;
        }
        let root = mime::parse(message, &self.limits).ok()?;
        let first = root.walk().into_iter().find(|entity| kind(entity, message).is_some())?;
        let [content, signature, ..] = first.children() else { return None };
        if kind(first, message) != Some(Kind::ClearSigned) {
            return None;
        }
        Some(Signed {
            received: content.bytes(message).to_vec(),
            signature: signature.decoded_body(message),
            place: format!("part {}", content.path()),
        })
    }

    /// What was done to signed bytes on the way.
    fn changes(&self, signed: &Signed) -> Vec<Explanation> {
        let unexplained = |text: String| {
            vec![Explanation { finding: Code::ContentChanged, change: None, place: Some(signed.place.clone()), text, fix: None }]
        };
        if signed.received.len() > LARGEST {
            return unexplained(format!("what was done on the way is looked for in content of at most {} MiB", LARGEST >> 20));
        }
        let Some(oracle) = oracle::Oracle::of(self, signed) else { return Vec::new() };
        let received = canonical::to_crlf(&signed.received);
        let steps = match search::search(&received, &signed.received, &oracle, &signed.place, &self.limits) {
            search::Outcome::Found(steps) => steps,
            search::Outcome::Nothing => {
                return unexplained(
                    "no change that relays usually make explains it – take the words themselves for changed until the sender says otherwise"
                        .to_owned(),
                );
            }
            search::Outcome::GaveUp => {
                return unexplained("no change that relays usually make was found within the bounds of the search".to_owned());
            }
        };
        let mut explanations: Vec<Explanation> = steps
            .into_iter()
            .map(|step| Explanation {
                finding: Code::ContentChanged,
                change: Some(step.change),
                place: Some(step.place),
                text: step.text,
                fix: None,
            })
            .collect();
        explanations.push(Explanation {
            finding: Code::ContentChanged,
            change: None,
            place: Some(signed.place.clone()),
            text: "with this undone the signature fits: the rest is what the signer wrote. The message stays invalid, for what is at hand is not what \
                   was signed; ask the sender to send it again, signed in the opaque form, which relays leave alone"
                .to_owned(),
            fix: Some("sealpost sign --opaque MSG".to_owned()),
        });
        explanations
    }
}

/// Signed bytes as they came, and the signature beside them.
struct Signed {
    received: Vec<u8>,
    signature: Vec<u8>,
    place: String,
}

/// 64 MiB: what is undone is held in memory, several times over.
const LARGEST: usize = 64 << 20;
