//! The durable store: memory is the truth, changes are written behind in batches by one thread.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use redb::{Builder, Database, ReadableTable, TableDefinition, TableError};

use super::backlog::{BACKLOG, OVERHEAD, Sender, Sink, Waiting, backlog};

/// Pages the database keeps in memory; reads happen at the start only.
const CACHE: usize = 8 << 20;

/// The store could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("store {path}: {source}")]
pub struct StoreError {
    path: String,
    source: Box<redb::Error>,
}

/// Opens the database once more.
type Open = Box<dyn Fn(&Builder) -> Result<Database, redb::DatabaseError> + Send>;

/// An open store, before its writer runs.
pub struct Store {
    path: String,
    database: Database,
    open: Open,
}

/// A change: a value to put, or `None` to delete.
type Change = (&'static str, Vec<u8>, Option<Vec<u8>>);

impl Store {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// What the database says.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let file = path.to_owned();
        Store::open_with(path.display().to_string(), Box::new(move |builder| builder.create(&file)))
    }

    fn open_with(path: String, open: Open) -> Result<Store, StoreError> {
        match open(&builder()) {
            Ok(database) => Ok(Store { path, database, open }),
            Err(error) => Err(StoreError { path, source: Box::new(error.into()) }),
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
        let (changes, queue) = backlog("store", BACKLOG);
        let batch = Batch { database: Some(self.database), open: self.open, changes: BTreeMap::new(), octets: 0 };
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || queue.run(flush, batch))?;
        Ok((StoreWriter { changes }, StoreThread { thread }))
    }
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

/// By table and key.
type Changes = BTreeMap<(&'static str, Vec<u8>), Option<Vec<u8>>>;

/// What the next commit writes; of a record the last change only.
struct Batch {
    /// `None`: it failed, and is to be opened again.
    database: Option<Database>,
    open: Open,
    changes: Changes,
    octets: usize,
}

fn octets(key: usize, value: Option<&Vec<u8>>) -> usize {
    key + value.map_or(0, Vec::len)
}

impl Sink for Batch {
    type Item = Change;

    fn take(&mut self, (table, key, value): Change) {
        let length = key.len();
        self.octets += octets(length, value.as_ref());
        // A record is in memory once, however often it changed.
        if let Some(old) = self.changes.insert((table, key), value) {
            self.octets = self.octets.saturating_sub(octets(length, old.as_ref()));
        }
    }

    fn write(&mut self) -> Result<(), impl std::fmt::Display> {
        let result = match self.database.take() {
            Some(database) => Ok(database),
            None => (self.open)(&builder()).map_err(redb::Error::from),
        };
        // A database that has seen an error of the disk answers nothing else any more: it is opened anew.
        let database = result.and_then(|database| commit(&database, &self.changes).map(|()| database))?;
        self.database = Some(database);
        self.changes.clear();
        self.octets = 0;
        Ok::<(), redb::Error>(())
    }

    fn held(&self) -> usize {
        self.octets + OVERHEAD * self.changes.len()
    }
}

fn commit(database: &Database, batch: &Changes) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
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

/// Hands changes to the writer. The last one dropped lets it flush and end.
#[derive(Clone)]
pub struct StoreWriter {
    changes: Sender<Change>,
}

impl StoreWriter {
    /// Puts a record, from now on in the memory of the writer and `flush` later on disk. While the disk fails, changes
    /// beyond the bound are dropped and counted.
    pub fn put(&self, table: &'static str, key: Vec<u8>, value: Vec<u8>) {
        self.change((table, key, Some(value)));
    }

    /// Deletes a record.
    pub fn delete(&self, table: &'static str, key: Vec<u8>) {
        self.change((table, key, None));
    }

    fn change(&self, change: Change) {
        let octets = octets(change.1.len(), change.2.as_ref());
        self.changes.offer(change, octets);
    }

    pub(super) fn waiting(&self) -> Waiting {
        self.changes.waiting()
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
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

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

    /// A database in memory that the test can make a full disk of; what is written stays when it is closed.
    #[derive(Debug, Clone, Default)]
    struct Disk(Arc<(Mutex<Vec<u8>>, AtomicBool)>);

    impl Disk {
        fn fill(&self, full: bool) {
            self.0.1.store(full, Ordering::SeqCst);
        }

        fn check(&self) -> io::Result<()> {
            if self.0.1.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn store(&self) -> Store {
            let disk = self.clone();
            let open: Open = Box::new(move |builder| builder.create_with_backend(disk.clone()));
            Store::open_with("memory".into(), open).unwrap()
        }
    }

    impl redb::StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.0.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let start = offset as usize;
            out.copy_from_slice(&self.0.0.lock().unwrap()[start..start + out.len()]);
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.check()?;
            self.0.0.lock().unwrap().resize(len as usize, 0);
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            self.check()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.check()?;
            let start = offset as usize;
            self.0.0.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
            Ok(())
        }
    }

    #[test]
    fn a_batch_that_a_full_disk_refused_is_written_by_itself_later() {
        let disk = Disk::default();
        let (writer, thread) = disk.store().into_writer(Duration::from_millis(5)).unwrap();
        writer.put("contacts", b"alice".to_vec(), b"1".to_vec());
        assert!(super::super::tests::eventually(|| writer.waiting().octets == 0));
        disk.fill(true);
        writer.put("contacts", b"bob".to_vec(), b"1".to_vec());
        writer.delete("contacts", b"alice".to_vec());
        assert!(super::super::tests::eventually(|| writer.changes.is_failing()));
        disk.fill(false);
        // Without a further change.
        assert!(super::super::tests::eventually(|| writer.waiting().octets == 0));
        assert_eq!(writer.waiting().dropped, 0);
        drop(writer);
        thread.join();
        let mut all = Vec::new();
        disk.store().read("contacts", |k, v| all.push((k.to_vec(), v.to_vec()))).unwrap();
        assert_eq!(all, [(b"bob".to_vec(), b"1".to_vec())]);
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
