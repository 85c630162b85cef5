//! One name with labels, and a number for each of their values.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Values of labels that are told apart: what a hostile peer or a scanner says must not grow the memory.
const VALUES: usize = 200;

/// Counters under one name.
#[derive(Debug)]
pub(in crate::server::metrics) struct Family {
    pub(in crate::server::metrics) name: &'static str,
    pub(in crate::server::metrics) help: &'static str,
    counts: Mutex<BTreeMap<Vec<(&'static str, String)>, u64>>,
}

impl Family {
    pub(in crate::server::metrics) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, counts: Mutex::new(BTreeMap::new()) }
    }

    /// Counts; what is over the bound counts as `other`.
    pub(in crate::server::metrics) fn count(&self, labels: &[(&'static str, &str)], by: u64) {
        if by == 0 {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key: Vec<_> = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if counts.len() >= VALUES && !counts.contains_key(&key) {
            key.iter_mut().for_each(|(_, value)| "other".clone_into(value));
        }
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(by);
    }

    /// Every counter.
    pub(in crate::server::metrics) fn all_counts(&self) -> Vec<(Vec<(&'static str, String)>, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(labels, count)| (labels.clone(), *count)).collect()
    }

    /// Those with this label together.
    pub(in crate::server::metrics) fn sum(&self, (name, value): (&str, &str)) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_one = |labels: &[(&'static str, String)]| labels.iter().any(|(known, of)| *known == name && of == value);
        counts.iter().filter(|(labels, _)| is_one(labels)).map(|(_, count)| *count).sum()
    }

    /// All together.
    pub(in crate::server::metrics) fn all(&self) -> u64 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_so_many_values_whoever_makes_them() {
        let family = Family::new("x_total", "X.");
        (0..1000).for_each(|code| family.count(&[("code", &format!("{code}"))], 1));
        assert_eq!(family.all_counts().len(), VALUES + 1);
        assert_eq!((family.sum(("code", "other")), family.sum(("code", "7")), family.all()), (800, 1, 1000));
    }
}
