//! Client order ids in text. Ours ([`ClientOrderId`]) are taken as they are; any other text a client invents gets an
//! id of our own behind the scenes, because the simulated venue knows only the one kind.

use domain::ClientOrderId;
use std::collections::BTreeMap;

/// Home tag of ids that stand for foreign text; no installation has it.
const FOREIGN: u32 = u32::MAX;

/// The two ways between text and id.
#[derive(Clone, Debug, Default)]
pub struct ClientIds {
    by_text: BTreeMap<String, ClientOrderId>,
    by_id: BTreeMap<ClientOrderId, String>,
    generated: u64,
}

impl ClientIds {
    /// The id for a client's text; a new one for text not seen before.
    pub fn id(&mut self, text: &str) -> ClientOrderId {
        if let Some(known) = self.find(text) {
            return known;
        }
        let sequence = u32::try_from(self.by_text.len() + 1).unwrap_or(u32::MAX);
        let id = ClientOrderId { home: FOREIGN, epoch: 0, sequence };
        self.by_text.insert(text.to_owned(), id);
        self.by_id.insert(id, text.to_owned());
        id
    }

    /// The id for a client's text, if it is ours or was seen before.
    pub fn find(&self, text: &str) -> Option<ClientOrderId> {
        text.parse::<ClientOrderId>().ok().filter(|id| id.home != FOREIGN).or_else(|| self.by_text.get(text).copied())
    }

    /// The text the client knows the id by.
    pub fn text(&self, id: &ClientOrderId) -> String {
        self.by_id.get(id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// A text for a request that came without one.
    pub fn generate(&mut self) -> String {
        self.generated += 1;
        format!("emu{:019}", self.generated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_ids_pass_and_foreign_text_is_kept() {
        let mut ids = ClientIds::default();
        let ours = ids.id("trd-0000beef-3-4");
        assert_eq!(ours, ClientOrderId { home: 0xbeef, epoch: 3, sequence: 4 });
        let web = ids.id("web_123");
        assert_eq!((ids.id("web_123"), ids.text(&web)), (web, "web_123".to_owned()));
        assert_eq!(ids.find("web_9"), None);
        assert_ne!(ids.generate(), ids.generate());
        let trick = ids.id("trd-ffffffff-0-1");
        assert_ne!(trick, web, "text in the shape of our stand-ins is foreign text like any other");
    }
}
