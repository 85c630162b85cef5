//! What is asked of the home's server while it runs.

use sealpost::server::admin::{self, Question};

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::service;

/// Asks the server of the home; gives its answer line by line.
pub(crate) fn ask(
    context: &Context,
    question: &Question,
) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>, Failure> {
    let data = service::data(context)?;
    admin::ask(&data, question).map_err(|error| {
        Failure::io(format!("no server runs with the data of {} – {error}", data.display()))
            .hint("start it with `sealpost serve`")
    })
}

/// The same; gives the whole answer.
pub(crate) fn answer(context: &Context, question: &Question) -> Result<Vec<String>, Failure> {
    ask(context, question)?.collect::<Result<_, _>>().map_err(|error| Failure::io(format!("no answer – {error}")))
}
