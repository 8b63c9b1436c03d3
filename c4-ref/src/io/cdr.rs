//! The file of call detail records and the spool of open calls beside it, behind one writer thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cdr::spool::{self, Spool};

/// Records that wait for the writer; when it falls behind, workers wait for it: no record is lost.
const QUEUE: usize = 64 * 1024;
/// How long a record may wait for others to be written with it.
const FLUSH: Duration = Duration::from_millis(50);

enum Item {
    Record(String),
    Spool(spool::Entry),
    Reopen,
}

/// The open files.
pub struct CdrFile {
    path: PathBuf,
    spool_path: PathBuf,
    file: File,
    spool_file: File,
    spool: Spool,
    /// Lines of the spool that are not written yet.
    spool_lines: Vec<u8>,
}

impl CdrFile {
    /// Opens `path` for appending and makes records of the calls that a dead process left open in its spool
    /// (`path` with `.spool`).
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<CdrFile> {
        let mut spool_path = path.as_os_str().to_owned();
        spool_path.push(".spool");
        let spool_path = PathBuf::from(spool_path);
        let mut file = append(path)?;
        match fs::read(&spool_path) {
            Ok(content) => file.write_all(spool::recover(&content).concat().as_bytes())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let spool_file = File::create(&spool_path)?;
        Ok(CdrFile {
            path: path.into(),
            spool_path,
            file,
            spool_file,
            spool: Spool::default(),
            spool_lines: Vec::new(),
        })
    }

    /// Starts the writer.
    ///
    /// # Errors
    /// When the system has no thread for us.
    pub fn into_writer(self) -> io::Result<(CdrWriter, CdrThread)> {
        let (items, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("cdr".into()).spawn(move || self.run(&queue))?;
        Ok((CdrWriter { items }, CdrThread { thread }))
    }

    fn run(mut self, queue: &Receiver<Item>) {
        let mut lines = Vec::new();
        while let Ok(first) = queue.recv() {
            let mut reopen = self.take(first, &mut lines);
            let mut taken = 1;
            // Asleep, not waiting at the queue: else every record would wake this thread.
            std::thread::sleep(FLUSH);
            while taken < QUEUE
                && let Ok(item) = queue.try_recv()
            {
                reopen |= self.take(item, &mut lines);
                taken += 1;
            }
            if let Err(error) = self.flush(&mut lines) {
                tracing::error!(%error, "call detail records were not written");
            }
            if reopen {
                match append(&self.path) {
                    Ok(file) => self.file = file,
                    Err(error) => tracing::error!(%error, "the record file was not opened again"),
                }
            }
        }
    }

    fn take(&mut self, item: Item, lines: &mut Vec<u8>) -> bool {
        match item {
            Item::Record(line) => lines.extend_from_slice(line.as_bytes()),
            Item::Spool(entry) => self.spool.push(entry),
            Item::Reopen => return true,
        }
        false
    }

    /// Records first, then the spool: a crash in between gives a record twice, never none.
    fn flush(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        write_out(&mut self.file, lines)?;
        if !self.spool.is_empty() {
            self.spool_lines.append(&mut self.spool.take());
        }
        write_out(&mut self.spool_file, &mut self.spool_lines)?;
        if self.spool.wants_compaction() {
            let compact = spool::compact(&fs::read(&self.spool_path)?);
            let aside = self.spool_path.with_extension("new");
            fs::write(&aside, &compact)?;
            fs::rename(&aside, &self.spool_path)?;
            self.spool_file = append(&self.spool_path)?;
            self.spool.compacted(compact.len());
        }
        Ok(())
    }
}

/// Writes `octets` and takes off what was written: what a full disk did not take goes on there when it has room again.
fn write_out(file: &mut impl Write, octets: &mut Vec<u8>) -> io::Result<()> {
    let mut written = 0;
    let result = loop {
        let Some(rest) = octets.get(written..).filter(|rest| !rest.is_empty()) else { break Ok(()) };
        match file.write(rest) {
            Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    octets.drain(..written.min(octets.len()));
    result
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Hands records to the writer. The last one dropped lets it flush and end.
#[derive(Clone)]
pub struct CdrWriter {
    items: SyncSender<Item>,
}

impl CdrWriter {
    /// Appends a line, given with its line feed.
    pub fn record(&self, line: String) {
        // Fails only when the writer has panicked, which its thread reports.
        let _ = self.items.send(Item::Record(line));
    }

    /// Notes the beginning, answer or end of a call.
    pub fn spool(&self, entry: spool::Entry) {
        let _ = self.items.send(Item::Spool(entry));
    }

    /// Opens the record file by its name again, for a log rotation that moved it away.
    pub fn reopen(&self) {
        let _ = self.items.send(Item::Reopen);
    }
}

/// The writer's thread.
pub struct CdrThread {
    thread: JoinHandle<()>,
}

impl CdrThread {
    /// Waits until every record is written; the writers must have been dropped.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the writer of call detail records panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdr::Id;

    #[test]
    fn records_are_appended_and_open_calls_recovered() {
        let dir = super::super::tests::scratch("cdr");
        let path = dir.join("cdr.jsonl");
        let (writer, thread) = CdrFile::open(&path).unwrap().into_writer().unwrap();
        writer.spool(spool::Entry::Start(Id(1), "{\"call_id\":\"one\"}\n".into()));
        writer.spool(spool::Entry::Start(Id(2), "{\"call_id\":\"two\"}\n".into()));
        writer.record("{\"call_id\":\"one\",\"status\":200}\n".into());
        writer.spool(spool::Entry::End(Id(1)));
        drop(writer);
        thread.join();
        // As if the process had died with call two open.
        let (writer, thread) = CdrFile::open(&path).unwrap().into_writer().unwrap();
        drop(writer);
        thread.join();
        let content = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = content.lines().collect();
        assert_eq!(lines.len(), 2, "{content}");
        assert!(lines[1].contains("\"two\"") && lines[1].contains("recovered"), "{content}");
        drop(CdrFile::open(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "recovered once");
    }

    /// A disk with room for so many octets.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let most = self.1.min(octets.len());
            self.0.extend_from_slice(&octets[..most]);
            self.1 -= most;
            if most == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(most) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_tears_and_doubles_no_record() {
        let mut disk = Disk(Vec::new(), 5);
        let mut lines = b"one\ntwo\n".to_vec();
        assert!(write_out(&mut disk, &mut lines).is_err());
        lines.extend_from_slice(b"three\n");
        disk.1 = 100;
        write_out(&mut disk, &mut lines).unwrap();
        assert_eq!((disk.0, lines), (b"one\ntwo\nthree\n".to_vec(), Vec::new()));
    }

    #[test]
    fn a_rotated_file_is_opened_again() {
        let dir = super::super::tests::scratch("cdr-rotate");
        let path = dir.join("cdr.jsonl");
        let (writer, thread) = CdrFile::open(&path).unwrap().into_writer().unwrap();
        writer.record("1\n".into());
        assert!(super::super::tests::eventually(|| fs::read(&path).unwrap() == b"1\n"));
        fs::rename(&path, dir.join("old")).unwrap();
        writer.reopen();
        assert!(super::super::tests::eventually(|| path.exists()));
        writer.record("2\n".into());
        drop(writer);
        thread.join();
        assert_eq!(fs::read(&path).unwrap(), b"2\n");
        assert_eq!(fs::read(dir.join("old")).unwrap(), b"1\n");
    }
}
