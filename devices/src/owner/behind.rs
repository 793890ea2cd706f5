//! What a display behind the printer is to show. It goes over the printer's link, since the cable takes one host at a time.
//!
//! Invariant: the latest drawing wins, and what was to be shown before it is forgotten.

use tokio::sync::watch;

/// The drawings for the display behind one printer.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    wanted: Option<watch::Receiver<Vec<u8>>>,
    due: bool,
}

impl Behind {
    /// Drawings that come so. An empty one is none.
    pub(crate) fn from(wanted: watch::Receiver<Vec<u8>>) -> Behind {
        Behind { wanted: Some(wanted), due: false }
    }

    /// Waits until something else is to be shown; never ends where nobody can want that. Dropping it loses nothing.
    pub(crate) async fn changed(&mut self) {
        let changed = match &mut self.wanted {
            Some(wanted) => wanted.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending::<()>().await;
        }
        self.due = true;
    }

    /// What it shows may be nothing, or anything.
    pub(crate) fn draw_again(&mut self) {
        self.due = true;
    }

    /// What has to be sent, once.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        match &mut self.wanted {
            Some(wanted) if std::mem::take(&mut self.due) => wanted.borrow_and_update().clone(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_drawing_is_taken_once_and_again_on_a_new_link() {
        let (show, wanted) = watch::channel(Vec::new());
        let mut behind = Behind::from(wanted);
        behind.draw_again();
        assert_eq!(behind.take(), b"", "nothing was to be shown yet");
        show.send_replace(b"old".to_vec());
        show.send_replace(b"new".to_vec());
        behind.changed().await;
        assert_eq!((behind.take(), behind.take()), (b"new".to_vec(), Vec::new()));
        behind.draw_again();
        assert_eq!(behind.take(), b"new");
    }
}
