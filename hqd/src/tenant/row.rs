//! What is shown of a store: its row in lists, its alerts, its part of a report.
//!
//! Books are read twice before they count as unreadable: where views found no room on the disk, what was begun to be read
//! before is given up, and the next look reads.

use serde_json::{Value, json};
use toko_crdt::KvError;

use super::{Tenant, Word};
use crate::cli::By;
use crate::publish;
use crate::report::{self, Days, ReportError};

impl Tenant {
    /// The store as `hqd stores` shows it, and what somebody should look at.
    ///
    /// Errors: its books cannot be read, tried twice.
    pub(crate) async fn shown(&self) -> Result<(Value, Vec<Value>), KvError> {
        match self.read_row().await {
            Err(_) => self.read_row().await,
            shown => shown,
        }
    }

    /// Its rows of a report; none where it has no books yet.
    ///
    /// Errors: its books cannot be read, tried twice; a sum that is too large.
    pub(crate) fn report(&self, days: Days, by: By) -> Result<Vec<Value>, ReportError> {
        match self.read_report(days, by) {
            Err(ReportError::Kv(_)) => self.read_report(days, by),
            report => report,
        }
    }

    fn read_report(&self, days: Days, by: By) -> Result<Vec<Value>, ReportError> {
        let Some(books) = self.books() else { return Ok(Vec::new()) };
        let mut rows = books.read(|kv| Ok(report::rows(kv, &self.name, days, by)))??;
        if by == By::Store {
            for row in &mut rows {
                books.show_seal(row)?;
            }
        }
        Ok(rows)
    }

    async fn read_row(&self) -> Result<(Value, Vec<Value>), KvError> {
        let mut row = json!({
            "store": self.name,
            "node": self.node.to_string(),
            "currency": self.currency.code(),
            "state": Word::Waiting.word(),
            "store_id": null,
            "links": [],
            "last_contact_s": null,
            "lacks": null,
            "entries": 0,
            "frontier": null,
            "digests": { "books": null },
            "parked": 0,
            "catalogue": null,
            "seal": null,
            "countersigned": null,
        });
        let books = self.books();
        let status = match &books {
            Some(books) => Some(books.status().await?),
            None => None,
        };
        // After the status, so that books which are shown complete are not shown as still joining.
        row["state"] = json!(self.word().word());
        let (Some(books), Some(status)) = (books, status) else { return Ok((row, Vec::new())) };
        books.show(&status, &mut row);
        books.show_seal(&mut row)?;
        row["catalogue"] = json!(books.read(|kv| publish::shown(kv, self.node))?);
        let alert = |alert: &toko_mesh::node::Alert| {
            json!({
                "store": self.name,
                "code": alert.code.word(),
                "screen": alert.code.advice(),
                "log": alert.what,
                "node": alert.node.map(|node| node.to_string()),
            })
        };
        Ok((row, status.alerts.iter().map(alert).collect()))
    }
}
