//! The policies that stand at each certificate of a path, as a graph (RFC 9618 3).
//!
//! RFC 5280 makes a tree of them: a policy stands in it once for each way that leads to it, and the ways may double with each
//! certificate. Here it stands once at each depth, with all its parents, so that there are no more edges than names in the
//! certificates; each is spent from a budget all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::asn1::{Oid, oid};
use crate::limits::{Budget, LimitReached};
use crate::pki::policy::extensions::{CertificatePolicy, Mapping, PolicyQualifier};

/// The graph; its last depth is that of the certificate that was processed last.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    depths: Vec<Depth>,
}

/// The nodes of one depth by their `valid_policy`.
type Depth = BTreeMap<Oid, Node>;

#[derive(Debug, Clone, Default)]
struct Node {
    /// `valid_policy` of the nodes above it; none at depth 0.
    parents: Vec<Oid>,
    /// What the certificate below may call it.
    expected: BTreeSet<Oid>,
    /// Shared: those of "any" go with all that it stands for.
    qualifiers: Arc<[PolicyQualifier]>,
}

impl Graph {
    /// RFC 5280 6.1.2 (a): any policy, at depth 0.
    pub(super) fn new() -> Self {
        let root = Node { expected: BTreeSet::from([oid::ANY_POLICY]), ..Node::default() };
        Self { depths: vec![Depth::from([(oid::ANY_POLICY, root)])] }
    }

    /// RFC 5280 6.1.3 (d): a depth more, of what the certificate names; false where nothing is left.
    pub(super) fn add(
        &mut self,
        named: &[CertificatePolicy],
        takes_any: bool,
        budget: &mut Budget,
    ) -> Result<bool, LimitReached> {
        let above = self.depths.last().cloned().unwrap_or_default();
        let mut expected_by: BTreeMap<Oid, Vec<Oid>> = BTreeMap::new();
        for (policy, node) in &above {
            budget.spend(node.expected.len())?;
            node.expected.iter().for_each(|expected| expected_by.entry(*expected).or_default().push(*policy));
        }
        let mut depth = Depth::new();
        // (1): policies that those above expect, else those that stand below "any"
        for policy in named.iter().filter(|policy| policy.oid != oid::ANY_POLICY) {
            budget.spend(1_u64)?;
            let parents = match expected_by.get(&policy.oid) {
                Some(parents) => parents.clone(),
                None if above.contains_key(&oid::ANY_POLICY) => vec![oid::ANY_POLICY],
                None => continue,
            };
            depth.insert(policy.oid, Node::new(policy.oid, parents, policy.qualifiers.as_slice().into()));
        }
        // (2): "any" stands for all that are expected and have not been named
        if let Some(any) = named.iter().find(|policy| policy.oid == oid::ANY_POLICY && takes_any) {
            let qualifiers: Arc<[PolicyQualifier]> = any.qualifiers.as_slice().into();
            for (expected, parents) in expected_by {
                budget.spend(1_u64)?;
                depth.entry(expected).or_insert_with(|| Node::new(expected, parents, Arc::clone(&qualifiers)));
            }
        }
        self.depths.push(depth);
        Ok(self.prune())
    }

    /// RFC 5280 6.1.4 (b) (1): the certificate below calls these policies otherwise.
    pub(super) fn map(
        &mut self,
        mappings: &[Mapping],
        any: Vec<PolicyQualifier>,
        budget: &mut Budget,
    ) -> Result<(), LimitReached> {
        let Some(depth) = self.depths.last_mut() else { return Ok(()) };
        let mut subjects: BTreeMap<Oid, BTreeSet<Oid>> = BTreeMap::new();
        for mapping in mappings {
            budget.spend(1_u64)?;
            subjects.entry(mapping.issuer).or_default().insert(mapping.subject);
        }
        let qualifiers: Arc<[PolicyQualifier]> = any.into();
        let has_any = depth.contains_key(&oid::ANY_POLICY);
        for (issuer, expected) in subjects {
            if let Some(node) = depth.get_mut(&issuer) {
                node.expected = expected;
            } else if has_any {
                let node = Node { parents: vec![oid::ANY_POLICY], expected, qualifiers: Arc::clone(&qualifiers) };
                depth.insert(issuer, node);
            }
        }
        Ok(())
    }

    /// RFC 5280 6.1.4 (b) (2): policies that may no longer be mapped end here; false where nothing is left.
    pub(super) fn remove(&mut self, mappings: &[Mapping]) -> bool {
        if let Some(depth) = self.depths.last_mut() {
            mappings.iter().for_each(|mapping| drop(depth.remove(&mapping.issuer)));
        }
        self.prune()
    }

    /// Takes away what nothing stands below any more, upwards (RFC 5280 6.1.3 (d) (3)); false where nothing is left.
    fn prune(&mut self) -> bool {
        let mut below = self.depths.iter_mut().rev();
        let Some(mut lower) = below.next() else { return false };
        for upper in below {
            let named: BTreeSet<Oid> = lower.values().flat_map(|node| node.parents.iter().copied()).collect();
            let before = upper.len();
            upper.retain(|policy, _| named.contains(policy));
            // what lost nothing takes nothing away above it
            if upper.len() == before {
                break;
            }
            lower = upper;
        }
        self.depths.last().is_some_and(|depth| !depth.is_empty())
    }

    /// RFC 9618 5.5, 6.1.5 (g) (2) to (4): the policies as the anchor calls them, each with the qualifiers of its node, of those
    /// above, and of those below.
    pub(super) fn authority_constrained(&self, budget: &mut Budget) -> Result<Vec<CertificatePolicy>, LimitReached> {
        let mut found = Vec::new();
        for (at, depth) in self.depths.iter().enumerate().skip(1) {
            for (policy, node) in depth {
                budget.spend(1_u64)?;
                if *policy != oid::ANY_POLICY && node.parents == [oid::ANY_POLICY] {
                    found.push(CertificatePolicy { oid: *policy, qualifiers: self.qualifiers(at, *policy, budget)? });
                }
            }
        }
        let last = self.depths.len().saturating_sub(1);
        if self.depths.last().is_some_and(|depth| depth.contains_key(&oid::ANY_POLICY)) {
            found.push(CertificatePolicy { oid: oid::ANY_POLICY, qualifiers: self.qualifiers(last, oid::ANY_POLICY, budget)? });
        }
        Ok(found)
    }

    /// The qualifiers of a node, of "any" above it, and of all that stands below it.
    fn qualifiers(&self, at: usize, policy: Oid, budget: &mut Budget) -> Result<Vec<PolicyQualifier>, LimitReached> {
        let mut found = Vec::new();
        for depth in self.depths.get(..at).unwrap_or_default() {
            if let Some(node) = depth.get(&oid::ANY_POLICY) {
                collect(&mut found, &node.qualifiers, budget)?;
            }
        }
        let mut here = BTreeSet::from([policy]);
        for (down, depth) in self.depths.iter().skip(at).enumerate() {
            if down > 0 {
                budget.spend(depth.values().map(|node| node.parents.len()).sum::<usize>())?;
                let is_below = |node: &Node| node.parents.iter().any(|parent| here.contains(parent));
                here = depth.iter().filter(|(_, node)| is_below(node)).map(|(policy, _)| *policy).collect();
            }
            for node in here.iter().filter_map(|policy| depth.get(policy)) {
                collect(&mut found, &node.qualifiers, budget)?;
            }
        }
        Ok(found)
    }
}

impl Node {
    fn new(policy: Oid, parents: Vec<Oid>, qualifiers: Arc<[PolicyQualifier]>) -> Self {
        Self { parents, expected: BTreeSet::from([policy]), qualifiers }
    }
}

/// Adds those that are not there; text counts by the name of a policy, which has some 32 bytes.
fn collect(found: &mut Vec<PolicyQualifier>, more: &[PolicyQualifier], budget: &mut Budget) -> Result<(), LimitReached> {
    for qualifier in more {
        budget.spend(found.len().saturating_add(qualifier.len() / 32).saturating_add(1))?;
        if !found.contains(qualifier) {
            found.push(qualifier.clone());
        }
    }
    Ok(())
}
