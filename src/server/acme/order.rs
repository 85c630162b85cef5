//! One order, from the account to the certificate.

use std::path::Path;
use std::time::Duration;

use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};

use crate::keys::files;
use crate::secret::Secret;
use crate::server::acme::answer::Challenges;
use crate::server::config::Acme;

/// How long the authority is waited for at each step.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// A chain (PEM) and its key (PEM): another key each time.
pub(super) async fn certificate(acme: &Acme, data: &Path, challenges: &Challenges) -> Result<(String, Secret<Vec<u8>>), String> {
    let account = account(acme, data).await?;
    let names: Vec<Identifier> = acme.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(told)?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(told)?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => continue,
            other => return Err(format!("the authorization of a name is {other:?}")),
        }
        let challenge = authorization.challenge(ChallengeType::Http01);
        let mut challenge = challenge.ok_or("the authority has no challenge over HTTP (http-01)")?;
        challenges.put(challenge.token.clone(), challenge.key_authorization().as_str().to_owned());
        challenge.set_ready().await.map_err(told)?;
    }
    match order.poll_ready(&PATIENCE).await.map_err(told)? {
        OrderStatus::Ready => {}
        other => {
            let why = why(&mut order).await;
            return Err(format!("the order is {other:?} – {why}"));
        }
    }
    let key = Secret::new(order.finalize().await.map_err(told)?.into_bytes());
    let chain = order.poll_certificate(&PATIENCE).await.map_err(told)?;
    Ok((chain, key))
}

/// The account that was kept; else a new one, which is kept before it is used.
async fn account(acme: &Acme, data: &Path) -> Result<Account, String> {
    let path = Acme::account(data);
    if path.exists() {
        let bytes = Secret::new(std::fs::read(&path).map_err(|error| format!("{} – {error}", path.display()))?);
        let read: AccountCredentials =
            serde_json::from_slice(bytes.expose()).map_err(|error| format!("{} holds no account – {error}", path.display()))?;
        return builder(acme)?.from_credentials(read).await.map_err(told);
    }
    let contact: Vec<&str> = Some(acme.contact.as_str()).filter(|contact| !contact.is_empty()).into_iter().collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder(acme)?.create(&new, acme.directory.clone(), None).await.map_err(told)?;
    let bytes = Secret::new(serde_json::to_vec(&credentials).map_err(|error| error.to_string())?);
    files::write(&path, bytes.expose()).map_err(|error| error.to_string())?;
    Ok(account)
}

fn builder(acme: &Acme) -> Result<AccountBuilder, String> {
    match &acme.trust {
        Some(root) => Account::builder_with_root(root).map_err(told),
        None => Account::builder().map_err(told),
    }
}

/// What the authority says of the challenges that failed.
async fn why(order: &mut instant_acme::Order) -> String {
    let (mut said, mut authorizations) = (Vec::new(), order.authorizations());
    while let Some(Ok(authorization)) = authorizations.next().await {
        let errors = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        said.extend(errors.map(ToString::to_string));
    }
    if said.is_empty() { "it does not say why".to_owned() } else { said.join("; ") }
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn told(error: instant_acme::Error) -> String {
    // what is behind an error of the network stands in its sources
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = inner.source();
    }
    text
}
