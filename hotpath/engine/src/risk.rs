//! The gate every order passes. It alone can make an [`Approved`].

use domain::{OrderRequest, TickLots, codec::Wire};
use serde::Serialize;

/// An order that passed every limit. Only [`review`] can make one.
///
/// ```compile_fail
/// // The field is private: nobody else can make one.
/// let forged = engine::risk::Approved(todo!());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approved(OrderRequest);

impl Approved {
    /// The order inside.
    pub const fn request(&self) -> &OrderRequest {
        &self.0
    }
}
