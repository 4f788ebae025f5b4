//! `Labels`: what usage is counted by.

/// Bytes of one label; a label set with a longer one is counted in its tenant's overflow row.
pub const LABEL_BYTES_MAX: usize = 64;

/// The word in every field but the tenant of a tenant's overflow row, and in the tenant's too
/// when there are more tenants than rows.
pub const OVERFLOW: &str = "_overflow";

/// What usage is counted by, in the order of the key. Values must be free of personal data and
/// come from a small set: templated routes (`/v1/objects/:id`), not raw ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Labels {
    /// Who pays.
    pub tenant: String,
    /// The method, such as `GET`.
    pub method: String,
    /// The templated route.
    pub route: String,
    /// The service that did the work.
    pub service: String,
    /// Where it did it.
    pub region: String,
}

/// An empty label set to build on.
#[must_use]
pub fn labels() -> Labels {
    Labels::default()
}

impl Labels {
    /// Sets who pays.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Sets the method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = method.into();
        self
    }

    /// Sets the templated route.
    #[must_use]
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.route = route.into();
        self
    }

    /// Sets the service that did the work.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = service.into();
        self
    }

    /// Sets where it did it.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// The overflow row of a tenant.
    pub(crate) fn overflow(tenant: &str) -> Self {
        labels().tenant(tenant).method(OVERFLOW).route(OVERFLOW).service(OVERFLOW).region(OVERFLOW)
    }

    /// Whether every label is short enough.
    pub(crate) fn fits(&self) -> bool {
        [&self.tenant, &self.method, &self.route, &self.service, &self.region]
            .into_iter()
            .all(|label| label.len() <= LABEL_BYTES_MAX)
    }
}
