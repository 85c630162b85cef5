//! Certificate policies along a path (RFC 5280 6.1, with the graph of RFC 9618).
//!
//! Uses: asn1, certificates as values. Holds always: what cannot be read refuses the path and widens nothing; the work grows with the
//! bytes of the certificates, never with the ways through them.

mod extensions;
mod graph;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::extensions::{CertificatePolicy, PolicyQualifier};
pub(in crate::pki) use self::extensions::{is_readable, policies};
use self::graph::Graph;
use crate::asn1::{Oid, oid};
use crate::limits::{Budget, LimitReached};
use crate::pki::{Certificate, Reason, ReasonCode};

/// What whoever relies on a path asks of its policies (RFC 5280 6.1.1 (c), (e), (f), (g)).
///
/// Nothing is asked by default: every policy is welcome, and none is needed unless an authority of the path demands one.
///
/// ```
/// use sealpost::asn1::Oid;
/// use sealpost::pki::PolicyInputs;
/// let high = Oid::from_dotted("2.16.840.1.101.3.2.1.48.1").expect("an identifier");
/// let inputs = PolicyInputs::new().accept(high).require_explicit();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyInputs {
    /// Empty: any policy.
    accepted: BTreeSet<Oid>,
    is_explicit: bool,
    inhibits_mapping: bool,
    inhibits_any: bool,
}

impl PolicyInputs {
    /// Asks nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Welcomes this policy, as the anchor calls it; the first one excludes all others. (user-initial-policy-set)
    #[must_use]
    pub fn accept(mut self, policy: Oid) -> Self {
        self.accepted.insert(policy);
        self
    }

    /// Refuses a path without a policy that is welcome. (initial-explicit-policy)
    #[must_use]
    pub fn require_explicit(mut self) -> Self {
        self.is_explicit = true;
        self
    }

    /// Lets no authority call a policy by another name. (initial-policy-mapping-inhibit)
    #[must_use]
    pub fn inhibit_mapping(mut self) -> Self {
        self.inhibits_mapping = true;
        self
    }

    /// Takes "any policy" in certificates for no policy. (initial-any-policy-inhibit)
    #[must_use]
    pub fn inhibit_any(mut self) -> Self {
        self.inhibits_any = true;
        self
    }

    fn welcomes_any(&self) -> bool {
        self.accepted.is_empty() || self.accepted.contains(&oid::ANY_POLICY)
    }
}

/// The state variables of RFC 5280 6.1.2 that are about policies.
#[derive(Debug)]
pub(in crate::pki) struct PolicyState<'a> {
    inputs: &'a PolicyInputs,
    /// `valid_policy_graph`; none where no policy is left.
    graph: Option<Graph>,
    explicit_policy: u64,
    policy_mapping: u64,
    inhibit_any: u64,
    /// Who demands a policy.
    demanded_by: String,
    /// The certificate after which none was left.
    lost_at: Option<String>,
    budget: Budget,
    /// What is refused once is not refused again further down.
    is_refused: bool,
}

impl<'a> PolicyState<'a> {
    /// 6.1.2: for a path of this many certificates below its anchor.
    pub(in crate::pki) fn new(inputs: &'a PolicyInputs, certificates: usize, most: usize) -> Self {
        let unlimited = u64::try_from(certificates).unwrap_or(u64::MAX).saturating_add(1);
        let unless = |is_asked: bool| if is_asked { 0 } else { unlimited };
        Self {
            inputs,
            graph: Some(Graph::new()),
            explicit_policy: unless(inputs.is_explicit),
            policy_mapping: unless(inputs.inhibits_mapping),
            inhibit_any: unless(inputs.inhibits_any),
            demanded_by: "the verifier".to_owned(),
            lost_at: None,
            budget: Budget::new("policy checks", most),
            is_refused: false,
        }
    }

    /// The anchor's demands on those below bind (RFC 5937 3.2), as its other constraints do; which policies it names for itself does not.
    pub(in crate::pki) fn take_anchor(&mut self, anchor: &Certificate) {
        self.take_constraints(anchor);
    }

    /// 6.1.3 (d) to (f); `is_last` for the certificate that is judged.
    pub(in crate::pki) fn basic_processing(&mut self, certificate: &Certificate, is_last: bool) -> Option<Reason> {
        let named = extensions::read(certificate, &oid::CERTIFICATE_POLICIES, policies);
        let takes_any = self.inhibit_any > 0 || (!is_last && certificate.is_self_issued());
        let stands = match (self.graph.as_mut(), named) {
            (Some(graph), Some(named)) => match graph.add(&named, takes_any, &mut self.budget) {
                Ok(stands) => stands,
                Err(limit) => return self.limit(&limit),
            },
            (None, _) | (_, None) => false,
        };
        if !stands {
            self.lose(certificate);
        }
        self.demand(certificate)
    }

    /// 6.1.4 (a), (b), (h) to (j).
    pub(in crate::pki) fn prepare_for_next(&mut self, certificate: &Certificate) -> Option<Reason> {
        let mappings = extensions::read(certificate, &oid::POLICY_MAPPINGS, extensions::mappings).unwrap_or_default();
        if mappings.iter().any(|mapping| mapping.issuer == oid::ANY_POLICY || mapping.subject == oid::ANY_POLICY) {
            return self.refuse(format!("certificate of {certificate} maps from or to any policy, which none may"));
        }
        if let Some(graph) = self.graph.as_mut().filter(|_| !mappings.is_empty()) {
            if self.policy_mapping > 0 {
                let named = extensions::read(certificate, &oid::CERTIFICATE_POLICIES, policies).unwrap_or_default();
                let any = named.into_iter().find(|policy| policy.oid == oid::ANY_POLICY).map(|policy| policy.qualifiers);
                if let Err(limit) = graph.map(&mappings, any.unwrap_or_default(), &mut self.budget) {
                    return self.limit(&limit);
                }
            } else if !graph.remove(&mappings) {
                self.lose(certificate);
            }
        }
        if !certificate.is_self_issued() {
            self.explicit_policy = self.explicit_policy.saturating_sub(1);
            self.policy_mapping = self.policy_mapping.saturating_sub(1);
            self.inhibit_any = self.inhibit_any.saturating_sub(1);
        }
        self.take_constraints(certificate);
        None
    }

    /// 6.1.4 (i), (j).
    fn take_constraints(&mut self, certificate: &Certificate) {
        let constraints = extensions::read(certificate, &oid::POLICY_CONSTRAINTS, extensions::constraints).unwrap_or_default();
        if let Some(skip) = constraints.require_explicit
            && skip < self.explicit_policy
        {
            self.explicit_policy = skip;
            self.demanded_by = certificate.to_string();
        }
        self.policy_mapping = constraints.inhibit_mapping.map_or(self.policy_mapping, |skip| skip.min(self.policy_mapping));
        let skip = extensions::read(certificate, &oid::INHIBIT_ANY_POLICY, extensions::inhibit_any);
        self.inhibit_any = skip.map_or(self.inhibit_any, |skip| skip.min(self.inhibit_any));
    }

    /// 6.1.5 (a), (b), (g): the policies that are valid for whoever asks, or why there is none where one is demanded.
    pub(in crate::pki) fn wrap_up(&mut self, last: &Certificate) -> Result<Vec<CertificatePolicy>, Option<Reason>> {
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        let constraints = extensions::read(last, &oid::POLICY_CONSTRAINTS, extensions::constraints).unwrap_or_default();
        if constraints.require_explicit == Some(0) && self.explicit_policy > 0 {
            self.explicit_policy = 0;
            self.demanded_by = last.to_string();
        }
        let by_authority = match self.graph.as_ref().map(|graph| graph.authority_constrained(&mut self.budget)) {
            Some(Ok(policies)) => policies,
            Some(Err(limit)) => return Err(self.limit(&limit)),
            None => Vec::new(),
        };
        let for_user = self.user_constrained(&by_authority);
        if self.explicit_policy > 0 || !for_user.is_empty() {
            return Ok(for_user);
        }
        if by_authority.is_empty() {
            return Err(self.demand(last));
        }
        let names = |oids: &mut dyn Iterator<Item = &Oid>| oids.map(Oid::to_string).collect::<Vec<_>>().join(", ");
        let valid = names(&mut by_authority.iter().map(|policy| &policy.oid));
        let welcome = names(&mut self.inputs.accepted.iter());
        Err(self.refuse(format!(
            "certificate of {last} stands under the policies {valid} – {} demands one of {welcome}",
            self.demanded_by
        )))
    }

    /// RFC 9618 5.5, 6.1.5 (g) (5), (6).
    fn user_constrained(&self, by_authority: &[CertificatePolicy]) -> Vec<CertificatePolicy> {
        if self.inputs.welcomes_any() {
            return by_authority.to_vec();
        }
        let mut found: Vec<CertificatePolicy> =
            by_authority.iter().filter(|policy| self.inputs.accepted.contains(&policy.oid)).cloned().collect();
        if let Some(any) = by_authority.iter().find(|policy| policy.oid == oid::ANY_POLICY) {
            let missing = self.inputs.accepted.iter().filter(|oid| !by_authority.iter().any(|policy| policy.oid == **oid));
            found.extend(missing.map(|oid| CertificatePolicy { oid: *oid, qualifiers: any.qualifiers.clone() }));
        }
        found
    }

    fn lose(&mut self, certificate: &Certificate) {
        self.graph = None;
        self.lost_at.get_or_insert_with(|| certificate.to_string());
    }

    /// 6.1.3 (f): a policy is left, or none is demanded.
    fn demand(&mut self, certificate: &Certificate) -> Option<Reason> {
        if self.explicit_policy > 0 || self.graph.is_some() {
            return None;
        }
        let lost_at = self.lost_at.clone().unwrap_or_else(|| certificate.to_string());
        self.refuse(format!("no certificate policy holds from the anchor down to {lost_at} – {} demands one", self.demanded_by))
    }

    fn refuse(&mut self, text: String) -> Option<Reason> {
        self.once(ReasonCode::Policy, text)
    }

    fn limit(&mut self, limit: &LimitReached) -> Option<Reason> {
        self.graph = None;
        self.once(ReasonCode::Limit, limit.to_string())
    }

    fn once(&mut self, code: ReasonCode, text: String) -> Option<Reason> {
        let is_first = !std::mem::replace(&mut self.is_refused, true);
        is_first.then(|| Reason::error(code, text))
    }
}
