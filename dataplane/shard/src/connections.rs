//! `Connections`: what each connection's label numbers stand for.

use std::collections::BTreeMap;

use wire::usage::{CONNECTION_LABELS_MAX, LabelId};

use crate::{
    ConnectionId,
    catalog::{RowIndex, place},
    producers::ProducerIndex,
};

/// What a label number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Label {
    /// Nothing was said about it.
    #[default]
    Undefined,
    /// Its label set was refused: what it counts is not counted, and the producer is told.
    Refused,
    /// Counted here.
    Row(RowIndex),
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) producer: ProducerIndex,
    /// Records since the hello whose label was refused.
    pub(crate) records_refused: u64,
    labels: Vec<Label>,
}

impl Connection {
    /// What a number stands for. On the hot path.
    pub(crate) fn label(&self, id: LabelId) -> Label {
        self.labels.get(place(id.0)).copied().unwrap_or_default()
    }

    /// Sets what a number stands for; returns what it stood for before.
    pub(crate) fn set_label(&mut self, id: LabelId, label: Label) -> Label {
        assert!(id.0 < CONNECTION_LABELS_MAX, "the decoder has checked it");
        let place = place(id.0);
        if self.labels.len() <= place {
            self.labels.resize(place + 1, Label::Undefined);
        }
        std::mem::replace(self.labels.get_mut(place).expect("resized just now"), label)
    }

    /// The rows that its labels stand for.
    pub(crate) fn rows(&self) -> impl Iterator<Item = RowIndex> + '_ {
        self.labels.iter().filter_map(|label| match label {
            Label::Row(row) => Some(*row),
            Label::Undefined | Label::Refused => None,
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Connections {
    connections: BTreeMap<ConnectionId, Connection>,
}

impl Connections {
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn add(&mut self, id: ConnectionId, producer: ProducerIndex) {
        let connection = Connection { producer, records_refused: 0, labels: Vec::new() };
        let before = self.connections.insert(id, connection);
        assert!(before.is_none(), "connection numbers are not used twice");
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.connections.remove(&id)
    }
}
