//! Certificates and trust (RFC 5280, 8550); knows neither mail messages nor CMS.
//!
//! Uses: crypto, asn1. Never: messages, files, the network.
//! Holds always: signatures are checked over the bytes as received; a path is judged whole, with every reason; what a critical
//! extension means is known or the certificate is refused.

mod certificate;
pub mod crl;
mod distribution;
mod domain;
pub mod email;
mod error;
mod extension;
pub mod load;
mod name;
mod name_constraints;
pub mod ocsp;
mod path;
mod policy;
pub mod revocation;
mod trust;
mod validate;
mod verdict;
mod wanted;

pub use certificate::{Certificate, GeneralName};
pub use crl::Crl;
pub use error::Error;
pub use extension::{BasicConstraints, Extension, KeyUsage, Usage};
pub(crate) use name::hex;
pub use name::{Attribute, Name};
pub use name_constraints::forbidden_name;
pub use path::{Judgement, judge, judge_under};
pub use policy::{CertificatePolicy, PolicyInputs, PolicyQualifier};
pub use trust::TrustAnchors;
pub use validate::Purpose;
pub use verdict::{ChainStatus, ChainVerdict, Reason, ReasonCode, Rejected, Revocation, RevocationStatus, Weight};
pub use wanted::{Had, Inquiry, Wanted, What};
