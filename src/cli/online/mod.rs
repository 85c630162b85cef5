//! What verdicts lack, from the home's cache and, where the person says so, over the network.
//!
//! Uses: the verdicts' own words of what they lack (`pki::Wanted`), the home's cache, sockets. Nothing is asked without `--fetch`.
//! Holds always: whatever comes is judged like what is handed over, and becomes no anchor; the network is asked after a message was judged
//! whole, so that no ciphertext that somebody changed chooses who is asked – where it has no tag, what no signature covers chooses nobody; what cannot be had is told and stops nothing.

mod client;
mod search;

use std::cell::RefCell;
use std::time::Duration;

use clap::Args;

use sealpost::keys::cache::Cache;
use sealpost::limits::Budget;
use sealpost::pki::{Had, Inquiry};
use sealpost::smime::Finding;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::online::client::{Allowed, Client};
use crate::cli::online::search::Search;

/// Whether and how the network is asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct OnlineArgs {
    /// Get revocation lists, OCSP responses and missing issuers over HTTP from where certificates say that they are
    ///
    /// Whoever runs these servers learns that, when and from where somebody reads the message; of a chain that is not known yet the author
    /// of the message chose them, or somebody through whose hands it went: of what was encrypted without a tag (CBC) no missing issuer is
    /// asked for. What was got stays in the home's cache, which is used without this option, too.
    #[arg(long)]
    fetch: bool,
    /// With --fetch: ask servers at loopback, private and link-local addresses, too, as a CA inside of an organisation has
    #[arg(long, requires = "fetch")]
    fetch_private: bool,
    /// With --fetch: how long one answer may take; all together may take four times that
    #[arg(long, value_name = "SECONDS", requires = "fetch", default_value = "15", value_parser = clap::value_parser!(u64).range(1..=600))]
    fetch_timeout: u64,
}

/// What was got, and what is to be said of it.
#[derive(Debug, Default)]
pub(crate) struct Got {
    /// What was got.
    pub(crate) had: Had,
    /// What came from where, and what could not be had.
    pub(crate) findings: Vec<Finding>,
}

impl Got {
    /// Whether there is something that was not at hand before.
    pub(crate) fn is_something(&self) -> bool {
        !(self.had.issuers.is_empty() && self.had.lists.is_empty() && self.had.responses.is_empty())
    }
}

impl OnlineArgs {
    /// Gets what these questions lack, until nothing more is wanted or there is no more to get.
    pub(crate) fn complete(&self, context: &Context, inquiries: &[Inquiry]) -> Result<Got, Failure> {
        let checks = RefCell::new(Budget::new("question checks", context.limits.question_checks));
        self.complete_within(context, inquiries, &checks)
    }

    /// The same, where other judgements take from the same bound.
    pub(crate) fn complete_within(
        &self,
        context: &Context,
        inquiries: &[Inquiry],
        checks: &RefCell<Budget>,
    ) -> Result<Got, Failure> {
        if inquiries.is_empty() {
            return Ok(Got::default());
        }
        if !self.may_know_more(context)? {
            return Ok(Got::default());
        }
        let cache = self.cache(context)?;
        let allowed = if self.fetch_private { Allowed::Inside } else { Allowed::Public };
        let client = self.fetch.then(|| Client::new(allowed, Duration::from_secs(self.fetch_timeout), &context.limits));
        Ok(Search::new(context, cache, client, checks).run(inquiries))
    }

    /// Whether there is something to look in, or somebody to ask.
    pub(crate) fn may_know_more(&self, context: &Context) -> Result<bool, Failure> {
        Ok(self.fetch || context.existing_home()?.is_some_and(|home| home.cache().exists()))
    }

    fn cache(&self, context: &Context) -> Result<Option<Cache>, Failure> {
        let home = if self.fetch { Some(context.open_home()?) } else { context.existing_home()? };
        Ok(home.map(|home| home.cache()))
    }
}
