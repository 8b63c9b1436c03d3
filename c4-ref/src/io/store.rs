//! The durable store: memory is the truth, changes are written behind in batches by one thread.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::{Database, ReadableTable, TableDefinition, TableError};

/// Changes that wait for the writer; when it falls behind, workers wait for it: nothing is lost.
const QUEUE: usize = 64 * 1024;
/// Pages the database keeps in memory; reads happen at the start only.
const CACHE: usize = 8 << 20;

/// The store could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("store {path}: {source}")]
pub struct StoreError {
    path: String,
    source: Box<redb::Error>,
}

/// An open store, before its writer runs.
pub struct Store {
    path: String,
    database: Database,
}

/// A change: a value to put, or `None` to delete.
type Change = (&'static str, Vec<u8>, Option<Vec<u8>>);

impl Store {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// What the database says.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let name = path.display().to_string();
        match Database::builder().set_cache_size(CACHE).create(path) {
            Ok(database) => Ok(Store { path: name, database }),
            Err(error) => Err(StoreError { path: name, source: Box::new(error.into()) }),
        }
    }

    /// Hands every record of a table to `each`, in the order of the keys. A table that is not there is empty.
    ///
    /// # Errors
    /// What the database says.
    pub fn read(&self, table: &str, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let wrong = |source: redb::Error| StoreError { path: self.path.clone(), source: Box::new(source) };
        let reading = redb::ReadableDatabase::begin_read(&self.database).map_err(|e| wrong(e.into()))?;
        let table = match reading.open_table(TableDefinition::<&[u8], &[u8]>::new(table)) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            other => other.map_err(|e| wrong(e.into()))?,
        };
        for record in table.iter().map_err(|e| wrong(e.into()))? {
            let (key, value) = record.map_err(|e| wrong(e.into()))?;
            each(key.value(), value.value());
        }
        Ok(())
    }

    /// Starts the writer: a change waits `flush` at most before its batch is committed and synced.
    ///
    /// # Errors
    /// When the system has no thread for us.
    pub fn into_writer(self, flush: Duration) -> std::io::Result<(StoreWriter, StoreThread)> {
        let (changes, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || self.run(flush, &queue))?;
        Ok((StoreWriter { changes }, StoreThread { thread }))
    }

    fn run(self, flush: Duration, queue: &Receiver<Change>) {
        let mut batch: BTreeMap<(&'static str, Vec<u8>), Option<Vec<u8>>> = BTreeMap::new();
        // The loop ends when the last writer is dropped and the queue is empty.
        while let Ok((table, key, value)) = queue.recv() {
            batch.insert((table, key), value);
            // Asleep, not waiting at the queue: else every change of the batch would wake this thread.
            std::thread::sleep(flush);
            while batch.len() < QUEUE
                && let Ok((table, key, value)) = queue.try_recv()
            {
                batch.insert((table, key), value);
            }
            match self.commit(&batch) {
                Ok(()) => batch.clear(),
                // Kept for the next batch; the calls go on from memory.
                Err(error) => tracing::error!(store = self.path, %error, "a batch was not written"),
            }
            while batch.len() >= QUEUE {
                batch.pop_first();
            }
        }
        if !batch.is_empty()
            && let Err(error) = self.commit(&batch)
        {
            tracing::error!(store = self.path, %error, records = batch.len(), "the last batch was not written");
        }
    }

    fn commit(&self, batch: &BTreeMap<(&'static str, Vec<u8>), Option<Vec<u8>>>) -> Result<(), redb::Error> {
        let writing = self.database.begin_write()?;
        let mut records = batch.iter().peekable();
        while let Some(&(&(name, _), _)) = records.peek() {
            let mut table = writing.open_table(TableDefinition::<&[u8], &[u8]>::new(name))?;
            while let Some(((_, key), value)) = records.next_if(|((table, _), _)| *table == name) {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                    None => table.remove(key.as_slice())?,
                };
            }
        }
        Ok(writing.commit()?)
    }
}

/// Hands changes to the writer. The last one dropped lets it flush and end.
#[derive(Clone)]
pub struct StoreWriter {
    changes: SyncSender<Change>,
}

impl StoreWriter {
    /// Puts a record, from now on in the memory of the writer and `flush` later on disk.
    pub fn put(&self, table: &'static str, key: Vec<u8>, value: Vec<u8>) {
        // Fails only when the writer has panicked; the calls go on from memory.
        let _ = self.changes.send((table, key, Some(value)));
    }

    /// Deletes a record.
    pub fn delete(&self, table: &'static str, key: Vec<u8>) {
        let _ = self.changes.send((table, key, None));
    }
}

/// The writer's thread.
pub struct StoreThread {
    thread: JoinHandle<()>,
}

impl StoreThread {
    /// Waits until everything is on disk; the writers must have been dropped.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the store's writer panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        Store::open(path).unwrap().read("contacts", |k, v| all.push((k.to_vec(), v.to_vec()))).unwrap();
        all
    }

    #[test]
    fn changes_are_there_after_reopening() {
        let dir = super::super::tests::scratch("store");
        let path = dir.join("c4.redb");
        assert_eq!(records(&path), []);
        let (writer, thread) = Store::open(&path).unwrap().into_writer(Duration::from_millis(5)).unwrap();
        writer.put("contacts", b"alice".to_vec(), b"1".to_vec());
        writer.put("contacts", b"bob".to_vec(), b"1".to_vec());
        writer.put("other", b"alice".to_vec(), b"x".to_vec());
        writer.put("contacts", b"alice".to_vec(), b"2".to_vec());
        writer.delete("contacts", b"bob".to_vec());
        drop(writer);
        thread.join();
        assert_eq!(records(&path), [(b"alice".to_vec(), b"2".to_vec())]);
    }

    #[test]
    fn a_batch_is_on_disk_without_an_orderly_end() {
        let dir = super::super::tests::scratch("store-kill");
        let path = dir.join("c4.redb");
        let (writer, thread) = Store::open(&path).unwrap().into_writer(Duration::from_millis(5)).unwrap();
        writer.put("contacts", b"alice".to_vec(), b"1".to_vec());
        let copy = dir.join("copy.redb");
        // What a process that dies now leaves behind is the file as it is: a copy must hold the record soon.
        let seen = super::super::tests::eventually(|| {
            std::fs::copy(&path, &copy).unwrap();
            let mut found = false;
            let read = Store::open(&copy).and_then(|store| store.read("contacts", |k, _| found = k == b"alice"));
            read.is_ok() && found
        });
        assert!(seen);
        drop(writer);
        thread.join();
    }

    #[test]
    fn what_is_no_database_is_named() {
        let dir = super::super::tests::scratch("store-bad");
        let path = dir.join("c4.redb");
        std::fs::write(&path, "not a database").unwrap();
        let error = Store::open(&path).err().unwrap().to_string();
        assert!(error.contains("c4.redb"), "{error}");
    }
}
